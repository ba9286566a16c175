package security

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// run is one case on one store: everything it sends goes through do, which
// checks what every answer must carry.
type run struct {
	*testing.T
	*world
	top *testing.T // of the store
	at  *node      // what requests are sent to
}

// on is the same case, talking to another node.
func (c *run) on(n *node) *run { return &run{T: c.T, world: c.world, top: c.top, at: n} }

// sub runs a part of the case as a subtest.
func (c *run) sub(name string, f func(c *run)) {
	c.T.Run(name, func(t *testing.T) { f(&run{T: t, world: c.world, top: c.top, at: c.at}) })
}

// answer is a response whose headers were checked.
type answer struct {
	status int
	header http.Header
	body   string
}

// String is the answer without the page's style.
func (a answer) String() string {
	return fmt.Sprintf("%d %v\n%s", a.status, a.header, withoutStyle(a.body))
}

func withoutStyle(page string) string {
	before, rest, found := strings.Cut(page, "<style")
	if _, after, ends := strings.Cut(rest, "</style>"); found && ends {
		return before + after
	}
	return page
}

func transportTo(addr string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, // a certificate of the test's own
		MaxIdleConnsPerHost: 64, DisableCompression: true,
	}
}

// form makes a POST request with a form.
func form(target string, v url.Values) *http.Request {
	r, err := http.NewRequest("POST", target, strings.NewReader(v.Encode()))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// request makes any other request.
func request(method, target string, body io.Reader, headers ...string) *http.Request {
	r, err := http.NewRequest(method, target, body)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// do sends a request and checks the answer.
func (c *run) do(r *http.Request) answer {
	c.Helper()
	sent := sensitive(r)
	a, err := c.at.send(r)
	require.NoError(c, err)
	c.remember(r, sent, a)
	c.check(r, sent, a)
	return a
}

func (n *node) send(r *http.Request) (answer, error) {
	res, err := n.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}, err
}

// burst sends requests at once, to both nodes in turn unless the case is at
// another one, and checks the answers.
func (c *run) burst(n int, request func(i int) *http.Request) []answer {
	c.Helper()
	requests, answers, errs := make([]*http.Request, n), make([]answer, n), make([]error, n)
	for i := range n {
		requests[i] = request(i)
	}
	nodes := []*node{c.a, c.b}
	if c.at != c.a && c.at != c.b {
		nodes = []*node{c.at}
	}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, r := range requests {
		at := nodes[i%len(nodes)]
		wg.Go(func() {
			<-start
			answers[i], errs[i] = at.send(r)
		})
	}
	close(start)
	wg.Wait()
	for i, r := range requests {
		require.NoError(c, errs[i])
		sent := sensitive(r)
		c.remember(r, sent, answers[i])
		c.check(r, sent, answers[i])
	}
	return answers
}

// sensitiveValue is a secret in a request, and what it is.
type sensitiveValue struct{ kind, value string }

// sensitive are the values in a request that no answer repeats.
func sensitive(r *http.Request) (out []sensitiveValue) {
	add := func(kind string, values ...string) {
		for _, v := range values {
			out = append(out, sensitiveValue{kind, v})
		}
	}
	values := r.URL.Query()
	if r.GetBody != nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if body, err := r.GetBody(); err == nil {
			if b, err := io.ReadAll(body); err == nil {
				sent, _ := url.ParseQuery(string(b)) // what can be read of it
				for name, v := range sent {
					values[name] = append(values[name], v...)
				}
			}
		}
	}
	for _, name := range inForms {
		add(name, values[name]...)
	}
	if _, secret, ok := r.BasicAuth(); ok {
		add("Basic", secret)
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		add("Bearer", token)
	}
	for _, cookie := range r.Cookies() {
		add("cookie", cookie.Value)
	}
	return out
}

var descriptionCharset = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`) // RFC 6749 §4.1.2.1, §5.2

// internals is what no error shows.
var internals = []string{"goroutine ", ".go:", "SQLSTATE", "SELECT ", "pgx:", "redis:", "sqlite:", "dial tcp", "panic:"}

// check holds what every answer must carry, whatever was asked.
func (c *run) check(r *http.Request, sent []sensitiveValue, a answer) {
	c.Helper()
	h, path, what := a.header, r.URL.EscapedPath(), r.Method+" "+r.URL.Host+r.URL.EscapedPath()
	assert.NotContains(c, []int{301, 302, 307, 308}, a.status, "redirects are 303: %s", what)
	assert.NotEqual(c, 500, a.status, "%s: %s", what, a)
	if a.status == 303 {
		assert.Len(c, h.Values("Location"), 1, what)
	} else {
		assert.Empty(c, h.Values("Location"), what)
	}
	assert.Empty(c, h.Values("Access-Control-Allow-Credentials"), what)
	for name, values := range h {
		for _, v := range values {
			assert.NotContains(c, v, "\n", "%s of %s", name, what)
		}
	}
	everything := a.String()
	if a.status >= 400 {
		for _, s := range internals {
			assert.NotContains(c, everything, s, what)
		}
	}
	for _, secret := range sent {
		s := secret.value
		given := a.status < 400 && (strings.HasSuffix(path, "/token") || strings.HasSuffix(path, "/register"))
		if len(s) >= 16 && !given {
			assert.NotContains(c, everything, s, "%s repeats a secret of the request", what)
		}
	}
	if e := a.error(); e.Error != "" {
		assert.Regexp(c, descriptionCharset, e.Error, what)
		assert.Regexp(c, descriptionCharset, e.Description, what)
		assert.GreaterOrEqual(c, a.status, 400, what)
	}
	if a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests {
		assert.Regexp(c, `^[1-9]\d*$`, h.Get("Retry-After"), what)
	}
	if a.status == http.StatusMethodNotAllowed {
		assert.NotEmpty(c, h.Get("Allow"), what)
	}
	switch {
	case a.status == http.StatusNotFound, r.URL.Host != "auth.example":
		return
	case strings.HasSuffix(path, "/oauth/authorize"), strings.HasSuffix(path, "/oauth/consent"):
		c.checkPage(what, a)
	default:
		c.checkJSON(r, what, a)
	}
}

// checkPage: what is sent to a browser (OAuth 2.1 §7.11; RFC 9700 §4.2.4, §4.16).
func (c *run) checkPage(what string, a answer) {
	c.Helper()
	h := a.header
	assert.Equal(c, "no-store", h.Get("Cache-Control"), what)
	assert.Equal(c, "no-referrer", h.Get("Referrer-Policy"), what)
	assert.Equal(c, "nosniff", h.Get("X-Content-Type-Options"), what)
	assert.Equal(c, "DENY", h.Get("X-Frame-Options"), what)
	policy := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		assert.Contains(c, policy, part, what)
	}
	assert.NotContains(c, policy, "unsafe", what)
	for name := range h {
		assert.False(c, strings.HasPrefix(name, "Access-Control-"), "%s on %s", name, what)
	}
	if a.body != "" {
		assert.Equal(c, "text/html; charset=utf-8", h.Get("Content-Type"), what)
	}
	for _, cookie := range (&http.Response{Header: h}).Cookies() {
		assert.True(c, strings.HasPrefix(cookie.Name, "__Host-"), what)
		assert.True(c, cookie.HttpOnly && cookie.Secure && cookie.Path == "/" && cookie.Domain == "" && cookie.SameSite == http.SameSiteLaxMode, "%s: %s", what, cookie)
	}
	if a.status == http.StatusSeeOther {
		for name, values := range c.locationOf(a).Query() {
			assert.Len(c, values, 1, "%s is repeated: %s", name, what)
			if strings.HasPrefix(name, "error") {
				assert.Regexp(c, descriptionCharset, values[0], what)
			}
		}
	}
}

// checkJSON: what is sent to a program (RFC 6749 §5.1; RFC 7662 §4).
func (c *run) checkJSON(r *http.Request, what string, a answer) {
	c.Helper()
	h := a.header
	assert.Equal(c, "nosniff", h.Get("X-Content-Type-Options"), what)
	assert.Equal(c, "*", h.Get("Access-Control-Allow-Origin"), what)
	assert.Empty(c, h.Values("Set-Cookie"), what)
	if a.body != "" {
		kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
		assert.NoError(c, err, what)
		assert.Contains(c, []string{"application/json", "application/jwk-set+json"}, kind, what)
		assert.Empty(c, params, what)
		assert.True(c, json.Valid([]byte(a.body)), "%s: %s", what, a.body)
	}
	public := strings.Contains(r.URL.Path, "/.well-known/") || strings.HasSuffix(r.URL.Path, "/jwks")
	if !public || a.status >= 400 {
		assert.Equal(c, "no-store", h.Get("Cache-Control"), what)
	}
	if a.status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		assert.NotEmpty(c, h.Get("WWW-Authenticate"), what)
	}
	if a.status >= 400 && r.Method != http.MethodHead {
		assert.NotEmpty(c, a.error().Error, what)
	}
}

type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (a answer) error() (e oauthError) {
	if !strings.HasPrefix(a.body, "{") || json.Unmarshal([]byte(a.body), &e) != nil {
		return oauthError{}
	}
	return e
}

// locationOf is where a browser is sent.
func (c *run) locationOf(a answer) *url.URL {
	c.Helper()
	require.Equal(c, http.StatusSeeOther, a.status, "%s", a)
	u, err := url.Parse(a.header.Get("Location"))
	require.NoError(c, err)
	return u
}

// refused asserts an OAuth error in JSON.
func (c *run) refused(a answer, status int, code oauth.ErrorCode) {
	c.Helper()
	require.Equal(c, fmt.Sprint(status, " ", code), fmt.Sprint(a.status, " ", a.error().Error), "%s", a)
}

// page400 asserts an error page that leads nowhere: no redirect, and none of the
// addresses in the request as a link.
func (c *run) page400(a answer, addresses ...string) {
	c.Helper()
	require.Equal(c, http.StatusBadRequest, a.status, "%s", a)
	assert.Empty(c, a.header.Values("Location"))
	assert.NotContains(c, a.body, "href=")
	assert.NotContains(c, a.body, "http-equiv")
	assert.NotContains(c, a.body, "<form")
	for _, s := range addresses {
		if s != "" {
			assert.NotContains(c, a.body, s)
		}
	}
}

// redirected asserts a redirect to exactly this address with an error, and the
// state and issuer that belong there.
func (c *run) redirected(a answer, uri, state string, codes ...oauth.ErrorCode) url.Values {
	c.Helper()
	u := c.locationOf(a)
	sep := "?"
	if strings.Contains(uri, "?") {
		sep = "&"
	}
	require.True(c, strings.HasPrefix(a.header.Get("Location"), uri+sep), "to %s, not %s", a.header.Get("Location"), uri)
	q := u.Query()
	assert.Equal(c, state, q.Get("state"))
	assert.Equal(c, issuer, q.Get("iss"))
	if len(codes) == 0 {
		require.NotEmpty(c, q.Get("code"), "%v", q)
		assert.Empty(c, q.Get("error"))
		return q
	}
	assert.Empty(c, q.Get("code"))
	require.Contains(c, codes, oauth.ErrorCode(q.Get("error")), "%v", q)
	return q
}
