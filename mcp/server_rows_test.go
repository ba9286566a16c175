package mcp_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// The rows of the authorization server, numbered as in docs/mcp.md: discovery
// and what it promises.
func TestServerRowsOfDiscovery(t *testing.T) {
	t.Run("A2 metadata at every place that clients look", func(t *testing.T) {
		for iss, places := range map[string][]string{
			"https://mcp.example":        {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
			"https://mcp.example/tenant": {"/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant", "/tenant/.well-known/openid-configuration"},
		} {
			h := newHost(t, func(h *host) { h.cfg.Issuer = iss })
			for _, place := range places {
				a := h.get(place)
				require.Equal(t, http.StatusOK, a.status, place)
				assert.Equal(t, "application/json", a.header.Get("Content-Type"), "some clients take no other type, not even with a charset")
				assert.Equal(t, iss, a.str("issuer"))
			}
		}
	})
	t.Run("A2 a client of 2025-03-26 that guesses the endpoints", func(t *testing.T) {
		h := newHost(t, func(h *host) { h.cfg.Prefix = "/" })
		assert.Equal(t, issuer+"/authorize", h.p.Metadata()["authorization_endpoint"])
		h.refused(h.form("/token", url.Values{}), http.StatusUnauthorized, "invalid_client")
		a := h.do("POST", "/register", body, "Content-Type", "application/json")
		assert.Equal(t, http.StatusCreated, a.status)
	})
	t.Run("A3 issuer is the configured string", func(t *testing.T) {
		a := newHost(t).get("/.well-known/oauth-authorization-server", "Host", "evil.example", "X-Forwarded-Host", "evil.example")
		assert.Equal(t, issuer, a.str("issuer"))
		assert.NotContains(t, a.body, "evil")
		_, err := oauth.New(oauth.Config{Issuer: issuer + "/"})
		assert.ErrorContains(t, err, "must not end with a slash")
	})
	a := newHost(t).get("/.well-known/oauth-authorization-server")
	t.Run("A4 S256 is advertised, and nothing else", func(t *testing.T) {
		assert.Equal(t, []string{"S256"}, a.list("code_challenge_methods_supported"))
	})
	t.Run("A5 metadata documents are advertised, with what clients look for beside it", func(t *testing.T) {
		assert.Equal(t, true, a.json["client_id_metadata_document_supported"])
		assert.Subset(t, a.list("token_endpoint_auth_methods_supported"), []string{"none", "private_key_jwt", "client_secret_basic", "client_secret_post"})
		assert.Subset(t, a.list("token_endpoint_auth_signing_alg_values_supported"), []string{"RS256", "ES256", "PS256", "EdDSA"})
		assert.Subset(t, a.list("grant_types_supported"), []string{"authorization_code", "refresh_token"})
		assert.Equal(t, []string{"code"}, a.list("response_types_supported"))
	})
	t.Run("A16 iss is advertised", func(t *testing.T) {
		assert.Equal(t, true, a.json["authorization_response_iss_parameter_supported"])
	})
	t.Run("A20 every endpoint is https", func(t *testing.T) {
		for name, value := range a.json {
			if s, ok := value.(string); ok && (strings.HasSuffix(name, "_endpoint") || strings.HasSuffix(name, "_uri")) {
				assert.True(t, strings.HasPrefix(s, issuer+"/"), "%s: %s", name, s)
			}
		}
		_, err := oauth.New(oauth.Config{Issuer: "http://mcp.example"})
		assert.ErrorContains(t, err, "Config.Issuer must be https")
	})
	t.Run("A24 offline_access is advertised by the authorization server", func(t *testing.T) {
		assert.Equal(t, []string{"admin", "read", "write", "offline_access"}, a.list("scopes_supported"))
	})
}

// The rows of the authorization request.
func TestServerRowsOfAuthorization(t *testing.T) {
	t.Run("A16 iss on success, on denial and on errors", func(t *testing.T) {
		h := newHost(t).addApp()
		assert.NotEmpty(t, h.code(), "callback has checked iss")
		page := h.browse("GET", "/oauth/authorize?"+authorization(app, appCB, "prompt", "consent").Encode(), nil)
		form := url.Values{"interaction": {hidden.FindStringSubmatch(page.body)[1]}, "decision": {"deny"}}
		assert.Equal(t, "access_denied", h.callback(h.browse("POST", "/oauth/consent", form), appCB).Get("error"))
		assert.Equal(t, "invalid_request", h.callback(h.authorize(authorization(app, appCB, "code_challenge", "")), appCB).Get("error"))
	})
	t.Run("A17 redirect URIs are compared exactly, but for the port of a loopback address", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, other := range []string{appCB + "/", appCB + "?x", "https://app.example/CB", "https://app.example:443/cb", "https://APP.example/cb", "https://evil.example/cb", "http://app.example/cb"} {
			a := h.authorize(authorization(app, other))
			assert.Equal(t, http.StatusBadRequest, a.status, other)
			assert.Empty(t, a.header.Get("Location"))
		}
	})
	t.Run("A18 a stranger's error is not redirected before the user decides", func(t *testing.T) {
		h := newHost(t)
		id := h.register(map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}).str("client_id")
		bad := authorization(id, appCB, "code_challenge", "")
		a := h.authorize(bad)
		assert.Equal(t, http.StatusBadRequest, a.status)
		assert.Contains(t, a.body, "app.example")
		assert.Empty(t, a.header.Get("Location"))
		h.user = ""
		assert.Contains(t, h.authorize(bad).header.Get("Location"), "/login?")
	})
	t.Run("A19 redirect URIs are https or of this machine", func(t *testing.T) {
		h := newHost(t)
		for uri, ok := range map[string]bool{
			"https://app.example/cb": true, "http://localhost/cb": true, "http://127.0.0.1:1/cb": true, "http://[::1]/cb": true,
			"http://app.example/cb": false, "http://localhost.evil.example/cb": false, "javascript:alert(1)": false, "data:text/html,x": false,
			"cursor://x/cb": false, "com.example.app:/cb": false,
		} {
			a := h.do("POST", "/oauth/register", `{"redirect_uris":["`+uri+`"],"token_endpoint_auth_method":"none"}`, "Content-Type", "application/json")
			assert.Equal(t, ok, a.status == http.StatusCreated, "%s: %s", uri, a.body)
		}
	})
	t.Run("A21 PKCE with S256, for every client", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, change := range [][]string{{"code_challenge", ""}, {"code_challenge_method", ""}, {"code_challenge_method", "plain"}, {"code_challenge", "short"}} {
			assert.Equal(t, "invalid_request", h.callback(h.authorize(authorization(app, appCB, change...)), appCB).Get("error"), change)
		}
		code := h.code()
		h.refused(h.form("/oauth/token", exchange(app, appCB, code, "code_verifier", "")), 400, "invalid_grant")
		h.refused(h.form("/oauth/token", exchange(app, appCB, code, "code_verifier", strings.Repeat("x", 43))), 400, "invalid_grant")
		h.ok(h.form("/oauth/token", exchange(app, appCB, code)))
	})
	t.Run("A29 state comes back as it was", func(t *testing.T) {
		h := newHost(t).addApp()
		const state = "a b+c/%20&=\"<é"
		assert.Equal(t, state, h.callback(h.authorize(authorization(app, appCB, "state", state)), appCB).Get("state"))
	})
}

// The rows of the token endpoint and of tokens.
func TestServerRowsOfTokens(t *testing.T) {
	t.Run("A1 code grant for public and confidential clients", func(t *testing.T) {
		h := newHost(t).addApp()
		assert.Equal(t, 200, h.call("look", h.login().str("access_token")).status)
		c, secret, err := h.p.RegisterClient(t.Context(), oauth.Client{Name: "Conf", RedirectURIs: []string{"https://conf.example/cb"}, Scopes: []string{"read"}})
		require.NoError(t, err)
		code := h.callback(h.authorize(authorization(c.ID, "https://conf.example/cb")), "https://conf.example/cb").Get("code")
		form := exchange(c.ID, "https://conf.example/cb", code)
		h.refused(h.form("/oauth/token", form), 401, "invalid_client")
		h.ok(h.form("/oauth/token", form, "Authorization", basic(c.ID, secret)))
	})
	t.Run("A15 an unknown client is 401 invalid_client, at every endpoint", func(t *testing.T) {
		h := newHost(t)
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
			h.refused(h.form(path, url.Values{"client_id": {"gone"}, "grant_type": {"refresh_token"}, "refresh_token": {"x"}, "token": {"x"}}), 401, "invalid_client")
		}
	})
	t.Run("A22 access tokens are short-lived", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t).addApp()
			a := h.login()
			assert.EqualValues(t, 3600, a.json["expires_in"])
			time.Sleep(time.Hour)
			assert.Equal(t, 401, h.call("look", a.str("access_token")).status, "clients refresh at 401")
			a = h.ok(h.form("/oauth/token", refresh(app, a.str("refresh_token"))))
			assert.Equal(t, 200, h.call("look", a.str("access_token")).status)
		})
	})
	t.Run("A23 refresh tokens of public clients rotate, and a lost answer costs nothing", func(t *testing.T) {
		h := newHost(t, func(h *host) { h.cfg.Policy.NoRotation = true }).addApp()
		first := h.login().str("refresh_token")
		second := h.ok(h.form("/oauth/token", refresh(app, first))).str("refresh_token")
		require.NotEqual(t, first, second)
		assert.Equal(t, second, h.ok(h.form("/oauth/token", refresh(app, first))).str("refresh_token"), "a retry gets the same one")
		h.ok(h.form("/oauth/token", refresh(app, second)))
		h.refused(h.form("/oauth/token", refresh(app, first)), 400, "invalid_grant")
		h.refused(h.form("/oauth/token", refresh(app, second)), 400, "invalid_grant")
	})
	t.Run("A24 a refresh token needs no offline_access", func(t *testing.T) {
		h := newHost(t).addApp()
		assert.NotEmpty(t, h.login("scope", "read").str("refresh_token"))
		id := h.register(map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code"}}).str("client_id")
		code := h.callback(h.authorize(authorization(id, appCB)), appCB).Get("code")
		assert.Empty(t, h.ok(h.form("/oauth/token", exchange(id, appCB, code))).str("refresh_token"), "whose grant types leave it out gets none")
	})
	t.Run("A25 resource in both requests, in any case, is the audience", func(t *testing.T) {
		h := newHost(t).addApp()
		code := h.code("resource", "HTTPS://MCP.EXAMPLE/mcp")
		h.refused(h.form("/oauth/token", exchange(app, appCB, code, "resource", "https://other.example/mcp")), 400, "invalid_target")
		a := h.ok(h.form("/oauth/token", exchange(app, appCB, code, "resource", "Https://Mcp.Example/mcp")))
		assert.Equal(t, endpoint, claims(t, a.str("access_token"))["aud"])
		assert.Equal(t, "invalid_target", h.callback(h.authorize(authorization(app, appCB, "resource", "https://other.example/mcp")), appCB).Get("error"))
	})
	t.Run("A26 fewer scopes than asked, and the answer says which", func(t *testing.T) {
		h := newHost(t).addApp()
		assert.Equal(t, "write read", h.login("scope", "write admin read nope read").str("scope"))
		assert.Equal(t, "read write", h.login("scope", "").str("scope"), "none asked for: the client's default")
	})
	t.Run("A27 the store has digests only", func(t *testing.T) {
		h := newHost(t).addApp()
		code := h.code()
		a := h.ok(h.form("/oauth/token", exchange(app, appCB, code)))
		list, err := h.store.ListTokens(context.Background(), store.TokenQuery{ClientID: app}, "", 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		_, secret, _ := strings.Cut(a.str("refresh_token"), ".")
		for _, text := range []string{code, a.str("access_token"), secret} {
			assert.NotContains(t, string(list[0].Data), text)
		}
		assert.NotContains(t, list[0].ID, secret)
	})
}
