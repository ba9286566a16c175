package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/mcp/app"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

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
	token, url := authorize(t, base), base+"/mcp"
	res := send(t, http.MethodPost, url, token, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	session := res.Header.Get("Mcp-Session-Id")
	require.NotEmpty(t, session)
	res.Body.Close()
	send(t, http.MethodPost, url, token, session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`).Body.Close()
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
	token := authorize(t, base)
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

func TestPinnedDocuments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.json")
	const document = `{"client_id":"https://client.test/cimd.json","client_name":"Probe","redirect_uris":["http://localhost/callback"]}`
	require.NoError(t, os.WriteFile(file, []byte(document), 0o600))
	documents := map[string][]byte{}
	require.NoError(t, pin(documents, file))
	assert.Equal(t, map[string][]byte{"https://client.test/cimd.json": []byte(document)}, documents)
	assert.Error(t, pin(documents, file+".missing"))
}
