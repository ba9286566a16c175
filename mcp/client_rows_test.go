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

const docID, docCB = "https://app.example/client.json", "https://app.example/cb"

// appDocument is a good metadata document; pairs change it, nil removes.
func appDocument(pairs ...any) map[string]any {
	m := map[string]any{"client_name": "App", "redirect_uris": []string{docCB, "http://localhost/callback"}, "token_endpoint_auth_method": "none"}
	for i := 0; i < len(pairs); i += 2 {
		if m[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(m, pairs[i].(string))
		}
	}
	return m
}

// The rows about clients that are described by a document, numbered as in
// docs/mcp.md.
func TestServerRowsOfMetadataDocuments(t *testing.T) {
	t.Run("A6 the document is fetched when the client_id is a URL", func(t *testing.T) {
		h := newHost(t)
		h.document(docID, appDocument())
		h.codeOf(docID, docCB)
		assert.Equal(t, 1, h.fetched)
	})
	refused := func(t *testing.T, id string, document map[string]any) {
		synctest.Test(t, func(t *testing.T) { // failures take their time
			h := newHost(t)
			h.document(docID, document)
			if other, ok := document["other_id"]; ok {
				h.web[docID] = strings.Replace(h.web[docID], docID, other.(string), 1)
			}
			a := h.authorize(authorization(id, docCB))
			assert.Equal(t, http.StatusBadRequest, a.status, a.body)
			assert.Empty(t, a.header.Get("Location"))
		})
	}
	t.Run("A7 client_id of the document is its URL exactly", func(t *testing.T) {
		for _, other := range []string{"https://app.example/Client.json", docID + "/", "https://app.example:443/client.json", "https://evil.example/client.json"} {
			refused(t, docID, appDocument("other_id", other))
		}
	})
	t.Run("A8 JSON with name and redirect URIs, at an https URL with a path", func(t *testing.T) {
		for _, missing := range []string{"client_name", "redirect_uris"} {
			refused(t, docID, appDocument(missing, nil))
		}
		for _, id := range []string{"http://app.example/client.json", "https://app.example", "https://app.example/"} {
			refused(t, id, appDocument())
		}
	})
	t.Run("A8 members and grant types that only others know are ignored", func(t *testing.T) {
		h := newHost(t)
		h.document(docID, appDocument("grant_types", []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
			"response_types", []string{"code", "x"}, "x_vendor", map[string]any{"a": []int{1}}))
		h.codeOf(docID, docCB)
	})
	t.Run("A9 redirect URIs are those of the document, with any port on loopback", func(t *testing.T) {
		h := newHost(t)
		h.document(docID, appDocument())
		h.codeOf(docID, "http://localhost:53211/callback")
		for _, other := range []string{"https://app.example/other", "http://localhost:53211/other", "http://127.0.0.1:53211/callback"} {
			assert.Equal(t, http.StatusBadRequest, h.authorize(authorization(docID, other)).status, other)
		}
	})
	t.Run("A10 the document is kept as long as its headers say", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t)
			h.document(docID, appDocument())
			for range 3 {
				h.codeOf(docID, docCB)
			}
			assert.Equal(t, 1, h.fetched)
			time.Sleep(time.Hour)
			h.codeOf(docID, docCB)
			assert.Equal(t, 2, h.fetched)
		})
	})
	t.Run("A11 nothing is fetched from addresses that are not public", func(t *testing.T) {
		h := newHost(t)
		for _, id := range []string{"https://127.0.0.1/c", "https://localhost/c", "https://10.0.0.1/c", "https://[::1]/c", "https://intranet/c", "https://mcp.example/c", "https://app.example:8443/c"} {
			assert.Equal(t, http.StatusBadRequest, h.authorize(authorization(id, docCB)).status)
		}
		assert.Zero(t, h.fetched)
	})
	t.Run("A12 the page shows the redirect host, and warns of strangers and of programs here", func(t *testing.T) {
		h := newHost(t)
		h.document(docID, appDocument("client_name", "Claude"))
		h.codeOf(docID, docCB)
		for _, part := range []string{"“Claude”", "<dd>app.example</dd>", "describes itself at app.example", "name was not checked"} {
			assert.Contains(t, h.page, part)
		}
		h.codeOf(docID, "http://localhost:53211/callback")
		assert.Contains(t, h.page, "<dd>localhost:53211</dd>")
		assert.Contains(t, h.page, "a program on this computer")
	})
}

// codeOf authorizes any client and returns its code.
func (h *host) codeOf(clientID, redirectURI string, pairs ...string) string {
	h.t.Helper()
	v := h.callback(h.authorize(authorization(clientID, redirectURI, pairs...)), redirectURI)
	require.NotEmpty(h.t, v.Get("code"), "%v", v)
	return v.Get("code")
}

// The rows about clients that register themselves, and about our own sign-in.
func TestServerRowsOfRegistration(t *testing.T) {
	t.Run("A14 registration by application_type, its defaults, and refusals that can be read", func(t *testing.T) {
		h := newHost(t)
		for kind, uris := range map[string][]string{"native": {"http://127.0.0.1:3118/callback"}, "web": {"https://app.example/cb"}} {
			a := h.register(map[string]any{"redirect_uris": uris})
			assert.Equal(t, kind, a.str("application_type"), "inferred where it is absent")
			assert.Equal(t, "client_secret_basic", a.str("token_endpoint_auth_method"), "the default of RFC 7591")
			assert.NotEmpty(t, a.str("client_secret"))
			assert.Equal(t, kind, h.register(map[string]any{"redirect_uris": uris, "application_type": kind}).str("application_type"))
		}
		a := h.do("POST", "/oauth/register", `{"redirect_uris":["http://127.0.0.1/cb"],"application_type":"web"}`, "Content-Type", "application/json")
		h.refused(a, 400, "invalid_redirect_uri")
	})
	t.Run("A14 registering again and again makes clients that are apart", func(t *testing.T) {
		h := newHost(t)
		metadata := map[string]any{"client_name": "Same", "redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none"}
		one, two := h.register(metadata).str("client_id"), h.register(metadata).str("client_id")
		require.NotEqual(t, one, two)
		code := h.codeOf(one, appCB)
		h.refused(h.form("/oauth/token", exchange(two, appCB, code)), 400, "invalid_grant")
		a := h.ok(h.form("/oauth/token", exchange(one, appCB, code)))
		assert.Contains(t, h.browse("GET", "/oauth/authorize?"+authorization(two, appCB).Encode(), nil).body, "Same", "its twin is asked for on its own")
		h.refused(h.form("/oauth/token", refresh(two, a.str("refresh_token"))), 400, "invalid_grant")
		_, err := h.p.RevokeConsent(t.Context(), "alice", two)
		require.NoError(t, err)
		h.ok(h.form("/oauth/token", refresh(one, a.str("refresh_token"))))
	})
	t.Run("A28 consent is per client and user, before anything else, and nothing is stored until then", func(t *testing.T) {
		h := newHost(t).addApp()
		page := h.browse("GET", "/oauth/authorize?"+authorization(app, appCB).Encode(), nil)
		require.Equal(t, http.StatusOK, page.status)
		for _, part := range []string{"“App”", "app.example", "Read"} {
			assert.Contains(t, page.body, part)
		}
		assert.Contains(t, page.header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		assert.NotContains(t, page.header.Get("Content-Security-Policy"), "form-action", "which would stop the redirect to the client")
		assert.Equal(t, "DENY", page.header.Get("X-Frame-Options"))
		cookie := strings.Join(page.header.Values("Set-Cookie"), "\n")
		for _, part := range []string{"__Host-", "Secure", "HttpOnly", "SameSite=Lax"} {
			assert.Contains(t, cookie, part)
		}
		form := url.Values{"interaction": {hidden.FindStringSubmatch(page.body)[1]}, "decision": {"allow"}, "scope": {"read"}}
		h.user = "mallory"
		assert.Equal(t, http.StatusForbidden, h.browse("POST", "/oauth/consent", form).status, "of another user")
		h.user = "alice"
		cookies := h.cookies
		h.cookies = map[string]string{}
		assert.Equal(t, http.StatusForbidden, h.browse("POST", "/oauth/consent", form).status, "in another browser")
		h.cookies = cookies
		assert.NotEmpty(t, h.callback(h.browse("POST", "/oauth/consent", form), appCB).Get("code"))
		assert.NotEqual(t, http.StatusSeeOther, h.browse("POST", "/oauth/consent", form).status, "once")
		_, _, err := h.p.RegisterClient(t.Context(), oauth.Client{ID: "other", Name: "App", Public: true, RedirectURIs: []string{appCB}, Scopes: []string{"read"}})
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, h.browse("GET", "/oauth/authorize?"+authorization("other", appCB).Encode(), nil).status, "another client is asked for anew")
	})
}
