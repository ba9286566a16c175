package mcp_test

import (
	"context"
	"encoding/base64"
	"errors"
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

// Mistakes that authorization servers for MCP have made, each with its number in
// docs/mcp.md: first those at the authorization endpoint.
func TestHistoryOfAuthorization(t *testing.T) {
	t.Run("HIST-01 redirect_uri is checked at authorize and at the token endpoint", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.authorize(authorization(app, "https://evil.example/cb"))
		assert.Equal(t, http.StatusBadRequest, a.status)
		assert.Empty(t, a.header.Get("Location"))
		h.refused(h.form("/oauth/token", exchange(app, "https://evil.example/cb", h.code())), 400, "invalid_grant")
		h.refused(h.form("/oauth/token", exchange(app, appCB, h.code(), "redirect_uri", "")), 400, "invalid_grant")
	})
	t.Run("HIST-02 a verifier without a challenge, and a challenge without a verifier", func(t *testing.T) {
		h := newHost(t, func(h *host) { h.cfg.Policy.PKCEForPublicOnly = true })
		c, secret, err := h.p.RegisterClient(t.Context(), oauth.Client{Name: "Conf", RedirectURIs: []string{appCB}, Scopes: []string{"read"}})
		require.NoError(t, err)
		auth := []string{"Authorization", basic(c.ID, secret)}
		code := h.codeOf(c.ID, appCB, "code_challenge", "", "code_challenge_method", "")
		h.refused(h.form("/oauth/token", exchange(c.ID, appCB, code), auth...), 400, "invalid_request")
		code = h.codeOf(c.ID, appCB)
		h.refused(h.form("/oauth/token", exchange(c.ID, appCB, code, "code_verifier", ""), auth...), 400, "invalid_grant")
		h.ok(h.form("/oauth/token", exchange(c.ID, appCB, code), auth...))
	})
	t.Run("HIST-03 client_id is checked at authorize", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, id := range []string{"", "nobody", "APP", app + " ", strings.Repeat("x", 5000), "a\x00b"} {
			a := h.authorize(authorization(id, appCB))
			assert.Equal(t, http.StatusBadRequest, a.status, "%q", id)
			assert.Empty(t, a.header.Get("Location"))
		}
	})
	t.Run("HIST-04 a tampered consent form redirects nowhere and grants nothing", func(t *testing.T) {
		h := newHost(t).addApp()
		page := h.browse("GET", "/oauth/authorize?"+authorization(app, appCB).Encode(), nil)
		sealed := hidden.FindStringSubmatch(page.body)[1]
		other := "A"
		if sealed[0] == 'A' {
			other = "B"
		}
		for _, text := range []string{"", sealed[:len(sealed)-2], other + sealed[1:], base64.RawURLEncoding.EncodeToString([]byte(`{"query":"redirect_uri=https://evil.example"}`))} {
			a := h.browse("POST", "/oauth/consent", url.Values{"interaction": {text}, "decision": {"allow"}, "scope": {"read"}, "redirect_uri": {"https://evil.example/cb"}})
			assert.Equal(t, http.StatusForbidden, a.status)
			assert.Empty(t, a.header.Get("Location"))
		}
		a := h.browse("POST", "/oauth/consent", url.Values{"interaction": {sealed}, "decision": {"allow"}, "scope": {"read", "write", "admin"}, "redirect_uri": {"https://evil.example/cb"}, "client_id": {"other"}})
		code := h.callback(a, appCB).Get("code")
		assert.Equal(t, "read", h.ok(h.form("/oauth/token", exchange(app, appCB, code))).str("scope"), "what was asked for, whatever the form says")
	})
	t.Run("HIST-05 schemes that run code, in redirect URIs and in links", func(t *testing.T) {
		h := newHost(t)
		for _, uri := range []string{"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://x/1", "about:blank", "java\tscript:alert(1)", " javascript:alert(1)", "view-source:https://x.example"} {
			for _, member := range []string{"redirect_uris", "client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri"} {
				m := map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}
				m[member] = uri
				if member == "redirect_uris" {
					m[member] = []string{uri}
				}
				a := h.post("/oauth/register", m)
				assert.Equal(t, http.StatusBadRequest, a.status, "%s: %s", member, uri)
			}
		}
		h.document(docID, appDocument("client_uri", "javascript:alert(1)", "logo_uri", "data:x", "policy_uri", "vbscript:x"))
		h.codeOf(docID, docCB)
		for _, part := range []string{"javascript:", "data:", "vbscript:"} {
			assert.NotContains(t, h.page, part)
		}
	})
	t.Run("HIST-16 a request that cannot be read is 400, no crash", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, kind := range []string{"", ";", "application/x-www-form-urlencoded; charset", "text/plain", "multipart/form-data", "application/json"} {
			h.refused(h.do("POST", "/oauth/token", "grant_type=x", "Content-Type", kind), 400, "invalid_request")
			h.refused(h.do("POST", "/oauth/register", "{}", "Content-Type", strings.Replace(kind, "application/json", "a/b", 1)), 400, "invalid_client_metadata")
		}
		assert.Equal(t, http.StatusBadRequest, h.browse("GET", "/oauth/authorize?%zz", nil).status)
	})
	t.Run("HIST-16 a function of the app that fails is an outage, whoever asks", func(t *testing.T) {
		down := func() error { return nil }
		h := newHost(t, func(h *host) {
			session := h.cfg.Session
			h.cfg.Session = func(r *http.Request) (oauth.Session, error) {
				if err := down(); err != nil {
					return oauth.Session{}, err
				}
				return session(r)
			}
			h.cfg.Users = func(context.Context, string) (oauth.User, error) { return oauth.User{Active: true}, down() }
		}).addApp()
		h.document(docID, appDocument())
		code, token := h.code(), h.login()
		down = func() error { return errors.New("users: dial tcp 10.0.0.7:5432") }
		assert.Equal(t, "temporarily_unavailable", h.callback(h.authorize(authorization(app, appCB)), appCB).Get("error"))
		stranger := h.authorize(authorization(docID, docCB))
		assert.Equal(t, http.StatusServiceUnavailable, stranger.status)
		assert.NotContains(t, stranger.body, "10.0.0.7")
		h.refused(h.form("/oauth/token", exchange(app, appCB, code)), 503, "temporarily_unavailable")
		h.refused(h.form("/oauth/token", refresh(app, token.str("refresh_token"))), 503, "temporarily_unavailable")
		down = func() error { return nil }
		h.ok(h.form("/oauth/token", exchange(app, appCB, code)))
		h.ok(h.form("/oauth/token", refresh(app, token.str("refresh_token"))))
	})
}

// Mistakes in how clients authenticate and register.
func TestHistoryOfClients(t *testing.T) {
	t.Run("HIST-06 random values are of an alphabet that divides 256", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.login()
		values := []string{h.code(), h.register(map[string]any{"redirect_uris": []string{appCB}}).str("client_secret")}
		values = append(values, strings.Split(a.str("refresh_token"), ".")[1:]...)
		for _, v := range values {
			b, err := base64.RawURLEncoding.Strict().DecodeString(v)
			require.NoError(t, err, "64 letters: no letter is more likely")
			assert.GreaterOrEqual(t, len(b), 16)
		}
	})
	t.Run("HIST-07 Basic is decoded, and malformed Basic is 401", func(t *testing.T) {
		h := newHost(t)
		a := h.register(map[string]any{"redirect_uris": []string{appCB}})
		form := refresh("", "x", "client_id", "")
		h.refused(h.form("/oauth/token", form, "Authorization", basic(url.QueryEscape(a.str("client_id")), a.str("client_secret"))), 400, "invalid_grant")
		for _, bad := range []string{"Basic", "Basic !", "Basic " + base64.StdEncoding.EncodeToString([]byte("nocolon")), "Bearer x", "Basic " + base64.StdEncoding.EncodeToString([]byte("\xff:\xff"))} {
			a := h.form("/oauth/token", form, "Authorization", bad)
			h.refused(a, 401, "invalid_client")
			assert.Contains(t, a.header.Get("WWW-Authenticate"), "Basic")
		}
	})
	t.Run("HIST-11 the registered method is the only one", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.register(map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "client_secret_basic"})
		id, secret := a.str("client_id"), a.str("client_secret")
		h.refused(h.form("/oauth/token", refresh(id, "x", "client_secret", secret)), 401, "invalid_client")
		h.refused(h.form("/oauth/token", refresh(id, "x")), 401, "invalid_client")
		h.refused(h.form("/oauth/token", refresh(app, "x", "client_secret", "superfluous")), 401, "invalid_client")
		h.refused(h.form("/oauth/token", refresh(id, "x", "client_secret", secret), "Authorization", basic(id, secret)), 400, "invalid_request")
	})
	t.Run("HIST-17 documents that offer none and private_key_jwt, or grants unknown here", func(t *testing.T) {
		h := newHost(t)
		h.connect(vendors["ChatGPT"])
		h.connect(vendors["VS Code"])
	})
	t.Run("HIST-20 registration_client_uri is served", func(t *testing.T) {
		h := newHost(t)
		a := h.register(map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"})
		path := strings.TrimPrefix(a.str("registration_client_uri"), issuer)
		token := "Bearer " + a.str("registration_access_token")
		assert.Equal(t, a.str("client_id"), h.get(path, "Authorization", token).str("client_id"))
		assert.Equal(t, http.StatusNoContent, h.do("DELETE", path, "", "Authorization", token).status)
		assert.Equal(t, http.StatusUnauthorized, h.get(path, "Authorization", token).status)
	})
	t.Run("HIST-21 registrations and authorizations are bounded and end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t)
			m := map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}
			for range 100 {
				h.register(m)
			}
			assert.Equal(t, http.StatusTooManyRequests, h.post("/oauth/register", m).status)
			h.document(docID, appDocument())
			h.ok(h.form("/oauth/token", exchange(docID, docCB, h.codeOf(docID, docCB))))
			time.Sleep(100 * 24 * time.Hour)
			_, err := h.p.Cleanup(t.Context())
			require.NoError(t, err)
			clients, err := h.store.ListClients(t.Context(), "", store.MaxPage)
			require.NoError(t, err)
			assert.Empty(t, clients)
			tokens, err := h.store.ListTokens(t.Context(), store.TokenQuery{Subject: "alice"}, "", store.MaxPage)
			require.NoError(t, err)
			assert.Empty(t, tokens)
		})
	})
}
