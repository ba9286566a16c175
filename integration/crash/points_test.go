package crash

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
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
	t       *testing.T
	d       *dbtest.Database
	program string
	env     []string
	secrets []string // of the program, the one in use first
	cmd     *exec.Cmd
	crash   string // where the next request ends the program
	client  string
	signed  *ecdsa.PrivateKey // of the client that proves itself with assertions
}

// signedClient proves itself by private_key_jwt.
const signedClient = "signed"

// jwks is the client's key as the provider is told it.
func jwks(key *ecdsa.PrivateKey) []byte {
	point, _ := key.PublicKey.Bytes() // fails for other curves only: 4, x, y
	coordinate := base64.RawURLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}]}`, coordinate(point[1:33]), coordinate(point[33:]))
}

// buildMortal makes the program of the crash points, without the race detector:
// it is started hundreds of times.
func buildMortal(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mortal")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

func newLab(t *testing.T, k dbtest.Kind, program, addr string) *lab {
	t.Helper()
	d := k.Open(t)
	file, err := os.CreateTemp(t.TempDir(), "journal")
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	x := &lab{t: t, d: d, client: clientID(0), program: program, secrets: []string{rand.Text() + rand.Text()}}
	x.browser = newBrowser(&fleet{issuer: "http://" + addr, instances: []*instance{{addr: addr}}}, &journal{file: file}, newTally())
	t.Cleanup(func() { assert.NoError(t, errors.Join(x.counts.errs...)) })
	x.http.Transport = &crasher{&http.Transport{DisableKeepAlives: true}, x}
	x.env = append(os.Environ(), childAddr+"="+addr, childDriver+"="+d.Driver, childDSN+"="+d.Address, childDialect+"="+string(d.Dialect),
		childPrefix+"="+d.Options.Prefix, childSchema+"="+d.Options.Schema)
	x.signed, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p, err := newProvider(d.Store, x.f.issuer, x.secrets)
	require.NoError(t, err)
	native := oauth.Client{ID: x.client, Name: "Client", Public: true, ApplicationType: "native", RedirectURIs: []string{callback}, GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"read"}}
	server := native
	server.ID, server.Public, server.AuthMethod, server.JWKS = signedClient, false, "private_key_jwt", jwks(x.signed)
	for _, c := range []oauth.Client{native, server} {
		_, _, err = p.RegisterClient(t.Context(), c)
		require.NoError(t, err)
	}
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
	x.cmd = exec.Command(x.program)
	x.cmd.Env, x.cmd.Stderr = append(x.env, childSecrets+"="+strings.Join(x.secrets, ",")), os.Stderr
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

func (x *lab) restart() {
	x.t.Helper()
	x.stop()
	x.start()
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

// get and post return a request that is sent once.
func (x *lab) get(path string, form url.Values) func() answer {
	return func() answer { return x.send(x.t.Context(), "cut off", http.MethodGet, path, form, "") }
}

func (x *lab) post(path string, form url.Values) func() answer {
	return func() answer { return x.send(x.t.Context(), "cut off", http.MethodPost, path, form, "") }
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

// live returns the authorizations of the user that are not revoked.
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

// TestEveryCrashPoint cuts every operation off before and after each of its
// calls of the store, and in the middle of its answer. A statement of sqlstore
// commits by itself: between it and its commit the process has no say.
func TestEveryCrashPoint(t *testing.T) {
	program := buildMortal(t)
	kinds := []dbtest.Kind{dbtest.File, dbtest.Postgres, dbtest.MySQL}
	addrs := freeAddrs(t, len(kinds))
	for i, k := range kinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			x := newLab(t, k, program, addrs[i])
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
			require.Greater(t, points, 80)
		})
	}
}

// cutOff does op with a crash at the point given and reports whether there was
// one.
func (x *lab) cutOff(op operation, where string) bool {
	x.t.Helper()
	_, err := x.d.Store.RevokeTokens(x.t.Context(), store.TokenQuery{Subject: subject}, time.Now(), time.Now().Add(time.Hour))
	require.NoError(x.t, err)
	do, check := op.prepare(x)
	if strings.HasPrefix(where, "reply") {
		where = "reply"
	}
	x.crash = where
	if a := do(); a.status != 0 {
		return false
	}
	require.Error(x.t, x.cmd.Wait(), "%s %s: the program is alive, and did not answer", op.name, where)
	x.start()
	check(op.name + " " + where)
	return true
}
