package security

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/cimd"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	issuer = "https://auth.example"
	apiURI = "https://api.example/notes"
	mcpURI = "https://mcp.example/mcp"
)

// The clients that are always there.
const (
	app     = "app"     // public, https
	loop    = "loop"    // native: 127.0.0.1, [::1], private-use scheme
	local   = "local"   // native: localhost
	conf    = "conf"    // client_secret_basic
	post    = "post"    // client_secret_post
	pkj     = "pkj"     // private_key_jwt
	machine = "machine" // client_credentials
	api     = "api"     // introspects tokens for apiURI
	cimdApp = "https://client.example/app.json"
)

// world is what the cases of one store share: two nodes of one provider, as two
// processes run it, the API behind it, and the web around it.
type world struct {
	store  store.Store // the first node's handle
	peer   store.Store // the second's
	dump   func(c *run) string
	a, b   *node
	faults *faults // of the node that has them
	web    *web
	log    *syncBuffer // everything logged, at debug level
	dcr    string      // ID of a client that registered itself

	mu          sync.Mutex
	nodes       map[string]*node
	credentials map[string]credential // of clients, by ID
	redirects   map[string]string     // the address that params takes, by client
	gone        map[string]bool       // users that are not active
	events      []oauth.Event
	secret      secrets         // whatever must not be told
	told        strings.Builder // the answers, but for what they are there to give
	observed    []string        // what metrics and traces are told
	bystander   map[string]*tokens
}

// credential is how a client proves who it is; none: public.
type credential struct {
	method string
	secret string
	key    *ecdsa.PrivateKey
}

// node is one process of the provider, with the API in front of it.
type node struct {
	p       *oauth.Provider
	addr    string
	client  *http.Client
	handler atomic.Pointer[http.Handler]
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

func newWorld(t *testing.T, kind storeKind) *world {
	w := &world{
		web: &web{answers: map[string]http.HandlerFunc{}, asked: map[string]int{}}, log: &syncBuffer{},
		nodes: map[string]*node{}, credentials: map[string]credential{}, redirects: map[string]string{},
		gone: map[string]bool{}, secret: secrets{}, bystander: map[string]*tokens{},
	}
	data := kind.open(t)
	w.store, w.peer, w.dump = data.a, data.b, data.dump
	w.a = w.start(t, w.config(w.store))
	w.b = w.start(t, w.config(w.peer))
	c := &run{T: t, world: w, at: w.a}
	c.registerAll()
	for _, id := range []string{app, conf} {
		got := c.login(id)
		w.bystander[id] = &got
	}
	return w
}

func (w *world) config(s store.Store) oauth.Config {
	fetch := &http.Client{Transport: w.web}
	strangers := []string{"read", "write"}
	return oauth.Config{
		Issuer: issuer, Store: s, Session: sessionOf, LoginURL: "/login", Users: w.users,
		Scopes: map[string]string{"read": "Read your things", "write": "Change your things", "admin": "Do anything"},
		Resources: []oauth.Resource{
			{URI: apiURI, Introspectors: []string{api}},
			{URI: mcpURI, Scopes: []string{"read"}},
		},
		Secret: []byte("0123456789abcdef0123456789abcdef"),
		Policy: oauth.Policy{BcryptCost: 4},
		Extensions: []oauth.Extension{
			cimd.New(cimd.Config{Scopes: strangers, HTTPClient: fetch}),
			assertion.New(assertion.Config{HTTPClient: fetch}),
			registration.New(registration.Config{Scopes: strangers, PerAddress: 1 << 20, PerHour: 1 << 20}),
		},
		OnEvent: func(_ context.Context, e oauth.Event) {
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		},
		Observe: func(ctx context.Context, endpoint string) (context.Context, func(string, int)) {
			return ctx, func(outcome string, status int) {
				w.mu.Lock()
				w.observed = append(w.observed, fmt.Sprint(endpoint, " ", outcome, " ", status))
				w.mu.Unlock()
			}
		},
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// start serves a provider, and the API under three names, one for each way to
// verify tokens.
func (w *world) start(t testing.TB, cfg oauth.Config) *node {
	t.Helper()
	n := w.listen(t)
	w.restart(t, n, cfg)
	return n
}

// listen makes a node at which nothing runs yet.
func (w *world) listen(t testing.TB) *node {
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(w.log, "net/http: ", 0)
	n := &node{addr: server.Listener.Addr().String()}
	n.client = &http.Client{Transport: transportTo(n.addr), CheckRedirect: noRedirect}
	server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*n.handler.Load()).ServeHTTP(rw, r) })
	server.StartTLS()
	t.Cleanup(func() { n.client.CloseIdleConnections(); server.Close() })
	return n
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// restart lets another provider take what comes to the node from now on. What
// has come is answered by the one before, as behind a balancer.
func (w *world) restart(t testing.TB, n *node, cfg oauth.Config) {
	t.Helper()
	p, err := oauth.New(cfg)
	require.NoError(t, err)
	n.p = p
	introspection := sync.OnceValue(func() resource.Verifier { // the client is registered once there is a node
		w.mu.Lock()
		defer w.mu.Unlock()
		return resource.Introspection(issuer, api, w.credentials[api].secret, n.client)
	})
	guarded := map[string]http.Handler{}
	for host, v := range map[string]resource.Verifier{
		"api.example": p.Verifier(),
		"jwt.example": resource.JWT(cfg.Issuer, n.client),
		"introspect.example": resource.VerifierFunc(func(ctx context.Context, token string) (*resource.Token, error) {
			return introspection().VerifyToken(ctx, token)
		}),
	} {
		guarded[host] = guard(t, cfg.Issuer, v)
	}
	n.serve(func(rw http.ResponseWriter, r *http.Request) {
		if h, ok := guarded[r.Host]; ok {
			h.ServeHTTP(rw, r)
			return
		}
		p.ServeHTTP(rw, r)
	})
}

func (n *node) serve(f http.HandlerFunc) {
	h := http.Handler(f)
	n.handler.Store(&h)
}

// guard is the API, which verifies tokens in this way.
func guard(t testing.TB, issuer string, v resource.Verifier) http.Handler {
	t.Helper()
	s, err := resource.New(resource.Config{Resource: apiURI, Issuers: []string{issuer}, Verifier: v, Scopes: []string{"read"}})
	require.NoError(t, err)
	mux := http.NewServeMux()
	for pattern, h := range s.MetadataRoutes() {
		mux.Handle(pattern, h)
	}
	mux.Handle("/notes", s.Require("read")(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		rw.Header().Set("Content-Type", "text/plain")
		_, _ = rw.Write([]byte(token.Subject))
	})))
	return mux
}

// with is a node of the same provider, over the first handle, that is configured
// otherwise; it is started once per store.
func (c *run) with(name string, change func(*oauth.Config)) *run {
	c.Helper()
	c.mu.Lock()
	n := c.nodes[name]
	c.mu.Unlock()
	if n == nil {
		cfg := c.config(c.store)
		change(&cfg)
		n = c.start(c.top, cfg)
		c.mu.Lock()
		c.nodes[name] = n
		c.mu.Unlock()
	}
	return c.on(n)
}

func (w *world) users(_ context.Context, subject string) (oauth.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return oauth.User{Active: !w.gone[subject], Username: "name of " + subject}, nil
}

func (w *world) setGone(subject string, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone[subject] = gone
}

// web answers for every host that the provider fetches documents from, and
// counts.
type web struct {
	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   map[string]int
}

func (h *web) serve(url string, answer http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[url] = answer
}

// serveJSON serves a value as a document.
func (h *web) serveJSON(url string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	h.serve(url, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
}

func (h *web) count(url string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[url]
}

// RoundTrip answers a request. A handler that panics with http.ErrAbortHandler
// is a host that cannot be connected to.
func (h *web) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			err = errors.New("dial tcp 10.0.0.1:443: connect: connection refused")
		} else if v != nil {
			panic(v)
		}
	}()
	h.mu.Lock()
	h.asked[r.URL.String()]++
	answer := h.answers[r.URL.String()]
	h.mu.Unlock()
	rec := httptest.NewRecorder()
	if answer == nil {
		answer = http.NotFound
	}
	answer(rec, r)
	return rec.Result(), nil
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwks is the key set of one key.
func jwks(key *ecdsa.PrivateKey, kid string) []byte {
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	body, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:]),
	}}})
	if err != nil {
		panic(err)
	}
	return body
}
