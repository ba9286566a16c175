package security

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// consentCases: group H, the consent page.
var consentCases = []caseOf{
	{"SEC-095 a decision that does not come from the page", func(c *run) {
		b := c.person()
		good := b.consentForm(b.authorize(c.params(app)))
		stranger := c.person()
		strangers := stranger.consentForm(stranger.authorize(c.params(app)))
		for _, interaction := range []string{"", "x", strangers.Get("interaction"), good.Get("interaction")[:40]} {
			sent := maps.Clone(good)
			sent["interaction"] = []string{interaction}
			require.Equal(c, 403, b.visit("POST", "/oauth/consent", sent).status)
		}
		for _, headers := range [][]string{{"Origin", "https://evil.test"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}} {
			r := b.request("POST", "/oauth/consent", good)
			r.Header.Set(headers[0], headers[1])
			require.Equal(c, 403, c.do(r).status, headers)
		}
		for name, cookies := range map[string]map[string]string{"none": {}, "another's": stranger.cookies, "made up": {"__Host-oauth-browser": strings.Repeat("A", 43)}} {
			other := *b
			other.cookies = maps.Clone(cookies)
			require.Equal(c, 403, other.visit("POST", "/oauth/consent", good).status, name)
		}
		c.nothingStored(b.user)
		require.Equal(c, 303, b.visit("POST", "/oauth/consent", good).status)
	}},
	{"SEC-097 a decision by another method", func(c *run) {
		b := c.person()
		sent := b.consentForm(b.authorize(c.params(app)))
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			for _, r := range []*http.Request{b.request(method, "/oauth/consent?"+sent.Encode(), nil), b.request(method, "/oauth/consent", sent)} {
				a := c.do(r)
				require.Equal(c, 405, a.status, method)
				require.Equal(c, "POST", a.header.Get("Allow"))
			}
		}
		require.Equal(c, 403, b.visit("POST", "/oauth/consent?"+sent.Encode(), url.Values{}).status)
		c.nothingStored(b.user)
		b.code(c.params(app))
		v := c.params(app)
		require.Equal(c, 200, b.visit("HEAD", "/oauth/authorize?"+v.Encode(), nil).status, "HEAD gets no code")
	}},
	{"SEC-098 a page of the attacker's in the victim's browser", func(c *run) {
		attacker, victim := c.person(), c.person()
		sent := attacker.consentForm(attacker.authorize(c.params(app)))
		require.Equal(c, 403, victim.visit("POST", "/oauth/consent", sent).status)
		victim.authorize(c.params(app)) // has a cookie now
		require.Equal(c, 403, victim.visit("POST", "/oauth/consent", sent).status)
		victim.cookies = maps.Clone(attacker.cookies) // tossed from another site of the domain
		require.Equal(c, 403, victim.visit("POST", "/oauth/consent", sent).status)
		c.nothingStored(victim.user)
		c.nothingStored(attacker.user)
	}},
	{"SEC-099 a decision that is sent twice", func(c *run) {
		b, v := c.person(), c.params(app)
		sent := b.consentForm(b.authorize(v))
		codes := 0
		for _, a := range c.burst(64, func(int) *http.Request { return b.request("POST", "/oauth/consent", sent) }) {
			if a.status == http.StatusSeeOther {
				codes++
				c.ok(c.exchange(app, c.redirected(a, v.Get("redirect_uri"), v.Get("state")).Get("code")))
				continue
			}
			c.page400(a, "app.example")
		}
		require.Equal(c, 1, codes)
		c.page400(b.visit("POST", "/oauth/consent", sent))
	}},
	{"SEC-100 two flows in two tabs", func(c *run) {
		b := c.person()
		one, two := c.params(app, "scope", "read"), c.params(conf, "scope", "read write")
		first, second := b.authorize(one), b.authorize(two)
		atTwo := c.redirected(b.allow(second), two.Get("redirect_uri"), two.Get("state")).Get("code")
		atOne := c.redirected(b.allow(first), one.Get("redirect_uri"), one.Get("state")).Get("code")
		require.Equal(c, "read", c.ok(c.exchange(app, atOne)).Scope)
		require.Equal(c, "read write", c.ok(c.exchange(conf, atTwo)).Scope)
	}},
	{"SEC-103 every page", func(c *run) { // its headers are checked wherever it is answered
		b := c.person()
		pages := []answer{
			b.authorize(c.params(app)), b.authorize(c.params(app, "client_id", "nobody")), b.authorize(c.params(c.dcr, "scope", "nonsense")),
			b.authorize(c.params(app, "response_mode", "form_post", "scope", "nonsense")), b.visit("GET", "/oauth/consent", nil), b.visit("POST", "/oauth/consent", url.Values{}), b.visit("PUT", "/oauth/authorize", nil),
		}
		for i, a := range pages {
			require.NotEmpty(c, a.body, i)
			nonces := nonce.FindAllStringSubmatch(a.header.Get("Content-Security-Policy"), -1)
			require.NotEmpty(c, nonces, i)
			for _, element := range regexp.MustCompile(`<(?:script|style)[^>]*>`).FindAllString(a.body, -1) {
				assert.Contains(c, element, `nonce="`+nonces[0][1]+`"`)
			}
			for _, other := range pages[:i] {
				assert.NotContains(c, other.String(), nonces[0][1], "a nonce is used once")
			}
			assert.NotRegexp(c, `(?i)\son[a-z]+=|javascript:|<iframe|<object|<base|<img`, a.body)
		}
	}},
	{"SEC-104 what a client says of itself is text", func(c *run) {
		for _, hostile := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `{{.Nonce}}`, `</title><script>x</script>`, `' onfocus='x`, `</form><form action=https://evil.test>`, "<!--", `&lt;script&gt;`} {
			id := c.register(oauth.Client{Public: true, Trust: store.TrustSelf, Name: hostile, Scopes: []string{"read"}, RedirectURIs: []string{"https://x.example/cb"},
				URI: "https://x.example/?" + url.QueryEscape(hostile), PolicyURI: "https://x.example/\"onclick='x'", TOSURI: "https://x.example/<b>"})
			a := c.person().authorize(c.params(id, "state", hostile, "login_hint", hostile, "ui_locales", hostile, "nonce", hostile))
			require.Equal(c, 200, a.status)
			if strings.ContainsAny(hostile, "<>\"'") {
				assert.NotContains(c, a.body, hostile)
			}
			assert.Contains(c, html.UnescapeString(a.body), strings.ReplaceAll(hostile, `"`, "'"), "and does not end the quotes it stands in")
			assert.NotRegexp(c, `<script|<img|<b>|onclick='x'|"onclick`, a.body)
			for _, link := range regexp.MustCompile(`<a [^>]*>`).FindAllString(a.body, -1) {
				assert.Regexp(c, `href="https://[^"]*" rel="noopener noreferrer nofollow"`, link)
			}
		}
		for _, link := range []string{"javascript:alert(1)", "data:text/html,x", "http://x.example/", "//x.example", "https://u:p@x.example/"} {
			for _, member := range []string{"client_uri", "policy_uri", "tos_uri", "logo_uri"} {
				c.refused(c.postJSON("/oauth/register", map[string]any{"redirect_uris": []string{"https://x.example/cb"}, member: link}), 400, oauth.ErrInvalidClientMetadata)
			}
		}
	}},
	{"SEC-105 the form that submits itself", func(c *run) {
		for _, state := range []string{`"><script>alert(1)</script>`, `' onload='x`, "{{.}}", "</form><x>"} {
			b, v := c.person(), c.params(app, "response_mode", "form_post", "state", state)
			a := b.allow(b.authorize(v))
			require.Equal(c, []string{state}, c.locationOrForm(a)["state"])
			if strings.ContainsAny(state, `<>"'`) {
				assert.NotContains(c, a.body, state)
			}
			assert.Contains(c, a.body, `<form method="post" action="https://app.example/cb"`)
			assert.Contains(c, a.header.Get("Content-Security-Policy"), "form-action https://app.example")
			assert.Equal(c, 1, strings.Count(a.body, "<script"))
		}
	}},
	{"SEC-106 names that look like something else", func(c *run) {
		for _, name := range []string{"Good\u202eevil", "Go\u200bod", "Good" + strings.Repeat("\u0301", 80), strings.Repeat("\U0001F600", 45), "Good\nSigned in as admin", "Good\x1b[31m", "\u2066Good\u2069", "Go\u00adod"} {
			id := c.register(oauth.Client{Public: true, Trust: store.TrustSelf, Name: name, Scopes: []string{"read"}, RedirectURIs: []string{"https://x.example/cb"}})
			a := c.person().authorize(c.params(id))
			require.Equal(c, 200, a.status)
			shown := regexp.MustCompile(`(?s)<h1>(.*?)</h1>`).FindStringSubmatch(a.body)[1]
			for _, r := range []string{"\u202e", "\u200b", "\u2066", "\u2069", "\u00ad", "\x1b", "\n", "\u0301\u0301\u0301"} {
				assert.NotContains(c, shown, r)
			}
			assert.Contains(c, a.body, "<dd>x.example</dd>")
			assert.Contains(c, a.body, "not checked")
		}
		for _, name := range []string{strings.Repeat("n", 10<<10), "a\x00b"} {
			c.refused(c.postJSON("/oauth/register", map[string]any{"client_name": name, "redirect_uris": []string{"https://x.example/cb"}}), 400, oauth.ErrInvalidClientMetadata)
		}
		assert.Contains(c, c.person().authorize(c.params(cimdApp)).body, "client.example")
	}},
	{"SEC-107 no picture of a client's", func(c *run) {
		id := c.registerOver(map[string]any{"redirect_uris": []string{"https://x.example/cb"}, "token_endpoint_auth_method": "none", "logo_uri": "https://pixel.example/logo.svg"})
		a := c.person().authorize(c.params(id))
		require.Equal(c, 200, a.status)
		assert.NotContains(c, a.body, "pixel.example")
		assert.NotContains(c, a.body, "<img")
		assert.Zero(c, c.web.count("https://pixel.example/logo.svg"))
	}},
	{"SEC-109 another client of the same name", func(c *run) {
		metadata := map[string]any{"client_name": "Twin", "redirect_uris": []string{"https://twin.example/cb"}, "token_endpoint_auth_method": "none"}
		b, first, second := c.person(), c.registerOver(metadata), c.registerOver(metadata)
		b.code(c.params(first))
		require.Equal(c, 303, b.authorize(c.params(first)).status)
		require.Equal(c, 200, b.authorize(c.params(second)).status)
		require.Equal(c, 200, c.person().authorize(c.params(first)).status, "another user")
	}},
	{"SEC-110 one scope or resource more", func(c *run) {
		b := c.person()
		b.code(c.params(app, "scope", "read", "resource", apiURI))
		require.Equal(c, 303, b.authorize(c.params(app, "scope", "read", "resource", apiURI)).status)
		more := b.authorize(c.params(app, "scope", "read write", "resource", apiURI))
		require.Equal(c, 200, more.status)
		assert.Contains(c, more.body, `value="write"`)
		elsewhere := b.authorize(c.params(app, "scope", "read", "resource", mcpURI))
		require.Equal(c, 200, elsewhere.status)
		assert.Contains(c, elsewhere.body, mcpURI)
	}},
	{"SEC-110 reading here and writing there", func(c *run) {
		const drafts = "https://api.example/drafts"
		c = c.with("drafts", func(cfg *oauth.Config) { cfg.Resources = append(cfg.Resources, oauth.Resource{URI: drafts}) })
		for _, client := range []string{app, conf, c.dcr, cimdApp} {
			b := c.person()
			ask := func(scope string, resources ...string) url.Values {
				v := c.params(client, "scope", scope)
				v["resource"] = resources
				return v
			}
			agreed := []url.Values{ask("read", apiURI), ask("write", drafts)}
			forms := make([]url.Values, len(agreed))
			for i, v := range agreed {
				forms[i] = b.consentForm(b.authorize(v))
			}
			for _, a := range c.burst(len(forms), func(i int) *http.Request { return b.request("POST", "/oauth/consent", forms[i]) }) {
				require.Equal(c, 303, a.status, "%s", a)
			}
			for _, v := range []url.Values{ask("write", apiURI), ask("read", drafts), ask("read", apiURI, drafts), ask("write", apiURI, drafts), ask("read write", apiURI, drafts), ask("read write", drafts)} {
				require.Equal(c, 200, b.authorize(v).status, "%s: nobody agreed to %s at %s", client, v["scope"], v["resource"])
				v.Set("prompt", "none")
				a := b.authorize(v)
				require.NotContains(c, a.header.Get("Location"), "code=", client)
				require.NotEqual(c, 200, a.status, client)
			}
			for i, v := range agreed {
				got := c.ok(c.exchange(client, c.redirected(b.authorize(v), v.Get("redirect_uri"), v.Get("state")).Get("code"), "resource", ""))
				require.Equal(c, []any{v.Get("scope"), v.Get("resource")}, []any{got.Scope, audience(c, got)}, i)
				c.refused(c.refresh(client, got.RefreshToken, "scope", "read write"), 400, oauth.ErrInvalidScope)
			}
		}
	}},
	{"SEC-111 a stranger that has changed", func(c *run) {
		for name, change := range map[string]func(k *oauth.Client){
			"name":    func(k *oauth.Client) { k.Name = "Your bank" },
			"address": func(k *oauth.Client) { k.RedirectURIs = append(k.RedirectURIs, evil) },
			"keys":    func(k *oauth.Client) { k.JWKSURI = "https://evil.test/jwks" },
		} {
			id := c.register(oauth.Client{Public: true, Trust: store.TrustSelf, Scopes: []string{"read"}, RedirectURIs: []string{"https://x.example/cb"}})
			b := c.person()
			b.code(c.params(id))
			require.Equal(c, 303, b.authorize(c.params(id)).status)
			c.change(id, change)
			require.Equal(c, 200, b.authorize(c.params(id)).status, name)
		}
	}},
	{"SEC-112 a client on the user's own machine", func(c *run) {
		for _, uri := range []string{"http://127.0.0.1:5000/cb", "http://[::1]:5000/cb", "http://localhost:5000/cb"} {
			client := loop
			if strings.Contains(uri, "localhost") {
				client = local
			}
			a := c.person().authorize(c.params(client, "redirect_uri", uri))
			assert.Contains(c, a.body, "a program on this computer")
		}
		id := c.registerOver(map[string]any{"redirect_uris": []string{"http://localhost/cb"}, "token_endpoint_auth_method": "none"})
		b := c.person()
		for range 2 { // it is asked for every time: the next one may be another program
			require.Equal(c, 200, b.authorize(c.params(id)).status)
			b.code(c.params(id))
		}
		assert.NotContains(c, b.authorize(c.params(app)).body, "a program on this computer")
	}},
}

var nonce = regexp.MustCompile(`'nonce-([^']+)'`)

// nothingStored asserts that this user has granted nothing.
func (c *run) nothingStored(user string) {
	c.Helper()
	consents, err := c.store.ListConsents(c.Context(), user, "", 10)
	require.NoError(c, err)
	require.Empty(c, consents)
	list, err := c.store.ListTokens(c.Context(), store.TokenQuery{Subject: user}, "", 10)
	require.NoError(c, err)
	require.Empty(c, list)
}
