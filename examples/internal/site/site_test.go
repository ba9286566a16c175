package site_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth/examples/internal/site"
)

func TestLocalPath(t *testing.T) {
	for in, want := range map[string]string{
		"/":                       "/",
		"/oauth/authorize?a=b&c=": "/oauth/authorize?a=b&c=",
		"/a//b":                   "/a//b",
		"":                        "/",
		"notes":                   "/",
		"//evil.example":          "/",
		"///evil.example":         "/",
		"/\\evil.example":         "/",
		"/a\\b":                   "/",
		"\\\\evil.example":        "/",
		"/\t/evil.example":        "/",
		"/\n/evil.example":        "/",
		"/\r\nSet-Cookie: a=b":    "/",
		"/\x7f":                   "/",
		" //evil.example":         "/",
		"https://evil.example/":   "/",
		"javascript:alert(1)":     "/",
	} {
		assert.Equal(t, want, site.LocalPath(in), "%q", in)
	}
}

func newSite(t *testing.T, o site.Options) (*httptest.Server, *http.Client) {
	t.Helper()
	pages, err := site.NewPages(nil)
	require.NoError(t, err)
	o.Pages, o.HashCost = pages, bcrypt.MinCost
	o.Users = []site.User{
		{Subject: "u-1", Username: "ada", Password: "lovelace", Active: true},
		{Subject: "u-2", Username: "eve", Password: "gone", Active: false},
	}
	app, err := site.New(o)
	require.NoError(t, err)
	mux := http.NewServeMux()
	app.Routes(mux)
	mux.HandleFunc("GET /private", app.Require(func(w http.ResponseWriter, r *http.Request, u site.User) {
		w.Write([]byte("hello " + u.Username))
	}))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return srv, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func signIn(t *testing.T, srv *httptest.Server, c *http.Client, username, password, returnTo string) *http.Response {
	t.Helper()
	res, err := c.PostForm(srv.URL+"/login", url.Values{"username": {username}, "password": {password}, "return_to": {returnTo}})
	require.NoError(t, err)
	res.Body.Close()
	return res
}

func status(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	res, err := c.Get(url)
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode
}

func TestSignInAndOut(t *testing.T) {
	srv, c := newSite(t, site.Options{})
	assert.Equal(t, http.StatusSeeOther, status(t, c, srv.URL+"/private"), "without a session")

	for _, wrong := range [][2]string{{"ada", "wrong"}, {"nobody", "nobody"}, {"eve", "gone"}, {"", ""}} {
		res := signIn(t, srv, c, wrong[0], wrong[1], "/")
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode, "%v", wrong)
		assert.Empty(t, res.Cookies(), "%v", wrong)
	}

	res := signIn(t, srv, c, "ada", "lovelace", "/private")
	assert.Equal(t, http.StatusSeeOther, res.StatusCode)
	assert.Equal(t, "/private", res.Header.Get("Location"))
	require.Len(t, res.Cookies(), 1)
	first := res.Cookies()[0]
	assert.True(t, first.HttpOnly)
	assert.False(t, first.Secure)
	assert.Equal(t, http.SameSiteLaxMode, first.SameSite)
	assert.Equal(t, http.StatusOK, status(t, c, srv.URL+"/private"))

	res = signIn(t, srv, c, "ada", "lovelace", "//evil.example")
	assert.Equal(t, "/", res.Header.Get("Location"))
	second := res.Cookies()[0]
	assert.NotEqual(t, first.Value, second.Value, "a new sign-in has a new session")
	assert.Equal(t, http.StatusSeeOther, statusWith(t, srv, first), "the old session is over")
	assert.Equal(t, http.StatusOK, statusWith(t, srv, second))

	res, err := c.PostForm(srv.URL+"/logout", nil)
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusSeeOther, statusWith(t, srv, second), "after sign-out the cookie is worth nothing")
}

func statusWith(t *testing.T, srv *httptest.Server, cookie *http.Cookie) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/private", nil)
	require.NoError(t, err)
	req.AddCookie(cookie)
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	srv, c := newSite(t, site.Options{})
	for _, path := range []string{"/login", "/logout"} {
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			form := url.Values{"username": {"ada"}, "password": {"lovelace"}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+path, strings.NewReader(form.Encode()))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set(header, value)
			res, err := c.Do(req)
			require.NoError(t, err)
			res.Body.Close()
			assert.Equal(t, http.StatusForbidden, res.StatusCode, "%s %s", path, header)
		}
	}
}

func TestCookiesOfHTTPSSitesAreForTLSOnly(t *testing.T) {
	srv, c := newSite(t, site.Options{Secure: true})
	res := signIn(t, srv, c, "ada", "lovelace", "/")
	require.Len(t, res.Cookies(), 1)
	assert.True(t, res.Cookies()[0].Secure)
}

func TestAutoLoginNeedsNoPage(t *testing.T) {
	srv, c := newSite(t, site.Options{AutoLogin: "u-1"})
	assert.Equal(t, http.StatusOK, status(t, c, srv.URL+"/private"))
	res, err := c.Get(srv.URL + "/login?return_to=/private")
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, "/private", res.Header.Get("Location"))
}

func TestPagesLoadNothingAndAreFramedByNobody(t *testing.T) {
	srv, c := newSite(t, site.Options{Title: "Notes & more", Hint: "ask <ada>"})
	res, err := c.Get(srv.URL + "/login?return_to=/private")
	require.NoError(t, err)
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	for _, text := range []string{"Sign in to Notes &amp; more", "ask &lt;ada&gt;", `name="return_to" value="/private"`} {
		assert.Contains(t, string(page), text)
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, rule := range []string{"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		assert.Contains(t, policy, rule)
	}
	assert.NotContains(t, policy, "form-action", "it would stop the redirect to the client")
	assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))

	style, err := c.Get(srv.URL + "/style.css")
	require.NoError(t, err)
	defer style.Body.Close()
	assert.Equal(t, http.StatusOK, style.StatusCode)
	assert.Equal(t, "text/css; charset=utf-8", style.Header.Get("Content-Type"))
}

func TestAPageIsWholeOrNotThere(t *testing.T) {
	pages, err := site.NewPages(fstest.MapFS{"own.html": {Data: []byte(`{{define "own"}}begun, {{.Name}}{{end}}`)}}, "*.html")
	require.NoError(t, err)
	w := httptest.NewRecorder()
	pages.Show(w, http.StatusOK, "own", site.User{Name: "Ada"})
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "begun, Ada", w.Body.String())

	w = httptest.NewRecorder()
	pages.Show(w, http.StatusOK, "own", 1) // a number has no name
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.NotContains(t, w.Body.String(), "begun")

	_, err = site.NewPages(fstest.MapFS{"own.html": {Data: []byte(`{{if}}`)}}, "*.html")
	assert.ErrorContains(t, err, "own.html:1")
}

func form(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestFormsThatAreTooLongAreRefused(t *testing.T) {
	srv, _ := newSite(t, site.Options{})
	for length, want := range map[int]int{10: http.StatusSeeOther, 64 << 10: http.StatusBadRequest} {
		w := httptest.NewRecorder()
		srv.Config.Handler.ServeHTTP(w, form("/login", "username=ada&password=lovelace&x="+strings.Repeat("x", length)))
		assert.Equal(t, want, w.Code, length)
	}
}

func TestPasswordsThatCannotBeHashedAreNamedByTheirUser(t *testing.T) {
	secret := strings.Repeat("hush", 20) // bcrypt reads 72 bytes
	_, err := site.New(site.Options{HashCost: bcrypt.MinCost, Users: []site.User{{Subject: "u-1", Username: "ada", Password: secret}}})
	assert.ErrorContains(t, err, `"ada"`)
	assert.NotContains(t, err.Error(), "hush")
	_, err = site.New(site.Options{HashCost: bcrypt.MaxCost + 1})
	assert.Error(t, err)
}

func TestTheProviderIsToldWhoIsThere(t *testing.T) {
	pages, err := site.NewPages(nil)
	require.NoError(t, err)
	s, err := site.New(site.Options{Pages: pages, HashCost: bcrypt.MinCost, Users: []site.User{
		{Subject: "u-1", Username: "ada", Password: "lovelace", Active: true}, {Subject: "u-2", Username: "eve", Password: "gone"},
	}})
	require.NoError(t, err)
	mux := http.NewServeMux()
	s.Routes(mux)
	r := httptest.NewRequest(http.MethodGet, "/oauth/authorize", nil)
	session, err := s.Session(r)
	require.NoError(t, err)
	assert.Empty(t, session.Subject)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, form("/login", "username=ada&password=lovelace"))
	require.Len(t, w.Result().Cookies(), 1)
	cookie := w.Result().Cookies()[0]
	r.AddCookie(cookie)
	session, err = s.Session(r)
	require.NoError(t, err)
	assert.Equal(t, "u-1", session.Subject)
	assert.NotZero(t, session.AuthTime)
	assert.NotEmpty(t, session.ID)
	assert.NotContains(t, session.ID, cookie.Value, "who reads the ID cannot take the session")

	for subject, active := range map[string]bool{"u-1": true, "u-2": false, "u-3": false} {
		user, err := s.User(t.Context(), subject)
		require.NoError(t, err)
		assert.Equal(t, active, user.Active, subject)
	}
}
