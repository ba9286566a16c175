package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/internal/program"
	"github.com/seed-e797c9ce/oauth/examples/mcp/app"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// start runs the program and returns where it listens; stop ends it and returns
// what it returned.
func start(t *testing.T, o options) (base string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, o, in)
		in.CloseWithError(err)
		ended <- err
	}()
	stop = func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(time.Minute):
			return context.DeadlineExceeded
		}
	}
	t.Cleanup(func() { stop() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if base, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			go io.Copy(io.Discard, out) // ends with the program
			return base, stop
		}
	}
	require.NoError(t, lines.Err())
	t.Fatal("it said nothing")
	return "", nil
}

func TestItEndsWhileAClientListens(t *testing.T) {
	base, stop := start(t, options{addr: "127.0.0.1:0", store: "memory", app: app.Config{Auto: "u-1"}})
	token, url := authorize(t, base).AccessToken, base+"/mcp"
	session := initialize(t, url, token)
	stream := send(t, http.MethodGet, url, token, session, "")
	defer stream.Body.Close()
	require.Equal(t, http.StatusOK, stream.StatusCode)
	assert.NoError(t, stop())
	_, err := io.Copy(io.Discard, stream.Body)
	assert.NoError(t, err, "the stream ends in order")
}

func TestTokensOutliveTheProcess(t *testing.T) {
	const url = "http://127.0.0.1:8080" // what the program is called; it listens elsewhere
	o := options{
		addr: "127.0.0.1:0", store: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), secret: strings.Repeat("s", 32),
		app: app.Config{URL: url, Auto: "u-1"},
	}
	base, stop := start(t, o)
	token := authorize(t, base).AccessToken
	require.NoError(t, stop())
	base, _ = start(t, o)
	res := send(t, http.MethodPost, base+"/mcp", token, "", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	defer res.Body.Close()
	assert.NotEqual(t, http.StatusUnauthorized, res.StatusCode)
}

func TestAutomaticSignInIsForThisMachineOnly(t *testing.T) {
	err := run(t.Context(), options{addr: "0.0.0.0:0", store: "memory", app: app.Config{URL: "http://localhost:8080", Auto: "u-1"}}, io.Discard)
	assert.ErrorContains(t, err, "loopback")
	err = run(t.Context(), options{addr: "127.0.0.1:0", store: "memory", app: app.Config{URL: "https://notes.example", Auto: "u-1"}}, io.Discard)
	assert.ErrorContains(t, err, "loopback")
}

const document = `{"client_id":"https://client.test/cimd.json","client_name":"Probe","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none"}`

// write makes a file of this text.
func write(t *testing.T, text string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "file.json")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestFlagsReachTheApp(t *testing.T) {
	p := program.Start(t, "-addr", "127.0.0.1:0", "-auto", "u-2", "-access-ttl", "90s", "-origin", "https://one.example",
		"-origin", "https://two.example", "-cimd-pin", write(t, document))
	base, ok := strings.CutPrefix(p.Line(), "listening on ")
	require.True(t, ok)
	assert.Equal(t, "MCP server: "+base+"/mcp", p.Line())

	token := walk(t, base, "https://client.test/cimd.json") // its document is not fetched
	assert.WithinDuration(t, time.Now().Add(90*time.Second), token.Expiry, 30*time.Second)
	session := initialize(t, base+"/mcp", token.AccessToken)
	res := send(t, http.MethodPost, base+"/mcp", token.AccessToken, session, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	res.Body.Close()
	assert.Contains(t, string(text), "u-2 through https://client.test/cimd.json with notes:read")

	for origin, allowed := range map[string]bool{"https://one.example": true, "https://two.example": true, "https://evil.example": false} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, base+"/mcp", nil)
		require.NoError(t, err)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", http.MethodPost)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, allowed, res.Header.Get("Access-Control-Allow-Origin") == origin, origin)
	}

	p.Signal(os.Interrupt)
	stdout, stderr, status := p.Wait()
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "EVERYBODY WHO REACHES THIS SERVER IS LET IN")
	assert.Zero(t, status, stderr)
}

func TestThePublicURLIsAnother(t *testing.T) {
	p := program.Start(t, "-addr", "127.0.0.1:0", "-url", "https://notes.example/")
	base, ok := strings.CutPrefix(p.Line(), "listening on ")
	require.True(t, ok)
	assert.Equal(t, "MCP server: https://notes.example/mcp", p.Line())
	res, err := http.Get(base + "/.well-known/oauth-authorization-server")
	require.NoError(t, err)
	defer res.Body.Close()
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&metadata))
	assert.Equal(t, "https://notes.example", metadata.Issuer)
	p.Signal(syscall.SIGTERM)
	_, stderr, status := p.Wait()
	assert.Zero(t, status, stderr)
}

func TestWrongArguments(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no such flag":         {[]string{"-stor", "memory"}, 2, "flag provided but not defined: -stor\nUsage"},
		"without a flag":       {[]string{"memory"}, 2, "-store"},
		"no duration":          {[]string{"-access-ttl", "60"}, 2, `invalid value "60" for flag -access-ttl`},
		"no file":              {[]string{"-cimd-pin", "no-such-file"}, 2, "open no-such-file"},
		"no JSON":              {[]string{"-cimd-pin", write(t, "Probe")}, 2, "for flag -cimd-pin: invalid character"},
		"no client":            {[]string{"-cimd-pin", write(t, "{}")}, 2, "for flag -cimd-pin: it has no client_id"},
		"no port":              {[]string{"-addr", "localhost"}, 1, "missing port in address (choose another with -addr)"},
		"no address":           {[]string{"-addr", ""}, 1, "-addr: missing port in address"},
		"address taken":        {[]string{"-addr", l.Addr().String()}, 1, "address already in use (choose another with -addr)"},
		"not of this machine":  {[]string{"-addr", ":0"}, 1, "-url is needed"},
		"an issuer of http":    {[]string{"-addr", ":0", "-url", "http://notes.example"}, 1, "must be https; http is for loopback addresses"},
		"no such store":        {[]string{"-addr", "localhost:0", "-store", "mongodb://ada:hush@h"}, 1, "store: must be memory, sqlite:FILE"},
		"store out of reach":   {[]string{"-addr", "localhost:0", "-store", "postgres://ada:hush@127.0.0.1:1/d"}, 1, "store: postgres: "},
		"no such user":         {[]string{"-addr", "localhost:0", "-auto", "ada"}, 1, "there is no user with the subject ada"},
		"automatic, elsewhere": {[]string{"-addr", "0.0.0.0:0", "-url", "http://localhost:8080", "-auto", "u-1"}, 1, "-addr must be a loopback address"},
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

func TestASecretThatIsTooShortIsNotRepeated(t *testing.T) {
	t.Setenv("OAUTH_SECRET", "hush")
	_, stderr, status := program.Start(t, "-addr", "localhost:0").Wait()
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "Config.Secret has 4 bytes and must have at least 32")
	assert.NotContains(t, stderr, "hush")
}
