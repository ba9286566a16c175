package mcp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Mistakes at the token endpoint and at revocation, numbered as in docs/mcp.md.
func TestHistoryOfTokens(t *testing.T) {
	t.Run("HIST-08 a code used twice ends what it was exchanged for", func(t *testing.T) {
		h := newHost(t).addApp()
		code := h.code()
		a := h.ok(h.form("/oauth/token", exchange(app, appCB, code)))
		h.refused(h.form("/oauth/token", exchange(app, appCB, code)), 400, "invalid_grant")
		assert.Equal(t, http.StatusUnauthorized, h.call("look", a.str("access_token")).status)
		h.refused(h.form("/oauth/token", refresh(app, a.str("refresh_token"))), 400, "invalid_grant")
	})
	t.Run("HIST-09 a client revokes its own tokens only", func(t *testing.T) {
		h := newHost(t).addApp()
		other := h.register(map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}).str("client_id")
		a := h.login()
		for _, token := range []string{a.str("access_token"), a.str("refresh_token")} {
			assert.Equal(t, http.StatusOK, h.form("/oauth/revoke", url.Values{"client_id": {other}, "token": {token}}).status)
		}
		assert.Equal(t, http.StatusOK, h.call("look", a.str("access_token")).status)
		h.ok(h.form("/oauth/token", refresh(app, a.str("refresh_token"))))
	})
	t.Run("HIST-10 nothing that is guessed from a part of a token or code ends an authorization", func(t *testing.T) {
		h := newHost(t).addApp()
		code := h.code()
		a := h.ok(h.form("/oauth/token", exchange(app, appCB, code)))
		token := a.str("refresh_token")
		id, _, _ := strings.Cut(token, ".")
		for _, forged := range []string{id + ".x.y", id + "." + strings.Repeat("A", 22) + "." + strings.Repeat("A", 43), id, token[:len(token)-1]} {
			h.refused(h.form("/oauth/token", refresh(app, forged)), 400, "invalid_grant")
			h.form("/oauth/revoke", url.Values{"client_id": {app}, "token": {forged}})
		}
		for _, forged := range []string{code[:20], code[:len(code)-1], code + "x", id} {
			h.refused(h.form("/oauth/token", exchange(app, appCB, forged)), 400, "invalid_grant")
		}
		other := h.register(map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}).str("client_id")
		for _, foreign := range []string{code[:20], code} {
			h.refused(h.form("/oauth/token", exchange(other, appCB, foreign)), 400, "invalid_grant")
			h.form("/oauth/revoke", url.Values{"client_id": {other}, "token": {foreign}})
		}
		// The code itself, from someone without its verifier.
		h.refused(h.form("/oauth/token", exchange(app, appCB, code, "code_verifier", strings.Repeat("x", 43))), 400, "invalid_grant")
		assert.Equal(t, http.StatusOK, h.call("look", a.str("access_token")).status)
		h.ok(h.form("/oauth/token", refresh(app, token)))
	})
	t.Run("HIST-12 everything is checked before a code is spent or a token rotated", func(t *testing.T) {
		h := newHost(t).addApp()
		code := h.code()
		for _, wrong := range [][]string{{"resource", "https://other.example"}, {"redirect_uri", "x"}, {"code_verifier", "x"}, {"client_id", "nobody"}} {
			assert.GreaterOrEqual(t, h.form("/oauth/token", exchange(app, appCB, code, wrong...)).status, 400, wrong)
		}
		token := h.ok(h.form("/oauth/token", exchange(app, appCB, code))).str("refresh_token")
		for _, wrong := range [][]string{{"resource", "https://other.example"}, {"scope", "admin"}, {"client_id", "nobody"}} {
			assert.GreaterOrEqual(t, h.form("/oauth/token", refresh(app, token, wrong...)).status, 400, wrong)
		}
		next := h.ok(h.form("/oauth/token", refresh(app, token)))
		h.ok(h.form("/oauth/token", refresh(app, next.str("refresh_token"))))
	})
	t.Run("HIST-13 no public client without PKCE; without a method it is plain, which is refused", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, name := range []string{"code_challenge", "code_challenge_method"} {
			assert.Equal(t, "invalid_request", h.callback(h.authorize(authorization(app, appCB, name, "")), appCB).Get("error"))
		}
	})
	t.Run("HIST-14 error answers are not stored", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, a := range []answer{
			h.form("/oauth/token", url.Values{}), h.form("/oauth/token", exchange(app, appCB, "x")), h.get("/oauth/token"), h.form("/oauth/revoke", url.Values{}),
			h.form("/oauth/introspect", url.Values{}), h.post("/oauth/register", map[string]any{}), h.get("/oauth/register"), h.authorize(authorization("nobody", appCB)),
			h.call("look", ""), h.call("look", "x"),
		} {
			assert.GreaterOrEqual(t, a.status, 400)
			assert.Equal(t, "no-store", a.header.Get("Cache-Control"), a.body)
		}
	})
	t.Run("HIST-15 a challenge has an error only if there were credentials", func(t *testing.T) {
		h := newHost(t).addApp()
		assert.NotContains(t, h.call("look", "").header.Get("WWW-Authenticate"), "error")
		assert.Contains(t, h.call("look", "x").header.Get("WWW-Authenticate"), `error="invalid_token"`)
	})
	t.Run("HIST-18 signing in on a second device leaves the first alone", func(t *testing.T) {
		h := newHost(t)
		first, second := h.connect(vendors["Claude Code"]), h.connect(vendors["Claude Code"])
		first.refresh()
		second.post("/oauth/revoke", url.Values{"token": {second.tokens.str("refresh_token")}})
		first.refresh()
	})
	t.Run("HIST-22 a client that names no resource works, and gets the default", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.ok(h.form("/oauth/token", exchange(app, appCB, h.code("resource", ""), "resource", "")))
		assert.Equal(t, http.StatusOK, h.call("look", a.str("access_token")).status)
	})
}
