package security

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

const inactive = `{"active":false}`

// introspectionCases: group P, introspection and revocation.
var introspectionCases = []caseOf{
	{"SEC-207 who may introspect", func(c *run) {
		got := c.login(app)
		v := url.Values{"token": {got.AccessToken}}
		ask := func(change func(v url.Values), headers ...string) answer {
			c.Helper()
			sent := url.Values{"token": v["token"]}
			change(sent)
			r := form(issuer+"/oauth/introspect", sent)
			for i := 0; i < len(headers); i += 2 {
				r.Header.Add(headers[i], headers[i+1])
			}
			return c.do(r)
		}
		for name, a := range map[string]answer{
			"nobody":               ask(func(url.Values) {}),
			"a public client":      ask(func(v url.Values) { v.Set("client_id", app) }),
			"a stranger":           ask(func(v url.Values) { v.Set("client_id", c.dcr) }),
			"a document":           ask(func(v url.Values) { v.Set("client_id", cimdApp) }),
			"an unknown client":    ask(func(v url.Values) { v.Set("client_id", "nobody"); v.Set("client_secret", strings.Repeat("x", 43)) }),
			"a wrong secret":       ask(func(v url.Values) { v.Set("client_id", api); v.Set("client_secret", strings.Repeat("x", 43)) }),
			"a secret left out":    ask(func(v url.Values) { v.Set("client_id", api) }),
			"an access token":      ask(func(url.Values) {}, "Authorization", "Bearer "+got.AccessToken),
			"a token for both":     ask(func(v url.Values) { v.Set("client_id", api) }, "Authorization", "Bearer "+got.AccessToken),
			"an empty Basic":       ask(func(url.Values) {}, "Authorization", "Basic Og=="),
			"the public by Basic":  ask(func(url.Values) {}, "Authorization", "Basic YXBwOg=="),
			"a certificate header": ask(func(v url.Values) { v.Set("client_id", api) }, "X-Client-Cert", "api"),
		} {
			assert.Equal(c, 401, a.status, name)
			assert.Equal(c, "invalid_client", a.error().Error, name)
			assert.NotContains(c, a.body, "active", name)
		}
		for _, unrelated := range []string{conf, post, pkj, machine} {
			require.Equal(c, inactive, c.introspect(unrelated, got.AccessToken).body)
			require.Equal(c, inactive, c.introspect(unrelated, got.RefreshToken).body)
		}
		own := c.login(conf)
		for _, token := range []string{own.AccessToken, own.RefreshToken} {
			require.Contains(c, c.introspect(conf, token).body, `"active":true`, "its own")
		}
		require.Contains(c, c.introspect(api, own.AccessToken).body, `"active":true`, "for its resource")
	}},
	{"SEC-207 an API that is no client any more", func(c *run) {
		id := c.register(oauth.Client{GrantTypes: []string{}})
		c = c.with("another API", func(cfg *oauth.Config) {
			cfg.Resources = []oauth.Resource{{URI: apiURI, Introspectors: []string{id}}, {URI: mcpURI, Scopes: []string{"read"}}}
		})
		got := c.login(app)
		require.Contains(c, c.introspect(id, got.AccessToken).body, `"active":true`)
		require.Equal(c, inactive, c.introspect(api, got.AccessToken).body, "it is not this one's any more")
		c.change(id, func(k *oauth.Client) { k.Disabled = true })
		c.refused(c.introspect(id, got.AccessToken), 401, oauth.ErrInvalidClient)
		require.NoError(c, c.b.p.DeleteClient(c.Context(), id))
		c.refused(c.introspect(id, got.AccessToken), 401, oauth.ErrInvalidClient)
	}},
	{"SEC-208 whatever is not valid looks the same", func(c *run) {
		c = c.knowing()
		got := c.login(app)
		require.Contains(c, c.introspect(api, got.AccessToken).body, `"active":true`)
		claims, now := claimsOf(c, got.AccessToken), time.Now().Unix()
		require.Contains(c, c.introspect(api, c.forged(claims)).body, `"active":true`, "the forger's signature is good")
		revoked := c.login(app)
		require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {revoked.RefreshToken}}).status)
		old := c.login(conf)
		c.ok(c.refresh(conf, old.RefreshToken))
		elsewhere := c.login(app, "resource", mcpURI, "scope", "read")
		want := c.introspect(api, "nonsense")
		want.header.Del("Date")
		require.Equal(c, inactive, want.body)
		for name, token := range map[string]string{
			"unknown":                  strings.Repeat("A", 22) + "." + strings.Repeat("B", 22) + "." + strings.Repeat("C", 43),
			"like a JWT":               "a.b.c",
			"one character":            "x",
			"control characters":       "\x01\r\n\t",
			"hostile":                  "' OR 1=1--",
			"12 KiB":                   strings.Repeat("x", 12<<10),
			"expired":                  c.forged(claims, "iat", now-7200, "nbf", now-7200, "exp", now-3600),
			"expires now":              c.forged(claims, "iat", now-3600, "nbf", now-3600, "exp", now),
			"not yet":                  c.forged(claims, "nbf", now+3600, "iat", now+3600, "exp", now+7200),
			"another issuer's":         c.forged(claims, "iss", "https://evil.example"),
			"without ID":               c.forged(claims, "jti", nil),
			"of a record there is not": c.forged(claims, "jti", "00000000-0000-0000-0000-000000000000.x"),
			"of another kind":          c.sign(signingKey(), map[string]any{"alg": "ES256", "typ": "JWT", "kid": signingKID}, claims),
			"a changed signature":      flip(got.AccessToken, len(got.AccessToken)-20),
			"revoked":                  revoked.AccessToken,
			"revoked, to refresh with": revoked.RefreshToken,
			"to refresh with":          got.RefreshToken,
			"replaced":                 old.RefreshToken,
			"for another resource":     elsewhere.AccessToken,
			"in quotes":                `"` + got.AccessToken + `"`,
			"two of them":              got.AccessToken + " " + got.AccessToken,
			"with its scheme":          "Bearer " + got.AccessToken,
			"a code":                   c.person().code(c.params(app)),
			"of nobody":                c.forged(claims, "sub", ""),
		} {
			a := c.introspect(api, token)
			a.header.Del("Date")
			assert.Equal(c, want, a, name)
		}
		for _, replaced := range []string{old.RefreshToken, "x"} {
			assert.Equal(c, inactive, c.introspect(conf, replaced).body)
		}
	}},
	{"SEC-209 hints", func(c *run) {
		got := c.login(conf)
		for _, hint := range []string{"", "access_token", "refresh_token", "id_token", "urn:x", "' OR 1=1--", strings.Repeat("h", 5000)} {
			for _, token := range []string{got.AccessToken, got.RefreshToken} {
				a := c.post("/oauth/introspect", conf, url.Values{"token": {token}, "token_type_hint": {hint}})
				require.Contains(c, a.body, `"active":true`, hint)
			}
			next := c.login(conf)
			for i, token := range []string{next.AccessToken, next.RefreshToken} {
				if i == 1 {
					next = c.login(conf)
					token = next.RefreshToken
				}
				require.Equal(c, 200, c.post("/oauth/revoke", conf, url.Values{"token": {token}, "token_type_hint": {hint}}).status)
				c.dead(next.AccessToken)
			}
		}
		for _, path := range []string{"/oauth/introspect", "/oauth/revoke"} {
			c.refused(c.post(path, conf, url.Values{}), 400, oauth.ErrInvalidRequest)
			c.refused(c.post(path, conf, url.Values{"token": {""}}), 400, oauth.ErrInvalidRequest)
			c.refused(c.post(path, conf, url.Values{"token": {got.AccessToken, got.RefreshToken}}), 400, oauth.ErrInvalidRequest)
			r := c.authenticated(path, conf, url.Values{})
			r.URL.RawQuery = "token=" + got.RefreshToken
			c.refused(c.do(r), 400, oauth.ErrInvalidRequest)
			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
				r := request(method, issuer+path+"?token="+got.RefreshToken, nil)
				r.SetBasicAuth(conf, c.credentials[conf].secret)
				require.Equal(c, http.StatusMethodNotAllowed, c.do(r).status)
			}
		}
		c.alive(got.AccessToken)
		c.ok(c.refresh(conf, got.RefreshToken))
	}},
	{"SEC-211 a client gives back what it has", func(c *run) {
		i := 0
		for _, client := range []string{app, conf, pkj, c.dcr, cimdApp} {
			for name, pick := range map[string]func(first, last tokens) string{
				"the refresh token":         func(_, last tokens) string { return last.RefreshToken },
				"the access token":          func(_, last tokens) string { return last.AccessToken },
				"the replaced one":          func(first, _ tokens) string { return first.RefreshToken },
				"an access token before it": func(first, _ tokens) string { return first.AccessToken },
			} {
				first := c.login(client)
				last := c.ok(c.refresh(client, first.RefreshToken))
				i++
				a := c.on([]*node{c.a, c.b}[i%2]).post("/oauth/revoke", client, url.Values{"token": {pick(first, last)}})
				require.Equal(c, 200, a.status, name)
				require.Empty(c, a.body)
				c.dead(first.AccessToken)
				c.ended(client, last)
			}
		}
	}},
	{"SEC-211 a client gives back what it has for itself", func(c *run) {
		ask := func() string {
			return c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}})).AccessToken
		}
		one, other := ask(), ask()
		for range 3 {
			require.Equal(c, 200, c.post("/oauth/revoke", machine, url.Values{"token": {one}}).status)
			c.dead(one)
		}
		c.alive(other)
	}},
	{"SEC-211 a token that has expired ends what it came from", func(c *run) {
		c = c.knowing()
		got := c.login(app)
		now := time.Now().Unix()
		expired := c.forged(claimsOf(c, got.AccessToken), "iat", now-7200, "nbf", now-7200, "exp", now-3600)
		require.Equal(c, inactive, c.introspect(api, expired).body)
		c.ok(c.refresh(app, got.RefreshToken))
		require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {expired}}).status)
		c.refused(c.refresh(app, got.RefreshToken), 400, oauth.ErrInvalidGrant)
		require.Equal(c, inactive, c.introspect(api, got.AccessToken).body)
	}},
	{"SEC-212 another client's tokens", func(c *run) {
		clients := []string{app, conf, c.dcr, cimdApp}
		for _, owner := range clients {
			got := c.login(owner)
			for _, thief := range append(clients, machine, api) {
				if thief == owner {
					continue
				}
				for _, token := range []string{got.AccessToken, got.RefreshToken} {
					a := c.post("/oauth/revoke", thief, url.Values{"token": {token}})
					require.Equal(c, 200, a.status)
					require.Empty(c, a.body, "nothing tells that it was a token")
				}
			}
			c.alive(got.AccessToken)
			c.ok(c.refresh(owner, got.RefreshToken))
		}
		own := c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}})).AccessToken // has no record
		for _, thief := range clients {
			require.Equal(c, 200, c.post("/oauth/revoke", thief, url.Values{"token": {own}}).status)
		}
		c.alive(own)
	}},
	{"SEC-212 a client that does not authenticate", func(c *run) {
		for _, client := range []string{conf, post, pkj} {
			got := c.login(client)
			for _, token := range []string{got.AccessToken, got.RefreshToken} {
				v := url.Values{"token": {token}}
				c.refused(c.do(form(issuer+"/oauth/revoke", v)), 401, oauth.ErrInvalidClient)
				v.Set("client_id", client)
				c.refused(c.do(form(issuer+"/oauth/revoke", v)), 401, oauth.ErrInvalidClient)
				v.Set("client_secret", strings.Repeat("x", 43))
				c.refused(c.do(form(issuer+"/oauth/revoke", v)), 401, oauth.ErrInvalidClient)
				v = url.Values{"token": {token}, "client_id": {app}}
				require.Equal(c, 200, c.do(form(issuer+"/oauth/revoke", v)).status)
			}
			c.alive(got.AccessToken)
		}
		got := c.login(app)
		c.refused(c.do(form(issuer+"/oauth/revoke", url.Values{"token": {got.RefreshToken}})), 401, oauth.ErrInvalidClient)
		c.alive(got.AccessToken)
		require.Equal(c, 200, c.do(form(issuer+"/oauth/revoke", url.Values{"token": {got.RefreshToken}, "client_id": {app}})).status)
		c.ended(app, got)
	}},
	{"SEC-213 what cannot be revoked", func(c *run) {
		b := c.person()
		got, code := c.loginAs(b, app), b.code(c.params(app))
		part := strings.Split(got.RefreshToken, ".")
		for _, token := range []string{"x", "a.b.c", strings.Repeat("x", 12<<10), "' OR 1=1--", "\x01", "..", code, got.RefreshToken + "x", "x" + got.RefreshToken, part[0], part[0] + ".." + part[2], got.AccessToken[:len(got.AccessToken)-4]} {
			a := c.post("/oauth/revoke", app, url.Values{"token": {token}})
			require.Equal(c, 200, a.status, token)
			require.Empty(c, a.body)
		}
		c.alive(got.AccessToken)
		c.ok(c.exchange(app, code))
		for range 3 {
			require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {got.RefreshToken}}).status)
		}
		c.ended(app, got)
	}},
	{"SEC-214 a store that fails", func(c *run) {
		c, f := c.faulty()
		got := c.login(conf)
		own := c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}})).AccessToken
		for _, try := range []struct {
			method, client string
			token          string
		}{
			{"RevokeTokens", conf, got.RefreshToken}, {"RevokeTokens", conf, got.AccessToken}, {"Token", conf, got.RefreshToken},
			{"Client", conf, got.AccessToken}, {"CreateToken", machine, own},
		} {
			f.fail(try.method)
			c.refused(c.post("/oauth/revoke", try.client, url.Values{"token": {try.token}}), 503, oauth.ErrTemporarilyUnavailable)
			f.mend()
			c.alive(got.AccessToken)
			c.alive(own)
		}
		for _, method := range []string{"Token", "Client"} { // nor is a token called invalid
			f.fail(method)
			c.refused(c.introspect(api, got.AccessToken), 503, oauth.ErrTemporarilyUnavailable)
			c.refused(c.introspect(conf, got.RefreshToken), 503, oauth.ErrTemporarilyUnavailable)
			a := c.call("api.example", got.AccessToken)
			require.Equal(c, 503, a.status, method)
			require.NotContains(c, a.header.Get("WWW-Authenticate"), "invalid_token")
			f.mend()
		}
		require.Equal(c, 200, c.post("/oauth/revoke", conf, url.Values{"token": {got.RefreshToken}}).status)
		require.Equal(c, 200, c.post("/oauth/revoke", machine, url.Values{"token": {own}}).status)
		c.ended(conf, got)
		c.dead(own)
	}},
	{"SEC-215 parameters that are not there", func(c *run) {
		got := c.login(conf)
		for _, name := range []string{"callback", "jsonp", "format", "active", "token_type", "client", "revoke_all"} {
			a := c.post("/oauth/introspect", conf, url.Values{"token": {got.AccessToken}, name: {"alert(1)//"}})
			require.True(c, strings.HasPrefix(a.body, `{"active":true,`), a.body)
			require.Equal(c, "application/json", a.header.Get("Content-Type"))
			a = c.post("/oauth/revoke", conf, url.Values{"token": {"x"}, name: {"alert(1)//"}})
			require.Equal(c, 200, a.status)
			require.Empty(c, a.body)
		}
	}},
}
