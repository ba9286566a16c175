package registration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	issuer   = "https://auth.example"
	endpoint = "/oauth/register"
	good     = `{"redirect_uris":["https://app.example/cb"],"client_name":"App","token_endpoint_auth_method":"none"}`
)

type fixture struct {
	t     testing.TB
	p     *oauth.Provider
	store store.Store
}

func newFixture(t testing.TB, cfg registration.Config, change ...func(*oauth.Config)) *fixture {
	t.Helper()
	if cfg.Scopes == nil {
		cfg.Scopes = []string{"read", "write"}
	}
	f := &fixture{t: t, store: store.NewMemory()}
	c := oauth.Config{
		Issuer: issuer, Store: f.store, LoginURL: "/login",
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "alice"}, nil },
		Scopes:     map[string]string{"read": "Read", "write": "Write", "admin": "Everything"},
		Secret:     []byte("0123456789abcdef0123456789abcdef"),
		Policy:     oauth.Policy{BcryptCost: 4},
		Extensions: []oauth.Extension{registration.New(cfg)},
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	f.p, err = oauth.New(c)
	require.NoError(t, err)
	return f
}

type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

// do sends a request; pairs are headers.
func (f *fixture) do(method, target, body string, pairs ...string) answer {
	f.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = "203.0.113.5:4711"
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "from" {
			r.RemoteAddr = pairs[i+1]
			continue
		}
		r.Header.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	f.p.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Result().Header, body: w.Body.String()}
	assert.Equal(f.t, "no-store", a.header.Get("Cache-Control"))
	assert.Equal(f.t, "*", a.header.Get("Access-Control-Allow-Origin"))
	if a.body != "" {
		assert.Equal(f.t, "application/json", a.header.Get("Content-Type"))
		require.NoError(f.t, json.Unmarshal([]byte(a.body), &a.json), a.body)
	}
	return a
}

func (f *fixture) refused(a answer, status int, code oauth.ErrorCode) {
	f.t.Helper()
	require.Equal(f.t, fmt.Sprint(status, " ", code), fmt.Sprint(a.status, " ", a.json["error"]), a.body)
}

// register registers and returns what the client is told.
func (f *fixture) register(body string) map[string]any {
	f.t.Helper()
	a := f.do("POST", endpoint, body)
	require.Equal(f.t, http.StatusCreated, a.status, a.body)
	return a.json
}

func (f *fixture) stored(id any) store.Client {
	f.t.Helper()
	c, err := f.store.Client(context.Background(), id.(string))
	require.NoError(f.t, err)
	return c
}

func (f *fixture) count() int {
	f.t.Helper()
	list, err := f.store.ListClients(context.Background(), "", store.MaxPage)
	require.NoError(f.t, err)
	return len(list)
}

func doc(pairs ...any) string {
	m := map[string]any{"redirect_uris": []string{"https://app.example/cb"}, "token_endpoint_auth_method": "none"}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestEndpointIsAdvertisedAndServed(t *testing.T) {
	f := newFixture(t, registration.Config{})
	assert.Equal(t, issuer+endpoint, f.p.Metadata()["registration_endpoint"])
	a := f.do("OPTIONS", endpoint, "")
	assert.Equal(t, http.StatusNoContent, a.status)
	assert.Equal(t, "POST, GET, PUT, DELETE, OPTIONS", a.header.Get("Access-Control-Allow-Methods"))
	f.refused(f.do("PATCH", endpoint, ""), http.StatusMethodNotAllowed, oauth.ErrInvalidRequest)
}

func TestConfigurationIsChecked(t *testing.T) {
	for name, cfg := range map[string]registration.Config{
		"no scopes":      {},
		"negative limit": {Scopes: []string{"read"}, PerAddress: -1},
		"short lifetime": {Scopes: []string{"read"}, Lifetime: time.Hour},
		"negative time":  {Scopes: []string{"read"}, Unused: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oauth.New(oauth.Config{Issuer: issuer, Store: store.NewMemory(), LoginURL: "/login", Scopes: map[string]string{"read": ""},
				Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
				Extensions: []oauth.Extension{registration.New(cfg)}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
			require.ErrorContains(t, err, "registration: ")
		})
	}
}

func TestSEC226_ResponseIsThatOfTheRFC(t *testing.T) {
	f := newFixture(t, registration.Config{})
	public := f.register(good)
	assert.NotContains(t, public, "client_secret")
	assert.NotContains(t, public, "client_secret_expires_at")
	assert.Equal(t, "none", public["token_endpoint_auth_method"])
	assert.Equal(t, []any{"authorization_code", "refresh_token"}, public["grant_types"])
	assert.Equal(t, []any{"code"}, public["response_types"])
	assert.Equal(t, "read write", public["scope"])
	assert.Equal(t, "App", public["client_name"])
	assert.NotZero(t, public["client_id_issued_at"])
	assert.Equal(t, issuer+endpoint+"?client_id="+public["client_id"].(string), public["registration_client_uri"])

	// Go's x/oauth2 and TypeScript's SDK leave the method out: RFC 7591 §2 says Basic.
	secretive := f.register(`{"redirect_uris":["https://app.example/cb"]}`)
	assert.Equal(t, "client_secret_basic", secretive["token_endpoint_auth_method"])
	assert.Equal(t, 0.0, secretive["client_secret_expires_at"])
	c, err := f.p.AuthenticateClient(context.Background(), oauth.Credentials{ClientID: secretive["client_id"].(string), Secret: secretive["client_secret"].(string), Basic: true})
	require.NoError(t, err)
	assert.Equal(t, store.TrustSelf, c.Trust)
	assert.False(t, c.FirstParty)

	stored, err := json.Marshal(f.stored(secretive["client_id"]))
	require.NoError(t, err)
	assert.NotContains(t, string(stored), secretive["client_secret"])
	assert.NotContains(t, string(f.stored(secretive["client_id"]).Data), secretive["registration_access_token"])
	again := f.do("GET", secretive["registration_client_uri"].(string), "", "Authorization", "Bearer "+secretive["registration_access_token"].(string))
	require.Equal(t, http.StatusOK, again.status)
	assert.NotContains(t, again.json, "client_secret", "told once")
}

func TestSEC217_PrivateUseSchemesNeedTheAppsLeave(t *testing.T) {
	for _, uri := range []string{"myapp:/cb", "cursor://x", "com.example.app:/cb", "javascript:alert(1)", "data:text/html,x", "http://app.example/cb", "https://app.example/#x", "/cb", ""} {
		f := newFixture(t, registration.Config{})
		f.refused(f.do("POST", endpoint, doc("redirect_uris", []string{uri})), 400, oauth.ErrInvalidRedirectURI)
		assert.Zero(t, f.count())
	}
	f := newFixture(t, registration.Config{}, func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{"cursor", "com.example.app"} })
	f.register(doc("redirect_uris", []string{"cursor://anysphere.cursor-mcp/oauth/callback"}))
	f.register(doc("redirect_uris", []string{"com.example.app:/cb"}))
	f.refused(f.do("POST", endpoint, doc("redirect_uris", []string{"com.example.other:/cb"})), 400, oauth.ErrInvalidRedirectURI)
	f.refused(f.do("POST", endpoint, doc("redirect_uris", []string{"cursor://x"}, "application_type", "web")), 400, oauth.ErrInvalidRedirectURI)
}

// Cursor registers one list of addresses for all providers.
func TestA14_MixedListIsStoredAndTheRestRefusedAtUse(t *testing.T) {
	f := newFixture(t, registration.Config{})
	list := []string{"http://localhost:8787/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback", "javascript:alert(1)"}
	info := f.register(doc("redirect_uris", list))
	assert.Equal(t, []any{list[0], list[1]}, info["redirect_uris"], "the client is told what is good")
	assert.Equal(t, "native", info["application_type"])
	for i, uri := range list {
		_, err := f.p.ParseAuthorization(context.Background(), url.Values{"client_id": {info["client_id"].(string)}, "redirect_uri": {uri},
			"response_type": {"code"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}})
		if i < 2 {
			assert.NoError(t, err, uri)
		} else {
			assert.ErrorIs(t, err, oauth.ErrInvalidRequest, uri)
		}
	}
}

func TestSEC218_ApplicationType(t *testing.T) {
	for name, c := range map[string]struct {
		body, kind string // kind empty: refused
	}{
		"web with loopback":      {doc("application_type", "web", "redirect_uris", []string{"http://127.0.0.1/cb"}), ""},
		"web with localhost":     {doc("application_type", "web", "redirect_uris", []string{"http://localhost/cb"}), ""},
		"web with private use":   {doc("application_type", "web", "redirect_uris", []string{"com.example.app:/cb"}), ""},
		"native with https":      {doc("application_type", "native"), "native"},
		"absent with loopback":   {doc("redirect_uris", []string{"http://[::1]/cb"}), "native"},
		"absent with https":      {doc(), "web"},
		"absent with reversed":   {doc("redirect_uris", []string{"com.example.app:/cb"}), "native"},
		"absent with both kinds": {doc("redirect_uris", []string{"https://vscode.dev/redirect", "http://127.0.0.1:33418/"}), "native"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, registration.Config{}, func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{"com.example.app"} })
			a := f.do("POST", endpoint, c.body)
			if c.kind == "" {
				f.refused(a, 400, oauth.ErrInvalidRedirectURI)
				return
			}
			require.Equal(t, http.StatusCreated, a.status, a.body)
			assert.Equal(t, c.kind, a.json["application_type"])
		})
	}
}

func TestSEC219_MalformedBodiesAreRefused(t *testing.T) {
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("https://app.example/%d", i)
	}
	const big = 64 << 10
	for name, c := range map[string]struct {
		body   string
		status int
		code   oauth.ErrorCode
	}{
		"too large":         {good + strings.Repeat(" ", big+1-len(good)), 413, oauth.ErrInvalidClientMetadata},
		"21 redirect URIs":  {doc("redirect_uris", many), 400, oauth.ErrInvalidRedirectURI},
		"no redirect URIs":  {doc("redirect_uris", []string{}), 400, oauth.ErrInvalidRedirectURI},
		"long name":         {doc("client_name", strings.Repeat("n", 2048)), 400, oauth.ErrInvalidClientMetadata},
		"long contact":      {doc("contacts", []string{strings.Repeat("n", 201)}), 400, oauth.ErrInvalidClientMetadata},
		"many contacts":     {doc("contacts", make([]string, 11)), 400, oauth.ErrInvalidClientMetadata},
		"long software_id":  {doc("software_id", strings.Repeat("n", 201)), 400, oauth.ErrInvalidClientMetadata},
		"nesting":           {`{"redirect_uris":["https://app.example/cb"],"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}", 400, oauth.ErrInvalidClientMetadata},
		"duplicate":         {`{"redirect_uris":["https://a.example/cb"],"redirect_uris":["https://b.example/cb"]}`, 400, oauth.ErrInvalidClientMetadata},
		"other case":        {`{"Redirect_URIs":["https://app.example/cb"]}`, 400, oauth.ErrInvalidClientMetadata},
		"trailing data":     {good + "{}", 400, oauth.ErrInvalidClientMetadata},
		"array":             {"[]", 400, oauth.ErrInvalidClientMetadata},
		"null":              {"null", 400, oauth.ErrInvalidClientMetadata},
		"empty":             {"", 400, oauth.ErrInvalidClientMetadata},
		"wrong type":        {doc("redirect_uris", "https://app.example/cb"), 400, oauth.ErrInvalidClientMetadata},
		"wrong name type":   {doc("client_name", 1), 400, oauth.ErrInvalidClientMetadata},
		"BOM":               {"\ufeff" + good, 400, oauth.ErrInvalidClientMetadata},
		"not UTF-8":         {"{\"redirect_uris\":[\"https://app.example/cb\"],\"client_name\":\"\xff\"}", 400, oauth.ErrInvalidClientMetadata},
		"NUL in the name":   {doc("client_name", "a\x00b"), 400, oauth.ErrInvalidClientMetadata},
		"application_type":  {doc("application_type", "desktop"), 400, oauth.ErrInvalidClientMetadata},
		"auth method":       {doc("token_endpoint_auth_method", "tls_client_auth"), 400, oauth.ErrInvalidClientMetadata},
		"key without a use": {doc("token_endpoint_auth_method", "private_key_jwt"), 400, oauth.ErrInvalidClientMetadata},
		"only implicit":     {doc("response_types", []string{"token"}), 400, oauth.ErrInvalidClientMetadata},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, registration.Config{})
			f.refused(f.do("POST", endpoint, c.body), c.status, c.code)
			assert.Zero(t, f.count())
		})
	}
	f := newFixture(t, registration.Config{})
	assert.Equal(t, 201, f.do("POST", endpoint, good+strings.Repeat(" ", big-len(good))).status, "64 KiB are allowed")
	f.refused(f.do("POST", endpoint, good, "Content-Type", "text/plain"), 400, oauth.ErrInvalidClientMetadata)
	f.refused(f.do("POST", endpoint, good, "Content-Encoding", "gzip"), 400, oauth.ErrInvalidClientMetadata)
}

func TestSEC220_LinksMustBePublicHTTPS(t *testing.T) {
	links := []string{"http://app.example/", "javascript:alert(1)", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/meta-data/",
		"https://10.0.0.1/", "https://localhost/", "https://x.localhost./", "https://2130706433/", "https://0x7f.1/", "https://metadata.google.internal/",
		"https://user@app.example/", "https:///x", "data:text/html,x", "//app.example", "https://router.local/"}
	for _, name := range []string{"jwks_uri", "logo_uri", "sector_identifier_uri", "backchannel_logout_uri", "initiate_login_uri", "client_uri", "policy_uri", "tos_uri", "request_uris"} {
		f := newFixture(t, registration.Config{})
		for _, link := range links {
			var value any = link
			if name == "request_uris" {
				value = []string{link}
			}
			f.refused(f.do("POST", endpoint, doc(name, value)), 400, oauth.ErrInvalidClientMetadata)
		}
	}
	f := newFixture(t, registration.Config{})
	f.register(doc("logo_uri", "https://app.example/logo.png", "jwks_uri", "https://app.example/jwks"))
}

func TestSEC221_KeysMustBePublicAndFew(t *testing.T) {
	const key = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	set := func(keys ...string) json.RawMessage {
		return json.RawMessage(`{"keys":[` + strings.Join(keys, ",") + `]}`)
	}
	thousand := make([]string, 1000)
	for i := range thousand {
		thousand[i] = strings.Replace(key, "{", fmt.Sprintf(`{"kid":"%d",`, i), 1)
	}
	for name, body := range map[string]string{
		"private":   doc("jwks", set(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`)),
		"symmetric": doc("jwks", set(`{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`)),
		"both":      doc("jwks", set(key), "jwks_uri", "https://app.example/jwks"),
		"many":      doc("jwks", set(thousand[:21]...)),
		"none":      doc("jwks", set()),
		"no set":    doc("jwks", "x"),
		"thousand":  doc("jwks", set(thousand...)),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, registration.Config{})
			a := f.do("POST", endpoint, body)
			assert.GreaterOrEqual(t, a.status, 400)
			assert.Less(t, a.status, 500)
			assert.Equal(t, string(oauth.ErrInvalidClientMetadata), a.json["error"])
		})
	}
	f := newFixture(t, registration.Config{})
	assert.Equal(t, 201, f.do("POST", endpoint, doc("jwks", set(key))).status)
}

func TestSEC223_StrangersGetOnlyWhatStrangersMayHave(t *testing.T) {
	f := newFixture(t, registration.Config{})
	info := f.register(doc(
		"grant_types", []string{"authorization_code", "refresh_token", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"response_types", []string{"code", "token", "id_token"}, "scope", "admin read", "require_consent", false, "trusted", true,
		"first_party", true, "trust", "registered", "public", false, "disabled", false, "default_scopes", []string{"admin"}, "scopes", []string{"admin"},
		"resources", []string{"https://other.example"}, "access_token_lifetime", 1e15, "purge_at", "2099-01-01T00:00:00Z", "data", "eA==", "client_id", "admin", "version", 9,
		"secrets", []any{map[string]string{"hash": "x"}}))
	c := f.stored(info["client_id"])
	assert.NotEqual(t, "admin", c.ID)
	assert.Equal(t, []string{"authorization_code", "refresh_token"}, c.GrantTypes)
	assert.Equal(t, []string{"code"}, c.ResponseTypes)
	assert.Equal(t, []string{"read", "write"}, c.Scopes)
	assert.Equal(t, []string{"read"}, c.DefaultScopes)
	assert.Equal(t, store.TrustSelf, c.Trust)
	assert.True(t, c.Public)
	assert.False(t, c.FirstParty || c.Disabled)
	assert.Zero(t, c.AccessTokenLifetime)
	assert.Empty(t, c.Secrets)
	assert.Empty(t, c.Resources)
	assert.Less(t, time.Until(c.PurgeAt), 25*time.Hour)
	f.refused(f.do("POST", endpoint, doc("grant_types", []string{"client_credentials"})), 400, oauth.ErrInvalidClientMetadata)

	// The loose one: what is asked for later than at registration, a step-up.
	_, err := f.p.ParseAuthorization(context.Background(), url.Values{"client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "scope": {"write"},
		"response_type": {"code"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}})
	require.NoError(t, err)
	codeOnly := f.register(doc("grant_types", []string{"authorization_code"}))
	assert.Equal(t, []any{"authorization_code"}, codeOnly["grant_types"])
}
