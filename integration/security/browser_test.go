package security

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

const verifier = "the-verifier-of-the-good-flows-of-this-package-0123456789"

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// browser is one person's browser: who is signed in to the app there, and its
// cookies.
type browser struct {
	c        *run
	user     string // empty: nobody
	session  string
	authTime time.Time
	cookies  map[string]string
}

const sessionCookie = "session"

// sessionOf is the app's side: user, session and time of sign-in in a cookie.
func sessionOf(r *http.Request) (oauth.Session, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return oauth.Session{}, nil
	}
	part := strings.Split(cookie.Value, "|")
	at, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil {
		return oauth.Session{}, err
	}
	subject, err := url.QueryUnescape(part[0])
	return oauth.Session{Subject: subject, ID: part[1], AuthTime: time.Unix(at, 0)}, err
}

// nobody is a browser in which nobody is signed in.
func (c *run) nobody() *browser { return &browser{c: c, cookies: map[string]string{}} }

// person is the browser of a new user, who is signed in.
func (c *run) person() *browser { return c.browserOf("u-" + rand.Text()[:10]) }

// browserOf is a new browser in which this user is signed in.
func (c *run) browserOf(user string) *browser {
	b := c.nobody()
	b.signIn(user)
	return b
}

func (b *browser) signIn(user string) {
	b.user, b.session, b.authTime = user, "s-"+rand.Text()[:10], time.Now()
}

// request makes a request with what a browser sends along.
func (b *browser) request(method, target string, v url.Values) *http.Request {
	if strings.HasPrefix(target, "/") {
		target = issuer + target
	}
	var r *http.Request
	if v != nil {
		r = form(target, v)
		r.Method = method
	} else {
		r = request(method, target, nil)
	}
	if b.user != "" {
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: url.QueryEscape(b.user) + "|" + b.session + "|" + strconv.FormatInt(b.authTime.Unix(), 10)})
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// visit sends a request and keeps the cookies of the answer.
func (b *browser) visit(method, target string, v url.Values) answer {
	b.c.Helper()
	a := b.c.do(b.request(method, target, v))
	for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
		b.cookies[cookie.Name] = cookie.Value
	}
	return a
}

// params makes a good authorization request; pairs change it, and an empty value
// removes one.
func (c *run) params(clientID string, pairs ...string) url.Values {
	c.mu.Lock()
	redirect := c.redirects[clientID]
	c.mu.Unlock()
	v := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirect}, "state": {"st-" + rand.Text()},
		"code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (b *browser) authorize(v url.Values) answer {
	b.c.Helper()
	return b.visit("GET", "/oauth/authorize?"+v.Encode(), nil)
}

var (
	hidden   = regexp.MustCompile(`name="interaction" value="([^"]+)"`)
	checkbox = regexp.MustCompile(`name="scope" value="([^"]+)" checked`)
)

// consentForm is the form of the page, as Allow sends it.
func (b *browser) consentForm(page answer) url.Values {
	b.c.Helper()
	require.Equal(b.c, http.StatusOK, page.status, "%s", page)
	m := hidden.FindStringSubmatch(page.body)
	require.NotNil(b.c, m, "no consent page: %s", page)
	v := url.Values{"interaction": {html.UnescapeString(m[1])}, "decision": {"allow"}}
	for _, s := range checkbox.FindAllStringSubmatch(page.body, -1) {
		v.Add("scope", html.UnescapeString(s[1]))
	}
	return v
}

// allow answers the consent page, or the redirect if there was nothing to ask.
func (b *browser) allow(page answer) answer {
	b.c.Helper()
	if page.status == http.StatusSeeOther {
		return page
	}
	return b.visit("POST", "/oauth/consent", b.consentForm(page))
}

// code authorizes, allows, and returns the code.
func (b *browser) code(v url.Values) string {
	b.c.Helper()
	return b.c.redirected(b.allow(b.authorize(v)), v.Get("redirect_uri"), v.Get("state")).Get("code")
}
