package assertion_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	idJAG     = "oauth-id-jag+jwt"
	acme      = "https://acme.example"
	globex    = "https://globex.example"
	runner    = "https://runner.example"
	notes     = "https://api.example/notes"
	mail      = "https://api.example/mail"
)

// world is a provider that trusts two enterprises, acme (ES256) and globex
// (EdDSA), and the platform runner (RS256).
type world struct {
	t       testing.TB
	p       *oauth.Provider
	store   *faulty
	secrets map[string]string // of clients
	users   map[string]string // of the hook: issuer and subject to user
	hook    func(ctx context.Context, c assertion.Claims) (string, error)
	decide  func(ctx context.Context, c assertion.Claims) (assertion.Workload, error)
	active  func(subject string) bool
	clients func(ctx context.Context, c *oauth.Client) (bool, error)
	gets    atomic.Int32
	serve   func(w http.ResponseWriter, r *http.Request) // what issuers answer whose keys are fetched
}

func newWorld(t testing.TB, change ...func(*assertion.Config)) *world {
	t.Helper()
	w := &world{t: t, store: &faulty{Store: store.NewMemory()}, secrets: map[string]string{}, users: map[string]string{acme + " U1": "alice", globex + " U1": "bob"}}
	w.p = w.provider(issuer, change...)
	for _, c := range []oauth.Client{
		{ID: "ide", AuthMethod: "client_secret_basic"},
		{ID: "desk", DefaultScopes: []string{"read"}},
		{ID: "signer", AuthMethod: "private_key_jwt", JWKS: jwks(t, keys()["ES256"])},
		{ID: "public", Public: true},
		{ID: "stranger", Trust: store.TrustSelf},
		{ID: "mailer", Resources: []string{mail}},
		{ID: "other", GrantTypes: []string{"client_credentials"}},
	} {
		w.register(c)
	}
	w.store.codes.Store(0)
	return w
}

func (w *world) register(c oauth.Client) {
	w.t.Helper()
	if c.GrantTypes == nil {
		c.GrantTypes = []string{jwtBearer}
	}
	c.Scopes = []string{"read", "write", "offline_access"}
	created, s, err := w.p.RegisterClient(context.Background(), c)
	require.NoError(w.t, err)
	w.secrets[created.ID] = s
}

// RoundTrip is how the provider fetches keys.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.gets.Add(1)
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	w.serve(rec, r)
	return rec.Result(), nil
}

func (w *world) config() assertion.Config {
	k := keys()
	hook := func(ctx context.Context, c assertion.Claims) (string, error) {
		if w.hook != nil {
			return w.hook(ctx, c)
		}
		return w.users[c.Issuer+" "+c.Subject], nil
	}
	return assertion.Config{
		HTTPClient: &http.Client{Transport: w},
		Enterprises: []assertion.Enterprise{
			{Issuer: assertion.Issuer{URL: acme, JWKS: jwks(w.t, k["ES256"])}, User: hook, Clients: w.clients},
			{Issuer: assertion.Issuer{URL: globex, JWKS: jwks(w.t, k["EdDSA"])}, User: hook, Scopes: []string{"read"}},
		},
		Platforms: []assertion.Platform{{
			Issuer: assertion.Issuer{URL: runner, JWKS: jwks(w.t, k["RS256"])},
			Rules: []assertion.Rule{
				{Claims: map[string]string{"repository": "acme/site", "ref": "main"}, Workload: assertion.Workload{Subject: "deployer", Scopes: []string{"write", "read"}, Resources: []string{notes, mail}}},
				{Claims: map[string]string{"repository": "acme/site"}, Workload: assertion.Workload{Subject: "tester", Scopes: []string{"read"}}},
			},
			Decide: w.decide,
		}},
	}
}

// provider makes one over the same store, with this issuer.
func (w *world) provider(issuer string, change ...func(*assertion.Config)) *oauth.Provider {
	w.t.Helper()
	cfg := w.config()
	for _, f := range change {
		f(&cfg)
	}
	p, err := newProvider(w, issuer, cfg)
	require.NoError(w.t, err)
	return p
}

func newProvider(w *world, issuer string, cfg assertion.Config) (*oauth.Provider, error) {
	return oauth.New(oauth.Config{
		Issuer: issuer, Store: w.store, LoginURL: "/login",
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Users: func(_ context.Context, subject string) (oauth.User, error) {
			return oauth.User{Active: w.active == nil || w.active(subject)}, nil
		},
		Scopes:     map[string]string{"read": "", "write": "", "mail": ""},
		Resources:  []oauth.Resource{{URI: notes, Scopes: []string{"read", "write"}, Introspectors: []string{"other"}}, {URI: mail, Scopes: []string{"read", "mail"}}},
		Keys:       oauth.StaticKeys{{Signer: keys()["other"].Signer}},
		Secret:     []byte("0123456789abcdef0123456789abcdef"),
		Policy:     oauth.Policy{BcryptCost: 4},
		Extensions: []oauth.Extension{assertion.New(cfg), documents(w.t)},
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// document is the ID of a client that a document describes.
const document = "https://app.example/client.json"

func documents(t testing.TB) oauth.Extension {
	return func(r *oauth.Registry) error {
		r.ClientSource(func(_ context.Context, id string) (*oauth.Client, error) {
			if id != document {
				return nil, store.ErrNotFound
			}
			return &oauth.Client{ID: id, Trust: store.TrustDocument, AuthMethod: "private_key_jwt", JWKS: jwks(t, keys()["ES256"]), GrantTypes: []string{jwtBearer}, Scopes: []string{"read"}}, nil
		})
		return nil
	}
}

// jag makes an ID-JAG of acme for the client ide.
func jag(t testing.TB, pairs ...any) string {
	return sign(t, keys()["ES256"], idJAG, jagClaims(pairs...))
}

func jagClaims(pairs ...any) map[string]any {
	return claims("", append([]any{"iss", acme, "sub", "U1", "client_id", "ide"}, pairs...)...)
}

// credential makes a JWT of runner for a workload.
func credential(t testing.TB, pairs ...any) string {
	return sign(t, keys()["RS256"], "JWT", credentialClaims(pairs...))
}

func credentialClaims(pairs ...any) map[string]any {
	return claims("", append([]any{"iss", runner, "sub", "job-7", "repository", "acme/site", "ref", "main"}, pairs...)...)
}

// reply is a token response, or an error.
type reply struct {
	Status   int
	Error    string
	Token    string `json:"access_token"`
	Refresh  string `json:"refresh_token"`
	Scope    string
	Resource any
}

func (r reply) answer() answer { return answer{r.Status, r.Error} }

var (
	badGrant  = answer{400, "invalid_grant"}
	badTarget = answer{400, "invalid_target"}
	badScope  = answer{400, "invalid_scope"}
	notYou    = answer{400, "unauthorized_client"}
	down      = answer{503, "temporarily_unavailable"}
)

// ask makes a token request; client is who authenticates, with its secret if it
// has one, or nobody.
func (w *world) ask(p *oauth.Provider, client, assertion string, pairs ...string) reply {
	w.t.Helper()
	form := url.Values{"grant_type": {jwtBearer}, "assertion": {assertion}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest("POST", "/oauth/token", nil)
	if s := w.secrets[client]; s != "" {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(client+":"+s)))
	} else if client != "" {
		form.Set("client_id", client)
	}
	r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, r)
	out := reply{Status: rec.Code}
	require.NoError(w.t, json.Unmarshal(rec.Body.Bytes(), &out))
	return out
}

var errDown = errors.New("down")

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// BenchmarkGrant is a whole token request with an ID-JAG.
func BenchmarkGrant(b *testing.B) {
	w := newWorld(b)
	assertions := make([]string, b.N)
	for i := range assertions {
		assertions[i] = jag(b)
	}
	b.ResetTimer()
	for _, a := range assertions {
		if got := w.ask(w.p, "ide", a); got.Status != 200 {
			b.Fatal(got)
		}
	}
}

// BenchmarkForgery is one that a stranger sends.
func BenchmarkForgery(b *testing.B) {
	w := newWorld(b)
	a := sign(b, keys()["other"], "JWT", credentialClaims())
	for b.Loop() {
		if got := w.ask(w.p, "", a); got.Status != 400 {
			b.Fatal(got)
		}
	}
}
