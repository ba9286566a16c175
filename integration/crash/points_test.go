package crash

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
)

// lab is one program over one database, and one client of it.
type lab struct {
	*browser
	t      *testing.T
	d      *dbtest.Database
	env    []string
	cmd    *exec.Cmd
	crash  string // where the next request ends the program
	client string
}

func newLab(t *testing.T, k dbtest.Kind) *lab {
	t.Helper()
	d := k.Open(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	file, err := os.CreateTemp(t.TempDir(), "journal")
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	x := &lab{t: t, d: d, client: clientID(0)}
	x.browser = newBrowser(&fleet{issuer: "http://" + addr, instances: []*instance{{addr: addr}}}, &journal{file: file})
	x.http.Transport = &crasher{&http.Transport{DisableKeepAlives: true}, x}
	x.env = append(os.Environ(), childAddr+"="+addr, childDriver+"="+d.Driver, childDSN+"="+d.Address, childDialect+"="+string(d.Dialect),
		childPrefix+"="+d.Options.Prefix, childSchema+"="+d.Options.Schema)
	p, err := newProvider(d.Store, x.f.issuer)
	require.NoError(t, err)
	_, _, err = p.RegisterClient(t.Context(), oauth.Client{
		ID: x.client, Name: "Client", Public: true, ApplicationType: "native", RedirectURIs: []string{callback}, GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"read"},
	})
	require.NoError(t, err)
	x.start()
	t.Cleanup(x.stop)
	return x
}

// crasher puts the header of the crash on the next request, and on that alone.
type crasher struct {
	http.RoundTripper
	x *lab
}

func (c *crasher) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.x.crash != "" {
		r.Header.Set(crashAt, c.x.crash)
		c.x.crash = ""
	}
	return c.RoundTripper.RoundTrip(r)
}

func (x *lab) start() {
	x.t.Helper()
	x.cmd = exec.Command(os.Args[0])
	x.cmd.Env, x.cmd.Stderr = x.env, os.Stderr
	out, err := x.cmd.StdoutPipe()
	require.NoError(x.t, err)
	require.NoError(x.t, x.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(x.t, err)
	require.Equal(x.t, "listening\n", line)
}

func (x *lab) stop() {
	_ = x.cmd.Process.Kill()
	_ = x.cmd.Wait()
}

// ask sends a request that nothing interrupts.
func (x *lab) ask(what, path string, form url.Values) answer {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 20*time.Second)
	defer cancel()
	a, err := x.until(ctx, what, http.MethodPost, path, form, "")
	require.NoError(x.t, err)
	return a
}

func (x *lab) grant() (code, verifier string) {
	x.t.Helper()
	code, verifier, err := x.authorize(x.t.Context(), x.client)
	require.NoError(x.t, err)
	return code, verifier
}

// tokens begins an authorization and redeems its code.
func (x *lab) tokens() answer {
	x.t.Helper()
	code, verifier := x.grant()
	a := x.ask("exchange", "/oauth/token", exchangeForm(x.client, code, verifier))
	require.Equal(x.t, http.StatusOK, a.status, a.code)
	return a
}

func (x *lab) refresh(token string) answer {
	x.t.Helper()
	return x.ask("refresh", "/oauth/token", refreshForm(x.client, token))
}

// records returns the authorizations of the user that are not revoked.
func (x *lab) live() (live []store.Token) {
	x.t.Helper()
	list, err := x.d.Store.ListTokens(x.t.Context(), store.TokenQuery{Subject: subject}, "", store.MaxPage)
	require.NoError(x.t, err)
	for _, r := range list {
		if r.RevokedAt.IsZero() {
			live = append(live, r)
		}
	}
	return live
}

// An operation is prepared, then cut off in one place, then checked.
type operation struct {
	name    string
	prepare func(x *lab) (method, path string, form url.Values, check func(where string))
}

var operations = []operation{
	{"authorize", func(x *lab) (string, string, url.Values, func(string)) {
		verifier := strings.Repeat("v", 43)
		form := url.Values{"response_type": {"code"}, "client_id": {x.client}, "redirect_uri": {callback}, "scope": {"read"}, "state": {"s"},
			"code_challenge": {verifier}, "code_challenge_method": {"S256"}}
		return http.MethodGet, "/oauth/authorize", form, func(where string) {
			for _, r := range x.live() {
				assert.Equal(x.t, store.TokenPending, r.State, "%s: an authorization without a code is alive", where)
			}
			assert.Equal(x.t, http.StatusOK, x.refresh(x.tokens().text("refresh_token")).status, where)
		}
	}},
	{"exchange", func(x *lab) (string, string, url.Values, func(string)) {
		code, verifier := x.grant()
		form := exchangeForm(x.client, code, verifier)
		return http.MethodPost, "/oauth/token", form, func(where string) {
			active := 0
			for _, r := range x.live() {
				if r.State == store.TokenActive {
					active++
				}
			}
			a := x.ask("exchange again", "/oauth/token", form)
			if active == 0 { // it was cut off before the swap
				assert.Equal(x.t, http.StatusOK, a.status, "%s: the code is lost: %s", where, a.code)
				assert.Equal(x.t, http.StatusOK, x.refresh(a.text("refresh_token")).status, where)
				return
			}
			assert.Equal(x.t, "invalid_grant", a.code, "%s: a code was redeemed twice", where)
			assert.Empty(x.t, x.live(), "%s: tokens that nobody has are alive", where)
		}
	}},
	{"refresh", func(x *lab) (string, string, url.Values, func(string)) {
		form := refreshForm(x.client, x.tokens().text("refresh_token"))
		return http.MethodPost, "/oauth/token", form, func(where string) {
			a, b := x.ask("refresh again", "/oauth/token", form), x.ask("refresh again", "/oauth/token", form)
			assert.Equal(x.t, http.StatusOK, a.status, "%s: signed out: %s", where, a.code)
			assert.Equal(x.t, a.text("refresh_token"), b.text("refresh_token"), "%s: two successors", where)
			assert.Equal(x.t, http.StatusOK, x.refresh(a.text("refresh_token")).status, where)
		}
	}},
	{"revoke", func(x *lab) (string, string, url.Values, func(string)) {
		token := x.tokens().text("refresh_token")
		form := url.Values{"client_id": {x.client}, "token": {token}}
		return http.MethodPost, "/oauth/revoke", form, func(where string) {
			assert.Equal(x.t, http.StatusOK, x.ask("revoke again", "/oauth/revoke", form).status, where)
			assert.Equal(x.t, "invalid_grant", x.refresh(token).code, where)
			assert.Empty(x.t, x.live(), where)
		}
	}},
	{"revoke consent", func(x *lab) (string, string, url.Values, func(string)) {
		token := x.tokens().text("refresh_token")
		form := url.Values{"client_id": {x.client}}
		return http.MethodPost, "/consent/revoke", form, func(where string) {
			if _, err := x.d.Store.Consent(x.t.Context(), subject, x.client); err != nil {
				require.ErrorIs(x.t, err, store.ErrNotFound)
			}
			x.ask("revoke consent again", "/consent/revoke", form)
			assert.Equal(x.t, "invalid_grant", x.refresh(token).code, where)
			assert.Empty(x.t, x.live(), where)
			_, err := x.d.Store.Consent(x.t.Context(), subject, x.client)
			assert.ErrorIs(x.t, err, store.ErrNotFound, where)
		}
	}},
	{"revoke user", func(x *lab) (string, string, url.Values, func(string)) {
		token := x.tokens().text("refresh_token")
		return http.MethodPost, "/user/revoke", url.Values{}, func(where string) {
			assert.Equal(x.t, http.StatusOK, x.ask("revoke user again", "/user/revoke", url.Values{}).status, where)
			assert.Equal(x.t, "invalid_grant", x.refresh(token).code, where)
			assert.Empty(x.t, x.live(), where)
		}
	}},
	{"cleanup", func(x *lab) (string, string, url.Values, func(string)) {
		old := time.Now().AddDate(-1, 0, 0)
		ctx := x.t.Context()
		token := x.tokens().text("refresh_token")
		for i := range 3 {
			require.NoError(x.t, x.d.Store.CreateCode(ctx, store.Code{Kind: "code", Key: fmt.Sprint("old", i), PurgeAt: old}))
			require.NoError(x.t, x.d.Store.CreateToken(ctx, store.Token{ID: fmt.Sprint("old", i), ClientID: "c", PurgeAt: old, RevokedAt: old}))
		}
		return http.MethodPost, "/cleanup", url.Values{}, func(where string) {
			assert.Equal(x.t, http.StatusOK, x.ask("cleanup again", "/cleanup", url.Values{}).status, where)
			for i := range 3 {
				_, err := x.d.Store.Code(ctx, "code", fmt.Sprint("old", i))
				assert.ErrorIs(x.t, err, store.ErrNotFound, where)
				_, err = x.d.Store.Token(ctx, fmt.Sprint("old", i))
				assert.ErrorIs(x.t, err, store.ErrNotFound, where)
			}
			assert.Equal(x.t, http.StatusOK, x.refresh(token).status, where)
		}
	}},
}

// TestEveryCrashPoint cuts every operation off before and after each of its
// calls of the store, and in the middle of its answer. A statement of sqlstore
// commits by itself: between it and its commit the process has no say.
func TestEveryCrashPoint(t *testing.T) {
	for _, k := range []dbtest.Kind{dbtest.File, dbtest.Postgres, dbtest.MySQL} {
		t.Run(k.Name, func(t *testing.T) {
			x := newLab(t, k)
			points := 0
			for _, op := range operations {
				for _, when := range []string{"before", "after", "reply"} {
					for n := 1; ; n++ {
						if !x.cutOff(op, strings.TrimSpace(fmt.Sprintf("%s %d", when, n))) {
							require.Greater(t, n, 1, "%s %s: nothing was cut off", op.name, when)
							break
						}
						points++
						if when == "reply" {
							break
						}
					}
				}
			}
			t.Logf("%d crash points", points)
			require.Greater(t, points, 40)
		})
	}
}

// cutOff does op with a crash at the point given and reports whether there was
// one.
func (x *lab) cutOff(op operation, where string) bool {
	x.t.Helper()
	_, err := x.d.Store.RevokeTokens(x.t.Context(), store.TokenQuery{Subject: subject}, time.Now(), time.Now().Add(time.Hour))
	require.NoError(x.t, err)
	method, path, form, check := op.prepare(x)
	if strings.HasPrefix(where, "reply") {
		where = "reply"
	}
	x.crash = where
	a := x.send(x.t.Context(), op.name+" "+where, method, path, form, "")
	if a.status != 0 {
		return false
	}
	require.Error(x.t, x.cmd.Wait(), "%s %s: the program is alive, and did not answer", op.name, where)
	x.start()
	check(op.name + " " + where)
	return true
}
