package security

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// metacharacters mean something to some store, shell, directory or log.
var metacharacters = []string{
	"'; DROP TABLE oauth_tokens;--", `" OR "1"="1`, "' OR 1=1--", "1' UNION SELECT NULL--", `\'; --`, "$1", "?", ":name", "%", "_", "a%", "\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "a:b", "{tag}", "{a}:b", "*", "a*", "[a-z]", "*)(uid=*))(|(uid=*", "$ne", `{"$gt":""}`, "return redis.call('flushall')", "`id`", "$(id)", "${jndi:ldap://evil.test/a}", "{{7*7}}", "%00", "%27", "\x1b[2J", "../../etc/passwd", "a\tb", "NULL", "undefined", "\ufeff", "\u2028",
}

// injectionCases: group T, injection and exhaustion.
var injectionCases = []caseOf{
	{"SEC-260 metacharacters in what is looked up", func(c *run) {
		b := c.person()
		got, code := c.loginAs(b, app), b.code(c.params(app))
		id, rest, _ := strings.Cut(got.RefreshToken, ".")
		for _, m := range metacharacters {
			for _, v := range []url.Values{
				{"grant_type": {"refresh_token"}, "client_id": {m}, "refresh_token": {got.RefreshToken}}, {"grant_type": {"refresh_token"}, "client_id": {app + m}, "refresh_token": {got.RefreshToken}},
				{"grant_type": {"refresh_token"}, "client_id": {app}, "refresh_token": {m}}, {"grant_type": {"refresh_token"}, "client_id": {app}, "refresh_token": {id + m + "." + rest}}, {"grant_type": {"refresh_token"}, "client_id": {app}, "refresh_token": {m + "." + rest}}, {"grant_type": {"refresh_token"}, "client_id": {app}, "refresh_token": {id + "." + m + "." + m}},
				{"grant_type": {"authorization_code"}, "client_id": {app}, "code": {m}, "code_verifier": {verifier}}, {"grant_type": {"authorization_code"}, "client_id": {app}, "code": {code + m}, "code_verifier": {verifier}}, {"grant_type": {m}, "client_id": {app}},
			} {
				require.Contains(c, []int{400, 401}, c.do(form(issuer+"/oauth/token", v)).status, "%q", v)
			}
			for _, a := range []answer{c.post("/oauth/revoke", app, url.Values{"token": {m}, "token_type_hint": {m}}), c.post("/oauth/introspect", api, url.Values{"token": {m + "." + rest}})} {
				require.Contains(c, []int{200, 400}, a.status, "%q", m)
			}
			require.Equal(c, http.StatusUnauthorized, c.withBasic(nil, "Basic "+basicOf(m+"x", m)).status, "%q", m)
			c.page400(b.authorize(c.params(app, "client_id", "x"+m)))
			a := b.authorize(c.params(app, "scope", m, "nonce", m))
			c.locationOf(a)
			a = c.do(request("GET", issuer+"/oauth/register?client_id="+url.QueryEscape(m), nil, "Authorization", "Bearer "+strings.Repeat("x", 43)))
			require.Equal(c, http.StatusUnauthorized, a.status, "%q", m)
		}
		c.alive(got.AccessToken)
		c.ok(c.exchange(app, code))
	}},
	{"SEC-260 users and clients with such names", func(c *run) {
		client := c.register(oauth.Client{Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://names.example/cb"}})
		all := map[string]tokens{}
		for _, name := range metacharacters {
			b := c.browserOf("u" + name)
			page := b.authorize(c.params(client))
			if page.status != http.StatusOK { // a subject with control characters is an error of the app
				require.Contains(c, []int{303, 503}, page.status, "%q", name)
				continue
			}
			all["u"+name] = c.loginAs(b, client)
		}
		require.Greater(c, len(all), 20)
		n := 0
		for user, got := range all { // ending one ends one
			if n++; n > 12 {
				break
			}
			ended, err := c.b.p.RevokeConsent(c.Context(), user, client)
			require.NoError(c, err)
			require.Equal(c, 1, ended, "%q", user)
			c.dead(got.AccessToken)
			delete(all, user)
		}
		for user, got := range all {
			require.Equal(c, 200, c.call("api.example", got.AccessToken).status, "%q", user)
		}
	}},
	{"SEC-260 names that are put together", func(c *run) {
		pairs := [][2]string{{"a:b", "c"}, {"a", "b:c"}, {"{a}", "b:c"}, {"a}{", "c"}, {"a|b", "c"}, {"a", "b|c"}, {"a/b", "c"}, {"a", "b/c"}, {"a", "*"}, {"*", "c"}, {"a%", "c"}, {"a_", "c"}, {"a\u0000b", "c"}}
		prefix := c.person().user
		for _, p := range pairs {
			_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{ID: prefix + p[1], Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://names.example/cb"}})
			if err != nil {
				require.ErrorIs(c, err, oauth.ErrInvalidRequest, "taken: %q", p[1])
			}
		}
		for i, p := range pairs {
			if err := c.at.p.GrantConsent(c.Context(), prefix+p[0], prefix+p[1], []string{"read"}, nil); err != nil {
				require.Contains(c, p[0], "\x00", "%q: %v", p, err)
				continue
			}
			for _, other := range pairs[i+1:] {
				consent, err := c.b.p.Consent(c.Context(), prefix+other[0], prefix+other[1])
				if err == nil {
					require.Failf(c, "they are one", "%q and %q: %v", p, other, consent)
				}
			}
		}
		for _, p := range []string{"a%", "a_", "*", "{a}"} { // each has what it was granted, and no more
			list, err := c.b.p.Consents(c.Context(), prefix+p)
			require.NoError(c, err)
			require.Len(c, list, 1, p)
		}
	}},
	{"SEC-261 names that differ a little", func(c *run) {
		prefix := c.person().user
		users := []string{"anna", "Anna", "ANNA", "anna ", " anna", "anna\u00a0", "\u00e4nna", "a\u0308nna", "anna\u200b", "\uff41nna", "ann\u0430", "stra\u00dfe", "strasse", "i", "\u0131", "I", "\u0130", "anna.", "anna\u0301", "ann\u00e1"}
		byUser := map[string]tokens{}
		for _, name := range users {
			b := c.browserOf(prefix + name)
			require.Equal(c, 200, b.authorize(c.params(app)).status, "%q is asked: nobody else's consent counts", name)
			byUser[name] = c.loginAs(b, app)
		}
		for i, name := range users {
			if i%5 == 0 {
				n, err := c.b.p.RevokeConsent(c.Context(), prefix+name, app)
				require.NoError(c, err)
				require.Equal(c, 1, n, "%q", name)
				c.dead(byUser[name].AccessToken)
				delete(byUser, name)
			}
		}
		for name, got := range byUser {
			require.Equal(c, 200, c.call("api.example", got.AccessToken).status, "%q", name)
			require.Equal(c, prefix+name, claimsOf(c, got.AccessToken)["sub"])
		}
	}},
	{"SEC-261 clients whose names differ a little", func(c *run) {
		base := strings.ToLower(c.person().user)
		ids := []string{base, strings.ToUpper(base), base + ".", base + "\u00e4", base + "a\u0308", base + "\u00df", base + "ss"}
		known := map[string]bool{}
		for i, id := range ids {
			_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{ID: id, Public: true, Scopes: []string{"read"}, RedirectURIs: []string{fmt.Sprintf("https://n%d.example/cb", i)}})
			if err == nil {
				known[id] = true
				c.know(id, "none", "", []string{fmt.Sprintf("https://n%d.example/cb", i)})
			}
		}
		require.GreaterOrEqual(c, len(known), 3)
		for i, id := range ids {
			if known[id] {
				client, err := c.b.p.Client(c.Context(), id)
				require.NoError(c, err, "%q", id)
				require.Equal(c, []string{fmt.Sprintf("https://n%d.example/cb", i)}, client.RedirectURIs)
				c.alive(c.login(id).AccessToken)
			}
		}
		for _, id := range []string{base + " ", " " + base, base + "\u200b", base + "\x00", strings.ToTitle(base[:3]) + base[3:], base + "%20", base + "+"} {
			require.Contains(c, []int{400, 401}, c.do(form(issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {"x.y.z"}})).status, "%q", id)
			c.page400(c.person().authorize(c.params(base, "client_id", id)))
		}
		require.NoError(c, c.at.p.DeleteClient(c.Context(), strings.ToUpper(base)))
		_, err := c.b.p.Client(c.Context(), base)
		require.NoError(c, err)
	}},
	{"SEC-261 codes and tokens that differ a little", func(c *run) {
		b := c.person()
		got, code := c.loginAs(b, app), b.code(c.params(app))
		for _, change := range []func(string) string{strings.ToUpper, strings.ToLower, func(s string) string { return s + " " }, func(s string) string { return " " + s }, func(s string) string { return s + "\u200b" }, func(s string) string { return strings.Replace(s, s[:1], "\u200b"+s[:1], 1) }} {
			c.refused(c.exchange(app, change(code)), 400, oauth.ErrInvalidGrant)
			c.refused(c.refresh(app, change(got.RefreshToken)), 400, oauth.ErrInvalidGrant)
		}
		c.ok(c.exchange(app, code))
		c.ok(c.refresh(app, got.RefreshToken))
	}},
	{"SEC-262 a flood leaves no record", func(c *run) {
		kept := func() string {
			lines := strings.Split(c.dump(c), "\n")
			slices.Sort(lines)
			return strings.Join(lines, "\n")
		}
		before := kept()
		requests := []func(i int) *http.Request{
			func(i int) *http.Request {
				return request("GET", issuer+"/oauth/authorize?"+c.params(app, "state", fmt.Sprint(i)).Encode(), nil)
			},
			func(i int) *http.Request {
				return c.browserOf(fmt.Sprint("flood-", i)).request("GET", "/oauth/authorize?"+c.params(app).Encode(), nil)
			},
			func(i int) *http.Request {
				return request("GET", issuer+"/oauth/authorize?"+c.params(app, "client_id", fmt.Sprint("nobody-", i)).Encode(), nil)
			},
			func(i int) *http.Request {
				return form(issuer+"/oauth/consent", url.Values{"interaction": {fmt.Sprint("made-up-", i)}, "decision": {"allow"}})
			},
			func(i int) *http.Request {
				return form(issuer+"/oauth/token", c.exchangeForm(app, fmt.Sprint("made-up-", i), "client_id", app))
			},
			func(i int) *http.Request {
				return form(issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {app}, "refresh_token": {fmt.Sprintf("%d.b.c", i)}})
			},
			func(i int) *http.Request {
				return form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {fmt.Sprint("nobody-", i)}, "client_secret": {"x"}})
			},
			func(i int) *http.Request {
				return form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {signAssertion(credential{key: c.credentials[pkj].key}, fmt.Sprint("nobody-", i))}})
			},
			func(i int) *http.Request {
				return form(issuer+"/oauth/revoke", url.Values{"client_id": {app}, "token": {fmt.Sprintf("%d.b.c", i)}})
			},
			func(i int) *http.Request {
				return form(issuer+"/oauth/introspect", url.Values{"client_id": {api}, "token": {fmt.Sprint(i)}})
			},
			func(i int) *http.Request {
				return request("POST", issuer+"/oauth/register", strings.NewReader("{}"), "Content-Type", jsonType)
			},
		}
		for _, a := range c.burst(scaled(110, 100_000), func(i int) *http.Request { return requests[i%len(requests)](i) }) {
			require.Less(c, a.status, 500)
		}
		require.True(c, before == kept(), "something was stored")
	}},
	{"SEC-263 hostile text in events and logs", func(c *run) {
		c.mu.Lock()
		first := len(c.events)
		c.mu.Unlock()
		begin := len(c.log.String())
		hostile := "app\r\nlevel=ERROR msg=forged \x1b[31m\u2028\u202e" + strings.Repeat("x", 500)
		for name := range c.params(app) {
			c.person().authorize(c.params(app, name, hostile))
		}
		for _, path := range formPaths {
			for _, name := range []string{"client_id", "grant_type", "code", "refresh_token", "scope", "resource", "token", "client_assertion", "client_assertion_type", hostile} {
				v := url.Values{"client_id": {app}, "grant_type": {"refresh_token"}, "refresh_token": {"x"}, "token": {"x"}}
				v.Set(name, hostile)
				c.do(form(issuer+path, v))
			}
			c.withBasic(nil, "Basic "+basicOf(hostile, hostile))
		}
		c.postJSON("/oauth/register", metadata("client_name", hostile, "scope", hostile, "software_id", hostile, hostile, hostile))
		b := c.browserOf("u-" + hostile)
		b.allow(c.person().authorize(c.params(app)))
		c.mu.Lock()
		events := slices.Clone(c.events[first:])
		c.mu.Unlock()
		require.NotEmpty(c, events)
		for _, e := range events {
			for _, text := range append([]string{string(e.Kind), e.ClientID, e.TokenID, e.Detail}, e.Scopes...) {
				assert.NotRegexp(c, "[\x00-\x1f\x7f]", text)
				assert.LessOrEqual(c, len(text), 300)
			}
			if e.Err != nil {
				assert.NotRegexp(c, "[\x00-\x1f\x7f]", e.Err.Error())
			}
		}
		for line := range strings.Lines(c.log.String()[begin:]) {
			assert.Regexp(c, lineOfLog, line)
			assert.NotContains(c, line, "\x1b")
		}
	}},
	{"SEC-265 clients that hang up", func(c *run) {
		hook := &hangUp{ended: make(chan struct{}, 1000)}
		c = c.with("hang up "+c.person().user, func(cfg *oauth.Config) {
			hook.Store, cfg.Store = cfg.Store, hook
			cfg.Observe = func(ctx context.Context, _ string) (context.Context, func(string, int)) {
				return ctx, func(string, int) { hook.ended <- struct{}{} }
			}
		})
		for _, after := range []bool{false, true} {
			for _, method := range []string{"Client", "Code", "Consent", "Token", "UpdateToken"} {
				name := fmt.Sprint(method, " after ", after)
				b := c.person()
				code := b.code(c.params(app))
				if !hook.leave(c, c.authenticated("/oauth/token", app, c.exchangeForm(app, code)), method, after) {
					require.Equal(c, "Token", method, "what an exchange asks for")
				}
				list, err := c.store.ListTokens(c.Context(), store.TokenQuery{Subject: b.user}, "", 10)
				require.NoError(c, err)
				require.Len(c, list, 1, name)
				a := c.exchange(app, code)
				if list[0].State == store.TokenActive { // it was redeemed, whole: this is replay
					require.Equal(c, 400, a.status, name)
				} else {
					c.alive(c.ok(a).AccessToken)
				}
				if method == "Code" || method == "Consent" {
					continue
				}
				got := c.login(app)
				require.True(c, hook.leave(c, c.authenticated("/oauth/token", app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}), method, after))
				next := c.ok(c.refresh(app, got.RefreshToken)) // whatever became of the first, the retry gets an answer
				c.ok(c.refresh(app, next.RefreshToken))
			}
		}
	}},
}

var lineOfLog = regexp.MustCompile(`^(time=\S+ level=(DEBUG|INFO|WARN|ERROR) msg=|net/http: )`)
