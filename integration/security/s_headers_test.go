package security

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// headerCases: group S. What every answer must carry is checked with every
// answer of every case; these visit each kind of answer there is.
var headerCases = []caseOf{
	{"SEC-253 answers to programs", func(c *run) {
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
			for _, r := range []*http.Request{
				form(issuer+path, url.Values{}), form(issuer+path, url.Values{"client_id": {app}}), c.authenticated(path, conf, url.Values{"token": {"x"}, "grant_type": {"x"}}),
				request("GET", issuer+path, nil), request("DELETE", issuer+path, nil), request("OPTIONS", issuer+path, nil), request("POST", issuer+path, strings.NewReader("{}"), "Content-Type", "application/json"),
			} {
				c.do(r)
			}
		}
		for _, r := range []*http.Request{
			request("POST", issuer+"/oauth/register", strings.NewReader("{}"), "Content-Type", "application/json"), request("GET", issuer+"/oauth/register", nil), request("PUT", issuer+"/oauth/register?client_id=x", nil),
			request("PATCH", issuer+"/oauth/register", nil), request("OPTIONS", issuer+"/oauth/register", nil), request("DELETE", issuer+"/oauth/register?client_id="+c.dcr, nil),
		} {
			c.do(r)
		}
		c.registerOver(map[string]any{"redirect_uris": []string{"https://self.example/cb"}})
		c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}}))
	}},
	{"SEC-254 redirects to clients", func(c *run) {
		b := c.person()
		for _, a := range []answer{b.allow(b.authorize(c.params(app))), b.authorize(c.params(app)), b.authorize(c.params(app, "scope", "nonsense")), c.nobody().authorize(c.params(app))} {
			require.Equal(c, http.StatusSeeOther, a.status)
			assert.Equal(c, []string{"no-store"}, a.header.Values("Cache-Control"))
			assert.Equal(c, []string{"no-referrer"}, a.header.Values("Referrer-Policy"))
		}
	}},
	{"SEC-255 pages are for no other origin", func(c *run) {
		b := c.person()
		for _, path := range []string{"/oauth/authorize?" + c.params(app).Encode(), "/oauth/authorize", "/oauth/consent"} {
			for _, method := range []string{"GET", "POST", "OPTIONS", "HEAD"} {
				r := b.request(method, path, nil)
				r.Header.Set("Origin", "https://evil.test")
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization")
				for name := range c.do(r).header {
					assert.False(c, strings.HasPrefix(name, "Access-Control-"), name)
				}
			}
		}
	}},
	{"SEC-256 programs in any page may call", func(c *run) {
		b := c.person()
		token := c.loginAs(b, app).AccessToken
		for _, r := range []*http.Request{
			form(issuer+"/oauth/token", url.Values{}), form(issuer+"/oauth/revoke", url.Values{"client_id": {app}, "token": {"x"}}), form(issuer+"/oauth/introspect", url.Values{}), request("POST", issuer+"/oauth/register", strings.NewReader("x")),
			request("GET", issuer+"/.well-known/oauth-authorization-server", nil), request("GET", issuer+"/oauth/jwks", nil), request("OPTIONS", issuer+"/oauth/token", nil), request("OPTIONS", issuer+"/oauth/register", nil), request("OPTIONS", issuer+"/oauth/jwks", nil),
			request("GET", "https://api.example/notes", nil), request("GET", "https://api.example/notes", nil, "Authorization", "Bearer x"), request("GET", "https://api.example/notes", nil, "Authorization", "Bearer "+token),
			request("OPTIONS", "https://api.example/notes", nil, "Access-Control-Request-Method", "GET"), request("GET", "https://api.example/.well-known/oauth-protected-resource/notes", nil),
		} {
			r.Header.Set("Origin", "https://page.test")
			r.AddCookie(&http.Cookie{Name: sessionCookie, Value: b.user + "|s|1"})
			a := c.do(r)
			what := r.Method + " " + r.URL.String()
			assert.Equal(c, []string{"*"}, a.header.Values("Access-Control-Allow-Origin"), what)
			assert.Empty(c, a.header.Values("Access-Control-Allow-Credentials"), what)
			if a.status == http.StatusUnauthorized {
				assert.Contains(c, a.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate", what)
			}
			if r.Method == "OPTIONS" {
				assert.Contains(c, a.header.Get("Access-Control-Allow-Headers"), "Authorization", what)
			}
		}
	}},
	{"SEC-257 documents can be kept", func(c *run) {
		for _, at := range []string{issuer + "/.well-known/oauth-authorization-server", issuer + "/oauth/jwks", "https://api.example/.well-known/oauth-protected-resource/notes"} {
			a := c.do(request("GET", at, nil))
			require.Equal(c, 200, a.status)
			_, age, ok := strings.Cut(a.header.Get("Cache-Control"), "max-age=")
			require.True(c, ok, at)
			seconds, err := strconv.Atoi(age)
			require.NoError(c, err)
			assert.Positive(c, seconds)
			assert.LessOrEqual(c, seconds, 24*3600)
			tag := a.header.Get("ETag")
			require.NotEmpty(c, tag)
			assert.Equal(c, http.StatusNotModified, c.do(request("GET", at, nil, "If-None-Match", tag)).status)
			assert.Equal(c, 200, c.do(request("GET", at, nil, "If-None-Match", `"other"`)).status)
			head := c.do(request("HEAD", at, nil))
			assert.Equal(c, []any{200, "", tag}, []any{head.status, head.body, head.header.Get("ETag")})
			assert.Equal(c, a.body, c.on(c.b).do(request("GET", at, nil)).body, "the same from every node")
		}
	}},
}
