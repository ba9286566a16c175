package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestConsentPageSaysWhoAsksForWhat(t *testing.T) {
	f := newFixture(t)
	body := f.authorize(alice(), authorization("app", "scope", "read profile", "resource", mcpURI)).body
	assert.NotContains(t, body, "profile", "means nothing at that resource")
	body = f.authorize(alice(), authorization("app", "scope", "read write profile")).body
	for _, want := range []string{"App", "app.example", "name of alice", "Read your things", "Change your things", "profile", apiURI, "Allow", "Deny", `lang="en"`, "viewport"} {
		assert.Contains(t, body, want)
	}
	assert.NotContains(t, body, "not checked")
	assert.NotContains(t, body, "<script", "no JavaScript")
	assert.NotContains(t, body, "on this computer")
	body = f.authorize(alice(), authorization("self")).body
	assert.Contains(t, body, "registered itself")
	assert.Contains(t, body, "self.example")
	assert.Contains(t, f.authorize(alice(), authorization("loop")).body, "on this computer")
	f.register(oauth.Client{ID: "https://doc.example/client.json", Public: true, Trust: store.TrustDocument, RedirectURIs: []string{"https://doc.example/cb"}})
	assert.Contains(t, f.authorize(alice(), authorization("x", "client_id", "https://doc.example/client.json", "redirect_uri", "https://doc.example/cb")).body, "describes itself at doc.example")
}

func TestConsentPageIsNotInjectable(t *testing.T) {
	const evil = `</title><script>alert(1)</script>"><img src=x onerror=alert(1)>{{.}}`
	f := newFixture(t, func(c *oauth.Config) { c.Scopes["evil"] = evil })
	f.register(oauth.Client{ID: "evil", Public: true, Trust: store.TrustSelf, Name: evil, URI: "https://x.example/" + `"><script>`, Scopes: []string{"evil"}, RedirectURIs: []string{"https://x.example/cb"}})
	a := f.authorize(alice(), authorization("x", "client_id", "evil", "redirect_uri", "https://x.example/cb", "state", evil, "login_hint", evil, "ui_locales", evil))
	require.Equal(t, 200, a.status)
	assert.NotContains(t, a.body, "<script")
	assert.NotContains(t, a.body, "<img")
	assert.NotContains(t, a.body, "onerror=alert(1)>{")
	assert.Contains(t, a.body, `rel="noopener noreferrer nofollow"`)

	f.register(oauth.Client{ID: "bidi", Public: true, Trust: store.TrustSelf, RedirectURIs: []string{"https://x.example/cb"},
		Name: "Cl\u202eau\u200bde\n\u0301\u0301\u0301\u0301\u0301 " + strings.Repeat("x", 150)})
	body := f.authorize(alice(), authorization("x", "client_id", "bidi", "redirect_uri", "https://x.example/cb")).body
	assert.NotContains(t, body, "\u202e")
	assert.NotContains(t, body, "\u200b")
	assert.NotContains(t, body, "\u0301\u0301\u0301")
	assert.NotContains(t, body, strings.Repeat("x", 101), "shortened")
	assert.Contains(t, body, "“Claude")
}

func TestConsentComesFromThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		b := alice()
		form := consentForm(t, f.authorize(b, authorization("app")))
		other := alice()
		consentForm(t, f.authorize(other, authorization("app")))
		for name, r := range map[string]*http.Request{
			"no interaction":   b.request("POST", "/oauth/consent", with(form, "interaction", "")),
			"forged":           b.request("POST", "/oauth/consent", with(form, "interaction", "AAAA"+form.Get("interaction"))),
			"in the query":     b.request("POST", "/oauth/consent?"+form.Encode(), url.Values{"decision": {"allow"}}),
			"no cookie":        alice().request("POST", "/oauth/consent", form),
			"other browser":    other.request("POST", "/oauth/consent", form),
			"other user":       (&browser{"mallory", "s1", time.Time{}, b.cookies}).request("POST", "/oauth/consent", form),
			"other session":    (&browser{"alice", "s2", time.Time{}, b.cookies}).request("POST", "/oauth/consent", form),
			"nobody signed in": (&browser{cookies: b.cookies}).request("POST", "/oauth/consent", form),
			"cross-site":       header(b.request("POST", "/oauth/consent", form), "Sec-Fetch-Site", "cross-site"),
			"other origin":     header(b.request("POST", "/oauth/consent", form), "Origin", "https://evil.test"),
		} {
			t.Log(name)
			f.page(f.do(r), http.StatusForbidden)
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
			a := f.visit(b, method, "/oauth/consent?"+form.Encode(), nil)
			assert.Equal(t, 405, a.status)
			assert.Equal(t, "POST", a.header.Get("Allow"))
		}
		assert.Equal(t, 503, f.do(header(b.request("POST", "/oauth/consent", form), "X-Broken", "1")).status)
		assert.Empty(t, f.kinds(oauth.EventCodeIssued))
		assert.Empty(t, f.kinds(oauth.EventConsentGranted))
		list, err := f.store.ListTokens(t.Context(), store.TokenQuery{ClientID: "app"}, "", 10)
		require.NoError(t, err)
		assert.Empty(t, list, "nothing is stored before someone approves")

		_, q := f.do(header(b.request("POST", "/oauth/consent", form), "Origin", issuer)).location(t)
		f.ok(f.exchange("app", q.Get("code")))
		late := consentForm(t, f.authorize(b, authorization("app", "scope", "read write")))
		time.Sleep(10 * time.Minute)
		f.page(f.visit(b, "POST", "/oauth/consent", late), http.StatusForbidden)
	})
}

func header(r *http.Request, name, value string) *http.Request {
	r.Header.Set(name, value)
	return r
}

func TestTamperedConsentFormChangesNothing(t *testing.T) {
	f := newFixture(t)
	b := alice()
	form := consentForm(t, f.authorize(b, authorization("app", "scope", "read")))
	form = with(form, "redirect_uri", "https://evil.test/cb", "client_id", "self", "state", "evil", "code_challenge", s256("x"))
	form["scope"] = []string{"read", "write", "admin"}
	where, q := f.visit(b, "POST", "/oauth/consent", form).location(t)
	assert.Equal(t, appURI, where)
	assert.Equal(t, "st", q.Get("state"))
	assert.Equal(t, "read", f.ok(f.exchange("app", q.Get("code"))).Scope)
}

func TestOneCodeForOneConsentPage(t *testing.T) {
	f := newFixture(t)
	b := alice()
	form := consentForm(t, f.authorize(b, authorization("app")))
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[int]int{}
	for range 32 {
		wg.Go(func() {
			a := f.do(b.request("POST", "/oauth/consent", form))
			mu.Lock()
			count[a.status]++
			mu.Unlock()
		})
	}
	wg.Wait()
	assert.Equal(t, map[int]int{303: 1, 400: 31}, count)
	assert.Len(t, f.kinds(oauth.EventCodeIssued), 1)
}

func TestTwoTabs(t *testing.T) {
	f := newFixture(t)
	b := alice()
	one := consentForm(t, f.authorize(b, authorization("app", "state", "one")))
	two := consentForm(t, f.authorize(b, authorization("self", "state", "two")))
	where, q := f.visit(b, "POST", "/oauth/consent", two).location(t)
	assert.Equal(t, []string{"https://self.example/cb", "two"}, []string{where, q.Get("state")})
	where, q = f.visit(b, "POST", "/oauth/consent", one).location(t)
	assert.Equal(t, []string{appURI, "one"}, []string{where, q.Get("state")})
}

func TestDenyAndUntick(t *testing.T) {
	f := newFixture(t)
	b := alice()
	for _, decision := range []string{"deny", "", "ALLOW"} {
		form := consentForm(t, f.authorize(b, authorization("app", "scope", "read write")))
		f.sentBack(f.visit(b, "POST", "/oauth/consent", with(form, "decision", decision)), "access_denied")
	}
	form := consentForm(t, f.authorize(b, authorization("app", "scope", "read write")))
	form.Del("scope")
	f.sentBack(f.visit(b, "POST", "/oauth/consent", form), "access_denied")
	assert.Len(t, f.kinds(oauth.EventConsentDenied), 3)

	form = consentForm(t, f.authorize(b, authorization("app", "scope", "read write")))
	form["scope"] = []string{"write"}
	_, q := f.visit(b, "POST", "/oauth/consent", form).location(t)
	assert.Equal(t, "write", f.ok(f.exchange("app", q.Get("code"))).Scope)
	consent, err := f.p.Consent(t.Context(), "alice", "app")
	require.NoError(t, err)
	assert.Equal(t, []string{"write"}, consent.Scopes)
}

func TestConsentIsRemembered(t *testing.T) {
	f := newFixture(t)
	f.login("app", "scope", "read")
	again := func(pairs ...string) int { return f.authorize(alice(), authorization("app", pairs...)).status }
	assert.Equal(t, 303, again("scope", "read"))
	assert.Equal(t, 200, again("scope", "read write"), "one scope more")
	assert.Equal(t, 200, again("scope", "read", "resource", mcpURI), "another resource")
	bob := &browser{user: "bob", cookies: map[string]string{}}
	assert.Equal(t, 200, f.authorize(bob, authorization("app")).status, "another user")
	f.login("app", "scope", "write")
	assert.Equal(t, 303, again("scope", "read write"), "consents add up")
	f.change("app", func(c *oauth.Client) { c.Name = "Renamed by the operator" })
	assert.Equal(t, 303, again("scope", "read"))
	_, err := f.p.RevokeConsent(t.Context(), "alice", "app")
	require.NoError(t, err)
	assert.Equal(t, 200, again("scope", "read"))
}

func TestStrangersAreAskedForAgain(t *testing.T) {
	f := newFixture(t)
	f.login("self")
	v := authorization("self")
	assert.Equal(t, 303, f.authorize(alice(), v).status)
	code := f.code(alice(), v)
	f.change("self", func(c *oauth.Client) { c.Name = "Something else" })
	assert.Equal(t, 200, f.authorize(alice(), v).status, "the client is not what was agreed to")
	f.refused(f.exchange("self", code), 400, "invalid_grant")
	f.login("self")
	assert.Equal(t, 303, f.authorize(alice(), v).status)

	f.login("local")
	assert.Equal(t, 200, f.authorize(alice(), authorization("local")).status, "any program can claim a loopback address")
	f.login("loop")
	assert.Equal(t, 303, f.authorize(alice(), authorization("loop")).status, "the operator's own is known")
	assert.Equal(t, 303, f.authorize(alice(), authorization("first")).status)
}

func TestClientThatChangesWhileThePageIsOpen(t *testing.T) {
	for name, change := range map[string]func(f *fixture){
		"deleted":      func(f *fixture) { assert.NoError(f.t, f.p.DeleteClient(context.Background(), "app")) },
		"disabled":     func(f *fixture) { f.change("app", func(c *oauth.Client) { c.Disabled = true }) },
		"redirect URI": func(f *fixture) { f.change("app", func(c *oauth.Client) { c.RedirectURIs = []string{appURI + "2"} }) },
		"scope": func(f *fixture) {
			f.change("app", func(c *oauth.Client) { c.Scopes, c.DefaultScopes = []string{"profile"}, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			b := alice()
			form := consentForm(t, f.authorize(b, authorization("app", "scope", "read")))
			change(f)
			f.page(f.visit(b, "POST", "/oauth/consent", form), 400)
			assert.Empty(t, f.kinds(oauth.EventCodeIssued))
		})
	}
}

func TestConsentMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ctx := t.Context()
		_, err := f.p.Consent(ctx, "alice", "app")
		assert.ErrorIs(t, err, oauth.ErrConsentRequired)
		require.NoError(t, f.p.GrantConsent(ctx, "alice", "app", []string{"read", "write"}, nil))
		require.NoError(t, f.p.GrantConsent(ctx, "alice", "app", []string{"read"}, []string{mcpURI}))
		c, err := f.p.Consent(ctx, "alice", "app")
		require.NoError(t, err)
		assert.Equal(t, []string{"read", "write"}, c.Scopes)
		assert.Equal(t, []string{apiURI, mcpURI}, c.Resources)
		for scopes, want := range map[string]bool{"read": true, "read write": true, "read profile": false} {
			ok, err := f.p.CheckConsent(ctx, "alice", "app", strings.Fields(scopes), nil)
			require.NoError(t, err)
			assert.Equal(t, want, ok, scopes)
		}
		assert.ErrorIs(t, f.p.GrantConsent(ctx, "alice", "app", []string{"admin"}, nil), oauth.ErrInvalidScope)
		assert.ErrorIs(t, f.p.GrantConsent(ctx, "alice", "app", nil, []string{"https://x.example"}), oauth.ErrInvalidTarget)
		assert.ErrorIs(t, f.p.GrantConsent(ctx, "alice", "nobody", nil, nil), store.ErrNotFound)
		assert.ErrorIs(t, f.p.GrantConsent(ctx, "a\x00", "app", nil, nil), oauth.ErrInvalidRequest)
		_, err = f.p.CheckConsent(ctx, "alice", "nobody", nil, nil)
		assert.ErrorIs(t, err, store.ErrNotFound)

		f.login("loop")
		time.Sleep(time.Hour)
		used := time.Now()
		got := f.login("loop")
		time.Sleep(time.Minute)
		list, err := f.p.Consents(ctx, "alice")
		require.NoError(t, err)
		require.Len(t, list, 2)
		assert.Equal(t, "App", list[0].Client.Name)
		assert.True(t, list[0].LastUsed.IsZero())
		assert.WithinDuration(t, used, list[1].LastUsed, time.Second)

		n, err := f.p.RevokeConsent(ctx, "alice", "loop")
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.False(t, f.active(got.AccessToken))
		f.refused(f.refresh("loop", got.RefreshToken), 400, "invalid_grant")
		_, err = f.p.RevokeConsent(ctx, "alice", "")
		assert.ErrorIs(t, err, oauth.ErrInvalidRequest)
		_, err = f.p.RevokeConsent(ctx, "", "app")
		assert.ErrorIs(t, err, oauth.ErrInvalidRequest)
	})
}

func TestOwnConsentTemplate(t *testing.T) {
	pages := template.Must(template.New("consent").Parse(`OWN {{.ClientName}} <input name="interaction" value="{{.Interaction}}"><form action="/mine">`))
	f := newFixture(t, func(c *oauth.Config) { c.Templates = pages })
	b := alice()
	a := f.authorize(b, authorization("app"))
	assert.Contains(t, a.body, "OWN App")
	form := consentForm(t, a)

	// The app's own handler ends in Approve, for some of the scopes.
	r := b.request("POST", "/mine", form)
	req, err := f.p.PendingAuthorization(r)
	require.NoError(t, err)
	assert.Equal(t, []any{"app", true, "alice"}, []any{req.Client.ID, req.NeedsConsent, req.Session.Subject})
	w := &recorder{header: http.Header{}}
	assert.ErrorIs(t, f.p.Approve(w, r, req, nil), oauth.ErrAccessDenied, "no box is ticked")
	assert.Contains(t, w.header.Get("Location"), "error=access_denied")
	w = &recorder{header: http.Header{}}
	require.NoError(t, f.p.Approve(w, r, req, req.Scopes))
	assert.Equal(t, 303, w.status)
	assert.ErrorIs(t, f.p.Approve(&recorder{header: http.Header{}}, r, req, req.Scopes), oauth.ErrInvalidRequest, "once")
	r.Header.Set("X-User", "mallory")
	assert.ErrorIs(t, f.p.Approve(&recorder{header: http.Header{}}, r, req, req.Scopes), oauth.ErrAccessDenied)
	_, err = f.p.PendingAuthorization(b.request("GET", "/mine", nil))
	assert.ErrorIs(t, err, oauth.ErrInvalidRequest)
	f.page(f.authorize(b, authorization("nobody")), 400)

	// A function of the app's may fail for what New tries the page with, and for a
	// request: only the second is one.
	broken := newFixture(t, func(c *oauth.Config) {
		logo := func(string) (string, error) { return "", errors.New("no logo") }
		c.Templates = template.Must(template.New("consent").Funcs(template.FuncMap{"logo": logo}).Parse(`x{{logo .ClientName}}`))
	})
	w = &recorder{header: http.Header{}}
	broken.p.ServeHTTP(w, b.request("GET", "/oauth/authorize?"+authorization("app").Encode(), nil))
	assert.Equal(t, 500, w.status)
	assert.Equal(t, "The page cannot be shown.\n", w.body.String(), "never half a page")
}

// New tries a template with scopes and resources that there are, and leaves to the
// app what its functions make of them.
func TestOwnTemplatesAreTriedWithWhatThereIs(t *testing.T) {
	type icon struct{ Name string }
	icons := map[string]*icon{"read": {"book"}, apiURI: {"notes"}}
	form := `<form action="{{.Action}}"><input name="interaction" value="{{.Interaction}}"><button name="decision" value="allow">`
	for name, text := range map[string]string{
		"each scope by its name":       form + `{{range .Scopes}}{{if eq .Name "read"}}<input name="scope" value="read">Lesen{{end}}{{end}}`,
		"one scope, in the text":       form + `<input type="hidden" name="scope" value="read">`,
		"what a function knows of one": form + `{{range .Scopes}}<input name="scope" value="{{.Name}}">{{(icon .Name).Name}}{{end}}`,
		"a resource":                   form + `{{range .Resources}}{{(icon .).Name}}{{end}}<input name="scope" value="read">`,
		"what no function knows":       form + `{{(icon .ClientName).Name}}`,
		"no scopes":                    form,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config()
			cfg.Scopes, cfg.Resources = map[string]string{"read": "Read"}, []oauth.Resource{{URI: apiURI}}
			if name == "no scopes" {
				cfg.Scopes = nil
			}
			cfg.Templates = template.Must(template.New("consent").Funcs(template.FuncMap{"icon": func(of string) *icon { return icons[of] }}).Parse(text))
			_, err := oauth.New(cfg)
			assert.NoError(t, err)
		})
	}
	cfg := (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config()
	cfg.Scopes, cfg.Resources = map[string]string{"notes+write": "Write"}, nil
	cfg.Templates = template.Must(template.New("consent").Parse(form + `{{range .Scopes}}<input name="scope" value="{{.Name}}">{{end}}`))
	_, err := oauth.New(cfg)
	assert.NoError(t, err, "a scope that HTML escapes")
}

func TestOwnTemplatesMayHaveBeenExecutedBefore(t *testing.T) {
	pages := template.Must(template.New("").Parse(`{{define "home"}}home{{end}}{{define "consent"}}OWN <input name="interaction" value="{{.Interaction}}">{{end}}`))
	require.NoError(t, pages.ExecuteTemplate(io.Discard, "home", nil))
	f := newFixture(t, func(c *oauth.Config) { c.Templates = pages })
	assert.Contains(t, f.authorize(alice(), authorization("app")).body, "OWN")
}

func TestOwnTemplatesHaveTheirFunctionsAndParts(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) {
		c.Templates = template.Must(template.New("").Funcs(template.FuncMap{"shout": strings.ToUpper}).Parse(
			`{{define "consent"}}{{template "head" .}}<input name="interaction" value="{{.Interaction}}">{{end}}{{define "head"}}<h1>{{shout .ClientName}}</h1>{{end}}`))
	})
	assert.Contains(t, f.authorize(alice(), authorization("app")).body, "<h1>APP</h1>")
	assert.Contains(t, f.authorize(alice(), authorization("nobody")).body, "This did not work", "the error page is the built-in one, with its own head")
}

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func TestCreateAuthorizationCodeByHand(t *testing.T) {
	f := newFixture(t)
	parse := func() *oauth.AuthorizationRequest {
		req, err := f.p.ParseAuthorization(t.Context(), authorization("app", "scope", "read write"))
		require.NoError(t, err)
		return req
	}
	req := parse()
	for name, a := range map[string]oauth.Approval{
		"nobody":          {},
		"nothing granted": {Session: oauth.Session{Subject: "alice"}, Scopes: []string{"admin"}},
	} {
		_, err := f.p.CreateAuthorizationCode(t.Context(), req, a)
		assert.ErrorIs(t, err, oauth.ErrAccessDenied, name)
	}
	for _, subject := range []string{"app", "a\x00", strings.Repeat("a", 256)} {
		_, err := f.p.CreateAuthorizationCode(t.Context(), parse(), oauth.Approval{Session: oauth.Session{Subject: subject}})
		assert.ErrorIs(t, err, oauth.ErrServerError, fmt.Sprintf("%.20q", subject))
	}
	_, err := f.p.CreateAuthorizationCode(t.Context(), &oauth.AuthorizationRequest{Client: f.client("app")}, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
	assert.ErrorIs(t, err, oauth.ErrServerError)

	code, err := f.p.CreateAuthorizationCode(t.Context(), req, oauth.Approval{Session: oauth.Session{Subject: "alice"}, Scopes: []string{"read"}})
	require.NoError(t, err)
	assert.Equal(t, appURI+"?"+url.Values{"code": {code}, "iss": {issuer}, "state": {"st"}}.Encode(), f.p.ResponseURL(req, code, nil))
	res, err := f.p.Exchange(t.Context(), f.client("app"), oauth.ExchangeRequest{Code: code, RedirectURI: appURI, CodeVerifier: verifier})
	require.NoError(t, err)
	assert.Equal(t, "read", res.Scope)
}

func TestConsentOfWhatIsNotThere(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Scopes["bare"] = "" })
	ctx := t.Context()
	_, err := f.p.CheckConsent(ctx, "alice", "app", []string{"read"}, []string{"https://x.example"})
	assert.ErrorIs(t, err, oauth.ErrInvalidTarget, "a resource that there is not")

	f.change("app", func(c *oauth.Client) { c.Scopes = append(c.Scopes, "bare") })
	page := f.authorize(alice(), authorization("app", "scope", "bare"))
	assert.Regexp(t, `value="bare"[^<]*>\s*<span>bare`, page.body, "a scope without a line")
}

// Self-registered clients expire, and their consents do not: a page of connected
// apps would fill with what is gone.
func TestConsentToAClientThatIsGoneIsForgottenOnceNothingRestsOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ctx := t.Context()
		f.login("loop")
		for _, user := range []string{"alice", "bob"} {
			require.NoError(t, f.p.GrantConsent(ctx, user, "self", []string{"read"}, nil))
		}
		require.NoError(t, f.p.GrantConsent(ctx, "alice", "app", []string{"read"}, nil))
		f.login("app")
		for _, gone := range []string{"self", "app", "loop"} {
			require.NoError(t, f.store.DeleteClient(ctx, gone)) // its registration expired
		}
		names := func() (names []string) {
			list, err := f.p.Consents(ctx, "alice")
			require.NoError(t, err)
			for _, c := range list {
				assert.Nil(t, c.Client)
				assert.Contains(t, c.Scopes, "read")
				names = append(names, c.ClientID)
			}
			return names
		}
		assert.Equal(t, []string{"app", "loop"}, names(), "their tokens are valid")
		_, err := f.p.Consent(ctx, "alice", "self")
		assert.ErrorIs(t, err, store.ErrNotFound)
		_, err = f.p.Consent(ctx, "bob", "self")
		assert.NoError(t, err, "another user's")

		_, err = f.store.RevokeTokens(ctx, store.TokenQuery{Subject: "alice", ClientID: "app"}, time.Now(), time.Now().Add(time.Hour))
		require.NoError(t, err)
		assert.Equal(t, []string{"loop"}, names(), "nothing is valid any more")
		time.Sleep(31 * 24 * time.Hour)
		assert.Empty(t, names(), "all has expired")
	})
}

func TestConsentWithoutResources(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Resources = nil })
	f.change("app", func(c *oauth.Client) { c.Resources = nil })
	require.NoError(t, f.p.GrantConsent(t.Context(), "alice", "app", []string{"write", "read"}, nil))
	stored, err := f.store.Consent(t.Context(), "alice", "app")
	require.NoError(t, err)
	assert.Equal(t, []string{"read", "write"}, stored.Scopes)
	ok, err := f.p.CheckConsent(t.Context(), "alice", "app", []string{"read"}, nil)
	require.NoError(t, err)
	assert.True(t, ok)
}

// Who can plant a cookie in a browser cannot make it one that is easy to guess.
func TestBrowserCookieThatWeDidNotMakeIsReplaced(t *testing.T) {
	f := newFixture(t)
	b := alice()
	f.authorize(b, authorization("app"))
	require.Len(t, b.cookies, 1)
	for name, made := range b.cookies {
		assert.Len(t, made, 43, "256 bits")
		for _, planted := range []string{"", "short", made + "x", made[1:], "!" + made[1:]} {
			b.cookies[name] = planted
			form := consentForm(t, f.authorize(b, authorization("app")))
			assert.NotEqual(t, planted, b.cookies[name], "a cookie of its own")
			assert.Len(t, b.cookies[name], 43)
			own := b.cookies[name]
			b.cookies[name] = planted
			a := f.visit(b, "POST", "/oauth/consent", form)
			assert.Equal(t, http.StatusForbidden, a.status, "%q: the page is bound to another cookie", planted)
			b.cookies[name] = own
		}
		made = b.cookies[name]
		f.authorize(b, authorization("app"))
		assert.Equal(t, made, b.cookies[name], "one of ours stays")
	}
}

func TestConsentFormThatIsTooLargeIsRefused(t *testing.T) {
	f := newFixture(t)
	b := alice()
	form := consentForm(t, f.authorize(b, authorization("app")))
	form.Set("more", strings.Repeat("x", 64<<10))
	a := f.visit(b, "POST", "/oauth/consent", form)
	assert.Equal(t, http.StatusForbidden, a.status)
	assert.Empty(t, a.header.Get("Location"))
}
