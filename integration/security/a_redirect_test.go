package security

import (
	"net/url"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// redirectCases: group A, redirect URI matching.
var redirectCases = []caseOf{
	{"SEC-001 the registered address", func(c *run) {
		b, v := c.person(), c.params(app)
		page := b.authorize(v)
		require.Equal(c, 200, page.status)
		require.Contains(c, page.body, "app.example")
		c.redirected(b.allow(page), "https://app.example/cb", v.Get("state"))
	}},
	refusedTargets("SEC-002 other paths", app, "https://app.example/cb/", "https://app.example/cb/evil", "https://app.example/cb/../evil",
		"https://app.example/cb/%2e%2e/evil", "https://app.example/cb%2f..%2fevil", "https://app.example/cb;x", "https://app.example/CB",
		"https://app.example/c%62", "https://app.example//cb", "https://app.example/./cb", "https://app.example/x/../cb", "https://app.example/c", "https://app.example", "https://app.example/"),
	refusedTargets("SEC-003 other hosts", app, "https://app.example.evil.test/cb", "https://evil.test/app.example/cb", "https://app.example.:443/cb",
		"https://APP.EXAMPLE/cb", "HTTPS://app.example/cb", "https://app.example:443/cb", "https://app.example:8443/cb", "https://app.example./cb",
		"https://www.app.example/cb", "https://evilapp.example/cb", "https://app.example:/cb", "https://app.example%2eevil.test/cb", "https://evil.test/?https://app.example/cb"),
	refusedTargets("SEC-004 user information", app, "https://app.example@evil.test/cb", "https://user:pw@app.example/cb", "https://app.example%40evil.test/cb",
		"https://app.example%00@evil.test/cb", "https://@app.example/cb", "https://evil.test#@app.example/cb", "https://evil.test\\@app.example/cb", "https://[app.example/cb"),
	refusedTargets("SEC-005 backslashes and broken authorities", app, `https://app.example\@evil.test/cb`, `https:\\app.example/cb`, "https:///cb", "https:app.example/cb",
		"//app.example/cb", "/cb", "cb", "?", "https:/app.example/cb", "https:////app.example/cb", "https://app.example\\cb", "://app.example/cb", "https:"),
	refusedTargets("SEC-007 a query that is not registered", app, "https://app.example/cb?x=1", "https://app.example/cb?", "https://app.example/cb?code=stolen"),
	{"SEC-007 another query than the registered one", func(c *run) {
		id := c.register(oauth.Client{Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://query.example/cb?t=1"}})
		for _, query := range []string{"?t=2", "", "?t=1&t=1", "?t=1&", "?T=1", "?t=%31", "?t=1;", "?t=1#x", "?&t=1"} {
			uri := "https://query.example/cb" + query
			c.page400(c.person().authorize(c.params(id, "redirect_uri", uri)), uri)
		}
	}},
	{"SEC-008 the registered query is kept byte for byte", func(c *run) {
		for _, uri := range []string{"https://query.example/cb?t=1", "https://query.example/cb?t=a+b%2F&u=&v", "https://query.example?q"} {
			id := c.register(oauth.Client{Public: true, Scopes: []string{"read"}, RedirectURIs: []string{uri}})
			b, v := c.person(), c.params(id)
			page := b.authorize(v)
			c.redirected(b.allow(page), uri, v.Get("state"))
			c.redirected(b.visit("POST", "/oauth/consent", url.Values{"interaction": b.consentForm(page)["interaction"], "decision": {"deny"}}), uri, v.Get("state"), oauth.ErrAccessDenied)
		}
	}},
	refusedTargets("SEC-009 letters that look alike", app, "https://\u0430pp.example/cb", "https://app\u3002example/cb", "https://app\uff0eexample/cb", "https://app.exam\u200bple/cb",
		"https://app.example/c\u0301b", "https://app.example/\u0107b", "https://app.example/cb\xff", "https://app.example/cb%ff", "https://app.example/cb\u202e", "https://\uff41pp.example/cb", "https://xn--pp-7ja.example/cb"),
	refusedTargets("SEC-010 control characters", app, "https://app.example/cb\r\nSet-Cookie:a=b", "https://app.example/cb\nLocation: https://evil.test", "https://app.example/cb\x00",
		"https://app.example/cb\t", " https://app.example/cb", "https://app.example/cb ", "https://app.example/cb%0d%0aSet-Cookie:a=b", "https://app.example/cb%00", "\thttps://app.example/cb", "https://app.example/cb\x7f", "https://app.ex\nample/cb"),
	refusedTargets("SEC-011 another scheme", app, "http://app.example/cb", "javascript:alert(1)//https://app.example/cb", "ftp://app.example/cb", "app.example/cb", "httpss://app.example/cb", "data:text/html,https://app.example/cb"),
	{"SEC-013 no address", func(c *run) {
		b, v := c.person(), c.params(app, "redirect_uri", "")
		q := c.redirected(b.allow(b.authorize(v)), "https://app.example/cb", v.Get("state"))
		c.refused(c.exchange(app, q.Get("code"), "redirect_uri", "https://app.example/other"), 400, oauth.ErrInvalidGrant)
		c.ok(c.exchange(app, q.Get("code"), "redirect_uri", ""))

		v = c.params(app)
		v.Set("redirect_uri", "") // empty is absent
		c.redirected(b.allow(b.visit("GET", "/oauth/authorize?"+v.Encode(), nil)), "https://app.example/cb", v.Get("state"))
		c.page400(b.authorize(c.params(loop, "redirect_uri", "")))
		c.page400(b.authorize(c.params(app, "redirect_uri", "", "scope", "openid read")))
	}},
	{"SEC-013 two addresses", func(c *run) {
		for _, second := range []string{"https://evil.test/cb", "https://app.example/cb"} {
			v := c.params(app)
			v.Add("redirect_uri", second)
			c.page400(c.person().authorize(v), "evil.test")
		}
	}},
	acceptedTargets("SEC-014 any port of a loopback address", loop, "http://127.0.0.1:51004/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1/cb", "http://[::1]:61023/cb", "http://127.0.0.1:65535/cb", "http://[::1]/cb"),
	{"SEC-014 the code is for the port that asked", func(c *run) {
		v := c.params(loop, "redirect_uri", "http://127.0.0.1:51004/cb")
		code := c.person().code(v)
		c.refused(c.exchange(loop, code, "redirect_uri", "http://127.0.0.1:51005/cb"), 400, oauth.ErrInvalidGrant)
		c.refused(c.exchange(loop, code, "redirect_uri", "http://127.0.0.1/cb"), 400, oauth.ErrInvalidGrant)
		c.ok(c.exchange(loop, code, "redirect_uri", "http://127.0.0.1:51004/cb"))
	}},
	acceptedTargets("SEC-015 any port of localhost", local, "http://localhost:3118/cb", "http://localhost/cb", "http://localhost:1/cb"),
	{"SEC-015 any port where one is registered", func(c *run) {
		id := c.register(oauth.Client{Public: true, ApplicationType: "native", Scopes: []string{"read"}, RedirectURIs: []string{"http://localhost:3000/cb"}})
		for _, uri := range []string{"http://localhost:3118/cb", "http://localhost:3000/cb", "http://localhost/cb"} {
			c.person().code(c.params(id, "redirect_uri", uri))
		}
	}},
	refusedTargets("SEC-016 from localhost to an address", local, "http://127.0.0.1:5000/cb", "http://[::1]:5000/cb", "http://127.0.0.1/cb"),
	refusedTargets("SEC-016 from an address to localhost", loop, "http://localhost:5000/cb", "http://localhost/cb"),
	{"SEC-016 from one address to another", func(c *run) {
		id := c.register(oauth.Client{Public: true, ApplicationType: "native", Scopes: []string{"read"}, RedirectURIs: []string{"http://127.0.0.1/cb"}})
		for _, uri := range []string{"http://[::1]:5000/cb", "http://127.0.0.2:5000/cb", "http://127.1:5000/cb", "http://2130706433:5000/cb", "http://0:5000/cb", "http://[::ffff:127.0.0.1]:5000/cb"} {
			c.page400(c.person().authorize(c.params(id, "redirect_uri", uri)), uri)
		}
	}},
	refusedTargets("SEC-017 what looks like an address of this machine", loop, "http://127.0.0.1.evil.test:80/cb", "http://127.0.0.1:80@evil.test/cb", "http://127.0.0.1@evil.test/cb",
		"http://127.0.0.1:51004.evil.test/cb", "http://[::1].evil.test/cb", "http://[::1]@evil.test/cb", "http://127.0.0.1:51004@evil.test/cb", "http://127.0.0.1\\@evil.test/cb"),
	refusedTargets("SEC-017 what looks like localhost", local, "http://localhost.evil.test/cb", "http://localhost@evil.test/cb", "http://evil.localhost/cb", "http://localhost.:80/cb", "http://LOCALHOST:80/cb", "http://localhost:80@evil.test/cb", "http://localhost%00.evil.test/cb"),
	refusedTargets("SEC-019 only the port may differ", loop, "http://127.0.0.1:5/cb/", "http://127.0.0.1:5/", "http://127.0.0.1:5/other", "http://127.0.0.1:5/cb?x=1", "http://127.0.0.1:5/cb#x",
		"http://user@127.0.0.1:5/cb", "https://127.0.0.1:5/cb", "http://127.0.0.1:99999/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:+80/cb",
		"http://127.0.0.1:/cb", "http://127.0.0.1:5:5/cb", "http://127.0.0.1:-1/cb", "http://127.0.0.1:\u0665/cb", "HTTP://127.0.0.1:5/cb", "http://127.0.0.1:5", "http://127.0.0.1:5//cb"),
	acceptedTargets("SEC-020 the registered private-use address", loop, "com.example.app:/cb"),
	refusedTargets("SEC-020 other private-use addresses", loop, "com.example.app://evil/cb", "com.example.app:/cb/x", "COM.example.app:/cb", "com.example.app:cb", "com.example.app:///cb", "com.example.app:/cb?x=1", "com.example.app:/cb#x", "com.example.appx:/cb", "com.example.app:5/cb"),
	{"SEC-020 a private-use address of a web client", func(c *run) {
		_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{Public: true, ApplicationType: "web", RedirectURIs: []string{"com.example.app:/cb"}})
		require.ErrorIs(c, err, oauth.ErrInvalidRedirectURI)
	}},
	{"SEC-021 dangerous schemes are never registered", func(c *run) {
		for _, uri := range dangerous {
			for _, kind := range []string{"", "native", "web"} {
				_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{Public: true, ApplicationType: kind, RedirectURIs: []string{uri}})
				require.ErrorIs(c, err, oauth.ErrInvalidRedirectURI, "%q", uri)
			}
			c.refused(c.postJSON("/oauth/register", map[string]any{"redirect_uris": []string{uri}, "application_type": "native"}), 400, oauth.ErrInvalidRedirectURI)
		}
		require.Error(c, c.at.p.UpdateClient(c.Context(), oauth.Client{ID: app, Public: true, AuthMethod: "none", Trust: "registered", Version: 1, GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"javascript:alert(1)"}}))
	}},
	{"SEC-021 dangerous schemes beside a good one are dropped", func(c *run) {
		uris := append([]string{"https://mixed.example/cb"}, dangerous[:15]...)
		id := c.registerOver(map[string]any{"redirect_uris": uris, "token_endpoint_auth_method": "none"})
		const document = "https://mixed.example/app.json"
		c.serveDocument(document, map[string]any{"redirect_uris": uris})
		defer func() { require.Equal(c, 1, c.web.count(document), "fetched once") }()
		for _, client := range []string{id, document} {
			c.person().code(c.params(client))
			for _, uri := range uris[1:] {
				c.page400(c.person().authorize(c.params(client, "redirect_uri", uri)), uri)
			}
		}
	}},
	{"SEC-022 patterns are not registered", func(c *run) {
		for _, uri := range []string{"https://*.example/cb", "https://app.example/*", "https://app.example/cb?*", "https://app.example:*/cb", "http://localhost:*/cb", "https://%2a.example/cb", "https://.example/cb*"} {
			_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{Public: true, RedirectURIs: []string{uri}})
			require.ErrorIs(c, err, oauth.ErrInvalidRedirectURI, uri)
			c.refused(c.postJSON("/oauth/register", map[string]any{"redirect_uris": []string{uri}}), 400, oauth.ErrInvalidRedirectURI)
		}
	}},
	{"SEC-023 what is added to the decision is ignored", func(c *run) {
		tampered := map[string]string{"redirect_uri": "https://evil.test/cb", "client_id": loop, "scope": "admin", "state": "forged", "code_challenge": s256(strings.Repeat("x", 43)), "response_mode": "form_post", "resource": mcpURI, "prompt": "none", "return_to": "https://evil.test"}
		for _, inQuery := range []bool{false, true} {
			b, v := c.person(), c.params(app)
			sent, target := b.consentForm(b.authorize(v)), "/oauth/consent"
			extra := url.Values{}
			for name, value := range tampered {
				extra.Add(name, value)
				if !inQuery {
					sent.Add(name, value)
				}
			}
			if inQuery {
				target += "?" + extra.Encode()
			}
			a := b.visit("POST", target, sent)
			got := c.ok(c.exchange(app, c.redirected(a, "https://app.example/cb", v.Get("state")).Get("code")))
			require.Equal(c, "read", got.Scope)
			c.alive(got.AccessToken) // for the API, not for the other resource
		}
	}},
	{"SEC-023 a changed interaction is refused", func(c *run) {
		b := c.person()
		sent := b.consentForm(b.authorize(c.params(app)))
		sealed := sent.Get("interaction")
		for _, changed := range []string{sealed[1:], sealed[:len(sealed)-1], sealed + "A", flip(sealed, len(sealed)/2), flip(sealed, 0), strings.ToUpper(sealed), ""} {
			sent.Set("interaction", changed)
			a := b.visit("POST", "/oauth/consent", sent)
			require.Equal(c, 403, a.status, "%s", a)
		}
	}},
	{"SEC-023 a query beside a posted authorization request is ignored", func(c *run) {
		b, v := c.person(), c.params(app)
		a := b.visit("POST", "/oauth/authorize?redirect_uri=https%3A%2F%2Fevil.test%2F&scope=admin", v)
		to := c.locationOf(a)
		assert.Equal(c, "", to.Host)
		assert.Equal(c, v, to.Query())
		c.redirected(b.allow(b.visit("GET", to.String(), nil)), "https://app.example/cb", v.Get("state"))
	}},
	{"SEC-025 the address at the token endpoint", func(c *run) {
		for _, id := range []string{app, conf} {
			code := c.person().code(c.params(id))
			good := c.params(id).Get("redirect_uri")
			for _, wrong := range []string{"https://evil.test/cb", good + "/", good + "?", strings.ToUpper(good), "http" + good[5:], ""} {
				c.refused(c.exchange(id, code, "redirect_uri", wrong), 400, oauth.ErrInvalidGrant)
			}
			c.alive(c.ok(c.exchange(id, code)).AccessToken)
		}
	}},
}

var dangerous = []string{
	"javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://app.example/x", "about:blank", "view-source:https://app.example", "intent:x",
	"JavaScript:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)", "DATA:text/html,x", "javascript://app.example/%0aalert(1)", "jar:https://app.example!/x",
	"ws://app.example/cb", "ftp://app.example/cb", "filesystem:https://app.example/x", "chrome://settings", "mailto:a@b.example", "java.script:x#y", "urn:x",
}

// refusedTargets: none of these addresses is the client's.
func refusedTargets(name, clientID string, uris ...string) caseOf {
	return caseOf{name, func(c *run) {
		b := c.person()
		for _, uri := range uris {
			shown := uri
			if len(shown) < 8 { // too short not to be anywhere on a page
				shown = ""
			}
			c.page400(b.authorize(c.params(clientID, "redirect_uri", uri)), shown)
		}
	}}
}

// acceptedTargets: the answer goes to exactly these addresses.
func acceptedTargets(name, clientID string, uris ...string) caseOf {
	return caseOf{name, func(c *run) {
		for _, uri := range uris {
			c.person().code(c.params(clientID, "redirect_uri", uri))
		}
	}}
}

// flip changes one character.
func flip(s string, i int) string {
	other := byte('A')
	if s[i] == 'A' {
		other = 'B'
	}
	return s[:i] + string(other) + s[i+1:]
}
