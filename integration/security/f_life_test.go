package security

import (
	"encoding/json"
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
			assert.NoError(c, err)
		},
		"signed out everywhere": func(user, _ string) {
			_, err := p.RevokeUser(c.Context(), user, "")
			assert.NoError(c, err)
		},
		"disconnected": func(user, client string) {
			_, err := p.RevokeUser(c.Context(), user, client)
			assert.NoError(c, err)
		},
		"client disabled": func(_, client string) { c.change(client, func(k *oauth.Client) { k.Disabled = true }) },
		"client deleted":  func(_, client string) { assert.NoError(c, p.DeleteClient(c.Context(), client)) },
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
	{"SEC-079 whatever ends a grant while it is refreshed", func(c *run) {
		for name := range c.endings() {
			c.sub(name, func(c *run) {
				for range scaled(2, 1000) {
					client := c.register(oauth.Client{Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://ends.example/cb"}})
					b := c.person()
					got := c.loginAs(b, client)
					ended := c.meanwhile(func() { c.endings()[name](b.user, client) })
					answers := c.burst(8, func(int) *http.Request {
						return c.authenticated("/oauth/token", client, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}})
					})
					<-ended
					c.dead(got.AccessToken)
					c.nothingLeft(client, answers)
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
				c.nothingStored(b.user)
			})
		}
	}},
	{"SEC-086 what the page showed is what is agreed to", func(c *run) {
		for name, change := range map[string]func(k *oauth.Client){
			"a scope less":            func(k *oauth.Client) { k.Scopes = []string{"read"} },
			"another default scope":   func(k *oauth.Client) { k.DefaultScopes = []string{"read"} },
			"another resource":        func(k *oauth.Client) { k.Resources = []string{mcpURI} },
			"another only address":    func(k *oauth.Client) { k.RedirectURIs = []string{"https://open.example/other"} },
			"a stranger's name":       func(k *oauth.Client) { k.Trust, k.Name = store.TrustSelf, "Your bank" },
			"a stranger's address":    func(k *oauth.Client) { k.Trust, k.RedirectURIs = store.TrustSelf, append(k.RedirectURIs, evil) },
			"a stranger's home page":  func(k *oauth.Client) { k.Trust, k.URI = store.TrustSelf, evil },
			"no registration of ours": func(k *oauth.Client) { k.Trust = store.TrustSelf },
		} {
			c.sub(name, func(c *run) {
				client := c.register(oauth.Client{Public: true, Scopes: []string{"read", "write"}, RedirectURIs: []string{"https://open.example/cb"}})
				b := c.person()
				v := c.params(client)
				if name == "another only address" {
					v.Del("redirect_uri")
				}
				page := b.authorize(v)
				c.change(client, change)
				c.page400(b.allow(page), "open.example")
				require.Equal(c, 200, b.authorize(v).status, "nothing was agreed to")
			})
		}
	}},
	{"SEC-086 a stranger changes itself while the page is open", func(c *run) {
		a := c.postJSON("/oauth/register", map[string]any{"client_name": "Harmless", "redirect_uris": []string{"https://open.example/cb"}, "scope": "read", "token_endpoint_auth_method": "none"})
		require.Equal(c, http.StatusCreated, a.status)
		var got map[string]any
		require.NoError(c, json.Unmarshal([]byte(a.body), &got))
		id := got["client_id"].(string)
		for _, change := range []map[string]any{{"client_name": "Your bank"}, {"scope": "read write"}, {"redirect_uris": []string{"https://open.example/cb", evil}}} {
			b := c.person()
			page := b.authorize(c.params(app, "client_id", id, "redirect_uri", "https://open.example/cb"))
			update := map[string]any{"client_id": id, "client_name": "Harmless", "redirect_uris": []string{"https://open.example/cb"}, "scope": "read", "token_endpoint_auth_method": "none"}
			for name, v := range change {
				update[name] = v
			}
			body, err := json.Marshal(update)
			require.NoError(c, err)
			put := request("PUT", got["registration_client_uri"].(string), strings.NewReader(string(body)), "Content-Type", "application/json", "Authorization", "Bearer "+got["registration_access_token"].(string))
			a := c.do(put)
			require.Equal(c, 200, a.status, "%s", a)
			var next map[string]any
			require.NoError(c, json.Unmarshal([]byte(a.body), &next))
			if token, ok := next["registration_access_token"]; ok {
				got["registration_access_token"] = token
			}
			c.page400(b.allow(page), "open.example")
		}
	}},
	{"SEC-086 a stranger changes between approval and exchange", func(c *run) {
		client := c.register(oauth.Client{Public: true, Trust: store.TrustSelf, Scopes: []string{"read"}, RedirectURIs: []string{"https://open.example/cb"}})
		code := c.person().code(c.params(client))
		c.change(client, func(k *oauth.Client) { k.Name = "Your bank" })
		c.refused(c.exchange(client, code), 400, oauth.ErrInvalidGrant)
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

// meanwhile runs something beside the case; the channel is closed when it is done.
func (c *run) meanwhile(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// nothingLeft asserts that whatever these answers gave is worth nothing by now.
func (c *run) nothingLeft(client string, answers []answer) {
	c.Helper()
	for _, a := range answers {
		if a.status != http.StatusOK {
			require.Contains(c, []int{400, 401}, a.status, "%s", a)
			continue
		}
		got := c.ok(a)
		c.dead(got.AccessToken)
		require.NotEqual(c, http.StatusOK, c.refresh(client, got.RefreshToken).status)
	}
}
