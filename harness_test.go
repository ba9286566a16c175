package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	issuer   = "https://auth.example"
	apiURI   = "https://api.example"
	mcpURI   = "https://mcp.example/mcp"
	appURI   = "https://app.example/cb"
	verifier = "the-verifier-of-every-test-in-this-package-0123456789"
)

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// testKeys are made once: they are no subject of most tests.
var testKeys = sync.OnceValue(func() oauth.StaticKeys {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return oauth.StaticKeys{{ID: "test", Signer: key}}
})

// fixture is a provider with clients, and what was observed of it.
type fixture struct {
	t       testing.TB
	p       *oauth.Provider
	store   store.Store
	secrets map[string]string // of clients, by ID
	log     *syncBuffer       // everything that was logged, at debug level

	mu     sync.Mutex
	events []oauth.Event
	gone   map[string]bool // users that are not active
	fails  error           // of Users
	claims map[string]any  // of every user
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (f *fixture) config() oauth.Config {
	return oauth.Config{
		Issuer: issuer, Store: f.store, Session: sessionOf, LoginURL: "/login", Users: f.users,
		Scopes: map[string]string{"read": "Read your things", "write": "Change your things", "admin": "Do anything", "profile": ""},
		Resources: []oauth.Resource{
			{URI: apiURI, Introspectors: []string{"rs"}},
			{URI: mcpURI, Scopes: []string{"read"}},
		},
		Keys:    testKeys(),
		Secret:  []byte("0123456789abcdef0123456789abcdef"),
		Policy:  oauth.Policy{BcryptCost: 4},
		OnEvent: func(_ context.Context, e oauth.Event) { f.mu.Lock(); f.events = append(f.events, e); f.mu.Unlock() },
		Logger:  slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// newFixture builds a provider over a new memory store.
func newFixture(t testing.TB, change ...func(*oauth.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: store.NewMemory(), secrets: map[string]string{}, log: &syncBuffer{}, gone: map[string]bool{}}
	cfg := f.config()
	for _, c := range change {
		c(&cfg)
	}
	f.store = cfg.Store
	p, err := oauth.New(cfg)
	require.NoError(t, err)
	f.p = p
	f.registerAll()
	return f
}

func (f *fixture) registerAll() {
	all := []string{"read", "write", "profile"}
	code := []string{"authorization_code", "refresh_token"}
	f.register(oauth.Client{ID: "app", Name: "App", Public: true, RedirectURIs: []string{appURI}, Scopes: all, DefaultScopes: []string{"read"}})
	f.register(oauth.Client{ID: "loop", Name: "Loop", Public: true, ApplicationType: "native", Scopes: all,
		RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"}})
	f.register(oauth.Client{ID: "local", Name: "Local", Public: true, Scopes: all, RedirectURIs: []string{"http://localhost/cb"}, Trust: store.TrustSelf})
	f.register(oauth.Client{ID: "self", Name: "Stranger", Public: true, Scopes: all, RedirectURIs: []string{"https://self.example/cb"}, Trust: store.TrustSelf})
	f.register(oauth.Client{ID: "first", Name: "Own", Public: true, FirstParty: true, Scopes: all, RedirectURIs: []string{"https://own.example/cb"}})
	f.register(oauth.Client{ID: "conf", Name: "Conf", Scopes: all, RedirectURIs: []string{"https://conf.example/cb"}, GrantTypes: code, AuthMethod: "client_secret_basic"})
	f.register(oauth.Client{ID: "post", Name: "Post", Scopes: all, RedirectURIs: []string{"https://post.example/cb"}, GrantTypes: code, AuthMethod: "client_secret_post"})
	f.register(oauth.Client{ID: "cc", Name: "Cron", Scopes: []string{"read", "write"}, GrantTypes: []string{"client_credentials"}})
	f.register(oauth.Client{ID: "rs", Name: "API", GrantTypes: []string{}})
}

func (f *fixture) register(c oauth.Client) {
	f.t.Helper()
	_, secret, err := f.p.RegisterClient(context.Background(), c)
	require.NoError(f.t, err)
	f.secrets[c.ID] = secret
}

func (f *fixture) client(id string) *oauth.Client {
	f.t.Helper()
	c, err := f.p.Client(context.Background(), id)
	require.NoError(f.t, err)
	return c
}

func (f *fixture) change(id string, change func(c *oauth.Client)) {
	f.t.Helper()
	c := f.client(id)
	change(c)
	require.NoError(f.t, f.p.UpdateClient(context.Background(), *c))
}

func (f *fixture) users(_ context.Context, subject string) (oauth.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails != nil {
		return oauth.User{}, f.fails
	}
	return oauth.User{Active: !f.gone[subject], Username: "name of " + subject, Claims: f.claims}, nil
}

func (f *fixture) setGone(subject string, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone[subject] = gone
}

// kinds returns the events of a kind.
func (f *fixture) kinds(kind oauth.EventKind) []oauth.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []oauth.Event
	for _, e := range f.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// browser is one person's browser: who is signed in there, and its cookies.
type browser struct {
	user, session string
	authTime      time.Time
	cookies       map[string]string
}

func alice() *browser { return &browser{user: "alice", session: "s1", cookies: map[string]string{}} }

// sessionOf is the host app's session: tests carry it in headers.
func sessionOf(r *http.Request) (oauth.Session, error) {
	if r.Header.Get("X-Broken") != "" {
		return oauth.Session{}, errors.New("session database is down")
	}
	s := oauth.Session{Subject: r.Header.Get("X-User"), ID: r.Header.Get("X-Session")}
	if at, err := strconv.ParseInt(r.Header.Get("X-Auth-Time"), 10, 64); err == nil {
		s.AuthTime = time.Unix(at, 0)
	}
	return s, nil
}

func (b *browser) request(method, target string, form url.Values) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.user != "" {
		r.Header.Set("X-User", b.user)
		r.Header.Set("X-Session", b.session)
	}
	if !b.authTime.IsZero() {
		r.Header.Set("X-Auth-Time", strconv.FormatInt(b.authTime.Unix(), 10))
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// answer is a response whose headers were checked.
type answer struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(r *http.Request) answer {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.p.ServeHTTP(w, r)
	a := answer{w.Code, w.Result().Header, w.Body.String()}
	checkHeaders(f.t, r, a)
	return a
}

func (f *fixture) visit(b *browser, method, target string, form url.Values) answer {
	f.t.Helper()
	w := httptest.NewRecorder()
	r := b.request(method, target, form)
	f.p.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		assert.True(f.t, c.HttpOnly && c.Secure && c.SameSite == http.SameSiteLaxMode && c.Path == "/" && c.Domain == "", "cookie %s", c)
		assert.True(f.t, strings.HasPrefix(c.Name, "__Host-"), c.Name)
		b.cookies[c.Name] = c.Value
	}
	a := answer{w.Code, w.Result().Header, w.Body.String()}
	checkHeaders(f.t, r, a)
	return a
}

// checkHeaders holds what every answer of an endpoint must carry.
func checkHeaders(t testing.TB, r *http.Request, a answer) {
	t.Helper()
	h := a.header
	path := r.URL.Path
	assert.NotContains(t, []int{301, 302, 307, 308}, a.status, "redirects are 303")
	if a.status == http.StatusNotFound {
		return
	}
	assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
	assert.Empty(t, h.Get("Access-Control-Allow-Credentials"))
	switch {
	case strings.HasSuffix(path, "/authorize"), strings.HasSuffix(path, "/consent"):
		assert.Equal(t, "no-store", h.Get("Cache-Control"), path)
		assert.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
		assert.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			assert.Contains(t, h.Get("Content-Security-Policy"), part, path)
		}
		for name := range h {
			assert.False(t, strings.HasPrefix(name, "Access-Control-"), "%s on %s", name, path)
		}
		if a.body != "" {
			assert.Equal(t, "text/html; charset=utf-8", h.Get("Content-Type"), path)
		}
		return
	}
	assert.Equal(t, "*", h.Get("Access-Control-Allow-Origin"), path)
	if a.body != "" {
		assert.Equal(t, "application/json", h.Get("Content-Type"), path)
		assert.True(t, json.Valid([]byte(a.body)), a.body)
	}
	if r.Method == http.MethodPost {
		assert.Equal(t, "no-store", h.Get("Cache-Control"), path)
	}
	if e := a.error(); e.Error != "" {
		assert.Regexp(t, `^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`, e.Error+e.Description)
		assert.Equal(t, "no-store", h.Get("Cache-Control"), path)
		assert.GreaterOrEqual(t, a.status, 400)
	}
	if a.status == http.StatusServiceUnavailable {
		assert.NotEmpty(t, h.Get("Retry-After"))
	}
}

type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (a answer) error() (e oauthError) {
	_ = json.Unmarshal([]byte(a.body), &e)
	return e
}

// tokens is a token response as a client reads it.
type tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
}

// authorization makes the parameters of a good request; pairs change them, and
// an empty value removes one.
func authorization(clientID string, pairs ...string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "state": {"st"},
		"code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"},
	}
	uris := map[string]string{
		"app": appURI, "loop": "http://127.0.0.1:51004/cb", "local": "http://localhost:3118/cb", "self": "https://self.example/cb",
		"first": "https://own.example/cb", "conf": "https://conf.example/cb", "post": "https://post.example/cb",
	}
	v.Set("redirect_uri", uris[clientID])
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (f *fixture) authorize(b *browser, v url.Values) answer {
	f.t.Helper()
	return f.visit(b, "GET", "/oauth/authorize?"+v.Encode(), nil)
}

var hidden = regexp.MustCompile(`name="interaction" value="([^"]+)"`)
var checkbox = regexp.MustCompile(`name="scope" value="([^"]+)" checked`)

// consentForm reads the form of the built-in page, as it is sent by Allow.
func consentForm(t testing.TB, a answer) url.Values {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	m := hidden.FindStringSubmatch(a.body)
	require.NotNil(t, m, "no consent page: %s", a.body)
	form := url.Values{"interaction": {html.UnescapeString(m[1])}, "decision": {"allow"}}
	for _, s := range checkbox.FindAllStringSubmatch(a.body, -1) {
		form.Add("scope", html.UnescapeString(s[1]))
	}
	return form
}

// location returns where the browser is sent and the parameters there.
func (a answer) location(t testing.TB) (string, url.Values) {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	u, err := url.Parse(a.header.Get("Location"))
	require.NoError(t, err)
	q := u.Query()
	u.RawQuery = ""
	return u.String(), q
}

// code authorizes and allows, and returns the code.
func (f *fixture) code(b *browser, v url.Values) string {
	f.t.Helper()
	a := f.authorize(b, v)
	if a.status == http.StatusOK {
		a = f.visit(b, "POST", "/oauth/consent", consentForm(f.t, a))
	}
	_, q := a.location(f.t)
	require.NotEmpty(f.t, q.Get("code"), "%v", q)
	assert.Equal(f.t, issuer, q.Get("iss"))
	return q.Get("code")
}
