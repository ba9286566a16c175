package mcp_test

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
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/store"
)

func newProvider(t *testing.T, cfg mcp.Config) (*oauth.Provider, error) {
	t.Helper()
	return oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: store.NewMemory(), LoginURL: "/login", Secret: []byte("0123456789abcdef0123456789abcdef"),
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "alice"}, nil },
		Scopes:     map[string]string{"read": "Read", "admin": "Everything"},
		Policy:     oauth.Policy{BcryptCost: 4},
		Extensions: mcp.Profile(cfg),
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func register(p *oauth.Provider, body, address string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/oauth/register", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Real", address)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

const body = `{"redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`

// TS2 and Claude Code append offline_access to what they ask for.
func TestA24_OfflineAccessIsGrantedToStrangers(t *testing.T) {
	p, err := newProvider(t, mcp.Config{Scopes: []string{"read"}})
	require.NoError(t, err)
	w := register(p, body, "")
	require.Equal(t, http.StatusCreated, w.Code, w.Body)
	var info struct {
		ClientID string `json:"client_id"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &info))
	req, err := p.ParseAuthorization(t.Context(), url.Values{"client_id": {info.ClientID}, "redirect_uri": {"http://127.0.0.1:53211/callback"}, "response_type": {"code"},
		"scope": {"read admin offline_access"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"read", "offline_access"}, req.Scopes, "and no scope that strangers may not have")
}

func TestScopesOfStrangersMustBeNamed(t *testing.T) {
	_, err := newProvider(t, mcp.Config{})
	assert.ErrorContains(t, err, "mcp: Config.Scopes")
	assert.ErrorContains(t, err, "registration: Config.Scopes")
	assert.ErrorContains(t, err, "cimd: Config.Scopes")
}

func TestScopesThatDoNotExistAreLogged(t *testing.T) {
	var log strings.Builder
	_, err := oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: store.NewMemory(), LoginURL: "/login", Secret: []byte("0123456789abcdef0123456789abcdef"),
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:  map[string]string{"read": "Read"},
		Extensions: append(mcp.Profile(mcp.Config{Scopes: []string{"read", "raed", "late"}}), func(r *oauth.Registry) error {
			r.Scope("late", "A scope of an extension")
			return nil
		}),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	assert.Contains(t, log.String(), "scope=raed")
}

func TestRegistrationCanBeLeftOut(t *testing.T) {
	p, err := newProvider(t, mcp.Config{Scopes: []string{"read"}, NoRegistration: true})
	require.NoError(t, err)
	assert.NotContains(t, p.Metadata(), "registration_endpoint")
	assert.Equal(t, http.StatusNotFound, register(p, body, "").Code)
	assert.Equal(t, true, p.Metadata()["client_id_metadata_document_supported"])
}

func TestRegistrationsAreCountedByTheAppsAddress(t *testing.T) {
	p, err := newProvider(t, mcp.Config{Scopes: []string{"read"}, Address: func(r *http.Request) string { return r.Header.Get("X-Real") }})
	require.NoError(t, err)
	for range 100 {
		require.Equal(t, http.StatusCreated, register(p, body, "192.0.2.1").Code)
	}
	assert.Equal(t, http.StatusTooManyRequests, register(p, body, "192.0.2.1").Code)
	assert.Equal(t, http.StatusCreated, register(p, body, "192.0.2.2").Code)
}

// A client that nobody has registered, with a user whom its enterprise vouches
// for, and nobody at a browser: all that is needed is fetched by the app's
// client.
func TestEnterpriseManagedAuthorization(t *testing.T) {
	const id, idp = "https://client.test/cimd.json", "https://idp.test"
	key, err := jose.Generate("ES256")
	require.NoError(t, err)
	jwks, err := jose.MarshalJWKS([]jose.Key{key})
	require.NoError(t, err)
	p, err := newProvider(t, mcp.Config{
		Scopes: []string{"read"},
		HTTPClient: &http.Client{Transport: web{
			id: `{"client_id":"` + id + `","client_name":"Client","redirect_uris":["https://client.test/cb"],"token_endpoint_auth_method":"private_key_jwt",` +
				`"grant_types":["authorization_code","` + jwtBearer + `"],"jwks":` + string(jwks) + `}`,
			idp + "/.well-known/openid-configuration": `{"issuer":"` + idp + `","jwks_uri":"` + idp + `/jwks"}`,
			idp + "/jwks": string(jwks),
		}},
		Enterprises: []assertion.Enterprise{{
			Issuer: assertion.Issuer{URL: idp},
			User:   func(_ context.Context, c assertion.Claims) (string, error) { return "user-" + c.Subject, nil },
		}},
	})
	require.NoError(t, err)
	assert.Contains(t, p.Metadata()["grant_types_supported"], jwtBearer)
	assert.Equal(t, []string{"urn:ietf:params:oauth:grant-profile:id-jag"}, p.Metadata()["authorization_grant_profiles_supported"])

	signer, err := jose.Prepare(key)
	require.NoError(t, err)
	signed := func(typ string, claims map[string]any) string {
		claims["aud"], claims["jti"] = "https://auth.example", typ
		claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(time.Minute).Unix()
		body, err := json.Marshal(claims)
		require.NoError(t, err)
		out, err := signer.Sign(t.Context(), typ, body)
		require.NoError(t, err)
		return out
	}
	w := ask(p, url.Values{
		"assertion":             {signed("oauth-id-jag+jwt", map[string]any{"iss": idp, "sub": "1", "client_id": id, "scope": "read admin"})},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {signed("JWT", map[string]any{"iss": id, "sub": id})},
	})
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var res struct {
		Token string `json:"access_token"`
		Scope string `json:"scope"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &res))
	assert.Equal(t, "read", res.Scope, "and no scope that strangers may not have")
	token, err := p.Verifier().VerifyToken(t.Context(), res.Token)
	require.NoError(t, err)
	assert.Equal(t, "user-1", token.Subject)

	// Who registers itself does not get the grant, whatever it asks for.
	w = register(p, `{"redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","`+jwtBearer+`"]}`, "")
	require.Equal(t, http.StatusCreated, w.Code)
	assert.NotContains(t, w.Body.String(), jwtBearer)
}

func TestWorkloadIdentityFederation(t *testing.T) {
	const platform = "https://platform.test"
	key, err := jose.Generate("ES256")
	require.NoError(t, err)
	jwks, err := jose.MarshalJWKS([]jose.Key{key})
	require.NoError(t, err)
	p, err := newProvider(t, mcp.Config{
		Scopes:     []string{"read"},
		HTTPClient: &http.Client{Transport: web{platform + "/jwks": string(jwks)}},
		Platforms: []assertion.Platform{{
			Issuer: assertion.Issuer{URL: platform, JWKSURI: platform + "/jwks"},
			Rules:  []assertion.Rule{{Claims: map[string]string{"sub": "agent"}, Workload: assertion.Workload{Subject: "agent", Scopes: []string{"admin"}}}},
		}},
	})
	require.NoError(t, err)
	assert.NotContains(t, p.Metadata(), "authorization_grant_profiles_supported")
	signer, err := jose.Prepare(key)
	require.NoError(t, err)
	for sub, status := range map[string]int{"agent": http.StatusOK, "another": http.StatusBadRequest} {
		a, err := signer.Sign(t.Context(), "JWT", fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":"https://auth.example/oauth/token","jti":%[2]q,"iat":%d,"exp":%d}`, platform, sub, time.Now().Unix(), time.Now().Unix()+60))
		require.NoError(t, err)
		assert.Equal(t, status, ask(p, url.Values{"assertion": {a}}).Code, sub)
	}
}

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

func ask(p *oauth.Provider, form url.Values) *httptest.ResponseRecorder {
	form.Set("grant_type", jwtBearer)
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// web is documents by URL.
type web map[string]string

func (h web) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	body, ok := h[r.URL.String()]
	if !ok {
		http.NotFound(w, r)
		return w.Result(), nil
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, body)
	return w.Result(), nil
}

// Anybody can ask for scopes that do not exist, and for very many of them.
func TestRequestsForManyUnknownScopesAreCheap(t *testing.T) {
	var log strings.Builder
	p, err := oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: store.NewMemory(), LoginURL: "/login", Secret: []byte("0123456789abcdef0123456789abcdef"),
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:  map[string]string{"read": "Read"}, Policy: oauth.Policy{BcryptCost: 4},
		Extensions: mcp.Profile(mcp.Config{Scopes: []string{"read"}}), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	for _, names := range []int{1, 2000, 8000} {
		target := "/oauth/authorize?client_id=x&scope=" + strings.Repeat("a+", names-1) + "a"
		log.Reset()
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		assert.Equal(t, http.StatusBadRequest, w.Code)
		assert.Less(t, log.Len(), 1000, "log of %d names", names)
		memory := testing.AllocsPerRun(5, func() { p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil)) })
		assert.Less(t, memory, 500.0, "allocations for %d names", names)
	}
}
