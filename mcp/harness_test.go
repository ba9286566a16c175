package mcp_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

// One host is authorization server and MCP server, as most are.
const (
	issuer   = "https://mcp.example"
	endpoint = issuer + "/mcp"
	verifier = "the-verifier-of-every-test-in-this-package-0123456789"
)

var challenge = func() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

// host is an app with the profile and a protected MCP endpoint, and one browser
// in which alice is signed in.
type host struct {
	t       testing.TB
	cfg     oauth.Config
	profile mcp.Config
	mux     *http.ServeMux
	p       *oauth.Provider
	api     *resource.Server
	store   store.Store
	web     map[string]string // documents on the web, by URL
	fetched int               // requests to there
	user    string            // who is signed in
	cookies map[string]string
	seen    *resource.Token // by the tool that was called last
	page    string          // the consent page that was shown last
}

func newHost(t testing.TB, change ...func(*host)) *host {
	t.Helper()
	h := &host{t: t, store: store.NewMemory(), user: "alice", web: map[string]string{}, cookies: map[string]string{}, mux: http.NewServeMux()}
	h.profile = mcp.Config{Scopes: []string{"read", "write"}, HTTPClient: &http.Client{Transport: h}}
	h.cfg = oauth.Config{
		Issuer: issuer, Store: h.store, LoginURL: "/login", Secret: []byte("0123456789abcdef0123456789abcdef"),
		Session:   func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: h.user}, nil },
		Scopes:    map[string]string{"read": "Read", "write": "Write", "admin": "Everything"},
		Resources: []oauth.Resource{{URI: endpoint}},
		Policy:    oauth.Policy{BcryptCost: 4},
		Logger:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, c := range change {
		c(h)
	}
	h.cfg.Extensions = append(h.cfg.Extensions, mcp.Profile(h.profile)...)
	var err error
	h.p, err = oauth.New(h.cfg)
	require.NoError(t, err)
	h.api, err = resource.New(resource.Config{
		Resource: h.cfg.Resources[0].URI, Issuers: []string{h.cfg.Issuer}, Verifier: h.p.Verifier(), Scopes: []string{"read"},
		Implies: map[string][]string{"admin": {"write"}, "write": {"read"}},
	})
	require.NoError(t, err)
	h.mux.Handle("/", h.p)
	for pattern, metadata := range h.api.MetadataRoutes() {
		h.mux.Handle(pattern, metadata)
	}
	h.mux.Handle("/mcp", h.api.RequireTools(tools)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.seen, _ = resource.FromContext(r.Context())
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	})))
	return h
}

// tools are those of the MCP server, with the scopes that they need.
var tools = map[string][]string{"look": {"read"}, "edit": {"read", "write"}, "drop": {"admin"}}

// RoundTrip is the web that documents are fetched from.
func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	h.fetched++
	w := httptest.NewRecorder()
	body, ok := h.web[r.URL.String()]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return w.Result(), nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=3600")
	io.WriteString(w, body)
	return w.Result(), nil
}

type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any // nil if the body is no JSON object
}

func (a answer) str(name string) string {
	s, _ := a.json[name].(string)
	return s
}

func (a answer) list(name string) (out []string) {
	list, _ := a.json[name].([]any)
	for _, v := range list {
		out = append(out, v.(string))
	}
	return out
}

// do sends a request; pairs are headers.
func (h *host) do(method, target, body string, pairs ...string) answer {
	h.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = "203.0.113.5:4711"
	for i := 0; i < len(pairs); i += 2 {
		if r.Header.Set(pairs[i], pairs[i+1]); pairs[i] == "Host" {
			r.Host = pairs[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Result().Header, body: w.Body.String()}
	for _, c := range w.Result().Cookies() {
		h.cookies[c.Name] = c.Value
	}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		require.NoError(h.t, json.Unmarshal(w.Body.Bytes(), &a.json), a.body)
	}
	return a
}

func (h *host) get(target string, pairs ...string) answer {
	h.t.Helper()
	return h.do("GET", target, "", pairs...)
}

func (h *host) form(path string, v url.Values, pairs ...string) answer {
	h.t.Helper()
	a := h.do("POST", path, v.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, pairs...)...)
	return a
}

// browse is what alice's browser does.
func (h *host) browse(method, target string, v url.Values) answer {
	h.t.Helper()
	var cookies []string
	for name, value := range h.cookies {
		cookies = append(cookies, name+"="+value)
	}
	return h.do(method, target, v.Encode(), "Cookie", strings.Join(cookies, "; "), "Content-Type", "application/x-www-form-urlencoded")
}

var hidden = regexp.MustCompile(`name="interaction" value="([^"]+)"`)
var checkbox = regexp.MustCompile(`name="scope" value="([^"]+)" checked`)

// authorize goes through the authorization endpoint and allows, if asked.
func (h *host) authorize(v url.Values) answer {
	h.t.Helper()
	h.page = ""
	a := h.browse("GET", "/oauth/authorize?"+v.Encode(), nil)
	m := hidden.FindStringSubmatch(a.body)
	if m == nil {
		return a
	}
	h.page = html.UnescapeString(a.body)
	decision := url.Values{"interaction": {html.UnescapeString(m[1])}, "decision": {"allow"}}
	for _, s := range checkbox.FindAllStringSubmatch(a.body, -1) {
		decision.Add("scope", html.UnescapeString(s[1]))
	}
	return h.browse("POST", "/oauth/consent", decision)
}

// callback returns the parameters that the client is called back with.
func (h *host) callback(a answer, redirectURI string) url.Values {
	h.t.Helper()
	require.Equal(h.t, http.StatusSeeOther, a.status, a.body)
	at, query, _ := strings.Cut(a.header.Get("Location"), "?")
	require.Equal(h.t, redirectURI, at)
	v, err := url.ParseQuery(query)
	require.NoError(h.t, err)
	assert.Equal(h.t, []string{h.cfg.Issuer}, v["iss"])
	return v
}

// call calls a tool of the MCP server.
func (h *host) call(tool, token string, pairs ...string) answer {
	h.t.Helper()
	h.seen = nil
	if token != "" {
		pairs = append(pairs, "Authorization", "Bearer "+token)
	}
	return h.do("POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":{}}}`,
		append([]string{"Content-Type", "application/json"}, pairs...)...)
}

// authorization makes an authorization request's parameters; pairs change them,
// an empty value removes one.
func authorization(clientID, redirectURI string, pairs ...string) url.Values {
	return with(url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {"st"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "resource": {endpoint}, "scope": {"read"},
	}, pairs...)
}

func with(v url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// exchange is a token request of a public client.
func exchange(clientID, redirectURI, code string, pairs ...string) url.Values {
	return with(url.Values{"grant_type": {"authorization_code"}, "client_id": {clientID}, "redirect_uri": {redirectURI},
		"code": {code}, "code_verifier": {verifier}, "resource": {endpoint}}, pairs...)
}

func refresh(clientID, token string, pairs ...string) url.Values {
	return with(url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}}, pairs...)
}

// app is a public client of the operator's at an https address.
const app, appCB = "app", "https://app.example/cb"

func (h *host) addApp() *host {
	h.t.Helper()
	_, _, err := h.p.RegisterClient(h.t.Context(), oauth.Client{ID: app, Name: "App", Public: true, RedirectURIs: []string{appCB}, Scopes: []string{"read", "write"}})
	require.NoError(h.t, err)
	return h
}

// code authorizes the app and returns its code.
func (h *host) code(pairs ...string) string {
	h.t.Helper()
	v := h.callback(h.authorize(authorization(app, appCB, pairs...)), appCB)
	require.NotEmpty(h.t, v.Get("code"), "%v", v)
	return v.Get("code")
}

// login is a whole flow of the app's.
func (h *host) login(pairs ...string) answer {
	h.t.Helper()
	return h.ok(h.form("/oauth/token", exchange(app, appCB, h.code(pairs...))))
}

// ok asserts a token response.
func (h *host) ok(a answer) answer {
	h.t.Helper()
	require.Equal(h.t, http.StatusOK, a.status, a.body)
	require.Equal(h.t, "Bearer", a.str("token_type"))
	require.NotEmpty(h.t, a.str("access_token"))
	require.Contains(h.t, a.json, "scope", "what was granted is always said")
	return a
}

func (h *host) refused(a answer, status int, code string) {
	h.t.Helper()
	require.Equal(h.t, status, a.status, a.body)
	require.Equal(h.t, code, a.str("error"), a.body)
}

// post sends JSON.
func (h *host) post(path string, v map[string]any) answer {
	h.t.Helper()
	body, err := json.Marshal(v)
	require.NoError(h.t, err)
	return h.do("POST", path, string(body), "Content-Type", "application/json")
}

// register registers a client and returns what it is told.
func (h *host) register(metadata map[string]any) answer {
	h.t.Helper()
	a := h.post("/oauth/register", metadata)
	require.Equal(h.t, http.StatusCreated, a.status, a.body)
	return a
}

// document puts a client's metadata document on the web.
func (h *host) document(id string, members map[string]any) {
	h.t.Helper()
	h.web[id] = string(documentOf(h.t, id, members))
}

func documentOf(t testing.TB, id string, members map[string]any) []byte {
	t.Helper()
	members = maps.Clone(members)
	members["client_id"] = id
	body, err := json.Marshal(members)
	require.NoError(t, err)
	return body
}

// basic is an Authorization header.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func claims(t testing.TB, token string) (out map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &out))
	return out
}
