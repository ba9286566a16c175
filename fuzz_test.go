package oauth_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// plain keeps neither events nor logs, which would grow while fuzzing.
func plain(c *oauth.Config) {
	c.OnEvent, c.Logger = nil, slog.New(slog.DiscardHandler)
}

// FuzzAuthorize sends any query to the authorization endpoint: it never fails,
// and never redirects to anything but a registered address or the sign-in.
func FuzzAuthorize(f *testing.F) {
	for _, pairs := range [][]string{
		{}, {"scope", "read write"}, {"prompt", "none"}, {"max_age", "0"}, {"response_mode", "form_post"}, {"redirect_uri", "https://evil.test"},
		{"client_id", "self", "redirect_uri", "https://self.example/cb", "scope", "x"}, {"resource", mcpURI}, {"state", "\x00"}, {"redirect_uri", "http://127.0.0.1:5/cb"},
	} {
		f.Add(authorization("first", pairs...).Encode(), true)
	}
	f.Add("client_id=first&client_id=first&%zz", false)
	fx := newFixture(f, plain)
	f.Fuzz(func(t *testing.T, query string, signedIn bool) {
		b := &browser{}
		if signedIn {
			b = alice()
		}
		r := b.request("GET", "/oauth/authorize", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		fx.p.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d for %q", w.Code, query)
		}
		to := w.Header().Get("Location")
		if to == "" {
			return
		}
		if w.Code != 303 || strings.ContainsAny(to, "\r\n") {
			t.Fatalf("%d %q", w.Code, to)
		}
		at, _, _ := strings.Cut(to, "?")
		for _, r := range []string{
			"/login", appURI, "https://own.example/cb", "https://conf.example/cb", "https://post.example/cb", "https://self.example/cb",
			"http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb", "com.example.app:/cb",
		} {
			if at == r || sameButForThePort(r, at) {
				return
			}
		}
		t.Fatalf("redirected to %q", to)
	})
}

// FuzzTokenForm sends any body to the back channel. Nobody has a code, so
// nobody gets a token, but for the client that acts for itself.
func FuzzTokenForm(f *testing.F) {
	fx := newFixture(f, plain)
	for _, form := range []url.Values{
		exchangeForm("app", "x"), {"grant_type": {"refresh_token"}, "refresh_token": {"a.b.c"}, "client_id": {"app"}}, ccForm,
		{"token": {"x"}, "token_type_hint": {"y"}}, {"resource": {apiURI, mcpURI}, "scope": {`"`}},
	} {
		f.Add("/token", form.Encode(), "")
		f.Add("/revoke", form.Encode(), basic("cc", "x"))
	}
	f.Add("/introspect", "a=%zz&%00=%ff;", "Basic "+strings.Repeat("A", 5000))
	f.Fuzz(func(t *testing.T, path, body, authorization string) {
		r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(body))
		if path == "/revoke" || path == "/introspect" {
			r.URL.Path = "/oauth" + path
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		w := httptest.NewRecorder()
		fx.p.ServeHTTP(w, r)
		if w.Code >= 500 || strings.Contains(w.Body.String(), "access_token\":") {
			t.Fatalf("%d %s for %q", w.Code, w.Body, body)
		}
		if w.Code == 200 && path == "/token" {
			t.Fatalf("%s for %q", w.Body, body)
		}
		checkHeaders(t, r, answer{w.Code, w.Result().Header, w.Body.String()})
	})
}

// FuzzRedirectURI: whatever is asked for, an address that is accepted is one of
// the registered ones, up to the port of a loopback address.
func FuzzRedirectURI(f *testing.F) {
	registered := []string{appURI, "https://app.example:8443/cb?t=1", "http://127.0.0.1/cb", "http://[::1]:8000/cb", "http://localhost/cb?x=1", "com.example.app:/cb"}
	for _, uri := range registered {
		f.Add(uri)
		f.Add(uri + "/..")
		f.Add(strings.Replace(uri, "/cb", ":80/cb", 1))
		f.Add(strings.Replace(uri, "//", "//u@", 1))
	}
	f.Add("http://127.0.0.1:080/cb")
	f.Add("http://localhost:80@evil.test/cb")
	f.Add("http://[::1]:99999/cb")
	fx := newFixture(f, plain)
	fx.register(oauth.Client{ID: "many", Public: true, ApplicationType: "native", RedirectURIs: registered})
	f.Fuzz(func(t *testing.T, uri string) {
		req, err := fx.p.ParseAuthorization(t.Context(), authorization("x", "client_id", "many", "redirect_uri", uri))
		if err != nil || uri == "" {
			return
		}
		if req.RedirectURI.String() != uri {
			t.Fatalf("%q became %q", uri, req.RedirectURI)
		}
		for _, r := range registered {
			if uri == r || sameButForThePort(r, uri) {
				return
			}
		}
		t.Fatalf("%q is not registered", uri)
	})
}

// sameButForThePort is the rule, written a second time and otherwise: by a
// parser, and with the result put together again.
func sameButForThePort(registered, requested string) bool {
	r, err1 := url.Parse(registered)
	q, err2 := url.Parse(requested)
	if err1 != nil || err2 != nil || r.Scheme != "http" {
		return false
	}
	port := q.Port()
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port) {
		return false
	}
	host := strings.TrimSuffix(r.Host, ":"+r.Port())
	if port != "" {
		host += ":" + port
	}
	return "http://"+host+strings.TrimPrefix(registered, "http://"+r.Host) == requested
}

// FuzzRegisteredRedirectURI: what may be registered cannot carry a script, a
// second answer or a line break.
func FuzzRegisteredRedirectURI(f *testing.F) {
	for _, uri := range []string{appURI, "http://127.0.0.1:1/cb", "javascript:alert(1)", "com.example.app:/cb", "https://a.example/?state=1", "https://*.x", "https://a@b", "https://a\r\nb", "data:,"} {
		f.Add(uri, "native")
	}
	fx := newFixture(f, plain)
	f.Fuzz(func(t *testing.T, uri, kind string) {
		c, _, err := fx.p.RegisterClient(t.Context(), oauth.Client{Public: true, ApplicationType: kind, RedirectURIs: []string{uri}, PurgeAt: time.Now()})
		if err != nil {
			return
		}
		if err := fx.p.DeleteClient(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(uri)
		if err != nil || u.User != nil || u.Fragment != "" || strings.ContainsAny(uri, "\r\n\t \"<>#*\\") {
			t.Fatalf("%q was registered", uri)
		}
		if u.Scheme != "https" && u.Scheme != "http" && !strings.Contains(u.Scheme, ".") {
			t.Fatalf("scheme of %q", uri)
		}
		for _, name := range []string{"code", "state", "iss", "error"} {
			if u.Query().Has(name) {
				t.Fatalf("%q was registered", uri)
			}
		}
	})
}

// FuzzScope: what is granted was asked for, is the client's, and is named once.
func FuzzScope(f *testing.F) {
	for _, s := range []string{"", "read", "read write", "write  read", " read", "read\tadmin", `re"ad`, "é", "admin nope read read"} {
		f.Add(s)
	}
	fx := newFixture(f, plain)
	f.Fuzz(func(t *testing.T, scope string) {
		req, err := fx.p.ParseAuthorization(t.Context(), authorization("app", "scope", scope))
		if err != nil || scope == "" {
			return
		}
		seen := map[string]bool{}
		for _, s := range req.Scopes {
			if seen[s] || !strings.Contains(" "+scope+" ", " "+s+" ") || s != "read" && s != "write" && s != "profile" {
				t.Fatalf("%q of %q", s, scope)
			}
			seen[s] = true
		}
		if len(seen) == 0 {
			t.Fatalf("nothing was granted of %q, and no error", scope)
		}
	})
}

// FuzzCodeAndRefreshToken: no text that is near a code or refresh token is one,
// and none of it revokes anything. {id}, {code}, {access} and {refresh} are what
// was given out.
func FuzzCodeAndRefreshToken(f *testing.F) {
	fx := newFixture(f, plain)
	got := fx.login("app")
	code := fx.code(alice(), authorization("app"))
	id, _, _ := strings.Cut(got.RefreshToken, ".")
	for _, s := range []string{"", "x", "..", "{id}", "{id}..", "{id}." + strings.Repeat("A", 22) + "." + strings.Repeat("A", 43), "{access}", "{code}A", " {refresh}", "\x00"} {
		f.Add(s)
	}
	fill := strings.NewReplacer("{id}", id, "{code}", code, "{access}", got.AccessToken, "{refresh}", got.RefreshToken)
	app := fx.client("app")
	f.Fuzz(func(t *testing.T, s string) {
		if s = fill.Replace(s); s == code || s == got.RefreshToken {
			return
		}
		if _, err := fx.p.Exchange(t.Context(), app, oauth.ExchangeRequest{Code: s, RedirectURI: appURI, CodeVerifier: verifier}); err == nil {
			t.Fatalf("%q is a code", s)
		}
		if _, err := fx.p.Refresh(t.Context(), app, oauth.RefreshRequest{RefreshToken: s}); err == nil {
			t.Fatalf("%q is a refresh token", s)
		}
		if s == got.AccessToken {
			return
		}
		if ok, err := fx.p.Revoke(t.Context(), app, s); ok || err != nil {
			t.Fatalf("%q revoked something: %v", s, err)
		}
		if i, err := fx.p.Introspect(t.Context(), nil, got.RefreshToken); err != nil || !i.Active {
			t.Fatalf("%q revoked the authorization", s)
		}
	})
}

// FuzzBasic: only the right secret authenticates, however it is spelled.
func FuzzBasic(f *testing.F) {
	fx := newFixture(f, plain)
	const secret = "p%+:s"
	fx.own("c:1", secret)
	for _, pair := range []string{"c%3A1:" + secret, "c%3A1:p%25%2B%3As", "c:1:" + secret, "x", ":", "c%3A1:", "\xff:\x00", "app:", "app:x"} {
		f.Add("Basic " + base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	f.Add("basic  !")
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(ccForm.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = []string{header}
		w := httptest.NewRecorder()
		fx.p.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d for %q", w.Code, header)
		}
		if w.Code != 200 {
			return
		}
		_, encoded, _ := strings.Cut(header, " ")
		pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		_, sent, _ := strings.Cut(string(pair), ":")
		decoded, _ := url.QueryUnescape(sent)
		if err != nil || sent != secret && decoded != secret {
			t.Fatalf("%q is not the secret", pair)
		}
	})
}

// FuzzConfig: no issuer, prefix, login address, scope or resource makes New
// panic, and what it accepts it serves.
func FuzzConfig(f *testing.F) {
	f.Add(issuer, "/oauth", "/login", "read", apiURI)
	f.Add("http://localhost:1", "/", "https://x.example/?a", "a b", "urn:x")
	f.Add("https://[::1", "x", "%zz", "", "#")
	f.Add("https://a.example/b/c", "/a/b/", "//x", "\"", "https://A.example/")
	f.Add("https://0", "/!", "/", "0", "a:0")
	f.Add("https://[::1]/a;b", "/../x", "/", "0", "a:0")
	f.Add("https://\u00e9.example/\u00e9", "/\u00e9", "/", "0", "a:0")
	f.Fuzz(func(t *testing.T, iss, prefix, login, scope, resource string) {
		cfg := (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config()
		plain(&cfg)
		cfg.Issuer, cfg.Prefix, cfg.LoginURL = iss, prefix, login
		cfg.Scopes = map[string]string{scope: ""}
		cfg.Resources = []oauth.Resource{{URI: resource}}
		p, err := oauth.New(cfg)
		if err != nil {
			return
		}
		if p.Metadata()["issuer"] != iss {
			t.Fatalf("issuer %q became %v", iss, p.Metadata()["issuer"])
		}
		mux := http.NewServeMux()
		for path, h := range p.Routes() {
			mux.Handle(path, h)
		}
		end := p.Metadata()["token_endpoint"].(string)
		for _, h := range []http.Handler{p, mux} {
			r, err := http.NewRequest("POST", end, nil)
			if err != nil {
				t.Fatal(err)
			}
			var wire bytes.Buffer
			if err := r.Write(&wire); err != nil {
				t.Fatal(err)
			}
			if r, err = http.ReadRequest(bufio.NewReader(&wire)); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 400 {
				t.Fatalf("the token endpoint %s of %q %q answers %d", end, iss, prefix, w.Code)
			}
		}
	})
}
