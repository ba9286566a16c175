package security

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"math/bits"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// scaled is how many times something is tried: few by default, and as many as the
// catalogue asks for if OAUTH_SECURITY_FULL is set.
func scaled(few, full int) int {
	if os.Getenv("OAUTH_SECURITY_FULL") != "" {
		return full
	}
	return few
}

// codeCases: group D, authorization codes.
var codeCases = []caseOf{
	{"SEC-051 redeem twice in sequence", func(c *run) {
		for _, client := range []string{app, conf, post, pkj, loop, c.dcr, cimdApp} {
			code := c.person().code(c.params(client))
			got := c.ok(c.exchange(client, code))
			c.alive(got.AccessToken)
			c.refused(c.on(c.b).exchange(client, code), 400, oauth.ErrInvalidGrant)
			c.ended(client, got)
			c.refused(c.exchange(client, code), 400, oauth.ErrInvalidGrant)
		}
	}},
	{"SEC-051 redeem twice, the second time late", func(c *run) {
		code := c.person().code(c.params(app))
		got := c.ok(c.exchange(app, code))
		c.ageCode(code, 15*time.Minute)
		c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant)
		c.ended(app, got)
	}},
	{"SEC-051 redeem twice, the first tokens refreshed meanwhile", func(c *run) {
		code := c.person().code(c.params(app))
		first := c.ok(c.exchange(app, code))
		second := c.ok(c.refresh(app, first.RefreshToken))
		c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant)
		c.dead(first.AccessToken)
		c.ended(app, second)
	}},
	{"SEC-051 redeem twice, with cleanups between", func(c *run) {
		code := c.person().code(c.params(app))
		clean := func() {
			_, err := c.b.p.Cleanup(c.Context())
			require.NoError(c, err)
		}
		clean()
		got := c.ok(c.exchange(app, code))
		clean()
		c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant)
		clean()
		c.ended(app, got)
	}},
	{"SEC-051 too late", func(c *run) {
		code := c.person().code(c.params(app))
		c.ageCode(code, 10*time.Minute+time.Second)
		c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant)
	}},
	{"SEC-052 replay that is not valid otherwise", func(c *run) {
		for _, client := range []string{app, conf, pkj} {
			code := c.person().code(c.params(client))
			got := c.ok(c.exchange(client, code))
			good := c.params(client).Get("redirect_uri")
			for _, wrong := range [][]string{
				{"code_verifier", strings.Repeat("w", 50)}, {"code_verifier", ""}, {"redirect_uri", good + "/"}, {"redirect_uri", ""},
				{"resource", mcpURI}, {"resource", evil}, {"grant_type", "refresh_token"}, {"grant_type", "password"}, {"code", code + "A"}, {"code", flip(code, 5)},
			} {
				a := c.exchange(client, code, wrong...)
				require.Equal(c, 400, a.status, "%s", a)
			}
			for _, other := range []string{loop, post, c.dcr} {
				c.refused(c.exchange(other, code, "redirect_uri", good), 400, oauth.ErrInvalidGrant)
			}
			c.refused(c.do(form(issuer+"/oauth/token", c.exchangeForm(client, code))), 401, oauth.ErrInvalidClient)
			if client != app {
				v := c.exchangeForm(client, code)
				v.Set("client_id", client)
				c.refused(c.do(form(issuer+"/oauth/token", v)), 401, oauth.ErrInvalidClient)
				r := form(issuer+"/oauth/token", c.exchangeForm(client, code))
				r.SetBasicAuth(client, "wrong-secret-of-the-client")
				c.refused(c.do(r), 401, oauth.ErrInvalidClient)
			}
			c.alive(got.AccessToken)
			c.ok(c.refresh(client, got.RefreshToken))
		}
	}},
	{"SEC-053 redeem at once", func(c *run) {
		for range scaled(1, 10_000) {
			for _, client := range []string{app, conf} {
				code := c.person().code(c.params(client))
				var won []tokens
				for _, a := range c.burst(64, func(int) *http.Request {
					return c.authenticated("/oauth/token", client, c.exchangeForm(client, code))
				}) {
					if a.status == http.StatusOK {
						won = append(won, c.ok(a))
						continue
					}
					c.refused(a, 400, oauth.ErrInvalidGrant)
				}
				require.Len(c, won, 1)
				c.ended(client, won[0])
			}
		}
	}},
	{"SEC-053 redeem at once, one of them rightly", func(c *run) {
		code := c.person().code(c.params(app))
		var won []tokens
		for i, a := range c.burst(32, func(i int) *http.Request {
			wrong := [][]string{{"code_verifier", strings.Repeat("w", 50)}, {"redirect_uri", evil}, {"resource", mcpURI}}[i%3]
			if i == 16 {
				wrong = nil
			}
			return c.authenticated("/oauth/token", app, c.exchangeForm(app, code, wrong...))
		}) {
			require.Equal(c, i == 16, a.status == http.StatusOK, "%s", a)
			if i == 16 {
				won = append(won, c.ok(a))
			}
		}
		c.alive(won[0].AccessToken)
	}},
	{"SEC-055 another client's code", func(c *run) {
		for _, client := range []string{app, conf} {
			code := c.person().code(c.params(client))
			for _, other := range []string{loop, post, pkj, c.dcr, cimdApp} {
				c.refused(c.exchange(other, code, "redirect_uri", c.params(client).Get("redirect_uri")), 400, oauth.ErrInvalidGrant)
			}
			c.alive(c.ok(c.exchange(client, code)).AccessToken)
		}
	}},
	{"SEC-055 another client's code, where no consent is asked for", func(c *run) {
		client := c.register(oauth.Client{Public: true, FirstParty: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://own.example/cb"}})
		twin := c.register(oauth.Client{Public: true, FirstParty: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://own.example/cb"}})
		code := c.person().code(c.params(client))
		c.refused(c.exchange(twin, code), 400, oauth.ErrInvalidGrant)
		got := c.ok(c.exchange(client, code))
		c.refused(c.exchange(twin, code), 400, oauth.ErrInvalidGrant)
		c.refused(c.refresh(twin, got.RefreshToken), 400, oauth.ErrInvalidGrant)
		c.alive(got.AccessToken)
	}},
	{"SEC-056 no client at the token endpoint", func(c *run) {
		code := c.person().code(c.params(app))
		c.refused(c.do(form(issuer+"/oauth/token", c.exchangeForm(app, code))), 401, oauth.ErrInvalidClient)
		empty := c.exchangeForm(app, code)
		empty["client_id"] = []string{""}
		c.refused(c.do(form(issuer+"/oauth/token", empty)), 401, oauth.ErrInvalidClient)
		twice := c.exchangeForm(app, code)
		twice["client_id"] = []string{app, app}
		c.refused(c.do(form(issuer+"/oauth/token", twice)), 400, oauth.ErrInvalidRequest)
		c.ok(c.exchange(app, code))
	}},
	{"SEC-057 a code of the attacker's session", func(c *run) {
		attackers := strings.Repeat("attackers-verifier", 3)
		code := c.person().code(c.params(app, "code_challenge", s256(attackers)))
		c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant) // the victim's client, with its own verifier
		require.NotEmpty(c, c.ok(c.exchange(app, code, "code_verifier", attackers)).AccessToken)
	}},
	{"SEC-058 a resource that was not authorized", func(c *run) {
		for _, wrong := range []string{mcpURI, evil, apiURI + "/", apiURI + "#x", "notes", "https://api.example/notes?x"} {
			code := c.person().code(c.params(app, "resource", apiURI))
			c.refused(c.exchange(app, code, "resource", wrong), 400, "invalid_target")
			both := c.exchangeForm(app, code)
			both["resource"] = []string{apiURI, wrong}
			c.refused(c.post("/oauth/token", app, both), 400, "invalid_target")
			got := c.ok(c.exchange(app, code))
			require.Equal(c, apiURI, claimsOf(c, got.AccessToken)["aud"])
			c.alive(got.AccessToken)
		}
	}},
	{"SEC-061 codes cannot be guessed", func(c *run) {
		n := scaled(100, 100_000)
		b := c.person()
		b.code(c.params(app)) // from now on nobody is asked
		seen := map[string]bool{}
		var all []byte
		form := regexp.MustCompile(`^[A-Za-z0-9_-]{43,}$`)
		for range n {
			v := c.params(app)
			code := c.redirected(b.authorize(v), v.Get("redirect_uri"), v.Get("state")).Get("code")
			require.Regexp(c, form, code)
			require.False(c, seen[code])
			seen[code] = true
			raw, err := base64.RawURLEncoding.DecodeString(code)
			require.NoError(c, err)
			require.GreaterOrEqual(c, len(raw), 32)
			all = append(all, raw...)
		}
		ones, count := 0, [256]float64{}
		for _, x := range all {
			ones += bits.OnesCount8(x)
			count[x]++
		}
		total := float64(len(all))
		assert.InDelta(c, 4*total, ones, 6*math.Sqrt(2*total), "ones among the bits")
		chi := 0.0
		for _, k := range count {
			chi += (k - total/256) * (k - total/256) / (total / 256)
		}
		assert.InDelta(c, 255, chi, 7*math.Sqrt(2*255), "chi squared over the bytes")
	}},
	{"SEC-062 a wider scope at the exchange", func(c *run) {
		for _, wider := range []string{"read write", "admin", "read admin", "write", "*", "nonsense"} {
			code := c.person().code(c.params(app, "scope", "read"))
			a := c.exchange(app, code, "scope", wider)
			if a.status != http.StatusOK {
				c.refused(a, 400, oauth.ErrInvalidScope)
				continue
			}
			got := c.ok(a)
			require.Equal(c, "read", got.Scope)
			require.Equal(c, "read", claimsOf(c, got.AccessToken)["scope"])
			require.Equal(c, "read", c.ok(c.refresh(app, got.RefreshToken)).Scope)
		}
	}},
	{"SEC-062 what the user unchecked is not granted", func(c *run) {
		b, v := c.person(), c.params(app, "scope", "read write")
		sent := b.consentForm(b.authorize(v))
		sent["scope"] = []string{"read", "admin"}
		q := c.redirected(b.visit("POST", "/oauth/consent?scope=write", sent), v.Get("redirect_uri"), v.Get("state"))
		got := c.ok(c.exchange(app, q.Get("code"), "scope", "read write"))
		require.Equal(c, "read", got.Scope)
		c.refused(c.refresh(app, got.RefreshToken, "scope", "read write"), 400, oauth.ErrInvalidScope)
	}},
	{"SEC-063 a code of another issuer", func(c *run) {
		tenant := c.with("another issuer", func(cfg *oauth.Config) {
			cfg.Issuer, cfg.Store, cfg.Prefix = "https://auth.example/b", store.NewMemory(), ""
		})
		_, _, err := tenant.at.p.RegisterClient(c.Context(), oauth.Client{ID: app, Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://app.example/cb"}})
		require.NoError(c, err)
		code, got := c.person().code(c.params(app)), c.login(app)
		c.refused(tenant.post("/b/oauth/token", app, c.exchangeForm(app, code)), 400, oauth.ErrInvalidGrant)
		c.refused(tenant.post("/b/oauth/token", app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}), 400, oauth.ErrInvalidGrant)
		require.Equal(c, http.StatusUnauthorized, tenant.call("api.example", got.AccessToken).status)
		require.Equal(c, http.StatusOK, tenant.post("/b/oauth/revoke", app, url.Values{"token": {got.AccessToken}}).status)
		c.alive(got.AccessToken)
		c.ok(c.exchange(app, code))
	}},
	{"SEC-064 what ended between approval and exchange", func(c *run) {
		for name, end := range map[string]func(b *browser, client string){
			"consent revoked": func(b *browser, client string) {
				_, err := c.on(c.b).at.p.RevokeConsent(c.Context(), b.user, client)
				require.NoError(c, err)
			},
			"user deactivated": func(b *browser, _ string) { c.setGone(b.user, true) },
			"signed out everywhere": func(b *browser, _ string) {
				_, err := c.on(c.b).at.p.RevokeUser(c.Context(), b.user, "")
				require.NoError(c, err)
			},
			"client disabled": func(_ *browser, client string) { c.change(client, func(k *oauth.Client) { k.Disabled = true }) },
			"client deleted":  func(_ *browser, client string) { require.NoError(c, c.at.p.DeleteClient(c.Context(), client)) },
			"grant taken away": func(_ *browser, client string) {
				c.change(client, func(k *oauth.Client) { k.GrantTypes, k.ResponseTypes = []string{"refresh_token"}, nil })
			},
			"address taken away": func(_ *browser, client string) {
				c.change(client, func(k *oauth.Client) { k.RedirectURIs = []string{"https://ends.example/other"} })
			},
			"scope taken away": func(_ *browser, client string) {
				c.change(client, func(k *oauth.Client) { k.Scopes = []string{"write"} })
			},
		} {
			c.sub(name, func(c *run) {
				for _, public := range []bool{true, false} {
					client := c.register(oauth.Client{Public: public, Scopes: []string{"read"}, RedirectURIs: []string{"https://ends.example/cb"}})
					b := c.person()
					code := b.code(c.params(client))
					end(b, client)
					a := c.exchange(client, code)
					switch name {
					case "client disabled", "client deleted":
						c.refused(a, 401, oauth.ErrInvalidClient)
					case "grant taken away":
						c.refused(a, 400, oauth.ErrUnauthorizedClient)
					case "scope taken away":
						c.refused(a, 400, oauth.ErrInvalidScope)
					default:
						c.refused(a, 400, oauth.ErrInvalidGrant)
					}
				}
			})
		}
	}},
	{"SEC-064 what ends while the code is redeemed", func(c *run) {
		for _, name := range []string{"consent revoked", "signed out everywhere", "client disabled", "client deleted"} {
			c.sub(name, func(c *run) {
				for range scaled(2, 1000) {
					client := c.register(oauth.Client{Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://ends.example/cb"}})
					b := c.person()
					code := b.code(c.params(client))
					ended := c.meanwhile(func() { c.endings()[name](b.user, client) })
					answers := c.burst(8, func(int) *http.Request {
						return c.authenticated("/oauth/token", client, c.exchangeForm(client, code))
					})
					<-ended
					c.nothingLeft(client, answers)
				}
			})
		}
	}},
	{"SEC-065 parameters in the URL of the token endpoint", func(c *run) {
		code := c.person().code(c.params(app))
		v := c.exchangeForm(app, code)
		v.Set("client_id", app)
		none := url.Values{}
		c.refused(c.do(form(issuer+"/oauth/token?"+v.Encode(), none)), 400, oauth.ErrInvalidRequest)
		c.refused(c.do(form(issuer+"/oauth/token?code="+code, v)), 400, oauth.ErrInvalidRequest)
		c.refused(c.do(form(issuer+"/oauth/token?CODE=1&%63ode="+code, v)), 400, oauth.ErrInvalidRequest)
		c.refused(c.do(form(issuer+"/oauth/token?grant_type=authorization_code", url.Values{"client_id": {app}, "code": {code}})), 400, oauth.ErrInvalidRequest)
		c.refused(c.do(form(issuer+"/oauth/token?client_id="+app, c.exchangeForm(app, code))), 401, oauth.ErrInvalidClient)
		c.ok(c.do(form(issuer+"/oauth/token?grant_type=password&scope=admin", v)))
	}},
}

// claimsOf reads a JWT without verifying it.
func claimsOf(c *run, token string) map[string]any {
	c.Helper()
	parts := strings.Split(token, ".")
	require.Len(c, parts, 3)
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(c, err)
	var claims map[string]any
	require.NoError(c, json.Unmarshal(body, &claims))
	return claims
}
