package security

import (
	"net/url"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// signInCases: what there is of groups L and N.
var signInCases = []caseOf{
	{"SEC-177 the user must sign in anew", func(c *run) {
		for _, pair := range [][]string{{"prompt", "login"}, {"max_age", "0"}, {"max_age", "1"}, {"prompt", "select_account"}, {"prompt", "login consent"}} {
			b, v := c.person(), c.params(app, pair...)
			b.authTime = b.authTime.Add(-time.Hour)
			to := c.locationOf(b.authorize(v))
			require.Equal(c, "/login", to.Path)
			back := to.Query().Get("return_to")
			require.Equal(c, "/login", c.locationOf(b.visit("GET", back, nil)).Path, "nobody has signed in meanwhile: %v", pair)

			fresh := c.browserOf(b.user)
			fresh.authTime = time.Now().Add(time.Second)
			require.Equal(c, 200, fresh.visit("GET", back, nil).status, "%v", pair)

			u, err := url.Parse(back)
			require.NoError(c, err)
			other := c.params(app, pair...)
			other.Set("oauth_sign_in", u.Query().Get("oauth_sign_in")) // of another request
			other.Set("prompt", "login")
			require.Equal(c, "/login", c.locationOf(b.authorize(other)).Path)
		}
	}},
	{"SEC-177 prompts and ages that are none", func(c *run) {
		for _, pair := range [][]string{{"max_age", "-1"}, {"max_age", "soon"}, {"max_age", "1e3"}, {"max_age", "99999999999999999999"}, {"max_age", " 1"}, {"prompt", "none login"}, {"prompt", "LOGIN"}, {"prompt", "create"}} {
			v := c.params(app, pair...)
			c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
		}
	}},
	{"SEC-197 a request that is somewhere else is not fetched", func(c *run) {
		for _, at := range []string{"https://10.0.0.1/x", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "https://client.example/request.jwt", "urn:ietf:params:oauth:request_uri:x"} {
			b, v := c.person(), c.params(app, "request_uri", at)
			q := c.redirected(b.allow(b.authorize(v)), v.Get("redirect_uri"), v.Get("state"))
			assert.Zero(c, c.web.count(at))
			c.ok(c.exchange(app, q.Get("code")))
		}
		v := c.params(app, "request", "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwudGVzdCJ9.")
		b := c.person()
		c.redirected(b.allow(b.authorize(v)), v.Get("redirect_uri"), v.Get("state"))
		c.page400(b.authorize(url.Values{"client_id": {app}, "redirect_uri": {evil}, "request_uri": {"https://client.example/request.jwt"}}), evil)
	}},
}
