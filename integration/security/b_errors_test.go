package security

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

const evil = "https://evil.test/landing"

// errorCases: group B, where errors go.
var errorCases = []caseOf{
	{"SEC-026 an unknown client", func(c *run) {
		for _, id := range []string{"nobody", "APP", "app ", " app", "app\x00", "app\n", "app'--", "*", strings.Repeat("a", 3000), "", "http://client.example/app.json", "app/../app", "\u0430pp"} {
			for _, uri := range []string{evil, "https://app.example/cb"} {
				c.page400(c.person().authorize(c.params(app, "client_id", id, "redirect_uri", uri)), uri)
			}
		}
		v := c.params(app, "redirect_uri", evil)
		v.Add("client_id", loop)
		c.page400(c.person().authorize(v), evil)
	}},
	{"SEC-026 a disabled client is an unknown one", func(c *run) {
		id := c.register(oauth.Client{Public: true, Disabled: true, RedirectURIs: []string{"https://off.example/cb"}})
		off, none := c.person().authorize(c.params(id)), c.person().authorize(c.params(app, "client_id", "nobody"))
		c.page400(off, "off.example")
		assert.Equal(c, withoutStyle(none.body), withoutStyle(off.body))
	}},
	{"SEC-027 a wrong address comes before every other error", func(c *run) {
		for _, wrong := range [][]string{
			{"scope", "nonsense"}, {"response_type", "token"}, {"response_type", ""}, {"code_challenge", ""}, {"prompt", "none"}, {"prompt", "none login"},
			{"response_mode", "fragment"}, {"response_mode", "form_post"}, {"resource", evil}, {"max_age", "x"}, {"request_uri", evil},
		} {
			for _, client := range []string{app, conf, c.dcr} {
				c.page400(c.person().authorize(c.params(client, append(wrong, "redirect_uri", evil)...)), evil)
				c.page400(c.nobody().authorize(c.params(client, append(wrong, "redirect_uri", evil)...)), evil)
			}
		}
	}},
	{"SEC-028 errors of strangers", func(c *run) {
		for _, client := range []string{c.dcr, cimdApp} {
			for _, wrong := range [][]string{{"scope", "nonsense"}, {"code_challenge", ""}, {"response_type", "token"}, {"resource", evil}, {"prompt", "sideways"}, {"response_mode", "fragment"}} {
				v := c.params(client, wrong...)
				b := c.nobody()
				to := c.locationOf(b.authorize(v))
				require.Equal(c, "/login", to.Path)
				require.Empty(c, to.Host)
				b.signIn("u-stranger")
				a := b.visit("GET", to.Query().Get("return_to"), nil)
				require.Equal(c, 400, a.status, "%s", a)
				back := href.FindStringSubmatch(a.body)
				require.NotNil(c, back, "%s", a)
				link, err := url.Parse(html.UnescapeString(back[1]))
				require.NoError(c, err)
				registered, err := url.Parse(v.Get("redirect_uri"))
				require.NoError(c, err)
				assert.Equal(c, registered.Host, link.Host)
				assert.Contains(c, a.body, "Go to "+registered.Host+"<")
				assert.Equal(c, []string{v.Get("state"), issuer}, []string{link.Query().Get("state"), link.Query().Get("iss")})
				assert.NotEmpty(c, link.Query().Get("error"))
			}
		}
	}},
	{"SEC-028 errors of registered clients", func(c *run) {
		for _, b := range []*browser{c.nobody(), c.person()} {
			v := c.params(app, "scope", "nonsense")
			c.redirected(b.authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidScope)
		}
	}},
	{"SEC-028 return_to stays on this host", func(c *run) {
		for _, hostile := range []string{"//evil.test/", "https://evil.test", `/\evil.test`, "javascript:x"} {
			v := c.params(app, "return_to", hostile, "state", hostile, "nonce", hostile)
			to := c.locationOf(c.nobody().authorize(v))
			assert.True(c, strings.HasPrefix(to.Query().Get("return_to"), "/oauth/authorize?"), "%s", to)
		}
	}},
	{"SEC-029 the user says no", func(c *run) {
		for _, client := range []string{app, conf, loop, c.dcr, cimdApp} {
			for _, decision := range []string{"deny", "", "ALLOW", "allow "} {
				b, v := c.person(), c.params(client)
				sent := b.consentForm(b.authorize(v))
				sent.Set("decision", decision)
				c.redirected(b.visit("POST", "/oauth/consent", sent), v.Get("redirect_uri"), v.Get("state"), oauth.ErrAccessDenied)
				assert.Equal(c, 200, b.authorize(v).status, "nothing was remembered")
			}
		}
	}},
	{"SEC-031 response modes that are not there", func(c *run) {
		for _, mode := range []string{"fragment", "web_message", "jwt", "query.jwt", "FORM_POST", "query ", "none"} {
			v := c.params(app, "response_mode", mode)
			a := c.person().authorize(v)
			c.redirected(a, v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
			assert.NotContains(c, a.header.Get("Location"), "#")
		}
		v := c.params(app)
		v["response_mode"] = []string{"query", "form_post"}
		c.page400(c.person().authorize(v))
	}},
	{"SEC-032 nobody may be asked", func(c *run) {
		b, v := c.person(), c.params(app, "prompt", "none")
		to, state := v.Get("redirect_uri"), v.Get("state")
		c.redirected(c.nobody().authorize(v), to, state, oauth.ErrLoginRequired)
		c.redirected(b.authorize(v), to, state, oauth.ErrConsentRequired)
		b.code(c.params(app))
		c.redirected(b.authorize(v), to, state)
		wider := c.params(app, "prompt", "none", "scope", "read write")
		c.redirected(b.authorize(wider), to, wider.Get("state"), oauth.ErrConsentRequired)
		b.authTime = b.authTime.Add(-3600e9)
		old := c.params(app, "prompt", "none", "max_age", "60")
		c.redirected(b.authorize(old), to, old.Get("state"), oauth.ErrLoginRequired)
		both := c.params(app, "prompt", "none login")
		c.redirected(b.authorize(both), to, both.Get("state"), oauth.ErrInvalidRequest)
	}},
	{"SEC-032 nobody may be asked, by a stranger", func(c *run) {
		v := c.params(c.dcr, "prompt", "none")
		require.Equal(c, "/login", c.locationOf(c.nobody().authorize(v)).Path)
		a := c.person().authorize(v)
		require.Equal(c, 400, a.status)
		assert.Contains(c, a.body, "Go to self.example<")
	}},
	{"SEC-033 state comes back as it was", func(c *run) {
		for _, state := range []string{`&=+%20"<>'\`, "\U0001F511\U0001F9FF", strings.Repeat("\u00e9 ", 340), "a&code=forged&iss=https://evil.test", "#x", " ", "\t\r\n", "%00", strings.Repeat("s", 4096)} {
			b, v := c.person(), c.params(app, "state", state)
			page := b.authorize(v)
			c.redirected(b.visit("POST", "/oauth/consent", url.Values{"interaction": b.consentForm(page)["interaction"], "decision": {"deny"}}), v.Get("redirect_uri"), state, oauth.ErrAccessDenied)
			c.redirected(b.allow(page), v.Get("redirect_uri"), state)
		}
		for _, state := range []string{strings.Repeat("s", 4097), strings.Repeat("s", 8<<10), strings.Repeat("s", 20<<10), "a\x00b", "\xff"} {
			c.page400(c.person().authorize(c.params(app, "state", state)))
		}
		v := c.params(app)
		v.Add("state", "second")
		c.page400(c.person().authorize(v))
	}},
	{"SEC-034 a store that fails", func(c *run) {
		c, f := c.faulty()
		b := c.person()
		f.fail("Client")
		a := b.authorize(c.params(app))
		require.Equal(c, 503, a.status)
		f.fail("Consent")
		v := c.params(app)
		unavailable(c, b.authorize(v), v)
		a = b.authorize(c.params(c.dcr)) // a stranger is told nothing
		require.Equal(c, 503, a.status)
		assert.NotContains(c, a.body, "href=")

		for _, method := range []string{"CreateToken", "GrantConsent", "CreateCode"} {
			f.mend()
			b, v := c.person(), c.params(app)
			page := b.authorize(v)
			f.fail(method)
			unavailable(c, b.allow(page), v)
			f.mend()
		}
		f.fail("Client")
		a = b.visit("POST", "/oauth/consent", url.Values{"interaction": {"x"}})
		require.Equal(c, 403, a.status)
	}},
	{"SEC-034 a store that fails at the token endpoint", func(c *run) {
		c, f := c.faulty()
		for _, client := range []string{app, conf} {
			code := c.person().code(c.params(client))
			for _, method := range []string{"Client", "Code", "Consent", "UpdateToken"} {
				f.fail(method)
				c.refused(c.exchange(client, code), 503, oauth.ErrTemporarilyUnavailable)
			}
			f.mend()
			got := c.ok(c.exchange(client, code)) // nothing was spent
			for _, method := range []string{"Client", "Token", "UpdateToken"} {
				f.fail(method)
				c.refused(c.refresh(client, got.RefreshToken), 503, oauth.ErrTemporarilyUnavailable)
			}
			f.mend()
			next := c.ok(c.refresh(client, got.RefreshToken))
			c.ok(c.refresh(client, next.RefreshToken))

			f.fail("RevokeTokens") // a replay that cannot be answered by revoking is not answered otherwise
			c.refused(c.exchange(client, code), 503, oauth.ErrTemporarilyUnavailable)
			f.mend()
			c.refused(c.exchange(client, code), 400, oauth.ErrInvalidGrant)
			c.dead(next.AccessToken)
		}
	}},
	{"SEC-035 after a POST the browser is sent on by 303", func(c *run) {
		b, v := c.person(), c.params(app)
		a := b.visit("POST", "/oauth/authorize", v)
		require.Equal(c, http.StatusSeeOther, a.status)
		page := b.visit("GET", a.header.Get("Location"), nil)
		require.Equal(c, http.StatusSeeOther, b.allow(page).status)
		denied := url.Values{"interaction": b.consentForm(page)["interaction"], "decision": {"deny"}}
		require.Equal(c, http.StatusSeeOther, b.visit("POST", "/oauth/consent", denied).status)
		require.Equal(c, http.StatusSeeOther, c.nobody().authorize(v).status)
	}},
	{"SEC-038 what came in is never in an error", func(c *run) {
		const mark = "zq7x-no-key-has-this" // nor anything else that is random
		hostile := mark + "\"'<script>\\\r\n\x1b[31m\u202e\u00e9" + mark
		for name := range c.params(app) {
			if name == "state" {
				continue
			}
			for _, client := range []string{app, c.dcr} {
				a := c.person().authorize(c.params(client, name, hostile))
				assert.NotContains(c, a.String(), mark, name)
			}
		}
		for _, name := range []string{"scope", "resource", "prompt", "max_age", "response_mode", "nonce", "error", "error_description", "login_hint", "ui_locales", "claims", "request", "request_uri", hostile} {
			a := c.person().authorize(c.params(app, name, hostile, "code_challenge_method", "plain"))
			assert.NotContains(c, a.String(), mark, name)
		}
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
			for _, name := range []string{"grant_type", "code", "code_verifier", "redirect_uri", "refresh_token", "scope", "resource", "client_id", "token", "token_type_hint", "client_secret", "client_assertion", "client_assertion_type", "callback", hostile} {
				for _, grant := range []string{"authorization_code", "refresh_token", "client_credentials"} {
					v := url.Values{"grant_type": {grant}, "client_id": {app}, "code": {"x"}, "refresh_token": {"x"}, "token": {"x"}}
					v.Set(name, hostile)
					a := c.do(form(issuer+path, v))
					assert.NotContains(c, a.String(), mark, name)
				}
			}
		}
		for _, name := range []string{"redirect_uris", "client_name", "scope", "token_endpoint_auth_method", "grant_types", "jwks_uri", "software_statement", hostile} {
			for _, value := range []any{hostile, []string{hostile}} {
				a := c.postJSON("/oauth/register", map[string]any{name: value, "application_type": hostile})
				c.refused(a, 400, oauth.ErrorCode(a.error().Error))
				assert.NotContains(c, a.String(), mark, name)
			}
		}
	}},
}

var href = regexp.MustCompile(`<a class="button" href="([^"]+)"`)

// unavailable: the client is told that the server cannot answer now.
func unavailable(c *run, a answer, v url.Values) {
	c.Helper()
	c.redirected(a, v.Get("redirect_uri"), v.Get("state"), oauth.ErrServerError, oauth.ErrTemporarilyUnavailable)
}
