package mcp_test

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
)

// The rows of the MCP server as a resource server, numbered as in docs/mcp.md:
// what it publishes and how it challenges.
func TestResourceRowsOfDiscovery(t *testing.T) {
	h := newHost(t)
	const inserted, root = "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"
	a := h.get(inserted)
	t.Run("R1 metadata names the authorization server, byte for byte", func(t *testing.T) {
		require.Equal(t, http.StatusOK, a.status)
		assert.Equal(t, []string{issuer}, a.list("authorization_servers"))
		assert.Equal(t, a.list("authorization_servers")[0], h.get("/.well-known/oauth-authorization-server").str("issuer"))
	})
	t.Run("R2 metadata at both places and in the challenge, for the exact URL", func(t *testing.T) {
		for _, place := range []string{inserted, root} {
			a := h.get(place)
			require.Equal(t, http.StatusOK, a.status)
			assert.Equal(t, "application/json", a.header.Get("Content-Type"))
			assert.Equal(t, endpoint, a.str("resource"))
		}
		assert.Contains(t, h.call("look", "").header.Get("WWW-Authenticate"), `resource_metadata="`+issuer+inserted+`"`)
	})
	t.Run("R3 the challenge says the scopes", func(t *testing.T) {
		assert.Contains(t, h.call("look", "").header.Get("WWW-Authenticate"), `scope="read"`)
	})
	t.Run("R4 scopes_supported is the working set, not the catalogue", func(t *testing.T) {
		assert.Equal(t, []string{"read"}, a.list("scopes_supported"))
	})
	t.Run("R5 offline_access is neither in the metadata nor in a challenge", func(t *testing.T) {
		assert.NotContains(t, a.body, "offline_access")
		assert.NotContains(t, h.call("look", "").header.Get("WWW-Authenticate"), "offline_access")
		_, err := resource.New(resource.Config{Resource: endpoint, Issuers: []string{issuer}, Verifier: h.p.Verifier(), Scopes: []string{"offline_access"}})
		assert.ErrorContains(t, err, "offline_access")
	})
	t.Run("R14 CORS on everything that a client in a browser reads, errors too", func(t *testing.T) {
		for _, to := range []struct{ method, path string }{
			{"GET", inserted}, {"GET", root}, {"GET", "/.well-known/oauth-authorization-server"}, {"GET", "/.well-known/openid-configuration"},
			{"POST", "/oauth/register"}, {"POST", "/oauth/token"}, {"POST", "/oauth/revoke"}, {"POST", "/mcp"}, {"GET", "/mcp"}, {"DELETE", "/mcp"},
		} {
			pre := h.do("OPTIONS", to.path, "", "Origin", "https://inspector.example", "Access-Control-Request-Method", to.method, "Access-Control-Request-Headers", "mcp-protocol-version")
			assert.Equal(t, http.StatusNoContent, pre.status, to.path)
			assert.Equal(t, "*", pre.header.Get("Access-Control-Allow-Origin"), to.path)
			assert.Contains(t, pre.header.Get("Access-Control-Allow-Methods"), to.method, to.path)
			for _, name := range []string{"Authorization", "Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"} {
				assert.Contains(t, pre.header.Get("Access-Control-Allow-Headers"), name, to.path)
			}
			answer := h.do(to.method, to.path, "", "Origin", "https://inspector.example", "Content-Type", "text/plain")
			assert.Equal(t, "*", answer.header.Get("Access-Control-Allow-Origin"), "%s: %d", to.path, answer.status)
		}
		assert.Contains(t, h.call("look", "").header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate")
	})
}

// The rows about tokens.
func TestResourceRowsOfTokens(t *testing.T) {
	t.Run("R6 a token for another resource, or of another issuer, is refused on every request", func(t *testing.T) {
		h := newHost(t, func(h *host) {
			h.cfg.Resources = append(h.cfg.Resources, oauth.Resource{URI: "https://other.example/mcp"})
		}).addApp()
		v := authorization(app, appCB, "resource", "https://other.example/mcp")
		code := h.callback(h.authorize(v), appCB).Get("code")
		other := h.ok(h.form("/oauth/token", exchange(app, appCB, code, "resource", "https://other.example/mcp"))).str("access_token")
		foreign := newHost(t).addApp().login().str("access_token")
		good := h.login().str("access_token")
		for range 2 {
			assert.Equal(t, 401, h.call("look", other).status)
			assert.Equal(t, 401, h.call("look", foreign).status)
			assert.Equal(t, 200, h.call("look", good).status)
		}
	})
	t.Run("R6 a token that expired or was revoked is refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t).addApp()
			expired := h.login().str("access_token")
			time.Sleep(time.Hour)
			assert.Equal(t, 401, h.call("look", expired).status)
			a := h.login()
			h.form("/oauth/revoke", with(url.Values{}, "client_id", app, "token", a.str("refresh_token")))
			assert.Equal(t, 401, h.call("look", a.str("access_token")).status)
		})
	})
	t.Run("R7 no other token is taken", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.login()
		assert.Equal(t, 401, h.call("look", a.str("refresh_token")).status)
		assert.Equal(t, 401, h.call("look", "secret").status)
		// Nothing hands the raw token on: the handler gets claims.
		require.Equal(t, 200, h.call("look", a.str("access_token")).status)
		assert.NotContains(t, string(h.seen.Claims), a.str("access_token"))
		assert.Equal(t, "alice", h.seen.Subject)
	})
	t.Run("R8 401, 403 and 400", func(t *testing.T) {
		h := newHost(t).addApp()
		token := h.login().str("access_token")
		none := h.call("look", "")
		assert.Equal(t, 401, none.status)
		assert.NotContains(t, none.header.Get("WWW-Authenticate"), "error=", "without a token there is no error (RFC 6750 §3.1)")
		wrong := h.call("look", "wrong")
		assert.Equal(t, 401, wrong.status)
		assert.Contains(t, wrong.header.Get("WWW-Authenticate"), `error="invalid_token"`)
		assert.Equal(t, 403, h.call("edit", token).status)
		assert.Equal(t, 400, h.do("POST", "/mcp?access_token="+token, "{}", "Authorization", "Bearer "+token).status)
		assert.NotEqual(t, 200, h.do("POST", "/mcp?access_token="+token, "{}").status, "never in a URL")
	})
	t.Run("R9 step-up: all scopes of the operation in one challenge, and the new token has them", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.call("edit", h.login().str("access_token"))
		require.Equal(t, 403, a.status)
		challenge := a.header.Get("WWW-Authenticate")
		for _, part := range []string{"Bearer ", `error="insufficient_scope"`, `scope="read write"`, "resource_metadata="} {
			assert.Contains(t, challenge, part)
		}
		assert.Equal(t, challenge, h.call("edit", h.login().str("access_token")).header.Get("WWW-Authenticate"), "consistently")
		assert.Equal(t, 200, h.call("edit", h.login("scope", "read write").str("access_token")).status)
	})
	t.Run("R10 a broader scope satisfies a narrower need", func(t *testing.T) {
		h := newHost(t).addApp()
		assert.Equal(t, 200, h.call("look", h.login("scope", "write").str("access_token")).status)
	})
	t.Run("R11 an Origin that is not allowed is 403", func(t *testing.T) {
		h := newHost(t).addApp()
		api, err := resource.New(resource.Config{Resource: endpoint, Issuers: []string{issuer}, Verifier: h.p.Verifier(), Origins: []string{"https://good.example"}})
		require.NoError(t, err)
		h.mux.Handle("/local", api.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		token := "Bearer " + h.login().str("access_token")
		assert.Equal(t, 200, h.do("POST", "/local", "", "Authorization", token, "Origin", "https://good.example").status)
		assert.Equal(t, 200, h.do("POST", "/local", "", "Authorization", token).status)
		assert.Equal(t, 403, h.do("POST", "/local", "", "Authorization", token, "Origin", "https://evil.example").status)
	})
	t.Run("R12 a session ID is no authentication", func(t *testing.T) {
		h := newHost(t).addApp()
		h.login()
		assert.Equal(t, 401, h.call("look", "", "Mcp-Session-Id", "alice:1").status)
	})
	t.Run("R13 policy reads the body, whatever the headers say", func(t *testing.T) {
		h := newHost(t).addApp()
		token := h.login().str("access_token")
		assert.Equal(t, 403, h.call("edit", token, "Mcp-Method", "tools/call", "Mcp-Name", "look").status, "a header that lies gains nothing")
		assert.Equal(t, 200, h.call("look", token).status, "and old clients, which send none, work")
		for _, text := range []string{
			`{"method":"tools/call","params":{"name":"look","name":"edit"}}`, `{"method":"tools/call","params":{"name":"look","Name":"edit"}}`,
			`{"method":"tools/call","METHOD":"x","params":{"name":"edit"}}`, `{"method":"tools/call"}`, `{"method":"tools/call","params":{"name":"look"}} {}`,
		} {
			a := h.do("POST", "/mcp", text, "Authorization", "Bearer "+token)
			assert.Equal(t, 400, a.status, text)
		}
	})
}
