package assertion_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	issuer   = "https://auth.example"
	endpoint = issuer + "/oauth/token"
	kindJWT  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// keys are made once, one of each algorithm; other is nobody's.
var keys = sync.OnceValue(func() map[string]jose.Key {
	out := map[string]jose.Key{}
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA", "ES384"} {
		k, err := jose.Generate(alg)
		if err != nil {
			panic(err)
		}
		out[alg] = k
	}
	out["other"], _ = jose.Generate("ES256")
	return out
})

func jwks(t testing.TB, list ...jose.Key) []byte {
	t.Helper()
	b, err := jose.MarshalJWKS(list)
	require.NoError(t, err)
	return b
}

type fixture struct {
	t     testing.TB
	p     *oauth.Provider
	store *faulty
	gets  atomic.Int32
	serve func() (int, []byte) // the client's jwks_uri
	mu    sync.Mutex
	told  oauth.Event // the last one
}

// faulty is a store whose CreateCode can fail, and that counts its records.
type faulty struct {
	store.Store
	err   error
	codes atomic.Int32
}

func (s *faulty) CreateCode(ctx context.Context, c store.Code) error {
	if s.err != nil {
		return s.err
	}
	s.codes.Add(1)
	return s.Store.CreateCode(ctx, c)
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, store: &faulty{Store: store.NewMemory()}}
	f.p = f.provider()
	k := keys()
	f.register(oauth.Client{ID: "app", JWKS: jwks(t, k["ES256"], k["RS256"], k["PS256"], k["EdDSA"], k["ES384"])})
	f.register(oauth.Client{ID: "twin", JWKS: jwks(t, k["ES256"])})
	f.register(oauth.Client{ID: "uri", JWKSURI: "https://uri.example/jwks"})
	f.register(oauth.Client{ID: "basic", AuthMethod: "client_secret_basic", JWKS: jwks(t, k["ES256"])})
	f.register(oauth.Client{ID: "off", Disabled: true, JWKS: jwks(t, k["ES256"])})
	f.store.codes.Store(0)
	return f
}

// provider makes another process over the same store.
func (f *fixture) provider() *oauth.Provider {
	f.t.Helper()
	p, err := oauth.New(oauth.Config{
		Issuer: issuer, Store: f.store, LoginURL: "/login",
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:     map[string]string{"read": ""},
		Keys:       oauth.StaticKeys{{Signer: keys()["other"].Signer}},
		Secret:     []byte("0123456789abcdef0123456789abcdef"),
		Policy:     oauth.Policy{BcryptCost: 4},
		Extensions: []oauth.Extension{assertion.New(assertion.Config{HTTPClient: &http.Client{Transport: f}})},
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		OnEvent:    func(_ context.Context, e oauth.Event) { f.mu.Lock(); f.told = e; f.mu.Unlock() },
	})
	require.NoError(f.t, err)
	return p
}

func (f *fixture) RoundTrip(r *http.Request) (*http.Response, error) {
	f.gets.Add(1)
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	status, body := f.serve()
	w.WriteHeader(status)
	w.Write(body)
	return w.Result(), nil
}

func (f *fixture) register(c oauth.Client) {
	f.t.Helper()
	c.GrantTypes, c.Scopes = []string{"client_credentials"}, []string{"read"}
	if c.AuthMethod == "" {
		c.AuthMethod = "private_key_jwt"
	}
	_, _, err := f.p.RegisterClient(context.Background(), c)
	require.NoError(f.t, err)
}

var serial atomic.Int64

// claims are good ones of a client; pairs change them, and nil removes one.
func claims(clientID string, pairs ...any) map[string]any {
	c := map[string]any{"iss": clientID, "sub": clientID, "aud": issuer, "exp": time.Now().Add(time.Minute).Unix(),
		"iat": time.Now().Unix(), "jti": fmt.Sprint("id", serial.Add(1))}
	for i := 0; i < len(pairs); i += 2 {
		if c[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(c, pairs[i].(string))
		}
	}
	return c
}

func sign(t testing.TB, key jose.Key, typ string, c map[string]any) string {
	t.Helper()
	s, err := jose.Prepare(key)
	require.NoError(t, err)
	b, err := json.Marshal(c)
	require.NoError(t, err)
	out, err := s.Sign(context.Background(), typ, b)
	require.NoError(t, err)
	return out
}

func good(t testing.TB, clientID string, pairs ...any) string {
	return sign(t, keys()["ES256"], "JWT", claims(clientID, pairs...))
}

type answer struct {
	status int
	code   string
}

var (
	ok      = answer{200, ""}
	invalid = answer{401, "invalid_client"}
	request = answer{400, "invalid_request"}
)

// token asks for a token; pairs are further parameters.
func token(p *oauth.Provider, assertion string, pairs ...string) answer {
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {kindJWT}, "client_assertion": {assertion}}
	for i := 0; i < len(pairs); i += 2 {
		if form.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return post(p, "/oauth/token", form)
}

func post(p *oauth.Provider, path string, form url.Values, headers ...string) answer {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	var e struct{ Error string }
	_ = json.Unmarshal(w.Body.Bytes(), &e)
	return answer{w.Code, e.Error}
}

func TestAdvertised(t *testing.T) {
	m := newFixture(t).p.Metadata()
	assert.Contains(t, m["token_endpoint_auth_methods_supported"], "private_key_jwt")
	assert.Equal(t, []string{"RS256", "PS256", "ES256", "EdDSA"}, m["token_endpoint_auth_signing_alg_values_supported"])
	_, err := oauth.New(oauth.Config{Issuer: issuer, Store: store.NewMemory(), LoginURL: "/login", Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Extensions: []oauth.Extension{assertion.New(assertion.Config{MaxLifetime: -1})}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	assert.ErrorContains(t, err, "assertion: ")
}

func TestEveryAlgorithmAuthenticates(t *testing.T) {
	f := newFixture(t)
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		assert.Equal(t, ok, token(f.p, sign(t, keys()[alg], "JWT", claims("app"))), alg)
	}
	assert.Equal(t, invalid, token(f.p, sign(t, keys()["ES384"], "JWT", claims("app"))), "not one of those that are advertised")
	assert.Equal(t, ok, token(f.p, good(t, "app"), "client_id", "app"))
	assert.Equal(t, ok, post(f.p, "/oauth/revoke", url.Values{"token": {"x"}, "client_assertion_type": {kindJWT}, "client_assertion": {good(t, "app")}}))
}

// Few clients send client_id beside an assertion, and none has to (RFC 7521 §4.2):
// the app is told which client it was that was refused all the same.
func TestTheEventOfARefusalNamesTheClient(t *testing.T) {
	f := newFixture(t)
	spent := good(t, "app")
	require.Equal(t, ok, token(f.p, spent))
	for why, a := range map[string]string{
		"aud must be":     good(t, "app", "aud", "https://elsewhere.example"),
		"it has expired":  good(t, "app", "exp", time.Now().Add(-time.Hour).Unix()),
		"wrong signature": sign(t, jose.Key{ID: keys()["ES256"].ID, Alg: "ES256", Signer: keys()["other"].Signer}, "JWT", claims("app")),
		"no such key":     sign(t, keys()["other"], "JWT", claims("app")),
		"alg":             sign(t, keys()["ES384"], "JWT", claims("app")),
		"was used before": spent,
	} {
		assert.Equal(t, invalid, token(f.p, a), why)
		assert.ErrorContains(t, f.told.Err, why)
		assert.ErrorContains(t, f.told.Err, `client "app"`, why)
	}
	assert.Equal(t, invalid, token(f.p, good(t, "off")))
	assert.ErrorContains(t, f.told.Err, `client "off"`)
	assert.Equal(t, invalid, token(f.p, good(t, "nobody")))
	assert.NotContains(t, f.told.Err.Error(), "nobody", "a stranger does not write into the log")
}

// Keys of RSA without alg are good for both kinds of its signatures; with one,
// for that one only.
func TestRSAKeysWithoutAlgMaySignPSS(t *testing.T) {
	f := newFixture(t)
	rsa := keys()["RS256"]
	asPSS := rsa
	asPSS.Alg = "PS256"
	f.register(oauth.Client{ID: "free", JWKS: []byte(strings.Replace(string(jwks(t, rsa)), `"alg":"RS256",`, "", 1))})
	assert.Equal(t, ok, token(f.p, sign(t, rsa, "", claims("free"))))
	assert.Equal(t, ok, token(f.p, sign(t, asPSS, "", claims("free"))))
	assert.Equal(t, invalid, token(f.p, sign(t, asPSS, "", claims("app"))))
}

func TestClaimsAreChecked(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		typ   string
		pairs []any
		want  answer
	}{
		"aud token endpoint":        {"JWT", []any{"aud", endpoint}, ok},
		"aud array":                 {"JWT", []any{"aud", []string{issuer}}, invalid},
		"aud two":                   {"JWT", []any{"aud", []string{issuer, "https://other.example"}}, invalid},
		"aud other":                 {"JWT", []any{"aud", "https://other.example"}, invalid},
		"aud with slash":            {"JWT", []any{"aud", issuer + "/"}, invalid},
		"aud none":                  {"JWT", []any{"aud", nil}, invalid},
		"aud empty":                 {"JWT", []any{"aud", ""}, invalid},
		"no typ":                    {"", nil, ok},
		"own typ":                   {"client-authentication+jwt", nil, ok},
		"own typ, aud endpoint":     {"client-authentication+jwt", []any{"aud", endpoint}, invalid},
		"iss other":                 {"JWT", []any{"iss", "twin"}, invalid},
		"iss none":                  {"JWT", []any{"iss", nil}, invalid},
		"sub other":                 {"JWT", []any{"sub", "basic"}, invalid},
		"sub unknown":               {"JWT", []any{"iss", "nobody", "sub", "nobody"}, invalid},
		"sub none":                  {"JWT", []any{"sub", nil}, invalid},
		"exp past":                  {"JWT", []any{"exp", now.Add(-2 * time.Minute).Unix()}, invalid},
		"exp within leeway":         {"JWT", []any{"exp", now.Add(-time.Second).Unix()}, ok},
		"exp none":                  {"JWT", []any{"exp", nil}, invalid},
		"exp in 1 h":                {"JWT", []any{"exp", now.Add(time.Hour).Unix()}, ok},
		"exp in 2 h":                {"JWT", []any{"exp", now.Add(2 * time.Hour).Unix()}, invalid},
		"exp huge":                  {"JWT", []any{"exp", 1e300}, invalid},
		"exp text":                  {"JWT", []any{"exp", "9999999999"}, invalid},
		"iat future":                {"JWT", []any{"iat", now.Add(2 * time.Minute).Unix()}, invalid},
		"iat none":                  {"JWT", []any{"iat", nil}, ok},
		"nbf future":                {"JWT", []any{"nbf", now.Add(2 * time.Minute).Unix()}, invalid},
		"jti none":                  {"JWT", []any{"jti", nil}, invalid},
		"jti long":                  {"JWT", []any{"jti", strings.Repeat("j", 513)}, invalid},
		"SEC-146 DPoP proof":        {"dpop+jwt", nil, invalid},
		"SEC-146 access token":      {"at+jwt", nil, invalid},
		"SEC-146 its long form":     {"application/at+jwt", nil, invalid},
		"SEC-146 logout token":      {"logout+jwt", nil, invalid},
		"SEC-146 request object":    {"oauth-authz-req+jwt", nil, invalid},
		"SEC-146 id_token":          {"JWT", []any{"iss", issuer, "sub", "alice", "aud", "app"}, invalid},
		"SEC-142 other method":      {"JWT", []any{"iss", "basic", "sub", "basic"}, invalid},
		"SEC-136 disabled":          {"JWT", []any{"iss", "off", "sub", "off"}, invalid},
		"sub that no client can be": {"JWT", []any{"iss", "\x00", "sub", "\x00"}, invalid},
		"exp with fraction":         {"JWT", []any{"exp", float64(now.Unix()) + 30.5}, ok},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			assert.Equal(t, c.want, token(f.p, sign(t, keys()["ES256"], c.typ, claims("app", c.pairs...))))
			assert.Equal(t, c.want == ok, f.store.codes.Load() == 1, "what is refused is not spent")
		})
	}
}

func TestSEC143_ForgeriesAreRefused(t *testing.T) {
	f := newFixture(t)
	f.serve = func() (int, []byte) { return 200, jwks(t, keys()["ES256"]) }
	es := keys()["ES256"]
	raw := func(header map[string]any, key any, m jwt.SigningMethod) string {
		tok := jwt.NewWithClaims(m, jwt.MapClaims(claims("app")))
		maps.Copy(tok.Header, header)
		out, err := tok.SignedString(key)
		require.NoError(t, err)
		return out
	}
	signed := func(header map[string]any) string { return raw(header, keys()["other"].Signer, jwt.SigningMethodES256) }
	evil, err := jose.MarshalJWKS([]jose.Key{keys()["other"]})
	require.NoError(t, err)
	var evilSet struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(evil, &evilSet))
	wrongKey := keys()["other"]
	wrongKey.ID = es.ID
	fine := good(t, "app")
	parts := strings.Split(fine, ".")
	for name, assertion := range map[string]string{
		"alg none":           raw(map[string]any{"kid": es.ID}, jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodNone),
		"HS256, public key":  raw(map[string]any{"kid": es.ID}, jwks(t, es), jwt.SigningMethodHS256),
		"other client's key": sign(t, wrongKey, "JWT", claims("app")),
		"unknown kid":        sign(t, keys()["other"], "JWT", claims("app")),
		"kid traversal":      signed(map[string]any{"kid": "../../dev/null"}),
		"kid SQL":            signed(map[string]any{"kid": "' OR 1=1 --"}),
		"kid URL":            signed(map[string]any{"kid": "https://evil.example/key"}),
		"no kid, many keys":  signed(nil),
		"embedded jwk":       signed(map[string]any{"jwk": evilSet.Keys[0]}),
		"jku":                signed(map[string]any{"jku": "https://evil.example/jwks"}),
		"x5u":                signed(map[string]any{"x5u": "https://evil.example/cert"}),
		"crit":               signed(map[string]any{"crit": []string{"x"}, "x": 1}),
		"no signature":       parts[0] + "." + parts[1] + ".",
		"changed claims":     parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"app","sub":"app"}`)) + "." + parts[2],
		"two parts":          parts[0] + "." + parts[1],
		"garbage":            "garbage",
		"too long":           fine + strings.Repeat("A", 16<<10),
	} {
		assert.Equal(t, invalid, token(f.p, assertion), name)
	}
	assert.Zero(t, f.gets.Load(), "no outbound request")
	assert.Zero(t, f.store.codes.Load(), "no state change")
	assert.Equal(t, ok, token(f.p, fine))
}

func TestSEC134_OneWayOfAuthenticationAtATime(t *testing.T) {
	f := newFixture(t)
	a := good(t, "app")
	assert.Equal(t, request, token(f.p, a, "client_secret", "s"))
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {kindJWT}, "client_assertion": {a}}
	assert.Equal(t, request, post(f.p, "/oauth/token", form, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("app:s"))))
	assert.Equal(t, request, token(f.p, a, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"))
	assert.Equal(t, request, token(f.p, a, "client_assertion_type", ""))
	assert.Equal(t, request, token(f.p, "", "client_assertion", ""))
	assert.Equal(t, invalid, token(f.p, a, "client_id", "twin"))
	assert.Equal(t, invalid, post(f.p, "/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}}), "never without")
	assert.Zero(t, f.store.codes.Load())
	assert.Equal(t, ok, token(f.p, a))
}
