package security

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// endings are what ends what a user granted to a client. They run on the second
// node; the case looks at both.
func (c *run) endings() map[string]func(user, client string) {
	p := c.b.p
	return map[string]func(user, client string){
		"consent revoked": func(user, client string) {
			_, err := p.RevokeConsent(c.Context(), user, client)
			require.NoError(c, err)
		},
		"signed out everywhere": func(user, _ string) {
			n, err := p.RevokeUser(c.Context(), user, "")
			require.NoError(c, err)
			require.NotZero(c, n)
		},
		"disconnected": func(user, client string) {
			_, err := p.RevokeUser(c.Context(), user, client)
			require.NoError(c, err)
		},
		"client disabled": func(_, client string) { c.change(client, func(k *oauth.Client) { k.Disabled = true }) },
		"client deleted":  func(_, client string) { require.NoError(c, p.DeleteClient(c.Context(), client)) },
	}
}

// lifeCases: the rest of group E, and group F.
var lifeCases = []caseOf{
	{"SEC-079 whatever ends a grant ends its tokens", func(c *run) {
		for name, end := range c.endings() {
			c.sub(name, func(c *run) {
				for _, public := range []bool{true, false} {
					client := c.register(oauth.Client{Public: public, Scopes: []string{"read"}, RedirectURIs: []string{"https://ends.example/cb"}})
					b, other := c.person(), c.person()
					first := c.loginAs(b, client)
					second := c.ok(c.refresh(client, first.RefreshToken))
					others := c.loginAs(other, app)
					end(b.user, client)
					c.dead(first.AccessToken)
					c.dead(second.AccessToken)
					for _, token := range []string{first.RefreshToken, second.RefreshToken} {
						for _, n := range []*node{c.a, c.b} {
							a := c.on(n).refresh(client, token)
							if strings.HasPrefix(name, "client") {
								c.refused(a, 401, oauth.ErrInvalidClient)
							} else {
								c.refused(a, 400, oauth.ErrInvalidGrant)
							}
						}
					}
					c.alive(others.AccessToken)
				}
			})
		}
	}},
	{"SEC-079 a user who is deactivated", func(c *run) {
		b := c.person()
		got, code := c.loginAs(b, app), b.code(c.params(app))
		c.setGone(b.user, true)
		c.refused(c.refresh(app, got.RefreshToken), 400, oauth.ErrInvalidGrant)
		c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant)
		for _, token := range []string{got.AccessToken, got.RefreshToken} {
			require.Equal(c, `{"active":false}`, c.introspect(api, token).body)
			require.Equal(c, http.StatusUnauthorized, c.call("introspect.example", token).status)
		}
		_, err := c.at.p.RevokeUser(c.Context(), b.user, "") // what ends them at an API that does not introspect
		require.NoError(c, err)
		c.ended(app, got)
		c.setGone(b.user, false)
		c.ended(app, got)
		c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant)
	}},
	{"SEC-079 a client that is enabled again", func(c *run) {
		client := c.register(oauth.Client{Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://ends.example/cb"}})
		got := c.login(client)
		c.change(client, func(k *oauth.Client) { k.Disabled = true })
		c.dead(got.AccessToken)
		c.refused(c.refresh(client, got.RefreshToken), 401, oauth.ErrInvalidClient)
		c.page400(c.person().authorize(c.params(client)))
		c.change(client, func(k *oauth.Client) { k.Disabled = false })
		c.alive(got.AccessToken)
		c.ok(c.refresh(client, got.RefreshToken))
	}},
	{"SEC-079 a client that is deleted and made anew", func(c *run) {
		k := oauth.Client{ID: "again-" + c.person().user, Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://ends.example/cb"}}
		c.register(k)
		b := c.person()
		got, code := c.loginAs(b, k.ID), b.code(c.params(k.ID))
		require.NoError(c, c.b.p.DeleteClient(c.Context(), k.ID))
		c.register(k)
		c.ended(k.ID, got)
		c.refused(c.exchange(k.ID, code), 400, oauth.ErrInvalidGrant)
		require.Equal(c, 200, b.authorize(c.params(k.ID)).status, "the new one is asked for")
	}},
	{"SEC-079 a consent that is revoked is asked for again", func(c *run) {
		b := c.person()
		got := c.loginAs(b, app)
		require.Equal(c, 303, b.authorize(c.params(app)).status)
		_, err := c.b.p.RevokeConsent(c.Context(), b.user, app)
		require.NoError(c, err)
		require.Equal(c, 200, b.authorize(c.params(app)).status)
		c.ended(app, got)
		c.alive(c.loginAs(b, app).AccessToken)
	}},
	{"SEC-085 a new user who has an old one's name", func(c *run) {
		old := c.person()
		got := c.loginAs(old, app)
		c.setGone(old.user, true)
		heir := c.person() // the app gives it another subject, as it must
		require.Equal(c, 200, heir.authorize(c.params(app)).status)
		c.refused(c.refresh(app, got.RefreshToken), 400, oauth.ErrInvalidGrant)
		require.NotEqual(c, old.user, claimsOf(c, c.loginAs(heir, app).AccessToken)["sub"])
		c.refused(c.refresh(app, got.RefreshToken), 400, oauth.ErrInvalidGrant)
	}},
	{"SEC-086 what changes while the page is open", func(c *run) {
		for name, change := range map[string]func(client string){
			"client deleted":  func(client string) { require.NoError(c, c.b.p.DeleteClient(c.Context(), client)) },
			"client disabled": func(client string) { c.change(client, func(k *oauth.Client) { k.Disabled = true }) },
			"address removed": func(client string) {
				c.change(client, func(k *oauth.Client) { k.RedirectURIs = []string{"https://open.example/other"} })
			},
			"scopes removed": func(client string) { c.change(client, func(k *oauth.Client) { k.Scopes = nil }) },
			"grant removed": func(client string) {
				c.change(client, func(k *oauth.Client) { k.GrantTypes, k.ResponseTypes = []string{"refresh_token"}, nil })
			},
			"resource removed": func(client string) { c.change(client, func(k *oauth.Client) { k.Resources = []string{mcpURI} }) },
		} {
			c.sub(name, func(c *run) {
				client := c.register(oauth.Client{Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://open.example/cb"}})
				b := c.person()
				page := b.authorize(c.params(client, "scope", "read", "resource", apiURI))
				change(client)
				c.page400(b.allow(page), "open.example")
				sent := b.consentForm(page)
				sent.Set("decision", "deny")
				c.page400(b.visit("POST", "/oauth/consent", sent), "open.example")
				consents, err := c.store.ListConsents(c.Context(), b.user, "", 10)
				require.NoError(c, err)
				assert.Empty(c, consents)
				list, err := c.store.ListTokens(c.Context(), store.TokenQuery{Subject: b.user}, "", 10)
				require.NoError(c, err)
				assert.Empty(c, list)
			})
		}
	}},
	{"SEC-086 one of the scopes is taken away while the page is open", func(c *run) {
		client := c.register(oauth.Client{Public: true, Scopes: []string{"read", "write"}, RedirectURIs: []string{"https://open.example/cb"}})
		b, v := c.person(), c.params(client, "scope", "read write")
		page := b.authorize(v)
		c.change(client, func(k *oauth.Client) { k.Scopes = []string{"read"} })
		q := c.redirected(b.allow(page), v.Get("redirect_uri"), v.Get("state"))
		require.Equal(c, "read", c.ok(c.exchange(client, q.Get("code"))).Scope)
	}},
	{"SEC-086 another user signs in while the page is open", func(c *run) {
		for _, user := range []string{"", "u-somebody-else"} {
			b := c.person()
			page := b.authorize(c.params(app))
			b.signIn(user)
			require.Equal(c, 403, b.allow(page).status)
		}
		b := c.person()
		page := b.authorize(c.params(app))
		b.signIn(b.user) // the same user, another session
		require.Equal(c, 403, b.allow(page).status)
	}},
	{"SEC-087 a secret that is replaced", func(c *run) {
		client := c.register(oauth.Client{Scopes: []string{"read"}, GrantTypes: []string{"client_credentials"}})
		ask := func(n *node, secret string) answer {
			c.Helper()
			r := form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}})
			r.SetBasicAuth(client, secret)
			return c.on(n).do(r)
		}
		first := c.credentials[client].secret
		c.ok(ask(c.a, first))
		c.ok(ask(c.b, first)) // both have seen it match
		second, err := c.a.p.RotateClientSecret(c.Context(), client, time.Hour)
		require.NoError(c, err)
		for _, n := range []*node{c.a, c.b} {
			c.ok(ask(n, first))
			c.ok(ask(n, second))
		}
		c.change(client, func(k *oauth.Client) { k.Secrets[1].ExpiresAt = time.Now().Add(-time.Second) }) // an hour later
		for _, n := range []*node{c.a, c.b} {
			c.refused(ask(n, first), 401, oauth.ErrInvalidClient)
			c.ok(ask(n, second))
		}
		third, err := c.a.p.RotateClientSecret(c.Context(), client, 0)
		require.NoError(c, err)
		for _, n := range []*node{c.a, c.b} {
			c.refused(ask(n, first), 401, oauth.ErrInvalidClient)
			c.refused(ask(n, second), 401, oauth.ErrInvalidClient)
			c.ok(ask(n, third))
		}
		for range 5 { // however often it is replaced, the first ones end
			_, err := c.b.p.RotateClientSecret(c.Context(), client, time.Hour)
			require.NoError(c, err)
		}
		c.refused(ask(c.a, second), 401, oauth.ErrInvalidClient)
	}},
	{"SEC-088 grants are per installation", func(c *run) {
		for _, client := range []string{cimdApp, app, loop} {
			b := c.person()
			laptop, phone := c.loginAs(b, client), c.loginAs(b, client)
			require.Equal(c, 200, c.post("/oauth/revoke", client, url.Values{"token": {laptop.RefreshToken}}).status)
			c.ended(client, laptop)
			c.alive(phone.AccessToken)
			phone = c.ok(c.refresh(client, phone.RefreshToken))

			code := b.code(c.params(client)) // replay ends one, too
			tablet := c.ok(c.exchange(client, code, "redirect_uri", c.params(client).Get("redirect_uri")))
			c.refused(c.exchange(client, code), 400, oauth.ErrInvalidGrant)
			c.ended(client, tablet)
			c.alive(phone.AccessToken)
		}
	}},
	{"SEC-089 revocation asks no clock", func(c *run) {
		b := c.person()
		got := c.loginAs(b, app)
		c.age(got.RefreshToken, -time.Minute) // made by a node whose clock is ahead
		_, err := c.b.p.RevokeUser(c.Context(), b.user, "")
		require.NoError(c, err)
		c.ended(app, got)
		later := c.loginAs(b, app)
		c.age(later.RefreshToken, time.Minute) // made by a node whose clock is behind
		c.alive(later.AccessToken)
		later = c.ok(c.refresh(app, later.RefreshToken))
		c.ended(app, got)
		c.alive(later.AccessToken)
	}},
}
