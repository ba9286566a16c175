package security

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

const afterGrace = 31 * time.Second

// refreshCases: group E, refresh tokens.
var refreshCases = []caseOf{
	{"SEC-067 a replaced token after the grace window", func(c *run) {
		for _, client := range []string{app, conf, pkj, c.dcr, cimdApp} {
			first := c.login(client)
			second := c.ok(c.refresh(client, first.RefreshToken))
			c.age(second.RefreshToken, afterGrace)
			c.refused(c.on(c.b).refresh(client, first.RefreshToken), 400, oauth.ErrInvalidGrant)
			c.dead(first.AccessToken)
			c.ended(client, second)
		}
	}},
	{"SEC-067 a replaced token in the hands of others ends nothing", func(c *run) {
		for _, client := range []string{app, conf} {
			first := c.login(client)
			second := c.ok(c.refresh(client, first.RefreshToken))
			c.age(second.RefreshToken, afterGrace)
			for _, other := range []string{loop, post, pkj, c.dcr} {
				c.refused(c.refresh(other, first.RefreshToken), 400, oauth.ErrInvalidGrant)
				require.Equal(c, 200, c.post("/oauth/revoke", other, url.Values{"token": {first.RefreshToken}}).status)
				require.Equal(c, `{"active":false}`, c.introspect(api, first.RefreshToken).body)
			}
			c.refused(c.do(form(issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}})), 401, oauth.ErrInvalidClient)
			c.alive(second.AccessToken)
			c.ok(c.refresh(client, second.RefreshToken))
		}
	}},
	{"SEC-067 no grace at all", func(c *run) {
		strict := c.with("NoGrace", func(cfg *oauth.Config) { cfg.Policy.RefreshGrace = oauth.NoGrace })
		first := strict.login(app)
		second := strict.ok(strict.refresh(app, first.RefreshToken))
		strict.refused(strict.refresh(app, first.RefreshToken), 400, oauth.ErrInvalidGrant)
		c.dead(first.AccessToken)
		c.ended(app, second)
	}},
	{"SEC-067 a token after its time", func(c *run) {
		got := c.login(app)
		c.age(got.RefreshToken, 31*24*time.Hour)
		require.Equal(c, `{"active":false}`, c.introspect(api, got.RefreshToken).body)
		c.refused(c.refresh(app, got.RefreshToken), 400, oauth.ErrInvalidGrant)
		c.refused(c.on(c.b).refresh(app, got.RefreshToken), 400, oauth.ErrInvalidGrant)
	}},
	{"SEC-068 a retry after a lost answer", func(c *run) {
		for _, client := range []string{app, conf} {
			first := c.login(client, "scope", "read write")
			second := c.ok(c.refresh(client, first.RefreshToken))
			for _, at := range []*node{c.a, c.b} {
				again := c.ok(c.on(at).refresh(client, first.RefreshToken))
				require.Equal(c, second.RefreshToken, again.RefreshToken)
				c.alive(again.AccessToken)
			}
			narrow := c.ok(c.refresh(client, first.RefreshToken, "scope", "read"))
			require.Equal(c, []string{second.RefreshToken, "read"}, []string{narrow.RefreshToken, narrow.Scope})
			c.refused(c.refresh(client, first.RefreshToken, "scope", "admin"), 400, oauth.ErrInvalidScope)
			c.alive(second.AccessToken)
			require.Equal(c, "read write", c.ok(c.refresh(client, second.RefreshToken)).Scope)
		}
	}},
	{"SEC-069 a retry after the successor was used", func(c *run) {
		first := c.login(app)
		second := c.ok(c.refresh(app, first.RefreshToken))
		third := c.ok(c.refresh(app, second.RefreshToken))
		c.refused(c.refresh(app, first.RefreshToken), 400, oauth.ErrInvalidGrant)
		c.dead(first.AccessToken)
		c.dead(second.AccessToken)
		c.ended(app, third)
	}},
	{"SEC-070 refresh at once", func(c *run) {
		for range scaled(1, 10_000) {
			for _, client := range []string{app, conf} {
				first := c.login(client)
				next := map[string]bool{}
				for _, a := range c.burst(64, func(int) *http.Request {
					return c.authenticated("/oauth/token", client, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}})
				}) {
					next[c.ok(a).RefreshToken] = true
				}
				require.Len(c, next, 1, "live refresh tokens")
				for token := range next {
					last := c.ok(c.refresh(client, token))
					c.refused(c.refresh(client, first.RefreshToken), 400, oauth.ErrInvalidGrant)
					c.ended(client, last)
				}
			}
		}
	}},
	{"SEC-070 refresh at once, no grace", func(c *run) {
		strict := c.with("NoGrace", func(cfg *oauth.Config) { cfg.Policy.RefreshGrace = oauth.NoGrace })
		first := strict.login(app)
		var won []tokens
		for _, a := range strict.burst(16, func(int) *http.Request {
			return strict.authenticated("/oauth/token", app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}})
		}) {
			if a.status == http.StatusOK {
				won = append(won, strict.ok(a))
				continue
			}
			strict.refused(a, 400, oauth.ErrInvalidGrant)
		}
		require.Len(c, won, 1)
		c.ended(app, won[0])
	}},
	{"SEC-070 refresh at once, for different things", func(c *run) {
		v := c.params(app, "scope", "read write")
		v["resource"] = []string{apiURI, mcpURI}
		first := c.ok(c.exchange(app, c.person().code(v)))
		wanted := []url.Values{{}, {"scope": {"read"}}, {"scope": {"write"}, "resource": {apiURI}}, {"resource": {mcpURI}}, {"scope": {"admin"}}, {"resource": {evil}}}
		next := map[string]bool{}
		for i, a := range c.burst(36, func(i int) *http.Request {
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}}
			for name, values := range wanted[i%6] {
				form[name] = values
			}
			return c.authenticated("/oauth/token", app, form)
		}) {
			switch i % 6 {
			case 4:
				c.refused(a, 400, oauth.ErrInvalidScope)
				continue
			case 5:
				c.refused(a, 400, "invalid_target")
				continue
			}
			got := c.ok(a)
			next[got.RefreshToken] = true
			require.Equal(c, []string{"read write", "read", "write", "read"}[i%6], got.Scope)
		}
		require.Len(c, next, 1)
		for token := range next {
			require.Equal(c, "read write", c.ok(c.refresh(app, token)).Scope)
		}
	}},
	{"SEC-071 two generations old", func(c *run) {
		first := c.login(app)
		second := c.ok(c.refresh(app, first.RefreshToken))
		third := c.ok(c.refresh(app, second.RefreshToken))
		last := c.ok(c.refresh(app, third.RefreshToken))
		c.refused(c.refresh(app, first.RefreshToken), 400, oauth.ErrInvalidGrant)
		c.ended(app, last)
	}},
	{"SEC-073 scopes", func(c *run) {
		got := c.login(app, "scope", "read write")
		before := c.record(got.RefreshToken).Version
		for _, wider := range []string{"read admin", "admin", "read write offline_access", "READ", "read\twrite", "nonsense"} {
			c.refused(c.refresh(app, got.RefreshToken, "scope", wider), 400, oauth.ErrInvalidScope)
		}
		require.Equal(c, before, c.record(got.RefreshToken).Version, "rotated")
		narrow := c.ok(c.refresh(app, got.RefreshToken, "scope", "read"))
		require.Equal(c, []any{"read", "read"}, []any{narrow.Scope, claimsOf(c, narrow.AccessToken)["scope"]})
		require.Equal(c, "write", c.ok(c.refresh(app, narrow.RefreshToken, "scope", "write write")).Scope)
		again := c.ok(c.refresh(app, narrow.RefreshToken)) // a retry, and all of it
		require.Equal(c, "read write", again.Scope)
	}},
	{"SEC-074 resources", func(c *run) {
		v := c.params(app, "scope", "read")
		v["resource"] = []string{apiURI, mcpURI}
		got := c.ok(c.exchange(app, c.person().code(v)))
		one := c.login(app, "resource", mcpURI, "scope", "read")
		before := c.record(one.RefreshToken).Version
		for _, wrong := range []string{apiURI, evil, mcpURI + "/", mcpURI + "#", "mcp", strings.Repeat("https://mcp.example/mcp", 200)} {
			c.refused(c.refresh(app, one.RefreshToken, "resource", wrong), 400, "invalid_target")
		}
		require.Equal(c, before, c.record(one.RefreshToken).Version, "rotated")
		require.Equal(c, mcpURI, audience(c, c.ok(c.refresh(app, one.RefreshToken))))
		narrow := c.ok(c.refresh(app, got.RefreshToken, "resource", mcpURI))
		require.Equal(c, mcpURI, audience(c, narrow))
		require.Equal(c, http.StatusUnauthorized, c.call("api.example", narrow.AccessToken).status)
		all := c.ok(c.refresh(app, narrow.RefreshToken))
		require.ElementsMatch(c, []any{apiURI, mcpURI}, claimsOf(c, all.AccessToken)["aud"])
	}},
	{"SEC-076 a confidential client that does not authenticate", func(c *run) {
		for _, client := range []string{conf, post, pkj} {
			got := c.login(client)
			before := c.record(got.RefreshToken).Version
			v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}
			c.refused(c.do(form(issuer+"/oauth/token", v)), 401, oauth.ErrInvalidClient)
			v.Set("client_id", client)
			c.refused(c.do(form(issuer+"/oauth/token", v)), 401, oauth.ErrInvalidClient)
			v.Set("client_secret", "wrong-secret-of-the-client")
			c.refused(c.do(form(issuer+"/oauth/token", v)), 401, oauth.ErrInvalidClient)
			r := form(issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}})
			r.SetBasicAuth(client, "")
			c.refused(c.do(r), 401, oauth.ErrInvalidClient)
			require.Equal(c, before, c.record(got.RefreshToken).Version, "rotated")
			c.ok(c.refresh(client, got.RefreshToken))
		}
	}},
	{"SEC-077 one kind of token in the place of another", func(c *run) {
		b := c.person()
		got, code := c.loginAs(b, app), b.code(c.params(app))
		own := c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}}))
		for _, host := range []string{"api.example", "jwt.example", "introspect.example"} {
			for _, wrong := range []string{got.RefreshToken, code} {
				a := c.call(host, wrong)
				require.Equal(c, http.StatusUnauthorized, a.status)
				require.Contains(c, a.header.Get("WWW-Authenticate"), `error="invalid_token"`)
			}
		}
		for _, wrong := range []string{got.AccessToken, own.AccessToken, code, strings.Replace(got.RefreshToken, ".", "..", 1)} {
			c.refused(c.refresh(app, wrong), 400, oauth.ErrInvalidGrant)
		}
		for _, wrong := range []string{got.AccessToken, got.RefreshToken} {
			c.refused(c.exchange(app, wrong), 400, oauth.ErrInvalidGrant)
		}
		c.alive(got.AccessToken)
		c.ok(c.refresh(app, got.RefreshToken))
		c.ok(c.exchange(app, code))
	}},
	{"SEC-080 a client without the grant", func(c *run) {
		client := c.register(oauth.Client{Public: true, GrantTypes: []string{"authorization_code"}, Scopes: []string{"read"}, RedirectURIs: []string{"https://once.example/cb"}})
		got := c.login(client)
		require.Empty(c, got.RefreshToken)
		c.refused(c.refresh(client, c.login(app).RefreshToken), 400, oauth.ErrUnauthorizedClient)
		id, _, _ := strings.Cut(claimsOf(c, got.AccessToken)["jti"].(string), ".")
		c.change(client, func(k *oauth.Client) { k.GrantTypes = append(k.GrantTypes, "refresh_token") })
		c.refused(c.refresh(client, id+"."+strings.Repeat("A", 22)+"."+strings.Repeat("A", 43)), 400, oauth.ErrInvalidGrant)
		kept := c.login(client)
		c.change(client, func(k *oauth.Client) { k.GrantTypes = []string{"authorization_code"} })
		c.refused(c.refresh(client, kept.RefreshToken), 400, oauth.ErrUnauthorizedClient)
	}},
	{"SEC-081 no rotation for confidential clients, by policy", func(c *run) {
		c = c.with("NoRotation", func(cfg *oauth.Config) { cfg.Policy.NoRotation = true })
		for _, client := range []string{conf, pkj} {
			got := c.login(client)
			for range 3 {
				require.Contains(c, []string{got.RefreshToken, ""}, c.ok(c.refresh(client, got.RefreshToken)).RefreshToken)
			}
		}
		got := c.login(app)
		require.NotEqual(c, got.RefreshToken, c.ok(c.refresh(app, got.RefreshToken)).RefreshToken)
	}},
	{"SEC-082 nothing that is kept can be used", func(c *run) {
		var issued, ids []string
		for range scaled(10, 1000) {
			for _, client := range []string{app, conf, c.dcr} {
				b := c.person()
				got := c.loginAs(b, client)
				next := c.ok(c.refresh(client, got.RefreshToken))
				ids = append(ids, c.record(next.RefreshToken).ID)
				issued = append(issued, got.AccessToken, got.RefreshToken, next.RefreshToken, next.AccessToken, b.code(c.params(client)))
			}
		}
		a := c.postJSON("/oauth/register", map[string]any{"redirect_uris": []string{"https://self.example/cb"}})
		var registered map[string]any
		require.NoError(c, json.Unmarshal([]byte(a.body), &registered))
		issued = append(issued, registered["client_secret"].(string), registered["registration_access_token"].(string))
		for _, credential := range c.credentials {
			issued = append(issued, credential.secret)
		}
		kept := c.dump(c)
		for _, id := range ids {
			require.Contains(c, kept, id, "the dump is not whole")
		}
		secret := secrets{}
		for _, s := range issued {
			secret.add("issued", s) // and, of what has parts, the signature or the secret ones
		}
		require.Greater(c, len(secret), len(issued))
		assert.Empty(c, secret.finder().in(kept))
	}},
	{"SEC-083 guesses at a refresh token", func(c *run) {
		got := c.login(app)
		before := c.record(got.RefreshToken)
		part := strings.Split(got.RefreshToken, ".")
		random := func(n int) string { return strings.Repeat(rand.Text(), 3)[:n] }
		for range scaled(50, 10_000) {
			guess := part[0] + "." + random(len(part[1])) + "." + random(len(part[2]))
			c.refused(c.refresh(app, guess), 400, oauth.ErrInvalidGrant)
			require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {guess}}).status)
		}
		for _, guess := range []string{part[0], part[0] + ".", part[0] + "..", strings.Join(part[:2], "."), strings.Join(part[:2], ".") + ".", got.RefreshToken + ".", got.RefreshToken + "A",
			"." + got.RefreshToken, strings.ToUpper(got.RefreshToken), got.RefreshToken + "=", part[0] + "." + part[2] + "." + part[1], part[1] + "." + part[0] + "." + part[2], part[0] + "." + flip(part[1], 3) + "." + part[2]} {
			c.refused(c.refresh(app, guess), 400, oauth.ErrInvalidGrant)
			require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {guess}}).status)
		}
		require.Equal(c, before, c.record(got.RefreshToken))
		c.alive(got.AccessToken)
		c.ok(c.refresh(app, got.RefreshToken))
	}},
}

// audience is the one resource that an access token is for.
func audience(c *run, got tokens) any { return claimsOf(c, got.AccessToken)["aud"] }
