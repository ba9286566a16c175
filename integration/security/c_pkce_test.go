package security

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// pkceCases: group C.
var pkceCases = []caseOf{
	{"SEC-039 a public client without challenge", func(c *run) {
		for _, client := range []string{app, loop, local} {
			v := c.params(client, "code_challenge", "", "code_challenge_method", "")
			c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		}
		for _, client := range []string{c.dcr, cimdApp} {
			require.Equal(c, 400, c.person().authorize(c.params(client, "code_challenge", "", "code_challenge_method", "")).status)
		}
	}},
	{"SEC-040 a confidential client without challenge", func(c *run) {
		for _, client := range []string{conf, post, pkj} {
			v := c.params(client, "code_challenge", "", "code_challenge_method", "")
			c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		}
	}},
	{"SEC-040 where only public clients need one", func(c *run) {
		c = c.pkceForPublicOnly()
		for _, client := range []string{conf, post, pkj} {
			code := c.person().code(c.params(client, "code_challenge", "", "code_challenge_method", ""))
			c.ok(c.exchange(client, code, "code_verifier", ""))
			c.ok(c.exchange(client, c.person().code(c.params(client)))) // and who sends one is held to it
		}
		for _, client := range []string{app, loop} {
			v := c.params(client, "code_challenge", "", "code_challenge_method", "")
			c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		}
	}},
	{"SEC-041 methods other than S256", func(c *run) {
		for _, c := range []*run{c, c.pkceForPublicOnly()} {
			for _, method := range []string{"plain", "", "S512", "s256", "S256 ", "S256 plain", "none", "\u0053256\u200b"} {
				for _, client := range []string{app, conf} {
					v := c.params(client, "code_challenge_method", method)
					c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
					v = c.params(client, "code_challenge_method", method, "code_challenge", verifier) // as plain wants it
					c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
				}
			}
		}
		var metadata map[string]any
		require.NoError(c, json.Unmarshal([]byte(c.do(request("GET", issuer+"/.well-known/oauth-authorization-server", nil)).body), &metadata))
		assert.Equal(c, []any{"S256"}, metadata["code_challenge_methods_supported"])
	}},
	{"SEC-041 challenges that are no digest", func(c *run) {
		for _, challenge := range []string{"x", s256(verifier)[:42], s256(verifier) + "A", s256(verifier) + "=", strings.Repeat("+", 43), strings.Repeat("/", 43), s256(verifier)[:42] + " ", s256(verifier)[:42] + "\x00", strings.Repeat("\u00e9", 43), strings.Repeat("a", 5000)} {
			v := c.params(app, "code_challenge", challenge)
			c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		}
	}},
	{"SEC-043 no verifier", func(c *run) {
		for _, client := range []string{app, conf, pkj} {
			code := c.person().code(c.params(client))
			c.refused(c.exchange(client, code, "code_verifier", ""), 400, oauth.ErrInvalidGrant)
			empty := c.exchangeForm(client, code)
			empty.Set("code_verifier", "")
			c.refused(c.post("/oauth/token", client, empty), 400, oauth.ErrInvalidGrant)
			for _, name := range []string{"Code_Verifier", "code_verifier ", "codeVerifier", "verifier", "code_challenge"} {
				v := c.exchangeForm(client, code, "code_verifier", "")
				v.Set(name, verifier)
				c.refused(c.post("/oauth/token", client, v), 400, oauth.ErrInvalidGrant)
			}
			c.alive(c.ok(c.exchange(client, code)).AccessToken)
		}
	}},
	{"SEC-044 a wrong verifier, then the right one", func(c *run) {
		code := c.person().code(c.params(app))
		for i := range 8 {
			wrong := fmt.Sprintf("%s-%d", strings.Repeat("w", 50), i)
			c.refused(c.exchange(app, code, "code_verifier", wrong), 400, oauth.ErrInvalidGrant)
		}
		for _, wrong := range []string{verifier + "x", verifier[1:], strings.ToUpper(verifier), s256(verifier)} {
			c.refused(c.exchange(app, code, "code_verifier", wrong), 400, oauth.ErrInvalidGrant)
		}
		twice := c.exchangeForm(app, code)
		twice.Add("code_verifier", verifier)
		c.refused(c.post("/oauth/token", app, twice), 400, oauth.ErrInvalidRequest)
		c.alive(c.ok(c.exchange(app, code)).AccessToken)
	}},
	{"SEC-045 verifiers of a wrong form", func(c *run) {
		for _, wrong := range []string{strings.Repeat("v", 42), strings.Repeat("v", 129), strings.Repeat("v", 43) + "+", strings.Repeat("v", 43) + "=", strings.Repeat("v", 42) + " ", strings.Repeat("v", 43) + "\u00e9", strings.Repeat("v", 43) + "\n", "v"} {
			code := c.person().code(c.params(app, "code_challenge", s256(wrong))) // the digest is right
			c.refused(c.exchange(app, code, "code_verifier", wrong), 400, oauth.ErrInvalidGrant)
		}
		for _, right := range []string{strings.Repeat("v", 43), strings.Repeat("v", 128), strings.Repeat("-._~", 12)} {
			c.ok(c.exchange(app, c.person().code(c.params(app, "code_challenge", s256(right))), "code_verifier", right))
		}
	}},
	{"SEC-046 a verifier without challenge", func(c *run) {
		c = c.pkceForPublicOnly()
		code := c.person().code(c.params(conf, "code_challenge", "", "code_challenge_method", ""))
		c.refused(c.exchange(conf, code), 400, oauth.ErrInvalidRequest)
		c.refused(c.exchange(conf, code, "code_verifier", "short"), 400, oauth.ErrInvalidRequest)
		c.ok(c.exchange(conf, code, "code_verifier", ""))
	}},
	{"SEC-047 a challenge that was taken out of the request", func(c *run) {
		for _, c := range []*run{c, c.pkceForPublicOnly()} {
			for _, strip := range [][]string{{"code_challenge", ""}, {"code_challenge_method", ""}, {"code_challenge", "", "code_challenge_method", ""}} {
				v := c.params(app, strip...)
				c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
			}
		}
		c = c.pkceForPublicOnly()
		v := c.params(conf, "code_challenge", "")
		c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		stripped := c.person().code(c.params(conf, "code_challenge", "", "code_challenge_method", ""))
		c.refused(c.exchange(conf, stripped), 400, oauth.ErrInvalidRequest)
		replaced := c.person().code(c.params(conf, "code_challenge", s256(strings.Repeat("attacker", 6))))
		c.refused(c.exchange(conf, replaced), 400, oauth.ErrInvalidGrant)
	}},
	{"SEC-049 two challenges, or an empty one", func(c *run) {
		for _, name := range []string{"code_challenge", "code_challenge_method"} {
			v := c.params(app)
			v.Add(name, v.Get(name))
			c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		}
		v := c.params(app)
		v.Set("code_challenge", "")
		c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		v.Del("code_challenge_method")
		c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
	}},
	{"SEC-050 challenge and verifier go nowhere", func(c *run) {
		own := strings.Repeat("own-verifier_", 5)
		b, v := c.person(), c.params(app, "code_challenge", s256(own))
		page := b.authorize(v)
		a := b.allow(page)
		got := c.exchange(app, c.locationOf(a).Query().Get("code"), "code_verifier", own)
		c.ok(got)
		c.mu.Lock()
		events := fmt.Sprint(c.events)
		c.mu.Unlock()
		for what, text := range map[string]string{"page": page.String(), "redirect": a.String(), "token": got.String(), "log": c.log.String(), "events": events} {
			for _, s := range []string{own, s256(own), url.QueryEscape(own)} {
				assert.NotContains(c, text, s, what)
			}
		}
	}},
}

// pkceForPublicOnly is a node with the certification policy.
func (c *run) pkceForPublicOnly() *run {
	return c.with("PKCEForPublicOnly", func(cfg *oauth.Config) { cfg.Policy.PKCEForPublicOnly = true })
}
