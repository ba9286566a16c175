package oauth_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// page asserts an error page that leads nowhere.
func (f *fixture) page(a answer, status int) {
	f.t.Helper()
	assert.Equal(f.t, status, a.status, a.body)
	assert.Empty(f.t, a.header.Get("Location"))
	assert.NotContains(f.t, a.body, "href=")
	assert.Contains(f.t, a.body, "This did not work")
}

// sentBack asserts an error at the client's redirect URI.
func (f *fixture) sentBack(a answer, code oauth.ErrorCode) {
	f.t.Helper()
	where, q := a.location(f.t)
	assert.Equal(f.t, appURI, where)
	assert.Equal(f.t, string(code), q.Get("error"), "%v", q)
	assert.Equal(f.t, []string{"st"}, q["state"])
	assert.Equal(f.t, []string{issuer}, q["iss"])
	assert.Empty(f.t, q["code"])
	assert.Regexp(f.t, `^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`, q.Get("error_description"))
}

func TestRedirectURIMustBeTheRegisteredOne(t *testing.T) {
	f := newFixture(t)
	f.register(oauth.Client{ID: "query", Public: true, RedirectURIs: []string{"https://q.example/cb?t=1"}})
	for client, uris := range map[string][]string{
		"app": {
			appURI + "/", appURI + "/evil", appURI + "/../evil", appURI + "/%2e%2e/evil", appURI + "%2f..%2fevil", appURI + ";x", "https://app.example/CB",
			"https://app.example/c%62", "https://app.example//cb", "https://app.example.evil.test/cb", "https://evil.test/app.example/cb",
			"https://app.example.:443/cb", "https://APP.EXAMPLE/cb", "HTTPS://app.example/cb", "https://app.example:443/cb", "https://app.example:8443/cb",
			"https://app.example@evil.test/cb", "https://user:pw@app.example/cb", "https://app.example%40evil.test/cb", "https://app.example%00@evil.test/cb",
			"https://app.example\\@evil.test/cb", "https:\\\\app.example/cb", "https:///cb", "https:app.example/cb", "//app.example/cb", "/cb",
			appURI + "?x=1", appURI + "?", appURI + "#", appURI + "#f", "https://\u0430pp.example/cb", "https://app\u3002example/cb", appURI + "\u200b",
			appURI + "\xff", appURI + "\r\nSet-Cookie:a=b", appURI + "\x00", appURI + "\t", " " + appURI, appURI + " ",
			"http://app.example/cb", "javascript:alert(1)//" + appURI, "http://127.0.0.1/cb", strings.Repeat("a", 5000),
		},
		"query": {"https://q.example/cb", "https://q.example/cb?t=2", "https://q.example/cb?t=1&t=1", "https://q.example/cb?t=1&"},
		"loop": {
			"http://localhost:5000/cb", "http://localhost/cb", "http://127.0.0.1.evil.test:80/cb", "http://127.0.0.1:80@evil.test/cb", "http://127.0.0.2/cb",
			"http://127.0.0.1:5/cb/x", "http://127.0.0.1:5/cb?x=1", "http://127.0.0.1:5/cb#f", "http://u@127.0.0.1:5/cb", "https://127.0.0.1:5/cb",
			"http://127.0.0.1:99999/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:+80/cb",
			"http://127.0.0.1:/cb", "http://127.0.0.1:5", "http://[::1/cb", "http://[0:0:0:0:0:0:0:1]/cb", "HTTP://127.0.0.1/cb",
			"com.example.app://evil/cb", "com.example.app:/cb/x", "COM.example.app:/cb", "com.example.app:/CB",
		},
		"local": {"http://127.0.0.1:5000/cb", "http://[::1]/cb", "http://localhost.evil.test/cb", "http://localhost@evil.test/cb", "http://evil.localhost/cb", "http://LOCALHOST/cb"},
	} {
		for _, uri := range uris {
			// Whatever else is wrong, and whoever is signed in, it is never redirected.
			for _, v := range []url.Values{authorization(client, "redirect_uri", uri), authorization(client, "redirect_uri", uri, "response_type", "token", "scope", "nope")} {
				a := f.authorize(alice(), v)
				f.page(a, http.StatusBadRequest)
				assert.NotContains(t, a.body, html.EscapeString(uri))
				assert.Empty(t, a.header.Get("Set-Cookie"))
			}
		}
	}
	assert.Empty(t, f.kinds(oauth.EventCodeIssued))
}

func TestRedirectURIsThatMatch(t *testing.T) {
	f := newFixture(t)
	f.register(oauth.Client{ID: "query", Public: true, RedirectURIs: []string{"https://q.example/cb?t=1&u=%20"}})
	for uri, client := range map[string]string{
		appURI: "app", "http://127.0.0.1:51004/cb": "loop", "http://127.0.0.1:1/cb": "loop", "http://127.0.0.1/cb": "loop", "http://[::1]:61023/cb": "loop",
		"http://127.0.0.1:65535/cb": "loop", "com.example.app:/cb": "loop", "http://localhost:3118/cb": "local", "http://localhost/cb": "local", "https://q.example/cb?t=1&u=%20": "query",
	} {
		a := f.authorize(alice(), authorization(client, "redirect_uri", uri))
		if a.status == 200 {
			a = f.visit(&browser{"alice", "s1", time.Time{}, cookie(a)}, "POST", "/oauth/consent", consentForm(t, a))
		}
		require.Equal(t, 303, a.status, uri)
		to := a.header.Get("Location")
		sep := "?"
		if client == "query" {
			sep = "&"
		}
		rest, ok := strings.CutPrefix(to, uri+sep)
		require.True(t, ok, "%s is kept byte for byte in %s", uri, to)
		q, err := url.ParseQuery(rest)
		require.NoError(t, err)
		assert.Len(t, q, 3)
		assert.Equal(t, []string{"st", issuer}, []string{q.Get("state"), q.Get("iss")})
		form := exchangeForm(client, q.Get("code"), "redirect_uri", uri)
		f.ok(f.post("/oauth/token", client, form))
	}
}

func cookie(a answer) map[string]string {
	out := map[string]string{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		out[c.Name] = c.Value
	}
	return out
}

func TestRedirectURIMayBeLeftOutWhereThereIsOne(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Scopes["openid"] = "" })
	where, q := f.authorize(alice(), authorization("first", "redirect_uri", "")).location(t)
	assert.Equal(t, "https://own.example/cb", where)
	f.ok(f.exchange("first", q.Get("code"), "redirect_uri", ""))

	_, q = f.authorize(alice(), authorization("first", "redirect_uri", "")).location(t)
	f.refused(f.exchange("first", q.Get("code"), "redirect_uri", "https://own.example/other"), 400, "invalid_grant")
	f.ok(f.exchange("first", q.Get("code"), "redirect_uri", "https://own.example/cb"))

	f.page(f.authorize(alice(), authorization("loop", "redirect_uri", "")), 400)
	f.page(f.authorize(alice(), authorization("first", "redirect_uri", "", "scope", "read openid")), 400)
}

func TestUnknownClientIsShownToThePerson(t *testing.T) {
	f := newFixture(t)
	f.change("app", func(c *oauth.Client) { c.Disabled = true })
	for _, id := range []string{"nobody", "", "app", "app\x00", "a'; DROP TABLE x;--", strings.Repeat("a", 3000)} {
		f.page(f.authorize(alice(), authorization("app", "client_id", id)), 400)
	}
	v := authorization("first")
	v.Add("client_id", "first")
	f.page(f.authorize(alice(), v), 400)
	for _, name := range []string{"redirect_uri", "state", "response_mode"} {
		v := authorization("first", "response_mode", "query")
		v.Add(name, "https://own.example/cb")
		f.page(f.authorize(alice(), v), 400)
	}
	f.page(f.visit(alice(), "GET", "/oauth/authorize?client_id=first&a=%zz", nil), 400)
	f.page(f.authorize(alice(), authorization("first", "x", strings.Repeat("a", 17<<10))), 400)
}

func TestErrorsGoToTheClientOfTheOperator(t *testing.T) {
	f := newFixture(t)
	f.register(oauth.Client{ID: "nocode", Public: true, GrantTypes: []string{"refresh_token"}, RedirectURIs: []string{appURI}})
	twice := authorization("app")
	twice.Add("scope", "read")
	twice.Add("scope", "write")
	for name, c := range map[string]struct {
		v    url.Values
		want oauth.ErrorCode
	}{
		"no response type":      {authorization("app", "response_type", ""), "invalid_request"},
		"token":                 {authorization("app", "response_type", "token"), "unsupported_response_type"},
		"hybrid":                {authorization("app", "response_type", "code id_token"), "unsupported_response_type"},
		"grant not allowed":     {authorization("app", "client_id", "nocode"), "unauthorized_client"},
		"response mode":         {authorization("app", "response_mode", "fragment"), "invalid_request"},
		"repeated parameter":    {twice, "invalid_request"},
		"parameter not text":    {authorization("app", "nonce", "\xff"), "invalid_request"},
		"parameter with NUL":    {authorization("app", "nonce", "a\x00"), "invalid_request"},
		"parameter too long":    {authorization("app", "nonce", strings.Repeat("n", 4097)), "invalid_request"},
		"scope not allowed":     {authorization("app", "scope", "admin"), "invalid_scope"},
		"scope unknown":         {authorization("app", "scope", "nope"), "invalid_scope"},
		"scope syntax":          {authorization("app", "scope", `re"ad`), "invalid_scope"},
		"scope two spaces":      {authorization("app", "scope", "read  write"), "invalid_scope"},
		"scope of 201 names":    {authorization("app", "scope", strings.TrimSpace(strings.Repeat("read ", 201))), "invalid_scope"},
		"resource unknown":      {authorization("app", "resource", "https://other.example"), "invalid_target"},
		"resource relative":     {authorization("app", "resource", "/api"), "invalid_target"},
		"resource fragment":     {authorization("app", "resource", apiURI+"#x"), "invalid_target"},
		"resource, scope there": {authorization("app", "resource", mcpURI, "scope", "write"), "invalid_scope"},
		"prompt":                {authorization("app", "prompt", "please"), "invalid_request"},
		"prompt none login":     {authorization("app", "prompt", "none login"), "invalid_request"},
		"max_age":               {authorization("app", "max_age", "-1"), "invalid_request"},
		"no challenge":          {authorization("app", "code_challenge", "", "code_challenge_method", ""), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.sentBack(f.authorize(alice(), c.v), c.want)
			f.sentBack(f.authorize(&browser{}, c.v), c.want)
			_, err := f.p.ParseAuthorization(t.Context(), c.v)
			assert.ErrorIs(t, err, c.want)
		})
	}
	f.t = t
	assert.Empty(t, f.kinds(oauth.EventCodeIssued))
}

// A stranger's error is redirected by nothing but the user's own click.
func TestErrorsOfStrangersAreNotRedirected(t *testing.T) {
	f := newFixture(t)
	for _, v := range []url.Values{authorization("self", "scope", "nope"), authorization("self", "code_challenge", ""), authorization("self", "response_mode", "x")} {
		where, q := f.authorize(&browser{}, v).location(t)
		assert.Equal(t, "/login", where)
		assert.NotEmpty(t, q.Get("return_to"))
		a := f.authorize(alice(), v)
		assert.Equal(t, 400, a.status)
		assert.Contains(t, a.body, "Go to self.example")
		link := regexp.MustCompile(`href="([^"]+)"`).FindStringSubmatch(a.body)
		require.NotNil(t, link)
		assert.True(t, strings.HasPrefix(html.UnescapeString(link[1]), "https://self.example/cb?error="), link[1])
	}
	where, _ := f.authorize(&browser{}, authorization("self", "prompt", "none")).location(t)
	assert.Equal(t, "/login", where, "prompt=none of a stranger")
	a := f.authorize(alice(), authorization("self", "prompt", "none"))
	assert.Equal(t, 400, a.status)
	assert.Empty(t, a.header.Get("Location"))
}

func TestStateComesBackAsItWas(t *testing.T) {
	f := newFixture(t)
	for _, state := range []string{`&=+%20"<>'\`, "\U0001F600 \u00e9", strings.Repeat("x&", 1024), "{{.}}"} {
		_, q := f.authorize(alice(), authorization("first", "state", state)).location(t)
		assert.Equal(t, []string{state}, q["state"])
	}
	_, q := f.authorize(alice(), authorization("first", "state", "")).location(t)
	assert.NotContains(t, q, "state")
	f.page(f.authorize(alice(), authorization("first", "state", strings.Repeat("x", 8<<10))), 400)
}

func TestScopesAreNarrowed(t *testing.T) {
	f := newFixture(t)
	for asked, want := range map[string]string{
		"": "read", "read": "read", "write read": "write read", "read admin nope": "read", "read read": "read",
	} {
		got := f.login("app", "scope", asked)
		assert.Equal(t, want, got.Scope, "asked for %q", asked)
		_, claims := claimsOf(t, got.AccessToken)
		assert.Equal(t, want, claims["scope"])
	}
	assert.Equal(t, "read write profile", f.login("conf").Scope, "all of the client's where none is the default")
	assert.Equal(t, "read", f.login("app", "resource", mcpURI, "scope", "read write").Scope, "what means something there")
	assert.Contains(t, f.log.String(), "nope", "what was filtered out is logged")
}

func TestResourceIsTheAudience(t *testing.T) {
	f := newFixture(t)
	aud := func(got tokens) any { _, c := claimsOf(t, got.AccessToken); return c["aud"] }
	assert.Equal(t, apiURI, aud(f.login("app")), "the default")
	assert.Equal(t, mcpURI, aud(f.login("app", "resource", mcpURI)))
	assert.Equal(t, apiURI, aud(f.login("app", "resource", "HTTPS://API.example/")), "as configured, however it is written")
	two := authorization("app")
	two["resource"] = []string{apiURI, mcpURI}
	code := f.code(alice(), two)
	f.refused(f.exchange("app", code, "resource", "https://other.example"), 400, "invalid_target")
	assert.Equal(t, mcpURI, aud(f.ok(f.exchange("app", code, "resource", mcpURI))))
	assert.Equal(t, []any{apiURI, mcpURI}, aud(f.ok(f.exchange("app", f.code(alice(), two)))))

	f.change("app", func(c *oauth.Client) { c.Resources = []string{mcpURI} })
	assert.Equal(t, mcpURI, aud(f.login("app")))
	f.sentBack(f.authorize(alice(), authorization("app", "resource", apiURI)), "invalid_target")

	plain := newFixture(t, func(c *oauth.Config) { c.Resources = nil })
	assert.Equal(t, issuer, aud(plain.login("app")), "the issuer where there are no resources")
}

func TestLoginHandOff(t *testing.T) {
	f := newFixture(t)
	v := authorization("app", "scope", "read", "state", "a&b=c")
	where, q := f.authorize(&browser{}, v).location(t)
	assert.Equal(t, "/login", where)
	back := q.Get("return_to")
	require.True(t, strings.HasPrefix(back, "/oauth/authorize?"), back)
	consentForm(t, f.visit(alice(), "GET", back, nil))

	abs := newFixture(t, func(c *oauth.Config) { c.LoginURL = "https://id.example/login?x=1" })
	to := abs.authorize(&browser{}, v).header.Get("Location")
	assert.True(t, strings.HasPrefix(to, "https://id.example/login?x=1&return_to=https%3A%2F%2Fauth.example%2Foauth%2Fauthorize%3F"), to)
}

func TestAuthorizePostContinuesAsGet(t *testing.T) {
	f := newFixture(t)
	a := f.visit(alice(), "POST", "/oauth/authorize", authorization("app"))
	require.Equal(t, 303, a.status)
	consentForm(t, f.visit(alice(), "GET", a.header.Get("Location"), nil))
	f.page(f.visit(alice(), "PUT", "/oauth/authorize", url.Values{}), 405)
	twice := authorization("app")
	twice.Add("client_id", "app")
	f.page(f.visit(alice(), "POST", "/oauth/authorize", twice), 400)
	head := f.visit(alice(), "HEAD", "/oauth/authorize?"+authorization("first").Encode(), nil)
	assert.Equal(t, 200, head.status)
	assert.Empty(t, f.kinds(oauth.EventCodeIssued), "HEAD changes nothing")
}

func TestPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.sentBack(f.authorize(&browser{}, authorization("app", "prompt", "none")), "login_required")
		f.sentBack(f.authorize(alice(), authorization("app", "prompt", "none")), "consent_required")
		f.login("app")
		_, q := f.authorize(alice(), authorization("app", "prompt", "none")).location(t)
		assert.NotEmpty(t, q.Get("code"), "signed in and agreed")
		consentForm(t, f.authorize(alice(), authorization("app", "prompt", "consent")))
		consentForm(t, f.authorize(alice(), authorization("first", "prompt", "consent")))

		for _, prompt := range []string{"login", "select_account"} {
			b := alice()
			b.authTime = time.Now()
			time.Sleep(time.Minute)
			where, q := f.authorize(b, authorization("first", "prompt", prompt)).location(t)
			require.Equal(t, "/login", where)
			back := q.Get("return_to")
			where, _ = f.visit(b, "GET", back, nil).location(t)
			assert.Equal(t, "/login", where, "the old sign-in does not count")
			time.Sleep(time.Minute)
			b.authTime = time.Now()
			_, q = f.visit(b, "GET", back, nil).location(t)
			assert.NotEmpty(t, q.Get("code"), "a new one does")

			moved := strings.Replace(back, "state=st", "state=other", 1)
			where, _ = f.visit(b, "GET", moved, nil).location(t)
			assert.Equal(t, "/login", where, "the stamp belongs to one request")
			time.Sleep(11 * time.Minute)
			where, _ = f.visit(b, "GET", back, nil).location(t)
			assert.Equal(t, "/login", where, "and ends")
		}
		b := alice()
		b.authTime = time.Now()
		f.sentBack(f.authorize(b, authorization("app", "prompt", "none", "max_age", "x")), "invalid_request")
	})
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		b := alice()
		b.authTime = time.Now()
		time.Sleep(time.Minute)
		place := func(target string) string { where, _ := f.visit(b, "GET", target, nil).location(t); return where }
		ask := func(age string) string {
			return "/oauth/authorize?" + authorization("first", "max_age", age).Encode()
		}
		assert.Equal(t, "https://own.example/cb", place(ask("60")))
		assert.Equal(t, "/login", place(ask("59")))
		_, q := f.visit(b, "GET", ask("0"), nil).location(t)
		time.Sleep(time.Second)
		b.authTime = time.Now()
		time.Sleep(5 * time.Second)
		assert.Equal(t, "https://own.example/cb", place(q.Get("return_to")), "max_age=0 ends with a new sign-in")
		b.authTime = time.Time{}
		assert.Equal(t, "/login", place(ask("60")), "an unknown sign-in time is too old")
		f.sentBack(f.authorize(b, authorization("app", "max_age", "60", "prompt", "none")), "login_required")
	})
}

func TestFormPost(t *testing.T) {
	f := newFixture(t)
	state := `"><script>alert(1)</script>`
	a := f.authorize(alice(), authorization("first", "response_mode", "form_post", "state", state))
	require.Equal(t, 200, a.status)
	assert.NotContains(t, a.body, "<script>alert")
	assert.Contains(t, a.body, html.EscapeString(state))
	assert.Contains(t, a.body, `action="https://own.example/cb"`)
	assert.Contains(t, a.header.Get("Content-Security-Policy"), "form-action https://own.example")
	field := func(name string) string {
		m := regexp.MustCompile(`name="`+name+`" value="([^"]+)"`).FindAllStringSubmatch(a.body, -1)
		require.Len(t, m, 1, name)
		return html.UnescapeString(m[0][1])
	}
	assert.Equal(t, issuer, field("iss"))
	f.ok(f.exchange("first", field("code")))

	a = f.authorize(alice(), authorization("first", "response_mode", "form_post", "scope", "nope"))
	assert.Equal(t, "invalid_scope", field("error"))
	assert.Equal(t, issuer, field("iss"))
}

func TestSessionOutageIsNoSignOut(t *testing.T) {
	f := newFixture(t)
	r := alice().request("GET", "/oauth/authorize?"+authorization("app").Encode(), nil)
	r.Header.Set("X-Broken", "1")
	f.sentBack(f.do(r), "temporarily_unavailable")
	f.fails = errors.New("user database is down")
	f.sentBack(f.authorize(alice(), authorization("app")), "temporarily_unavailable")
	assert.Len(t, f.kinds(oauth.EventOutage), 2)
}

func TestInteractReplacesLoginAndConsent(t *testing.T) {
	var f *fixture
	var seen []oauth.Need
	f = newFixture(t, func(c *oauth.Config) {
		c.LoginURL = ""
		c.Interact = func(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizationRequest) {
			seen = append(seen, req.Need)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if req.Need == oauth.NeedLogin {
				w.Write([]byte(req.ResumeURL))
				return
			}
			if r.Header.Get("X-Answer") == "deny" {
				f.p.Deny(w, r, req)
				return
			}
			f.p.Approve(w, r, req, []string{"read"})
		}
	})
	resume := f.authorize(&browser{}, authorization("app", "scope", "read write")).body
	a := f.visit(alice(), "GET", resume, nil)
	_, q := a.location(t)
	assert.Equal(t, "read", f.ok(f.exchange("app", q.Get("code"))).Scope)
	assert.Equal(t, []oauth.Need{oauth.NeedLogin, oauth.NeedConsent}, seen)
	r := alice().request("GET", "/oauth/authorize?"+authorization("app", "scope", "write").Encode(), nil)
	r.Header.Set("X-Answer", "deny")
	f.sentBack(f.do(r), "access_denied")
}

func TestSkipConsentIsForRegisteredClients(t *testing.T) {
	skip, fails := true, error(nil)
	f := newFixture(t, func(c *oauth.Config) {
		c.SkipConsent = func(context.Context, *oauth.AuthorizationRequest) (bool, error) { return skip, fails }
	})
	_, q := f.authorize(alice(), authorization("app")).location(t)
	f.ok(f.exchange("app", q.Get("code")))
	_, err := f.p.Consent(t.Context(), "alice", "app")
	assert.ErrorIs(t, err, store.ErrNotFound, "nothing was agreed to")
	consentForm(t, f.authorize(alice(), authorization("self")))
	consentForm(t, f.authorize(alice(), authorization("app", "prompt", "consent")))
	skip = false
	consentForm(t, f.authorize(alice(), authorization("app")))
	fails = errors.New("policy service is down")
	f.sentBack(f.authorize(alice(), authorization("app")), "temporarily_unavailable")
}
