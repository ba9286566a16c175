package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/resource"
)

const (
	issuerURL   = "https://login.example"
	resourceURL = "https://api.example/mcp"
	metadataURL = "https://api.example/.well-known/oauth-protected-resource/mcp"
)

// issuer is an authorization server without a network: its client's transport is
// a method.
type issuer struct {
	tb  testing.TB
	url string

	mu       sync.Mutex
	keys     []jose.Key
	asked    map[string]int              // by path
	override map[string]http.HandlerFunc // by path
	metadata map[string]any
	down     error
	slow     time.Duration
}

func newIssuer(tb testing.TB, url string) *issuer {
	tb.Helper()
	is := &issuer{tb: tb, url: url, asked: map[string]int{}, override: map[string]http.HandlerFunc{}}
	is.metadata = map[string]any{"issuer": url, "jwks_uri": url + "/jwks", "introspection_endpoint": url + "/introspect"}
	is.addKey(jose.ES256)
	return is
}

func (is *issuer) addKey(alg string) jose.Key {
	is.tb.Helper()
	k, err := jose.Generate(alg)
	require.NoError(is.tb, err)
	is.mu.Lock()
	defer is.mu.Unlock()
	is.keys = append([]jose.Key{k}, is.keys...)
	return k
}

func (is *issuer) set(f func()) {
	is.mu.Lock()
	defer is.mu.Unlock()
	f()
}

// fetches is how often the path was asked for; of all of them if it is empty.
func (is *issuer) fetches(path string) (n int) {
	is.mu.Lock()
	defer is.mu.Unlock()
	for p, count := range is.asked {
		if path == "" || p == path {
			n += count
		}
	}
	return n
}

func (is *issuer) client() *http.Client { return &http.Client{Transport: is} }

// RoundTrip answers as the issuer would.
func (is *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	is.mu.Lock()
	is.asked[r.URL.Path]++
	down, slow, h := is.down, is.slow, is.override[r.URL.Path]
	is.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if down != nil {
		return nil, down
	}
	if h == nil {
		h = is.serve
	}
	w := httptest.NewRecorder()
	h(w, r)
	return w.Result(), nil
}

func (is *issuer) serve(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	defer is.mu.Unlock()
	var body []byte
	var err error
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		body, err = json.Marshal(is.metadata)
	case "/jwks":
		body, err = jose.MarshalJWKS(is.keys)
	default:
		http.NotFound(w, r)
		return
	}
	assert.NoError(is.tb, err)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// claims are those of a good token; changes replace some, nil removes one.
func (is *issuer) claims(changes map[string]any) []byte {
	now := time.Now().Unix()
	m := map[string]any{"iss": is.url, "sub": "user-1", "aud": resourceURL, "client_id": "client-1",
		"iat": now, "nbf": now, "exp": now + 3600, "jti": "token-1", "scope": "read"}
	maps.Copy(m, changes)
	for name, v := range m {
		if v == nil {
			delete(m, name)
		}
	}
	data, err := json.Marshal(m)
	require.NoError(is.tb, err)
	return data
}

// token signs the claims with the issuer's newest key.
func (is *issuer) token(changes map[string]any) string {
	is.mu.Lock()
	k := is.keys[0]
	is.mu.Unlock()
	return sign(is.tb, k, "at+jwt", is.claims(changes))
}

func sign(tb testing.TB, k jose.Key, typ string, claims []byte) string {
	tb.Helper()
	s, err := jose.Prepare(k)
	require.NoError(tb, err)
	token, err := s.Sign(context.Background(), typ, claims)
	require.NoError(tb, err)
	return token
}

// api is a protected resource that answers with the token it was called with.
type api struct {
	tb      testing.TB
	server  *resource.Server
	handler http.Handler
	refused []error
	reached int
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.reached++
	t, ok := resource.FromContext(r.Context())
	assert.True(a.tb, ok)
	assert.NoError(a.tb, json.NewEncoder(w).Encode(t))
}

func newAPI(tb testing.TB, v resource.Verifier, change func(*resource.Config)) *api {
	tb.Helper()
	a := &api{tb: tb}
	cfg := resource.Config{Resource: resourceURL, Issuers: []string{issuerURL}, Verifier: v, Scopes: []string{"read"},
		OnRefusal: func(_ *http.Request, err error) { a.refused = append(a.refused, err) }}
	if change != nil {
		change(&cfg)
	}
	var err error
	a.server, err = resource.New(cfg)
	require.NoError(tb, err)
	a.handler = a.server.Require()(a)
	return a
}

// answer is what a client sees.
type answer struct {
	*http.Response
	body string
}

func (a *api) do(r *http.Request) answer {
	a.tb.Helper()
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	require.NoError(a.tb, err)
	ans := answer{res, string(body)}
	ans.checkHeaders(a.tb)
	return ans
}

// checkHeaders holds what is true of every answer.
func (ans answer) checkHeaders(tb testing.TB) {
	tb.Helper()
	assert.LessOrEqual(tb, len(ans.Header.Values("WWW-Authenticate")), 1, "one challenge")
	for name, values := range ans.Header {
		for _, v := range values {
			assert.NotContains(tb, v, "\n", name)
			assert.NotContains(tb, v, "\r", name)
		}
	}
	assert.Empty(tb, ans.Header.Get("Access-Control-Allow-Credentials"))
	if ans.StatusCode < 400 {
		return
	}
	assert.Equal(tb, "no-store", ans.Header.Get("Cache-Control"))
	assert.Equal(tb, "application/json", ans.Header.Get("Content-Type"))
	assert.Equal(tb, "nosniff", ans.Header.Get("X-Content-Type-Options"))
	assert.True(tb, json.Valid([]byte(ans.body)), ans.body)
	if ans.StatusCode == http.StatusUnauthorized {
		assert.NotEmpty(tb, ans.Header.Get("WWW-Authenticate"))
	}
}

func (a *api) get(header ...string) answer {
	a.tb.Helper()
	r := httptest.NewRequest(http.MethodGet, resourceURL, nil)
	for _, h := range header {
		r.Header.Add("Authorization", h)
	}
	return a.do(r)
}

func (a *api) bearer(token string) answer {
	a.tb.Helper()
	return a.get("Bearer " + token)
}

// accepts and refuses are the two outcomes of a token.
func (a *api) accepts(token string) {
	a.tb.Helper()
	reached := a.reached
	assert.Equal(a.tb, http.StatusOK, a.bearer(token).StatusCode, "%v", a.refused)
	assert.Equal(a.tb, reached+1, a.reached)
}

func (a *api) refuses(token string) {
	a.tb.Helper()
	reached := a.reached
	ans := a.bearer(token)
	assert.Equal(a.tb, http.StatusUnauthorized, ans.StatusCode)
	assert.Contains(a.tb, ans.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
	assert.JSONEq(a.tb, `{"error":"invalid_token","error_description":"the access token is invalid, expired, revoked, or for another resource"}`, ans.body)
	assert.Equal(a.tb, reached, a.reached, "the handler was called")
}

func (a *api) cannotTell(token string) {
	a.tb.Helper()
	reached := a.reached
	ans := a.bearer(token)
	assert.Equal(a.tb, http.StatusServiceUnavailable, ans.StatusCode)
	assert.NotEmpty(a.tb, ans.Header.Get("Retry-After"))
	assert.Empty(a.tb, ans.Header.Get("WWW-Authenticate"))
	assert.NotContains(a.tb, ans.body, "invalid")
	assert.Equal(a.tb, reached, a.reached, "the handler was called")
}

var errDown = errors.New("connection refused")

// good is a verifier that accepts everything, with the scope read.
func good(context.Context, string) (*resource.Token, error) {
	return &resource.Token{Issuer: issuerURL, Subject: "user-1", ClientID: "client-1", Audience: []string{resourceURL},
		Scopes: []string{"read"}, ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// scoped accepts everything, with the scopes that the token itself names: a+b.
func scoped(ctx context.Context, token string) (*resource.Token, error) {
	t, err := good(ctx, token)
	t.Scopes = strings.Split(token, "+")
	return t, err
}
