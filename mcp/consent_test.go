package mcp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// What a person is asked about strangers' clients, and when again.
func TestConsentForStrangers(t *testing.T) {
	asked := func(h *host, id, uri string, pairs ...string) bool {
		return hidden.MatchString(h.browse("GET", "/oauth/authorize?"+authorization(id, uri, pairs...).Encode(), nil).body)
	}
	t.Run("SEC-104 hostile text in documents and registrations stays text", func(t *testing.T) {
		h := newHost(t)
		hostile := `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}</title>`
		h.document(docID, appDocument("client_name", hostile, "client_uri", `https://app.example/"><script>`, "logo_uri", "https://app.example/x.svg", "tos_uri", "https://u:p@app.example/"))
		id := h.register(map[string]any{"client_name": hostile, "redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}).str("client_id")
		for _, client := range []string{docID, id} {
			page := h.browse("GET", "/oauth/authorize?"+authorization(client, docCB).Encode(), nil)
			require.Equal(t, http.StatusOK, page.status)
			assert.NotContains(t, page.body, "<script>")
			assert.NotContains(t, page.body, "<img")
			assert.NotContains(t, page.body, "u:p@")
			assert.Contains(t, page.body, "&lt;script&gt;", "shown for what it is")
		}
	})
	t.Run("SEC-107 no browser loads a stranger's picture", func(t *testing.T) {
		h := newHost(t)
		h.document(docID, appDocument("logo_uri", "https://tracker.example/logo.png"))
		page := h.browse("GET", "/oauth/authorize?"+authorization(docID, docCB).Encode(), nil)
		assert.NotContains(t, page.body, "tracker.example")
		assert.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	})
	t.Run("SEC-109 a client that looks the same is asked for on its own", func(t *testing.T) {
		h := newHost(t)
		same := map[string]any{"client_name": "Same", "logo_uri": "https://app.example/l", "redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}
		one, two := h.register(same).str("client_id"), h.register(same).str("client_id")
		h.codeOf(one, appCB)
		assert.False(t, asked(h, one, appCB))
		assert.True(t, asked(h, two, appCB))
	})
	t.Run("SEC-110 one more scope, or another resource, is asked for", func(t *testing.T) {
		h := newHost(t, func(h *host) {
			h.cfg.Resources = append(h.cfg.Resources, oauth.Resource{URI: "https://other.example/mcp"})
		})
		h.document(docID, appDocument())
		h.codeOf(docID, docCB, "scope", "read")
		assert.False(t, asked(h, docID, docCB, "scope", "read"))
		assert.True(t, asked(h, docID, docCB, "scope", "read write"))
		assert.True(t, asked(h, docID, docCB, "scope", "read", "resource", "https://other.example/mcp"))
	})
	t.Run("SEC-111 a document that says something else is asked for again", func(t *testing.T) {
		for member, value := range map[string]any{
			"client_name": "Another", "client_uri": "https://app.example/about", "redirect_uris": []string{docCB, "https://app.example/other"},
		} {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				h.document(docID, appDocument())
				h.codeOf(docID, docCB)
				time.Sleep(time.Hour)
				assert.False(t, asked(h, docID, docCB), "fetched again, and the same")
				h.document(docID, appDocument(member, value))
				time.Sleep(time.Hour)
				assert.True(t, asked(h, docID, docCB), member)
			})
		}
	})
	t.Run("SEC-112 a program on this computer is asked for every time, with a warning", func(t *testing.T) {
		h := newHost(t)
		h.document(docID, appDocument("redirect_uris", []string{"http://localhost/callback", "http://127.0.0.1/callback"}))
		for _, uri := range []string{"http://localhost:1/callback", "http://localhost:1/callback", "http://127.0.0.1:2/callback"} {
			h.codeOf(docID, uri)
			assert.Contains(t, h.page, "a program on this computer")
		}
		a := h.browse("GET", "/oauth/authorize?"+authorization(docID, "http://localhost:1/callback", "prompt", "none").Encode(), nil)
		assert.NotContains(t, a.header.Get("Location"), "code=", "nor does it get a code without a word")
	})
	t.Run("SEC-112 optional scopes can be unticked", func(t *testing.T) {
		h := newHost(t)
		h.document(docID, appDocument())
		page := h.browse("GET", "/oauth/authorize?"+authorization(docID, docCB, "scope", "read write").Encode(), nil)
		assert.Equal(t, 2, strings.Count(page.body, `type="checkbox"`))
		form := with(url.Values{}, "interaction", hidden.FindStringSubmatch(page.body)[1], "decision", "allow", "scope", "write")
		code := h.callback(h.browse("POST", "/oauth/consent", form), docCB).Get("code")
		a := h.ok(h.form("/oauth/token", exchange(docID, docCB, code)))
		assert.Equal(t, "write", a.str("scope"))
		assert.Equal(t, "write", h.ok(h.form("/oauth/token", refresh(docID, a.str("refresh_token")))).str("scope"))
		assert.True(t, asked(h, docID, docCB, "scope", "read write"), "what was unticked is asked for again")
	})
}

// Answers name their issuer, once, whatever a client has registered.
func TestIssuerOfAnswers(t *testing.T) {
	t.Run("SEC-091 one iss in every response mode", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, change := range [][]string{nil, {"prompt", "none", "scope", "write"}, {"code_challenge", ""}} {
			h.callback(h.authorize(authorization(app, appCB, change...)), appCB)
			page := h.authorize(authorization(app, appCB, append(change, "response_mode", "form_post")...))
			require.Equal(t, http.StatusOK, page.status)
			assert.Equal(t, 1, strings.Count(page.body, `name="iss" value="`+issuer+`"`), page.body)
		}
	})
	t.Run("SEC-092 a redirect URI with parameters of the answer is refused", func(t *testing.T) {
		h := newHost(t)
		for _, name := range []string{"iss", "code", "state", "error"} {
			h.refused(h.post("/oauth/register", map[string]any{"redirect_uris": []string{appCB + "?" + name + "=evil"}, "token_endpoint_auth_method": "none"}), 400, "invalid_redirect_uri")
		}
		id := h.register(map[string]any{"redirect_uris": []string{appCB + "?keep=1"}, "token_endpoint_auth_method": "none"}).str("client_id")
		v := h.callback(h.authorize(authorization(id, appCB+"?keep=1")), appCB)
		assert.Equal(t, "1", v.Get("keep"))
		assert.Len(t, v["code"], 1)
	})
	t.Run("SEC-093 no header changes what the metadata say", func(t *testing.T) {
		h := newHost(t)
		for _, at := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
			want := h.get(at).body
			assert.Equal(t, want, h.get(at, "Host", "evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "Forwarded", "host=evil.example").body)
		}
	})
	t.Run("SEC-094 two issuers in one process are strangers to each other", func(t *testing.T) {
		a := newHost(t).addApp()
		b := newHost(t, func(h *host) {
			h.cfg.Issuer = "https://b.example"
			h.cfg.Store, h.store = a.store, a.store // even over one store
		})
		tokens := a.login()
		assert.Equal(t, http.StatusUnauthorized, b.call("look", tokens.str("access_token")).status)
	})
}
