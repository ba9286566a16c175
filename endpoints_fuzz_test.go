package oauth_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// answerTo serves a request, whatever it is, and holds what is true of every
// answer.
func (f *fixture) answerTo(t testing.TB, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	f.p.ServeHTTP(w, r)
	a := answer{w.Code, w.Result().Header, w.Body.String()}
	if a.status >= 500 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	checkHeaders(t, r, a)
	for name, values := range a.header {
		if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
			t.Fatalf("%q: %q", name, values)
		}
	}
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		checkPage(t, a.body)
	}
	return a
}

// builtIn are the tags that the built-in pages are made of.
var builtIn = regexp.MustCompile(`^<(!DOCTYPE html|/?(html|head|title|style|body|main|h1|p|strong|dl|div|dt|dd|form|fieldset|legend|label|input|span|small|button|a|meta|script)` +
	`( (lang|charset|name|content|nonce|class|role|method|action|type|value|href|rel|id)="[^"<>]*"| checked)*)>$`)

// checkPage: nothing that was sent has become a tag, an attribute, or a link to
// where nobody is registered.
func checkPage(t testing.TB, body string) {
	t.Helper()
	for rest := body; ; {
		start := strings.IndexByte(rest, '<')
		if start < 0 {
			return
		}
		tag, after, _ := strings.Cut(rest[start:], ">")
		rest = after
		if tag += ">"; !builtIn.MatchString(tag) {
			t.Fatalf("%s in %s", tag, body)
		}
		if _, link, ok := strings.Cut(tag, `href="`); ok {
			link, _, _ = strings.Cut(html.UnescapeString(link), `"`)
			if !registeredHere(link) && !ownPlace(link) {
				t.Fatalf("a link to %s", link)
			}
		}
	}
}

// registeredHere reports whether the address, up to its query, is one of a
// client of the fixture.
func registeredHere(to string) bool {
	at, _, _ := strings.Cut(to, "?")
	return slices.ContainsFunc([]string{
		appURI, "https://own.example/cb", "https://conf.example/cb", "https://post.example/cb", "https://self.example/cb",
		"http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb", "com.example.app:/cb",
	}, func(r string) bool { return at == r || sameButForThePort(r, at) })
}

// ownPlace reports whether the browser stays: to sign in, or to ask by GET.
func ownPlace(to string) bool {
	return strings.HasPrefix(to, "/login?return_to=") || strings.HasPrefix(to, "/oauth/authorize?")
}

// FuzzServeHTTP sends anything to any endpoint. None of it is the server's
// fault, every answer has its headers, and nothing of it is markup, a cookie or
// a token in the answer.
func FuzzServeHTTP(f *testing.F) {
	const form, alices = "Content-Type: application/x-www-form-urlencoded", "X-User: alice\nX-Session: s1"
	for _, client := range []string{"app", "first", "self", "loop", "conf"} {
		query := authorization(client).Encode()
		f.Add("GET", "/oauth/authorize", query, "", "")
		f.Add("GET", "/oauth/authorize", query, alices, "")
		f.Add("HEAD", "/oauth/authorize", query+"&prompt=none&max_age=1", alices+"\nX-Auth-Time: 1", "")
		f.Add("GET", "/oauth/authorize", query+"&scope=%3Cscript%3E&response_mode=form_post&nonce=%22%3E%3Cb%3E", alices, "")
		f.Add("POST", "/oauth/authorize", "", form, query+"&state=%3Cscript%3E")
		f.Add("POST", "/oauth/token", "", form, exchangeForm(client, "x").Encode()+"&client_id="+client)
	}
	f.Add("POST", "/oauth/consent", "", form+"\nSec-Fetch-Site: same-origin\nCookie: __Host-oauth-browser=x\n"+alices, "interaction=AAAA&decision=allow&scope=read")
	f.Add("POST", "/oauth/revoke", "a=b", form+"\nAuthorization: Basic cnM6eA==", "token=x&token_type_hint=%00")
	f.Add("POST", "/oauth/introspect", "token=x", form+";charset=x\nContent-Encoding: gzip", "token=x")
	f.Add("GET", "/oauth/jwks", "", "If-None-Match: *\nRange: bytes=5-1", "")
	f.Add("GET", "/.well-known/oauth-authorization-server", "", "If-Modified-Since: x\nRange: bytes=0-1,4-", "")
	f.Add("OPTIONS", "/.well-known/openid-configuration", "", "Origin: null\nAccess-Control-Request-Method: PUT", "")
	f.Add("", "/oauth//token", "%zz", "Accept: <\n:x", "\xff")
	fx := newFixture(f, plain)
	f.Fuzz(func(t *testing.T, method, path, query, headers, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		for line := range strings.Lines(headers) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			r.Header.Add(name, strings.TrimSpace(value))
		}
		r.Header.Del("X-Broken") // the app's own way to fail
		a := fx.answerTo(t, r)
		if strings.Contains(a.body, `"access_token"`) {
			t.Fatalf("a token: %s", a.body)
		}
		for _, c := range a.header.Values("Set-Cookie") {
			if !regexp.MustCompile(`^__Host-oauth-browser=[\w-]{43}; Path=/; HttpOnly; Secure; SameSite=Lax$`).MatchString(c) {
				t.Fatalf("cookie %q", c)
			}
		}
		to := a.header.Get("Location")
		if to != "" && !ownPlace(to) && !registeredHere(to) {
			t.Fatalf("redirected to %q", to)
		}
	})
}

// FuzzConsent posts any decision, from any browser. {sealed} and {browser} are
// what the page has just given out, the first with one of its characters
// replaced. A code comes for the very page, browser, user, session and site that
// it was made for, and then once; and nothing else is remembered as an
// agreement.
func FuzzConsent(f *testing.F) {
	const good, cookie = "interaction={sealed}&decision=allow&scope=read", "__Host-oauth-browser={browser}"
	for _, form := range []string{
		good, good + "&scope=write", good + "&scope=admin", good + "&scope=", good + "A", good + "&interaction=x", "interaction=x&" + good, "interaction=&" + good,
		"interaction={sealed}%0A&decision=allow&scope=read", "interaction={sealed}&decision=deny&scope=read", "interaction={sealed}&decision=allow", "a=%zz&" + good, good + ";",
	} {
		f.Add(form, cookie, "alice", "s1", "", "", uint16(0), "")
	}
	for _, user := range []string{"mallory", "", "app"} {
		f.Add(good, cookie, user, "s1", "", "", uint16(0), "")
	}
	f.Add(good, cookie, "alice", "s2", "", "", uint16(0), "")
	for _, cookies := range []string{"", cookie + "A", "__Host-oauth-browser=x; " + cookie, "a=b; " + cookie, "__Host-oauth-browser=" + strings.Repeat("A", 43)} {
		f.Add(good, cookies, "alice", "s1", "", "", uint16(0), "")
	}
	for _, origin := range []string{"https://auth.example", "https://evil.example", "null", "https://auth.example.evil.example"} {
		for _, site := range []string{"", "same-origin", "none", "same-site", "cross-site"} {
			f.Add(good, cookie, "alice", "s1", origin, site, uint16(0), "")
		}
	}
	f.Add(good, cookie, "alice", "s1", "", "", uint16(7), "A")
	f.Add(good, cookie, "alice", "s1", "", "", uint16(1<<15), "=")
	page := "/oauth/authorize?" + authorization("app", "scope", "read write").Encode()
	fx := newFixture(f, plain)
	f.Fuzz(func(t *testing.T, body, cookies, user, session, origin, site string, at uint16, to string) {
		w := httptest.NewRecorder()
		fx.p.ServeHTTP(w, alice().request("GET", page, nil))
		_, genuine, _ := strings.Cut(w.Body.String(), `name="interaction" value="`)
		genuine, _, shown := strings.Cut(genuine, `"`)
		if !shown {
			t.Fatalf("%d, no page: %s", w.Code, w.Body)
		}
		browser, _, _ := strings.Cut(strings.TrimPrefix(w.Header().Get("Set-Cookie"), "__Host-oauth-browser="), ";")
		sealed := genuine
		if to != "" {
			i := int(at) % len(genuine)
			sealed = genuine[:i] + to + genuine[i+1:]
		}
		fill := strings.NewReplacer("{sealed}", sealed, "{browser}", browser)
		if body = fill.Replace(body); len(body) > 64<<10 { // more than a form
			return
		}
		send := func() answer {
			r := httptest.NewRequest("POST", "https://auth.example/oauth/consent", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for name, value := range map[string]string{"Cookie": fill.Replace(cookies), "X-User": user, "X-Session": session, "Origin": origin, "Sec-Fetch-Site": site} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			return fx.answerTo(t, r)
		}
		a := send()
		allowed := strings.HasPrefix(a.header.Get("Location"), appURI+"?code=")

		form, err := url.ParseQuery(body)
		sent := (&http.Request{Header: http.Header{"Cookie": {fill.Replace(cookies)}}}).CookiesNamed("__Host-oauth-browser")
		from, _ := url.Parse(origin)
		same := site == "same-origin" || site == "none" || origin == issuer || site == "" && (origin == "" || from != nil && from.Host == "auth.example")
		var scopes []string // of those asked for, and so shown
		for _, scope := range []string{"read", "write"} {
			if slices.Contains(form["scope"], scope) {
				scopes = append(scopes, scope)
			}
		}
		pasted := strings.NewReplacer("\r", "", "\n", "").Replace(form.Get("interaction")) // what base64 takes no notice of
		valid := err == nil && pasted == genuine && form.Get("decision") == "allow" && len(scopes) > 0 &&
			len(sent) > 0 && sent[0].Value == browser && user == "alice" && session == "s1" && same
		if allowed != valid {
			t.Fatalf("allowed is %v, valid %v: %d %s %q", allowed, valid, a.status, a.body, a.header.Get("Location"))
		}
		consent, err := fx.p.Consent(t.Context(), "alice", "app")
		if (err == nil) != allowed {
			t.Fatalf("what is remembered: %v", err)
		}
		if !allowed {
			return
		}
		if !slices.Equal(slices.Sorted(slices.Values(consent.Scopes)), scopes) {
			t.Fatalf("%q was agreed to, %q remembered", scopes, consent.Scopes)
		}
		if again := send(); again.header.Get("Location") != "" {
			t.Fatalf("a second answer: %s", again.header.Get("Location"))
		}
		if _, err := fx.p.RevokeConsent(t.Context(), "alice", "app"); err != nil {
			t.Fatal(err)
		}
	})
}

var secretText = regexp.MustCompile(`^[\w-]{43}$`)

// FuzzIntrospectAndRevoke asks about tokens, and revokes them, in any spelling.
// Only the token itself is one, only those who may know are told, and only its
// own client ends it, by it or by one that was of its family.
func FuzzIntrospectAndRevoke(f *testing.F) {
	for _, token := range []string{"{access}", "{refresh}", "{access}A", "{access}=", " {access}", "{refresh}.", "{access}.{refresh}", "", "x", "\x00", "eyJhbGciOiJub25lIn0.e30."} {
		for asker := range byte(4) {
			f.Add(token, asker, false, uint16(0), "")
			f.Add(token, asker, true, uint16(0), "")
		}
	}
	f.Add(strings.Repeat("A", 10_000), byte(0), false, uint16(0), "")
	f.Add("{access}", byte(0), false, uint16(5), "-")
	f.Add("{refresh}", byte(1), true, uint16(30), "..")
	fx := newFixture(f, plain)
	held := fx.login("conf", "resource", apiURI)
	askers := []string{"conf", "rs", "cc", "app"}
	f.Fuzz(func(t *testing.T, token string, asker byte, revoke bool, at uint16, to string) {
		fx.t = t
		spell := func(s string) string {
			if i := int(at) % len(s); to != "" {
				return s[:i] + to + s[i+1:]
			}
			return s
		}
		token = strings.NewReplacer("{access}", spell(held.AccessToken), "{refresh}", spell(held.RefreshToken)).Replace(token)
		if len(token) > 20_000 { // it may have more than a form, escaped
			return
		}
		who, path := askers[int(asker)%len(askers)], "/oauth/introspect"
		if revoke {
			path = "/oauth/revoke"
		}
		a := fx.answerTo(t, fx.postRequest(path, who, url.Values{"token": {token}}))

		access, refresh := token == held.AccessToken, token == held.RefreshToken
		text := token != "" && utf8.ValidString(token) && !strings.Contains(token, "\x00")
		switch {
		case !text:
			if a.status == 200 {
				t.Fatalf("%s: %q", path, token)
			}
		case revoke:
			if a.status != 200 || a.body != "" {
				t.Fatalf("%s: %d %s", path, a.status, a.body)
			}
			parts, ours := strings.SplitN(token, ".", 3), strings.SplitN(held.RefreshToken, ".", 3)
			// With another secret it is an older one of the family: a replay.
			family := len(parts) == 3 && slices.Equal(parts[:2], ours[:2]) && secretText.MatchString(parts[2])
			mine := who == "conf" && (access || family)
			if fx.active(held.RefreshToken) == mine || fx.active(held.AccessToken) == mine {
				t.Fatalf("%s by %s: %q", path, who, token)
			}
			if mine {
				held = fx.login("conf", "resource", apiURI)
			}
		case who == "app": // public
			if a.status != 401 {
				t.Fatalf("%s: %d %s", path, a.status, a.body)
			}
		default:
			told := access && (who == "conf" || who == "rs") || refresh && who == "conf"
			var i oauth.Introspection
			if err := json.Unmarshal([]byte(a.body), &i); err != nil || a.status != 200 || i.Active != told || !told && a.body != `{"active":false}` {
				t.Fatalf("%s was told %d %s of %q", who, a.status, a.body, token)
			}
		}
	})
}

// FuzzBorrowedName puts what is no letter between the letters of a known name:
// the page warns of it all the same.
func FuzzBorrowedName(f *testing.F) {
	for i, between := range []string{"", " ", ".", "\u200b", "\u0301", "4", "|", "™", "-_-", "️", "¹", "＿", "'", "\U0001d455"} {
		f.Add(byte(i), between, uint32(1)<<i|1)
		f.Add(byte(i), between, ^uint32(0))
	}
	known := []string{"Claude", "ChatGPT", "Cursor", "GitHub", "Le Chat", "OpenAI", "VS Code", "Zed"}
	fx := newFixture(f, plain)
	c, _, err := fx.p.RegisterClient(f.Context(), oauth.Client{ID: "stranger", Name: "x", Public: true, Trust: store.TrustSelf, Scopes: []string{"read"},
		RedirectURIs: []string{"https://stranger.example/cb"}})
	if err != nil {
		f.Fatal(err)
	}
	target := "/oauth/authorize?" + authorization("x", "client_id", c.ID, "redirect_uri", c.RedirectURIs[0]).Encode()
	f.Fuzz(func(t *testing.T, which byte, between string, where uint32) {
		if strings.ContainsFunc(between, func(r rune) bool { return unicode.IsLetter(r) || unicode.In(r, unicode.Nl, unicode.So) }) {
			return
		}
		name := known[int(which)%len(known)]
		var b strings.Builder
		for i, r := range name + " " {
			if where&(1<<i) != 0 {
				b.WriteString(between)
			}
			b.WriteRune(r)
		}
		client, err := fx.p.Client(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		client.Name = b.String()
		if utf8.RuneCountInString(client.Name) > 100 || len(client.Name) > 200 || !utf8.ValidString(client.Name) || strings.Contains(client.Name, "\x00") {
			return
		}
		if err := fx.p.UpdateClient(t.Context(), *client); err != nil {
			t.Fatal(err)
		}
		if a := fx.answerTo(t, alice().request("GET", target, nil)); !strings.Contains(a.body, marked(name)) {
			t.Fatalf("no warning of %+q", client.Name)
		}
	})
}
