package security

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// stranger names a host, and is too long to be by chance part of a key or token.
const stranger = "evil-host-of-another"

// keyCases: group U, keys, clocks, issuer, host.
var keyCases = []caseOf{
	{"SEC-268 what is published of the keys", func(c *run) {
		for _, c := range []*run{c, c.with("two algorithms", func(cfg *oauth.Config) {
			cfg.Keys = oauth.StaticKeys{{ID: "one", Signer: newKey()}, {ID: "two", Signer: newKey()}}
		})} {
			var set struct{ Keys []map[string]any }
			require.NoError(c, json.Unmarshal([]byte(c.do(request("GET", issuer+"/oauth/jwks", nil)).body), &set))
			require.NotEmpty(c, set.Keys)
			seen := map[any]bool{}
			for _, key := range set.Keys {
				for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "key_ops"} {
					assert.NotContains(c, key, private)
				}
				assert.NotEmpty(c, key["kid"])
				assert.False(c, seen[key["kid"]])
				seen[key["kid"]] = true
				assert.Equal(c, []any{"sig", "ES256"}, []any{key["use"], key["alg"]})
			}
			metadata := c.do(request("GET", issuer+"/.well-known/oauth-authorization-server", nil)).body
			assert.NotContains(c, metadata, "0123456789abcdef")
		}
	}},
	{"SEC-269 a key is withdrawn", func(c *run) {
		before := c.with("key before", func(cfg *oauth.Config) { cfg.Keys = oauth.StaticKeys{{ID: "before", Signer: newKey()}} })
		after := c.with("key after", func(cfg *oauth.Config) { cfg.Keys = oauth.StaticKeys{{ID: "after", Signer: newKey()}} })
		got := before.login(app)
		require.Equal(c, 200, before.call("api.example", got.AccessToken).status)
		for _, host := range []string{"api.example", "jwt.example", "introspect.example"} {
			require.Equal(c, http.StatusUnauthorized, after.call(host, got.AccessToken).status, host)
		}
		next := after.ok(after.refresh(app, got.RefreshToken))
		require.Equal(c, 200, after.call("jwt.example", next.AccessToken).status)
	}},
	{"SEC-272 what a request says of its host changes nothing", func(c *run) {
		b := c.person()
		for _, headers := range [][]string{{"Host", stranger + ".test"}, {"X-Forwarded-Host", stranger + ".test"}, {"X-Forwarded-Proto", "http", "X-Forwarded-Port", "81"}, {"Forwarded", `host="` + stranger + `.test";proto=http`}, {"X-Forwarded-Prefix", "/" + stranger}, {"X-Host", stranger + ".test"}} {
			send := func(r *http.Request) answer {
				c.Helper()
				for i := 0; i < len(headers); i += 2 {
					if headers[i] == "Host" {
						r.Host = headers[i+1]
					} else {
						r.Header.Set(headers[i], headers[i+1])
					}
				}
				a := c.do(r)
				assert.NotContains(c, a.String(), stranger)
				return a
			}
			v := c.params(app, "prompt", "consent")
			page := send(b.request("GET", "/oauth/authorize?"+v.Encode(), nil))
			for _, cookie := range (&http.Response{Header: page.header}).Cookies() {
				b.cookies[cookie.Name] = cookie.Value
			}
			q := c.redirected(send(b.request("POST", "/oauth/consent", b.consentForm(page))), v.Get("redirect_uri"), v.Get("state"))
			got := c.ok(send(c.authenticated("/oauth/token", app, c.exchangeForm(app, q.Get("code")))))
			claims := claimsOf(c, got.AccessToken)
			assert.Equal(c, []any{issuer, apiURI}, []any{claims["iss"], claims["aud"]})
			c.alive(got.AccessToken)
			assert.True(c, strings.HasPrefix(send(c.nobody().request("GET", "/oauth/authorize?"+v.Encode(), nil)).header.Get("Location"), "/login?"))
			require.Equal(c, 200, send(c.authenticated("/oauth/revoke", app, url.Values{"token": {got.RefreshToken}})).status)
			c.dead(got.AccessToken)
		}
	}},
	{"SEC-273 an issuer with a path", func(c *run) {
		tenant := c.with("tenant", func(cfg *oauth.Config) { cfg.Issuer, cfg.Store = "https://auth.example/t1", store.NewMemory() })
		for _, path := range []string{"/.well-known/oauth-authorization-server/t1", "/.well-known/openid-configuration/t1", "/t1/.well-known/openid-configuration", "/t1/.well-known/oauth-authorization-server"} {
			var metadata map[string]any
			require.NoError(c, json.Unmarshal([]byte(tenant.do(request("GET", issuer+path, nil)).body), &metadata), path)
			assert.Equal(c, "https://auth.example/t1", metadata["issuer"], path)
			assert.Equal(c, "https://auth.example/t1/oauth/token", metadata["token_endpoint"], path)
		}
		for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/t2", "/.well-known/oauth-authorization-server/t1/", "/.well-known/oauth-authorization-server/t1/../t2", "/t2/.well-known/openid-configuration", "/T1/.well-known/openid-configuration", "/t1/../t2/oauth/jwks", "/t1//oauth/jwks", "/oauth/jwks"} {
			assert.Equal(c, 404, tenant.do(request("GET", issuer+path, nil)).status, path)
		}
	}},
	{"SEC-274 issuers that cannot be", func(c *run) {
		for _, wrong := range []string{"http://auth.example", "http://10.0.0.1", "https://auth.example/", "https://auth.example?x", "https://auth.example/#x", "https://user@auth.example", "https://auth.example?", "https://auth.example#", "ftp://auth.example", "auth.example", "", "https://", "https://AUTH.example", "http://localhost.evil.test", "http://127.0.0.1.evil.test", "https://auth.example/a b", "https://auth.example/%74"} {
			cfg := c.config(c.store)
			cfg.Issuer = wrong
			_, err := oauth.New(cfg)
			assert.Error(c, err, wrong)
		}
		for _, right := range []string{"http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1", "https://auth.example/t1"} {
			cfg := c.config(c.store)
			cfg.Issuer = right
			_, err := oauth.New(cfg)
			assert.NoError(c, err, right)
		}
	}},
	{"SEC-275 metadata of the resource", func(c *run) {
		for _, path := range []string{"/.well-known/oauth-protected-resource/notes", "/.well-known/oauth-protected-resource"} {
			a := c.do(request("GET", "https://api.example"+path, nil, "X-Forwarded-Host", "evil.test"))
			require.Equal(c, []any{200, "application/json"}, []any{a.status, a.header.Get("Content-Type")}, path)
			var metadata map[string]any
			require.NoError(c, json.Unmarshal([]byte(a.body), &metadata))
			assert.Equal(c, apiURI, metadata["resource"])
			assert.Equal(c, []any{issuer}, metadata["authorization_servers"])
			assert.NotContains(c, a.body, "evil")
		}
		a := c.do(request("GET", "https://api.example/notes", nil))
		require.Equal(c, http.StatusUnauthorized, a.status)
		assert.Contains(c, a.header.Get("WWW-Authenticate"), `resource_metadata="https://api.example/.well-known/oauth-protected-resource/notes"`)
	}},
}
