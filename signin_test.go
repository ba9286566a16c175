package oauth_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
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
		b := alice() // whose app does not say when
		where, q := f.authorize(b, authorization("first", "prompt", "login")).location(t)
		require.Equal(t, "/login", where)
		_, q = f.visit(b, "GET", q.Get("return_to"), nil).location(t)
		assert.NotEmpty(t, q.Get("code"), "having been there is all that is known")

		b.authTime = time.Now()
		f.sentBack(f.authorize(b, authorization("app", "prompt", "none", "max_age", "x")), "invalid_request")
		time.Sleep(time.Minute)
		f.sentBack(f.authorize(b, authorization("app", "prompt", "none", "max_age", "1")), "login_required")
		where, _ = f.authorize(b, authorization("self", "prompt", "none", "max_age", "1")).location(t)
		assert.Equal(t, "/login", where, "a stranger's request has no silence to keep")
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
		_, q = f.visit(b, "GET", ask("60"), nil).location(t)
		require.NotEmpty(t, q.Get("return_to"), "an unknown sign-in time is too old")
		_, q = f.visit(b, "GET", q.Get("return_to"), nil).location(t)
		assert.Equal(t, "login_required", q.Get("error"), "and will be after the next sign-in")
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

func TestErrorsOfTheProviderAreNotAStrangersToHave(t *testing.T) {
	for _, status := range []int{500, 503} {
		f := extended(t, func(r *oauth.Registry) {
			r.OnAuthorize(func(context.Context, *oauth.AuthorizationRequest) error {
				return &oauth.Error{Code: oauth.ErrServerError, Description: "no", Status: status}
			})
		})
		f.page(f.authorize(alice(), authorization("self")), status)
		f.page(f.authorize(&browser{}, authorization("self")), status)
		f.sentBack(f.authorize(alice(), authorization("app")), oauth.ErrServerError)
	}
}

// Approve is for the user who was asked, whatever the app does in between.
func TestApproveAsksForTheSessionAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		header, value string
		want          string
	}{
		"the same user":       {"X-User", "alice", ""},
		"another user":        {"X-User", "bob", "access_denied"},
		"signed out":          {"X-User", "", "access_denied"},
		"the session is down": {"X-Broken", "1", "temporarily_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			req, err := f.p.ParseAuthorization(t.Context(), authorization("app"))
			require.NoError(t, err)
			req.Session = oauth.Session{Subject: "alice"}
			r := alice().request("POST", "/own/page", url.Values{})
			r.Header.Set(tt.header, tt.value)
			w := httptest.NewRecorder()
			err = f.p.Approve(w, r, req, req.Scopes)
			_, q := answer{w.Code, w.Result().Header, w.Body.String()}.location(t)
			assert.Equal(t, tt.want, q.Get("error"))
			assert.Equal(t, tt.want == "", err == nil)
			assert.Equal(t, tt.want == "", q.Has("code"))
		})
	}
}

func TestPagesAllowTheirOwnStyleAndNothingElse(t *testing.T) {
	f := newFixture(t)
	for name, a := range map[string]answer{
		"consent":   f.authorize(alice(), authorization("app")),
		"error":     f.authorize(alice(), authorization("nobody")),
		"form post": f.authorize(alice(), authorization("first", "response_mode", "form_post")),
	} {
		t.Run(name, func(t *testing.T) {
			csp := a.header.Get("Content-Security-Policy")
			m := regexp.MustCompile(`style-src 'nonce-([^']+)'`).FindStringSubmatch(csp)
			require.NotNil(t, m, csp)
			assert.Contains(t, a.body, `<style nonce="`+m[1]+`"`)
		})
	}
	csp := f.authorize(&browser{}, authorization("app")).header.Get("Content-Security-Policy")
	assert.Equal(t, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'", csp, "what is no page has no style")
}

func TestInteractReplacesLoginAndConsent(t *testing.T) {
	var f *fixture
	var seen []bool
	f = newFixture(t, func(c *oauth.Config) {
		c.LoginURL = ""
		c.Interact = func(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizationRequest) {
			seen = append(seen, req.NeedsConsent)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if !req.NeedsConsent {
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
	assert.Equal(t, []bool{false, true}, seen)
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
