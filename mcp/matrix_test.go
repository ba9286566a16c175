package mcp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
)

// The matrix of docs/mcp.md: deviations that one client or another does not
// forgive. First the strings, which some compare byte for byte: each is one
// configured string, the same at every place.
func TestMatrixStrings(t *testing.T) {
	for name, c := range map[string]struct{ issuer, resource string }{
		"M1 a host for everything":         {issuer, endpoint},
		"M1 issuer with a path":            {"https://mcp.example/tenant", endpoint},
		"M1 issuer elsewhere":              {"https://auth.example", endpoint},
		"M1 on this machine":               {"http://127.0.0.1:9400", "http://127.0.0.1:9400/mcp"},
		"M1 resource that is a host":       {issuer, issuer},
		"M1 resource that ends in a slash": {issuer, issuer + "/mcp/"},
		"M1 resource with a query":         {issuer, issuer + "/mcp?tenant=1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, func(h *host) {
				h.cfg.Issuer, h.cfg.Resources = c.issuer, []oauth.Resource{{URI: c.resource}}
			}).addApp()
			_, at, _ := strings.Cut(h.call("look", "").header.Get("WWW-Authenticate"), `resource_metadata="`)
			at, _, _ = strings.Cut(at, `"`)
			protected := h.get(at)
			assert.Equal(t, c.resource, protected.str("resource"), "what people type: no slash is added, none is taken")
			require.Equal(t, []string{c.issuer}, protected.list("authorization_servers"))
			u, err := url.Parse(c.issuer)
			require.NoError(t, err)
			server := h.get(u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.Path)
			assert.Equal(t, c.issuer, server.str("issuer"))
			authorize := strings.TrimPrefix(server.str("authorization_endpoint"), u.Scheme+"://"+u.Host)
			a := h.browse("GET", authorize+"?"+authorization(app, appCB, "resource", c.resource, "prompt", "none").Encode(), nil)
			assert.Equal(t, "consent_required", h.callback(a, appCB).Get("error"), "callback has compared iss")
			req, err := h.p.ParseAuthorization(t.Context(), authorization(app, appCB, "resource", c.resource))
			require.NoError(t, err)
			code, err := h.p.CreateAuthorizationCode(t.Context(), req, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
			require.NoError(t, err)
			token := strings.TrimPrefix(server.str("token_endpoint"), u.Scheme+"://"+u.Host)
			got := claims(t, h.ok(h.form(token, exchange(app, appCB, code, "resource", c.resource))).str("access_token"))
			assert.Equal(t, c.issuer, got["iss"])
			assert.Equal(t, c.resource, got["aud"])
		})
	}
}

// What cannot be configured, since a client would fail on it.
func TestMatrixOfWhatIsRefusedAtStart(t *testing.T) {
	v := resource.VerifierFunc(nil)
	t.Run("M2 authorization_servers with a slash", func(t *testing.T) {
		_, err := resource.New(resource.Config{Resource: endpoint, Issuers: []string{issuer + "/"}, Verifier: v})
		assert.ErrorContains(t, err, "no slash at its end")
	})
	t.Run("M3 issuer with a slash", func(t *testing.T) {
		_, err := oauth.New(oauth.Config{Issuer: issuer + "/"})
		assert.ErrorContains(t, err, "must not end with a slash")
	})
	t.Run("M3 issuer or resource in upper case", func(t *testing.T) {
		_, err := oauth.New(oauth.Config{Issuer: "https://MCP.example"})
		assert.ErrorContains(t, err, "lower case")
		_, err = resource.New(resource.Config{Resource: "https://MCP.example/mcp", Issuers: []string{issuer}, Verifier: v})
		assert.ErrorContains(t, err, "lower case")
	})
}

// What is always there, on every way.
func TestMatrixOfPromises(t *testing.T) {
	h := newHost(t).addApp()
	m := h.get("/.well-known/oauth-authorization-server")
	t.Run("M4 code_challenge_methods_supported", func(t *testing.T) {
		assert.Equal(t, []string{"S256"}, m.list("code_challenge_methods_supported"))
	})
	t.Run("M5 iss is advertised and sent, on success and on every error", func(t *testing.T) {
		require.Equal(t, true, m.json["authorization_response_iss_parameter_supported"])
		assert.NotEmpty(t, h.code())
		for parameter, value := range map[string]string{"response_type": "token", "scope": `re"ad`, "resource": "https://other.example", "prompt": "x", "code_challenge": "", "max_age": "x", "response_mode": "x"} {
			assert.NotEmpty(t, h.callback(h.authorize(authorization(app, appCB, parameter, value)), appCB).Get("error"), parameter)
		}
	})
	t.Run("M6 resource metadata without a challenge header, at path and root", func(t *testing.T) {
		for _, at := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
			assert.Equal(t, endpoint, h.get(at, "MCP-Protocol-Version", "2025-11-25").str("resource"))
		}
	})
	t.Run("M7 what is not there is 404 and no error page of another kind", func(t *testing.T) {
		for _, at := range []string{"/.well-known/oauth-protected-resource/other", "/.well-known/oauth-authorization-server/mcp"} {
			assert.Equal(t, http.StatusNotFound, h.get(at).status, "clients then try the next place")
		}
	})
}

// What clients send that is not quite what the RFCs say, and gets what it means.
func TestMatrixOfTolerance(t *testing.T) {
	t.Run("M8 Basic with an empty secret is a public client", func(t *testing.T) {
		h := newHost(t).addApp()
		form := exchange(app, appCB, h.code(), "client_id", "")
		h.ok(h.form("/oauth/token", form, "Authorization", basic(app, "")))
	})
	t.Run("M9 a code survives client authentication that failed", func(t *testing.T) {
		h := newHost(t).addApp()
		code := h.code()
		form := exchange(app, appCB, code, "client_id", "")
		h.refused(h.form("/oauth/token", form, "Authorization", basic(app, "wrong")), 401, "invalid_client")
		h.refused(h.form("/oauth/token", form, "Authorization", "Basic !"), 401, "invalid_client")
		h.refused(h.form("/oauth/token", form), 401, "invalid_client")
		h.ok(h.form("/oauth/token", exchange(app, appCB, code)))
	})
	t.Run("M10 resource left out at exchange and refresh is the granted one", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.ok(h.form("/oauth/token", exchange(app, appCB, h.code(), "resource", "")))
		assert.Equal(t, endpoint, claims(t, a.str("access_token"))["aud"])
		a = h.ok(h.form("/oauth/token", refresh(app, a.str("refresh_token"))))
		assert.Equal(t, endpoint, claims(t, a.str("access_token"))["aud"])
		h.ok(h.form("/oauth/token", refresh(app, a.str("refresh_token"), "resource", endpoint)))
	})
	t.Run("M10 no resource at all: the only one there is", func(t *testing.T) {
		h := newHost(t).addApp()
		a := h.ok(h.form("/oauth/token", exchange(app, appCB, h.code("resource", ""), "resource", "")))
		assert.Equal(t, endpoint, claims(t, a.str("access_token"))["aud"])
	})
	t.Run("M11 empty values are absent", func(t *testing.T) {
		h := newHost(t).addApp()
		v := authorization(app, appCB, "scope", "")
		v["scope"] = []string{""}
		for _, name := range []string{"prompt", "nonce", "max_age", "response_mode"} {
			v[name] = []string{""}
		}
		form := exchange(app, appCB, h.callback(h.authorize(v), appCB).Get("code"))
		for _, name := range []string{"client_secret", "scope", "client_assertion", "refresh_token"} {
			form[name] = []string{""}
		}
		form["resource"] = []string{""}
		h.ok(h.form("/oauth/token", form))
	})
	t.Run("M12 a secret that is not form-encoded in Basic, and one that is", func(t *testing.T) {
		h := newHost(t)
		a := h.register(map[string]any{"redirect_uris": []string{appCB}})
		id, secret := a.str("client_id"), a.str("client_secret")
		assert.Equal(t, url.QueryEscape(id+secret), id+secret, "issued from characters that need no encoding")
		for _, spelled := range []string{basic(id, secret), basic(url.QueryEscape(id), url.QueryEscape(secret)), basic(id, "%"+hexOf(secret[0])+secret[1:])} {
			form := exchange(id, appCB, h.codeOf(id, appCB), "client_id", "")
			h.ok(h.form("/oauth/token", form, "Authorization", spelled))
		}
	})
	t.Run("M13 a code and a refresh token survive a wrong resource", func(t *testing.T) {
		h := newHost(t).addApp()
		code := h.code()
		h.refused(h.form("/oauth/token", exchange(app, appCB, code, "resource", "https://other.example")), 400, "invalid_target")
		token := h.ok(h.form("/oauth/token", exchange(app, appCB, code))).str("refresh_token")
		h.refused(h.form("/oauth/token", refresh(app, token, "resource", "https://other.example")), 400, "invalid_target")
		h.ok(h.form("/oauth/token", refresh(app, token)))
	})
	t.Run("M14 scopes in any order, and unknown ones", func(t *testing.T) {
		h := newHost(t).addApp()
		assert.Equal(t, "write read", h.login("scope", "write read").str("scope"))
		assert.Equal(t, "read", h.login("scope", "openid read profile").str("scope"))
	})
	t.Run("M14 unknown scopes only: the default, said in the answer", func(t *testing.T) {
		h := newHost(t).addApp()
		for _, scope := range []string{"claudeai", "openid email profile", "claudeai offline_access", "a:b/c"} {
			assert.Equal(t, "read write", h.login("scope", scope).str("scope"), scope)
		}
		for _, scope := range []string{"admin", "admin claudeai", `claude"ai`, "claude  ai", " "} {
			assert.Equal(t, "invalid_scope", h.callback(h.authorize(authorization(app, appCB, "scope", scope)), appCB).Get("error"), scope)
		}
	})
}

// A server without scopes has clients that ask for some.
func TestMatrixWithoutScopes(t *testing.T) {
	t.Run("M14 scopes where there are none", func(t *testing.T) {
		h := newHost(t, func(h *host) { h.cfg.Scopes, h.profile.Scopes = nil, nil })
		id := h.register(map[string]any{"redirect_uris": []string{appCB}, "token_endpoint_auth_method": "none", "scope": "claudeai"}).str("client_id")
		for _, scope := range []string{"claudeai", ""} {
			a := h.form("/oauth/token", exchange(id, appCB, h.codeOf(id, appCB, "scope", scope)))
			require.Equal(t, http.StatusOK, a.status, a.body)
			assert.Empty(t, a.str("scope"))
		}
	})
}

func hexOf(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}
