package clients

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/mcp/gosdk"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// world is a provider where no person ever signs in, with an MCP server behind
// it, and the identity provider of a company whose people it knows.
type world struct {
	t        *testing.T
	provider *oauth.Provider
	issuer   string
	endpoint string // of the MCP server
	idp      *identityProvider

	mu     sync.Mutex
	events []oauth.Event
}

// newWorld makes both, each where listen says. Access tokens live for ttl.
func newWorld(t *testing.T, listen func(http.Handler) (url string), ttl time.Duration) *world {
	t.Helper()
	mux := http.NewServeMux()
	w := &world{t: t, issuer: listen(mux), idp: newIdentityProvider(t, listen)}
	w.endpoint = w.issuer + "/mcp"
	var err error
	w.provider, err = oauth.New(oauth.Config{
		Issuer: w.issuer, Store: store.NewMemory(), Secret: make([]byte, 32), LoginURL: "/login",
		Session:   func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:    map[string]string{"read": "Read", "write": "Write"},
		Resources: []oauth.Resource{{URI: w.issuer + "/api"}, {URI: w.endpoint}},
		Policy:    oauth.Policy{AccessTokenLifetime: ttl, BcryptCost: 4},
		Extensions: mcp.Profile(mcp.Config{Scopes: []string{"read", "write"}, Enterprises: []assertion.Enterprise{{
			Issuer: assertion.Issuer{URL: w.idp.url, JWKS: w.idp.jwks},
			User: func(_ context.Context, c assertion.Claims) (string, error) {
				if c.Subject == stranger {
					return "", nil
				}
				return "u-" + c.Subject, nil
			},
		}}}),
		OnEvent: w.note, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	api, err := resource.New(resource.Config{
		Resource: w.endpoint, Issuers: []string{w.issuer}, Verifier: w.provider.Verifier(), Scopes: []string{"read"},
	})
	require.NoError(t, err)
	mux.Handle("/", w.provider)
	for pattern, metadata := range api.MetadataRoutes() {
		mux.Handle(pattern, metadata)
	}
	server := sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	for _, name := range []string{"whoami", "publish"} {
		sdk.AddTool(server, &sdk.Tool{Name: name}, whoami)
	}
	mux.Handle("/mcp", api.RequireTools(map[string][]string{"whoami": {"read"}, "publish": {"read", "write"}})(gosdk.Handler(
		sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, &sdk.StreamableHTTPOptions{Stateless: true}))))
	return w
}

// whoami says for whom a call is made, by which client, and what it may do.
func whoami(_ context.Context, req *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
	token, ok := gosdk.Caller(req.Extra.TokenInfo)
	if !ok {
		return nil, nil, fmt.Errorf("nobody calls")
	}
	who := token.Subject
	if token.Machine() {
		who = "itself"
	}
	text := fmt.Sprintf("%s through %s with %s", who, token.ClientID, strings.Join(slices.Sorted(slices.Values(token.Scopes)), " "))
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}, nil, nil
}

func (w *world) note(_ context.Context, e oauth.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// assertGave checks what the provider gave and refused, in order: issued, or the
// reason why not. What is repeated counts once, since some clients try twice, and
// a slow one needs another token.
func (w *world) assertGave(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var gave []string
	for _, e := range w.events {
		switch {
		case e.Kind == oauth.EventTokenIssued:
			gave = append(gave, issued)
		case e.Err != nil:
			gave = append(gave, e.Err.Error())
		}
	}
	gave = slices.Compact(gave)
	if assert.Len(w.t, gave, len(want), strings.Join(gave, "\n")) {
		for i := range want {
			assert.Contains(w.t, gave[i], want[i])
		}
	}
}

// What the provider gives, and what it says of what it refuses.
const (
	issued        = "a token"
	wrongSecret   = "the secret is wrong"
	wrongKey      = "wrong signature"
	wrongAudience = "aud must be the issuer"
	wrongServer   = "its aud is not this server alone"
	wrongUser     = "its user is unknown"
	usedBefore    = "it was used before"
)

// account is all that a client has to know, as the scripts read it.
type account struct {
	Endpoint string `json:"endpoint"`
	Client   string `json:"client"`
	Secret   string `json:"secret,omitempty"`
	Alg      string `json:"alg,omitempty"`
	Key      string `json:"key,omitempty"`
	OtherKey string `json:"otherKey,omitempty"` // not registered

	IDP       string            `json:"idp"`
	IDPClient string            `json:"idpClient"`
	IDPSecret string            `json:"idpSecret"`
	IDTokens  map[string]string `json:"idTokens"`
}

// register registers a client with a secret, or with a key if it has an algorithm,
// here and at the identity provider.
func (w *world) register(grant, alg string) account {
	w.t.Helper()
	a := account{
		Endpoint: w.endpoint, Alg: alg, IDP: w.idp.url, IDPClient: idpClient, IDPSecret: idpSecret, IDTokens: map[string]string{},
	}
	client := oauth.Client{
		GrantTypes: []string{grant}, Scopes: []string{"read", "write"},
		Resources: []string{w.endpoint}, // not every client says it
	}
	if alg != "" {
		key := newKey(w.t, alg)
		a.Key, a.OtherKey = pkcs8(w.t, key), pkcs8(w.t, newKey(w.t, alg))
		client.AuthMethod, client.JWKS = "private_key_jwt", jwks(w.t, key)
	}
	c, secret, err := w.provider.RegisterClient(w.t.Context(), client)
	require.NoError(w.t, err)
	a.Client, a.Secret, w.idp.client = c.ID, secret, c.ID
	for _, who := range []string{employee, forged, astray, stranger} {
		a.IDTokens[who] = w.idp.idToken(who)
	}
	return a
}

func newKey(t *testing.T, alg string) jose.Key {
	t.Helper()
	key, err := jose.Generate(alg)
	require.NoError(t, err)
	return key
}

func jwks(t *testing.T, keys ...jose.Key) []byte {
	t.Helper()
	set, err := jose.MarshalJWKS(keys)
	require.NoError(t, err)
	return set
}

// Who may be signed in at the company. Something is wrong with what it says of
// all but the first.
const (
	employee = "employee"
	forged   = "forged"   // signed with a key that is not its own
	astray   = "astray"   // meant for another server
	stranger = "stranger" // whom the provider does not know
)

// identityProvider is the company's. Whoever comes is its employee, and gets an
// ID token for a code (OpenID Connect Core §3.1.3); for an ID token a client gets
// an ID-JAG (RFC 8693).
type identityProvider struct {
	t      *testing.T
	url    string
	client string // the client's ID at the provider

	signIns atomic.Int32
	key     jose.Key
	jwks    []byte
}

// The client at the identity provider, which knows it by another name than the
// provider does.
const (
	idpClient = "assistant"
	idpSecret = "swordfish"
)

func newIdentityProvider(t *testing.T, listen func(http.Handler) string) *identityProvider {
	t.Helper()
	key := newKey(t, jose.ES256)
	i := &identityProvider{t: t, key: key, jwks: jwks(t, key)}
	mux := http.NewServeMux()
	i.url = listen(mux)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/jwks",
			"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
			"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{jose.ES256},
		})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		i.signIns.Add(1)
		q := r.URL.Query()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {"code"}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", i.token)
	return i
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client has gone
}

func (i *identityProvider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	switch grant := r.FormValue("grant_type"); {
	case id != idpClient || secret != idpSecret:
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	case grant == "authorization_code":
		answer(w, http.StatusOK, map[string]any{"access_token": "none", "token_type": "Bearer", "id_token": i.idToken(employee)})
	case grant == "urn:ietf:params:oauth:grant-type:token-exchange" &&
		r.FormValue("requested_token_type") == "urn:ietf:params:oauth:token-type:id-jag" &&
		r.FormValue("subject_token_type") == "urn:ietf:params:oauth:token-type:id_token":
		grant, err := i.exchange(r.FormValue("subject_token"), r.Form)
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
			return
		}
		answer(w, http.StatusOK, map[string]any{
			"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "access_token": grant, "token_type": "N_A", "expires_in": 300,
		})
	default:
		answer(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
	}
}

func (i *identityProvider) exchange(idToken string, form url.Values) (idJAG string, err error) {
	keys, err := jose.NewKeySet(i.key)
	if err != nil {
		return "", err
	}
	token, err := jose.Parse(idToken, 4096)
	if err != nil {
		return "", err
	}
	body, _, err := keys.Verify(token)
	if err != nil {
		return "", err
	}
	var who struct{ Sub string }
	if err := json.Unmarshal(body, &who); err != nil {
		return "", err
	}
	key, audience := i.key, form.Get("audience")
	switch who.Sub {
	case forged:
		key = newKey(i.t, jose.ES256)
		key.ID = i.key.ID
	case astray:
		audience = "https://elsewhere.example"
	}
	return i.sign(key, "oauth-id-jag+jwt", map[string]any{
		"sub": who.Sub, "aud": audience, "client_id": i.client, "resource": form.Get("resource"), "scope": form.Get("scope"),
	}), nil
}

// idToken says that somebody is signed in.
func (i *identityProvider) idToken(subject string) string {
	return i.sign(i.key, "JWT", map[string]any{"sub": subject, "aud": idpClient})
}

func (i *identityProvider) sign(key jose.Key, typ string, claims map[string]any) string {
	claims["iss"], claims["jti"] = i.url, rand.Text()
	claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(5*time.Minute).Unix()
	body, err := json.Marshal(claims)
	assert.NoError(i.t, err)
	signer, err := jose.Prepare(key)
	assert.NoError(i.t, err)
	token, err := signer.Sign(i.t.Context(), typ, body)
	assert.NoError(i.t, err)
	return token
}

// bubble is a network that works in a synctest bubble: what is sent goes through
// pipes.
type bubble struct {
	t       *testing.T
	servers map[string]chan net.Conn // by address
}

// listen serves at an address of its own until the end of the test.
func (b *bubble) listen(h http.Handler) (url string) {
	addr := fmt.Sprintf("127.0.0.1:%d", 8001+len(b.servers))
	conns := make(chan net.Conn)
	b.servers[addr] = conns
	server := &http.Server{Handler: h}
	var running sync.WaitGroup
	running.Go(func() { server.Serve(&listener{conns: conns, done: make(chan struct{})}) }) // ends with Close
	b.t.Cleanup(func() {
		server.Close()
		running.Wait()
	})
	return "http://" + addr
}

// client connects to what listens in the bubble.
func (b *bubble) client() *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case b.servers[addr] <- far:
			return near, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	b.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *listener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// loopback listens where other programs can connect.
func loopback(t *testing.T) func(http.Handler) string {
	return func(h http.Handler) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
}
