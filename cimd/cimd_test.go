package cimd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/cimd"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	issuer = "https://auth.example"
	id     = "https://app.example/client.json"
	cb     = "https://app.example/cb"
)

// web answers for every host, and counts.
type web struct {
	requests atomic.Int32
	answer   func(w http.ResponseWriter, r *http.Request)
	err      error
}

func (h *web) RoundTrip(r *http.Request) (*http.Response, error) {
	h.requests.Add(1)
	if h.err != nil {
		return nil, h.err
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	h.answer(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func doc(pairs ...any) string {
	m := map[string]any{"client_id": id, "client_name": "App", "redirect_uris": []string{cb}}
	for i := 0; i < len(pairs); i += 2 {
		if m[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(m, pairs[i].(string))
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

type fixture struct {
	t     testing.TB
	p     *oauth.Provider
	store store.Store
	web   *web
	log   *strings.Builder
}

func serve(body string, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		io.WriteString(w, body)
	}
}

func newFixture(t testing.TB, cfg cimd.Config, answer func(http.ResponseWriter, *http.Request), change ...func(*oauth.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: store.NewMemory(), web: &web{answer: answer}, log: &strings.Builder{}}
	if cfg.Scopes == nil {
		cfg.Scopes = []string{"read", "write"}
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Transport: f.web}
	}
	c := oauth.Config{
		Issuer: issuer, Store: f.store, LoginURL: "/login",
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:     map[string]string{"read": "Read", "write": "Write", "admin": "Everything"},
		Secret:     []byte("0123456789abcdef0123456789abcdef"),
		Policy:     oauth.Policy{BcryptCost: 4},
		Extensions: []oauth.Extension{cimd.New(cfg)},
		Logger:     slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	f.p, err = oauth.New(c)
	require.NoError(t, err)
	return f
}

func request(clientID, redirectURI string) url.Values {
	return url.Values{"client_id": {clientID}, "redirect_uri": {redirectURI}, "response_type": {"code"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}}
}

// client authorizes and returns the client, or nil and the error page's text.
func (f *fixture) client(clientID string) (*oauth.Client, error) {
	f.t.Helper()
	req, err := f.p.ParseAuthorization(context.Background(), request(clientID, cb))
	if err != nil {
		require.Nil(f.t, req, "shown, never redirected")
		return nil, err
	}
	return req.Client, nil
}

func (f *fixture) unknown(clientID string) {
	f.t.Helper()
	_, err := f.client(clientID)
	require.ErrorIs(f.t, err, oauth.ErrInvalidClient, clientID)
}

var nonce = regexp.MustCompile(`nonce="[^"]*"`)

// page is what a browser is shown.
func (f *fixture) page(clientID string) string {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.p.ServeHTTP(w, httptest.NewRequest("GET", "/oauth/authorize?"+request(clientID, cb).Encode(), nil))
	require.Empty(f.t, w.Header().Get("Location"))
	return fmt.Sprint(w.Code, nonce.ReplaceAllString(w.Body.String(), ""))
}

func TestA5_DocumentsAreAdvertisedAndMakeClients(t *testing.T) {
	f := newFixture(t, cimd.Config{}, serve(doc("scope", "read admin", "grant_types", []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		"client_uri", "javascript:alert(1)", "logo_uri", "https://app.example/logo.png", "trust", "registered", "first_party", true)))
	assert.Equal(t, true, f.p.Metadata()["client_id_metadata_document_supported"])
	c, err := f.client(id)
	require.NoError(t, err)
	assert.Equal(t, id, c.ID)
	assert.Equal(t, "App", c.Name)
	assert.Equal(t, store.TrustDocument, c.Trust)
	assert.True(t, c.Public)
	assert.False(t, c.FirstParty)
	assert.Equal(t, []string{"read", "write"}, c.Scopes)
	assert.Equal(t, []string{"read"}, c.DefaultScopes)
	assert.Equal(t, []string{"authorization_code", "refresh_token"}, c.GrantTypes)
	assert.Empty(t, c.URI)
	assert.Equal(t, "https://app.example/logo.png", c.LogoURI)
	for range 10 {
		_, err = f.client(id)
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, f.web.requests.Load(), "kept")
}

func TestConfigurationIsChecked(t *testing.T) {
	scopes := []string{"read"}
	for name, cfg := range map[string]cimd.Config{
		"no scopes":       {},
		"ages":            {Scopes: scopes, MinAge: time.Hour, MaxAge: time.Minute},
		"stale":           {Scopes: scopes, StaleFor: -1},
		"pinned id":       {Scopes: scopes, Pinned: map[string][]byte{"app": []byte(doc())}},
		"pinned document": {Scopes: scopes, Pinned: map[string][]byte{id: []byte(doc("client_id", "x"))}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oauth.New(oauth.Config{Issuer: issuer, Store: store.NewMemory(), LoginURL: "/login", Scopes: map[string]string{"read": ""},
				Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
				Extensions: []oauth.Extension{cimd.New(cfg)}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
			require.ErrorContains(t, err, "cimd: ")
		})
	}
}

func TestPinnedDocumentsAreNotFetched(t *testing.T) {
	f := newFixture(t, cimd.Config{Pinned: map[string][]byte{id: []byte(doc("client_name", "Pinned"))}}, serve(doc()))
	c, err := f.client(id)
	require.NoError(t, err)
	assert.Equal(t, "Pinned", c.Name)
	assert.Zero(t, f.web.requests.Load())
}

func TestAllowDecides(t *testing.T) {
	var err error
	f := newFixture(t, cimd.Config{Allow: func(_ context.Context, u *url.URL) (bool, error) { return u.Host == "app.example", err }}, serve(doc()))
	f.unknown("https://other.example/client.json")
	assert.Zero(t, f.web.requests.Load())
	_, got := f.client(id)
	require.NoError(t, got)
	err = errors.New("down")
	_, got = f.client(id)
	assert.ErrorIs(t, got, oauth.ErrTemporarilyUnavailable)
}

func TestSEC231_SEC235_SEC236_SEC250_WhatIsNoClientIDIsNotFetched(t *testing.T) {
	f := newFixture(t, cimd.Config{}, serve(doc()))
	for _, bad := range []string{
		"https://127.0.0.1/c", "https://[::1]/c", "https://2130706433/c", "https://0x7f.1/c", "https://0177.0.0.1/c", "https://localhost/c", "https://localhost./c",
		"https://x.localhost/c", "https://[fe80::1%25eth0]/c", "https://10.0.0.1/c", "https://127.1/c", "https://intranet/c", "https://app.example./c", "https://.example/c",
		"https://app.example:22/c", "https://app.example:25/c", "https://app.example:6379/c", "https://app.example:8080/c", "https://app.example:/c", "https://app.example:0443x/c",
		"http://app.example/c", "HTTPS://app.example/c", "https://APP.example/c", "https://app.example", "https://app.example/", "https://app.example?c", "https:///c", "https:app.example/c",
		"https://app.example/./c", "https://app.example/../c", "https://app.example/a/%2e%2e/c", "https://app.example/%2E/c", "https://app.example/c#f", "https://app.example/c#",
		"https://u@app.example/c", "https://u:p@app.example/c", `https://app.example\c`, "https://app.example/\tc", "https://app.example/c\n", "https://äpp.example/c", "https://app.example/ä",
		"https://app.example/" + strings.Repeat("c", 2048), "javascript:alert(1)", "https://app.example/%zz",
		"https://%c3%a9.example/c", "https://a%25b.example/c",
		issuer + "/client.json", "https://auth.example:443/client.json",
	} {
		f.unknown(bad)
	}
	assert.Zero(t, f.web.requests.Load())
}

func TestSEC235_OtherPortsNeedConfiguration(t *testing.T) {
	const other = "https://app.example:8443/c"
	f := newFixture(t, cimd.Config{Ports: []uint16{443, 8443}}, serve(doc("client_id", other)))
	_, err := f.client(other)
	assert.NoError(t, err)
}

func TestSEC237_QueriesAreComparedLiterally(t *testing.T) {
	f := newFixture(t, cimd.Config{}, serve(doc("client_id", id+"?a=1&b=2")))
	_, err := f.client(id + "?a=1&b=2")
	assert.NoError(t, err)
	f.unknown(id + "?b=2&a=1")
}

func TestSEC233_RedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"https://10.0.0.1/c", "https://other.example/c", id} {
			f := newFixture(t, cimd.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Host == "app.example" {
					w.Header().Set("Location", to)
					w.WriteHeader(status)
				}
				io.WriteString(w, doc())
			})
			synctest.Test(t, func(t *testing.T) { f.unknown(id) })
			assert.EqualValues(t, 1, f.web.requests.Load())
		}
	}
}

func TestSEC238_SEC242_SEC243_BadDocumentsAreRefused(t *testing.T) {
	const private = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}`
	const public = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	for name, body := range map[string]string{
		"id in another case":   doc("client_id", "https://app.example/Client.json"),
		"id with port":         doc("client_id", "https://app.example:443/client.json"),
		"id with slash":        doc("client_id", id+"/"),
		"id with percent":      doc("client_id", "https://app.example/client%2ejson"),
		"id missing":           doc("client_id", nil),
		"id array":             doc("client_id", []string{id}),
		"name missing":         doc("client_name", nil),
		"name long":            doc("client_name", strings.Repeat("n", 201)),
		"name with NUL":        doc("client_name", "a\x00"),
		"BOM":                  "\ufeff" + doc(),
		"duplicate keys":       strings.Replace(doc(), "{", `{"client_id":"`+id+`",`, 1),
		"NaN":                  strings.Replace(doc(), "{", `{"x":NaN,`, 1),
		"depth":                strings.Replace(doc(), "{", `{"x":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+`,`, 1),
		"trailing data":        doc() + "x",
		"no object":            "[]",
		"too large":            doc() + strings.Repeat(" ", 64<<10),
		"no redirect URIs":     doc("redirect_uris", []string{}),
		"redirect URIs string": doc("redirect_uris", cb),
		"only bad ones":        doc("redirect_uris", []string{"javascript:alert(1)", "http://app.example/cb"}),
		"too many":             doc("redirect_uris", make([]string, 51)),
		"application_type":     doc("application_type", "x"),
		"secret":               doc("client_secret", "s"),
		"secret null":          doc("client_secret", json.RawMessage("null")),
		"secret expires":       doc("client_secret_expires_at", 0),
		"secret basic":         doc("token_endpoint_auth_method", "client_secret_basic"),
		"secret post":          doc("token_endpoint_auth_method", "client_secret_post"),
		"secret jwt":           doc("token_endpoint_auth_method", "client_secret_jwt"),
		"method unknown":       doc("token_endpoint_auth_method", "tls_client_auth"),
		"method not here":      doc("token_endpoint_auth_method", "private_key_jwt", "jwks", json.RawMessage(public)),
		"private key":          doc("jwks", json.RawMessage(private)),
		"symmetric key":        doc("jwks", json.RawMessage(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)),
		"no keys":              doc("jwks", json.RawMessage(`{"keys":[]}`)),
		"jwks and jwks_uri":    doc("jwks", json.RawMessage(public), "jwks_uri", "https://app.example/jwks"),
		"jwks_uri internal":    doc("jwks_uri", "https://10.0.0.1/jwks"),
		"jwks_uri http":        doc("jwks_uri", "http://app.example/jwks"),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, cimd.Config{}, serve(body))
			synctest.Test(t, func(t *testing.T) { f.unknown(id) })
		})
	}
	for _, kind := range []string{"text/html", "", "text/plain"} {
		f := newFixture(t, cimd.Config{}, serve(doc(), "Content-Type", kind))
		synctest.Test(t, func(t *testing.T) { f.unknown(id) })
	}
	f := newFixture(t, cimd.Config{}, serve(doc(), "Content-Type", "application/cimd+json"))
	_, err := f.client(id)
	assert.NoError(t, err)
}

// SEC-239, and the vendors' lists with what only other providers allow.
func TestSEC239_OnlyTheDocumentsGoodRedirectURIsAreUsed(t *testing.T) {
	f := newFixture(t, cimd.Config{}, serve(doc("redirect_uris", []string{cb, "http://localhost/callback", "http://127.0.0.1/callback", "cursor://x/cb", "com.example.app:/cb", "com.example.other:/cb", "javascript:alert(1)"})),
		func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{"com.example.app"} })
	for uri, ok := range map[string]bool{
		cb: true, "http://localhost:53211/callback": true, "http://127.0.0.1:53211/callback": true,
		"com.example.app:/cb": true, "com.example.other:/cb": false, "cursor://x/cb": false, "javascript:alert(1)": false, "https://app.example/other": false, "https://evil.example/cb": false, cb + "/": false,
	} {
		_, err := f.p.ParseAuthorization(context.Background(), request(id, uri))
		assert.Equal(t, ok, err == nil, uri)
	}
}

func TestA13_MethodIsChosenFromWhatBothSidesCan(t *testing.T) {
	const keys = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	body := doc("token_endpoint_auth_methods_supported", []string{"none", "private_key_jwt"}, "jwks", json.RawMessage(keys))
	c, err := newFixture(t, cimd.Config{}, serve(body)).client(id)
	require.NoError(t, err)
	assert.True(t, c.Public)
	assert.Empty(t, c.JWKS)
	c, err = newFixture(t, cimd.Config{}, serve(body), func(c *oauth.Config) {
		c.Extensions = append(c.Extensions, oauth.Extension(func(r *oauth.Registry) error {
			r.ClientAuth("private_key_jwt", func(context.Context, oauth.Credentials) (*oauth.Client, error) { return nil, nil })
			return nil
		}))
	}).client(id)
	require.NoError(t, err)
	assert.False(t, c.Public)
	assert.Equal(t, "private_key_jwt", c.AuthMethod)
	assert.JSONEq(t, keys, string(c.JWKS))
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A client whose user's enterprise vouches for it comes to the token endpoint
// without any browser.
func TestClientsOfAnEnterpriseAreKnownWithoutABrowser(t *testing.T) {
	const grant, profile = "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-profile:id-jag"
	with := func(profiles ...string) func(*oauth.Config) {
		return func(c *oauth.Config) {
			c.Extensions = append(c.Extensions, func(r *oauth.Registry) error {
				r.GrantType(grant, func(context.Context, *oauth.ClientRequest) (*oauth.Issuance, error) { return nil, store.ErrNotFound })
				r.OnMetadata(func(m oauth.Metadata) { m["authorization_grant_profiles_supported"] = profiles })
				return nil
			})
		}
	}
	both := []string{"authorization_code", grant}
	f := newFixture(t, cimd.Config{}, serve(doc("grant_types", both)), with(profile))
	c, err := f.p.Client(context.Background(), id)
	require.NoError(t, err)
	assert.Equal(t, both, c.GrantTypes)
	assert.EqualValues(t, 1, f.web.requests.Load())

	f = newFixture(t, cimd.Config{}, serve(doc()), with(profile))
	c, err = f.p.Client(context.Background(), id)
	require.NoError(t, err)
	assert.NotContains(t, c.GrantTypes, grant, "a document has to name it")

	f = newFixture(t, cimd.Config{}, serve(doc("grant_types", both)), with())
	_, err = f.p.Client(context.Background(), id)
	assert.ErrorIs(t, err, store.ErrNotFound)
	assert.Zero(t, f.web.requests.Load())

	f = newFixture(t, cimd.Config{}, serve(doc("grant_types", both)))
	_, err = f.p.ParseAuthorization(context.Background(), request(id, cb))
	require.NoError(t, err)
	c, err = f.p.Client(context.Background(), id)
	require.NoError(t, err)
	assert.Equal(t, []string{"authorization_code"}, c.GrantTypes, "the provider has no such grant")
}

// A document that is not at hand, or that cannot be had for now, is no client that
// is gone: what users have agreed to stays.
func TestConsentsToAClientOutlastItsDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, serve(doc()))
		_, err := f.client(id)
		require.NoError(t, err)
		require.NoError(t, f.p.GrantConsent(t.Context(), "alice", id, []string{"read"}, nil))
		listed := func(why string) {
			t.Helper()
			again := newFixture(t, cimd.Config{}, serve("maintenance"), func(c *oauth.Config) { c.Store = f.store }) // after a restart
			list, err := again.p.Consents(t.Context(), "alice")
			require.NoError(t, err)
			require.Len(t, list, 1, why)
			assert.Nil(t, list[0].Client, why)
			_, err = again.p.Consent(t.Context(), "alice", id)
			assert.NoError(t, err, why)
		}
		listed("nobody asks for the document")
		f.grant(id)
		listed("the document is not to be had")
	})
}
