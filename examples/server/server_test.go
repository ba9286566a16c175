package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
	"github.com/seed-e797c9ce/oauth/examples/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// writeConfig writes config.json with a free port and these members instead.
func writeConfig(t *testing.T, change map[string]any) (file, issuer string) {
	t.Helper()
	text, err := os.ReadFile("config.json")
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	issuer = "http://" + l.Addr().String()
	require.NoError(t, l.Close())

	var c map[string]any
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(string(text), "http://localhost:9000", issuer)), &c))
	for key, value := range change {
		c[key] = value
	}
	text, err = json.Marshal(c)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file, issuer
}

// start runs the server until the test ends, and checks that it ends well.
func start(t *testing.T, file string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, file, "", strings.Repeat("test", 8), w)
		w.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^listening on http://127\.0\.0\.1:\d+\n$`, line)
}

const callback = "http://127.0.0.1:1/callback"

func client(issuer, id string, style oauth2.AuthStyle) *oauth2.Config {
	c := &oauth2.Config{
		ClientID: id, RedirectURL: callback, Scopes: []string{"read"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/oauth/authorize", TokenURL: issuer + "/oauth/token", AuthStyle: style},
	}
	if id == "confidential-app" {
		c.ClientSecret = confidentialSecret
	}
	return c
}

const confidentialSecret = "trial-secret-known-to-everybody"

// walk goes to the provider, does what a person does there, and has tokens.
func walk(t *testing.T, c *oauth2.Config, b *browser.Browser, person func()) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	b.Stop, b.Answer = callback, nil
	b.Open(c.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
	person()
	require.NotNil(t, b.Answer, b.Page)
	token, err := c.Exchange(t.Context(), b.Answer.Query().Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	return token
}

func callMe(t *testing.T, issuer string, token *oauth2.Token) (int, me) {
	t.Helper()
	res, err := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token)).Get(issuer + "/api/me")
	require.NoError(t, err)
	defer res.Body.Close()
	var answer me
	if res.StatusCode == http.StatusOK {
		require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	}
	return res.StatusCode, answer
}

// useUp refreshes, revokes, and sees that the API refuses.
func useUp(t *testing.T, issuer string, c *oauth2.Config, token *oauth2.Token) {
	t.Helper()
	status, _ := callMe(t, issuer, token)
	assert.Equal(t, http.StatusOK, status)
	token, err := c.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	require.NoError(t, err)
	status, _ = callMe(t, issuer, token)
	assert.Equal(t, http.StatusOK, status)
	form := url.Values{"token": {token.RefreshToken}, "client_id": {c.ClientID}}
	if c.ClientSecret != "" {
		form.Set("client_secret", c.ClientSecret)
	}
	res, err := http.PostForm(issuer+"/oauth/revoke", form)
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusOK, res.StatusCode)
	status, _ = callMe(t, issuer, token)
	assert.Equal(t, http.StatusUnauthorized, status)
	_, err = c.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	assert.ErrorContains(t, err, "invalid_grant")
}

func TestPagesAndTokens(t *testing.T) {
	file, issuer := writeConfig(t, nil)
	start(t, file)
	b := browser.New(t)
	public := client(issuer, "public-app", oauth2.AuthStyleInParams)
	token := walk(t, public, b, func() {
		b.Submit("/login", "username", "ada", "password", "lovelace")
		assert.Contains(t, b.Page, "Public App")
		assert.Contains(t, b.Page, "See your data")
		b.Submit("/oauth/consent", "decision", "allow", "scope", "read")
	})
	_, who := callMe(t, issuer, token)
	assert.Equal(t, me{Subject: "user-1", ClientID: "public-app", Scopes: []string{"read"},
		Username: "ada", Email: "ada@example.com", Name: "Ada"}, who)

	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		confidential := client(issuer, "confidential-app", style)
		useUp(t, issuer, confidential, walk(t, confidential, b, func() {
			if style == oauth2.AuthStyleInHeader { // the second time it is known
				b.Submit("/oauth/consent", "decision", "allow", "scope", "read")
			}
		}))
	}

	b.Open(issuer + "/connections")
	assert.Contains(t, b.Page, "Confidential App")
	b.Submit("/connections", "client_id", "public-app")
	assert.NotContains(t, b.Page, "Public App")
	status, _ := callMe(t, issuer, token)
	assert.Equal(t, http.StatusUnauthorized, status)
	useUp(t, issuer, public, walk(t, public, b, func() {
		b.Submit("/oauth/consent", "decision", "allow", "scope", "read")
	}))

	b.Open(issuer)
	b.Submit("/logout")
	assert.Equal(t, "/login", b.At.Path)
}

func TestNobodyIsAsked(t *testing.T) {
	file, issuer := writeConfig(t, map[string]any{"auto_login": "user-2", "auto_consent": true})
	start(t, file)
	c := client(issuer, "public-app", oauth2.AuthStyleInParams)
	token := walk(t, c, browser.New(t), func() {})
	_, who := callMe(t, issuer, token)
	assert.Equal(t, "ben", who.Username)
	useUp(t, issuer, c, token)
}

func TestWhatIsAutomaticIsForThisMachineOnly(t *testing.T) {
	for _, change := range []map[string]any{{"auto_login": "user-2"}, {"auto_consent": true}} {
		file, _ := writeConfig(t, change)
		for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0"} {
			assert.ErrorContains(t, run(t.Context(), file, addr, strings.Repeat("test", 8), t.Output()), "loopback", addr)
		}
	}
}

func TestOnlySignInIsAutomatic(t *testing.T) {
	file, issuer := writeConfig(t, map[string]any{"auto_login": "user-2"})
	start(t, file)
	b := browser.New(t)
	c := client(issuer, "public-app", oauth2.AuthStyleInParams)
	walk(t, c, b, func() { b.Submit("/oauth/consent", "decision", "allow", "scope", "read") })
}

func TestOnlyConsentIsAutomatic(t *testing.T) {
	file, issuer := writeConfig(t, map[string]any{"auto_consent": true})
	start(t, file)
	b := browser.New(t)
	c := client(issuer, "public-app", oauth2.AuthStyleInParams)
	walk(t, c, b, func() { b.Submit("/login", "username", "ada", "password", "lovelace") })
}

func TestClientCredentials(t *testing.T) {
	file, issuer := writeConfig(t, nil)
	start(t, file)
	c := clientcredentials.Config{
		ClientID: "confidential-app", ClientSecret: confidentialSecret, TokenURL: issuer + "/oauth/token", Scopes: []string{"read"},
	}
	token, err := c.Token(t.Context())
	require.NoError(t, err)
	status, who := callMe(t, issuer, token)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, me{Subject: "confidential-app", ClientID: "confidential-app", Scopes: []string{"read"}}, who)

	c.ClientSecret = "another"
	_, err = c.Token(t.Context())
	assert.ErrorContains(t, err, "invalid_client")
}

// TestTokensOutliveARestart also changes the client's secret in the file.
func TestTokensOutliveARestart(t *testing.T) {
	file, issuer := writeConfig(t, map[string]any{
		"auto_login": "user-1", "auto_consent": true, "store": "sqlite:" + filepath.Join(t.TempDir(), "oauth.db"),
	})
	c := client(issuer, "confidential-app", oauth2.AuthStyleInHeader)
	var token *oauth2.Token
	t.Run("before", func(t *testing.T) {
		start(t, file)
		token = walk(t, c, browser.New(t), func() {})
	})
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	c.ClientSecret = "a new one"
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), confidentialSecret, c.ClientSecret)), 0o600))
	t.Run("after", func(t *testing.T) {
		start(t, file)
		useUp(t, issuer, c, token)
	})
}

func TestASignalEndsTheProgramWell(t *testing.T) {
	file, _ := writeConfig(t, nil)
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := program.Start(t, "-config", file, "-addr", "127.0.0.1:0")
		listening, ok := strings.CutPrefix(p.Line(), "listening on ")
		require.True(t, ok)
		res, err := http.Get(listening + "/.well-known/oauth-authorization-server")
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, http.StatusOK, res.StatusCode)

		p.Signal(signal)
		stdout, stderr, status := p.Wait()
		assert.Empty(t, stdout, "one line, no more")
		assert.Zero(t, status, stderr)
	}
}

func TestWrongArguments(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	file, _ := writeConfig(t, nil)
	postgres, _ := writeConfig(t, map[string]any{"store": "postgres://ada:hush@127.0.0.1:1/oauth"})
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"nothing":            {nil, 2, "JSON file that says what to serve"},
		"no such flag":       {[]string{"-conf", file}, 2, "flag provided but not defined: -conf\nUsage"},
		"more than flags":    {[]string{"-config", file, "localhost:0"}, 2, "Usage"},
		"no such file":       {[]string{"-config", "no-such.json"}, 1, "open no-such.json"},
		"address taken":      {[]string{"-config", file, "-addr", l.Addr().String()}, 1, "address already in use (choose another with -addr)"},
		"no address":         {[]string{"-config", file, "-addr", "localhost"}, 1, "missing port in address (choose another with -addr)"},
		"store out of reach": {[]string{"-config", postgres, "-addr", "localhost:0"}, 1, "store: postgres: "},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, status := program.Start(t, c.args...).Wait()
			assert.Equal(t, c.status, status)
			assert.Contains(t, stderr, c.says)
			assert.NotContains(t, stderr, "hush")
			assert.Empty(t, stdout)
		})
	}
}

// logged is what the program logs until the test ends, at every level.
func logged(t *testing.T) *lockedBuffer {
	t.Helper()
	b, before := &lockedBuffer{}, slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })
	return b
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestTheCheckFindsNothing(t *testing.T) {
	log := logged(t)
	file, _ := writeConfig(t, nil)
	start(t, file)
	assert.Eventually(t, func() bool { return strings.Contains(log.String(), "client_auth_failed") }, time.Minute, 10*time.Millisecond, "the check calls the token endpoint")
	assert.NotContains(t, log.String(), "finding")
}

func TestTheCheckFindsAResourceThatIsNotServed(t *testing.T) {
	log := logged(t)
	file, issuer := writeConfig(t, nil)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var c map[string]any
	require.NoError(t, json.Unmarshal(text, &c))
	c["resources"] = append(c["resources"].([]any), map[string]any{"identifier": issuer + "/other"})
	text, err = json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	start(t, file)
	assert.Eventually(t, func() bool { return strings.Contains(log.String(), "oauth-protected-resource/other is not found") }, time.Minute, 10*time.Millisecond)
}

func TestTelemetryIsFlushedAtTheEnd(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	before := os.Stderr
	os.Stderr = w
	t.Cleanup(func() { os.Stderr = before })
	written := make(chan string, 1)
	go func() { // ends with the pipe
		text, _ := io.ReadAll(r)
		written <- string(text)
	}()
	t.Run("run", func(t *testing.T) {
		file, issuer := writeConfig(t, map[string]any{"telemetry": "stderr"})
		start(t, file)
		res, err := http.Get(issuer + "/oauth/jwks")
		require.NoError(t, err)
		res.Body.Close()
	})
	os.Stderr = before
	require.NoError(t, w.Close())
	text := <-written
	assert.Contains(t, text, "oauth jwks")
	assert.Contains(t, text, "oauth.server.requests")
}
