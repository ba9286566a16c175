package oauth_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
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
	assert.Regexp(f.t, `^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`, q.Get("error_description"))
	assert.NotContains(f.t, q, "error_uri", "the provider's own errors have none")
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
			"http://127.0.0.1:18446744073709551696/cb", "http://127.0.0.1:8a/cb", "127.0.0.1:5/cb", "127.0.0.1/cb", "https:127.0.0.1/cb",
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
		appURI: "app", "http://127.0.0.1:51004/cb": "loop", "http://127.0.0.1:1/cb": "loop", "http://127.0.0.1:9/cb": "loop", "http://127.0.0.1/cb": "loop", "http://[::1]:61023/cb": "loop",
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

// Registration bounds an address; a port may not take it over that.
func TestRedirectURIWithAPortIsBoundedToo(t *testing.T) {
	f := newFixture(t)
	long := "http://127.0.0.1/" + strings.Repeat("a", 2048-len("http://127.0.0.1/"))
	f.register(oauth.Client{ID: "long", Public: true, RedirectURIs: []string{long, "http://localhost?x=1"}})
	for _, uri := range []string{long, "http://localhost?x=1", "http://localhost:80?x=1"} {
		_, err := f.p.ParseAuthorization(t.Context(), authorization("long", "redirect_uri", uri))
		assert.NoError(t, err)
	}
	f.page(f.authorize(alice(), authorization("long", "redirect_uri", strings.Replace(long, "/a", ":80/a", 1))), 400)
	f.page(f.authorize(alice(), authorization("long", "redirect_uri", "http://localhost:80?x=2")), 400)
}

func TestPeopleAreShownTheHostOfARedirectURI(t *testing.T) {
	f := newFixture(t)
	for uri, want := range map[string]string{
		"http://127.0.0.1:51004/cb": "127.0.0.1:51004", "http://[::1]:5/cb": "[::1]:5", "com.example.app:/cb": "com.example.app:",
	} {
		req, err := f.p.ParseAuthorization(t.Context(), authorization("loop", "redirect_uri", uri))
		require.NoError(t, err)
		assert.Equal(t, want, req.RedirectURI.Host())
		a := f.authorize(alice(), authorization("loop", "redirect_uri", uri, "response_mode", "form_post", "prompt", "none"))
		origin := want
		if strings.HasPrefix(uri, "http") {
			origin = "http://" + want
		}
		assert.True(t, strings.HasSuffix(a.header.Get("Content-Security-Policy"), "; form-action "+origin), a.header.Get("Content-Security-Policy"))
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
	half := *f.client("app") // of another source: registration asks for both or neither
	half.ID, half.GrantTypes, half.ResponseTypes = "nogrant", []string{"refresh_token"}, []string{"code"}
	require.NoError(t, f.store.CreateClient(t.Context(), half))
	half.ID, half.GrantTypes, half.ResponseTypes = "notype", []string{"authorization_code"}, nil
	require.NoError(t, f.store.CreateClient(t.Context(), half))
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
		"grant type missing":    {authorization("app", "client_id", "nogrant"), "unauthorized_client"},
		"response type missing": {authorization("app", "client_id", "notype"), "unauthorized_client"},
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
		"resource, no fragment": {authorization("app", "resource", apiURI+"#"), "invalid_target"},
		"resource not a URI":    {authorization("app", "resource", "https://[::1"), "invalid_target"},
		"resource fragment":     {authorization("app", "resource", apiURI+"#x"), "invalid_target"},
		"resource, scope there": {authorization("app", "resource", mcpURI, "scope", "write"), "invalid_scope"},
		"prompt":                {authorization("app", "prompt", "please"), "invalid_request"},
		"prompt none login":     {authorization("app", "prompt", "none login"), "invalid_request"},
		"prompt none none":      {authorization("app", "prompt", "none none"), "invalid_request"},
		"11 resources":          {withValues(authorization("app"), "resource", slices.Repeat([]string{apiURI}, 11)...), "invalid_target"},
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

// The tables above have the first that is too much; this is the last that is not.
func TestTheLargestRequestIsAnswered(t *testing.T) {
	f := newFixture(t)
	for name, v := range map[string]url.Values{
		"parameter of 4096 bytes": authorization("first", "nonce", strings.Repeat("n", 4096)),
		"10 resources":            withValues(authorization("first"), "resource", slices.Repeat([]string{apiURI}, 10)...),
		"200 scopes":              authorization("first", "scope", strings.TrimSpace(strings.Repeat("read ", 200))),
		"scope of 128 characters": authorization("first", "scope", "read "+strings.Repeat("s", 128)),
		"two prompts":             authorization("first", "prompt", "consent consent"),
		"empty values are none":   withValues(authorization("first"), "scope", "", "read", ""),
	} {
		t.Run(name, func(t *testing.T) {
			req, err := f.p.ParseAuthorization(t.Context(), v)
			require.NoError(t, err)
			assert.Contains(t, req.Scopes, "read")
			assert.Equal(t, []string{apiURI}, req.Resources)
		})
	}
	query := authorization("first").Encode()
	for query += "&"; len(query) < 16<<10; {
		query += strings.Repeat("x", min(16<<10-len(query), 1000)-1) + "&"
	}
	require.Len(t, query, 16<<10)
	_, q := f.visit(alice(), "GET", "/oauth/authorize?"+query, nil).location(t)
	assert.NotEmpty(t, q.Get("code"), "16 KiB")
	f.page(f.visit(alice(), "GET", "/oauth/authorize?"+query+"&", nil), 400)

	v := authorization("first", "scope", "write")
	v["nonce"], v["scope"] = []string{""}, []string{"", "write", ""}
	req, err := f.p.ParseAuthorization(t.Context(), v)
	require.NoError(t, err)
	assert.Equal(t, []string{"write"}, req.Scopes)
	assert.False(t, req.Params.Has("nonce"), "an empty parameter is none")
}

func TestResponseURLCarriesTheWholeError(t *testing.T) {
	f := newFixture(t)
	req, err := f.p.ParseAuthorization(t.Context(), authorization("app", "state", ""))
	require.NoError(t, err)
	assert.Equal(t, appURI+"?error=slow_down&error_description=wait&error_uri=https%3A%2F%2Fx.example&iss=https%3A%2F%2Fauth.example",
		f.p.ResponseURL(req, "", &oauth.Error{Code: "slow_down", Description: "wait", URI: "https://x.example"}))
	assert.Equal(t, appURI+"?error=slow_down&iss=https%3A%2F%2Fauth.example", f.p.ResponseURL(req, "", &oauth.Error{Code: "slow_down"}))
	assert.Equal(t, appURI+"?code=c&iss=https%3A%2F%2Fauth.example", f.p.ResponseURL(req, "c", nil))
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

	f = newFixture(t)
	f.login("app", "scope", "read write")
	assert.NotContains(t, f.log.String(), "narrowed", "nothing was filtered out")
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
	assert.Equal(t, mcpURI, aud(f.login("app", "resource", mcpURI)))
	f.sentBack(f.authorize(alice(), authorization("app", "resource", apiURI)), "invalid_target")

	plain := newFixture(t, func(c *oauth.Config) { c.Resources = nil })
	assert.Equal(t, issuer, aud(plain.login("app")), "the issuer where there are no resources")
}

// A client that another source brings is judged at every request.
func TestWebClientHasNoLoopbackAddress(t *testing.T) {
	f := newFixture(t)
	c := *f.client("app")
	c.ID, c.ApplicationType, c.RedirectURIs = "web", "web", []string{"http://127.0.0.1/cb"}
	require.NoError(t, f.store.CreateClient(t.Context(), c))
	f.page(f.authorize(alice(), authorization("x", "client_id", "web", "redirect_uri", "http://127.0.0.1/cb")), 400)
	f.page(f.authorize(alice(), authorization("x", "client_id", "web", "redirect_uri", "http://127.0.0.1:5000/cb")), 400)
	f.change("first", func(c *oauth.Client) { c.ApplicationType = "web" })
	_, q := f.authorize(alice(), authorization("first")).location(t)
	assert.NotEmpty(t, q.Get("code"), "any other address is as good as another client's")
}

// What an app does with the Go methods is judged like what its endpoints do.
func TestCreateAuthorizationCode(t *testing.T) {
	f := newFixture(t)
	parse := func(client string) *oauth.AuthorizationRequest {
		req, err := f.p.ParseAuthorization(t.Context(), authorization(client))
		require.NoError(t, err)
		return req
	}
	signedIn := func(subject string) oauth.Approval { return oauth.Approval{Session: oauth.Session{Subject: subject}} }
	for name, tt := range map[string]struct {
		req     *oauth.AuthorizationRequest
		subject string
		want    oauth.ErrorCode
		rule    string
	}{
		"nobody":             {parse("app"), "", oauth.ErrAccessDenied, "nobody is signed in"},
		"the client":         {parse("app"), "app", oauth.ErrServerError, "a user has the ID of a client"},
		"a subject too long": {parse("app"), strings.Repeat("a", store.MaxSubject+1), oauth.ErrServerError, "Session.Subject must be"},
		"a subject not text": {parse("app"), "\xff", oauth.ErrServerError, "Session.Subject must be"},
		"a made-up request":  {&oauth.AuthorizationRequest{Client: f.client("app"), Scopes: []string{"admin"}}, "alice", oauth.ErrServerError, "not made by ParseAuthorization"},
	} {
		t.Run(name, func(t *testing.T) {
			code, err := f.p.CreateAuthorizationCode(t.Context(), tt.req, signedIn(tt.subject))
			assert.ErrorIs(t, err, tt.want)
			assert.ErrorContains(t, err, tt.rule)
			assert.Empty(t, code)
		})
	}
	list, err := f.store.ListTokens(t.Context(), store.TokenQuery{ClientID: "app"}, "", 10)
	require.NoError(t, err)
	assert.Empty(t, list, "nothing is stored")

	for client, remembered := range map[string]bool{"app": true, "self": true, "first": false} {
		code, err := f.p.CreateAuthorizationCode(t.Context(), parse(client), signedIn(strings.Repeat("a", store.MaxSubject)))
		require.NoError(t, err, client)
		f.ok(f.exchange(client, code))
		_, err = f.p.Consent(t.Context(), strings.Repeat("a", store.MaxSubject), client)
		assert.Equal(t, remembered, err == nil, client)
	}
	own := *f.client("first") // of another source
	own.ID, own.Trust = "document", store.TrustDocument
	require.NoError(t, f.store.CreateClient(t.Context(), own))
	req, err := f.p.ParseAuthorization(t.Context(), authorization("first", "client_id", "document"))
	require.NoError(t, err)
	_, err = f.p.CreateAuthorizationCode(t.Context(), req, signedIn("alice"))
	require.NoError(t, err)
	_, err = f.p.Consent(t.Context(), "alice", "document")
	assert.NoError(t, err, "a stranger's client is nobody's own, whatever it says")
}
