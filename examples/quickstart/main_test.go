package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestTheProgramRunsUntilASignal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "quickstart.db")
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := program.Start(t, "-addr", "localhost:0", "-client-addr", "127.0.0.1:0", "-store", "sqlite:"+file)
		urls := regexp.MustCompile(`^open (http://127\.0\.0\.1:\d+) in a browser \(the app itself is at (http://localhost:\d+)\)$`).FindStringSubmatch(p.Line())
		require.Len(t, urls, 3)
		for _, url := range urls[1:] {
			res, err := http.Get(url)
			require.NoError(t, err)
			res.Body.Close()
			assert.Equal(t, http.StatusOK, res.StatusCode, url)
		}
		p.Signal(signal)
		stdout, stderr, status := p.Wait()
		assert.Empty(t, stdout, "one line, no more")
		assert.NotContains(t, stderr, "finding", "the check finds nothing")
		assert.Zero(t, status, stderr)
	}
	assert.FileExists(t, file)
}

// taken is an address where somebody listens.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestWrongArguments(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no such flag":    {[]string{"-database", "sqlite"}, 2, "flag provided but not defined: -database\nUsage"},
		"without a flag":  {[]string{"sqlite"}, 2, "-store"},
		"help":            {[]string{"-help"}, 0, "memory, sqlite or sqlite:FILE"},
		"no such store":   {[]string{"-addr", "localhost:0", "-client-addr", "127.0.0.1:0", "-store", "redis"}, 1, "-store must be memory, sqlite or sqlite:FILE"},
		"address taken":   {[]string{"-addr", taken(t)}, 1, "address already in use (choose another with -addr or -client-addr)"},
		"client's, taken": {[]string{"-addr", "localhost:0", "-client-addr", taken(t)}, 1, "address already in use (choose another with -addr or -client-addr)"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, status := program.Start(t, c.args...).Wait()
			assert.Equal(t, c.status, status)
			assert.Contains(t, stderr, c.says)
			assert.Empty(t, stdout)
		})
	}
}

func TestAddressesMustBeOfThisMachine(t *testing.T) {
	for addr, reason := range map[string]string{
		"":                 "missing port in address: -addr and -client-addr are host:port",
		"localhost":        "missing port in address: -addr and -client-addr are host:port",
		":0":               "must be loopback addresses",
		"0.0.0.0:0":        "must be loopback addresses",
		"notes.example:0":  "must be loopback addresses",
		"localhost:no-one": "choose another with -addr or -client-addr",
	} {
		assert.ErrorContains(t, run(t.Context(), addr, "127.0.0.1:0", "memory", io.Discard), reason, addr)
		assert.ErrorContains(t, run(t.Context(), "localhost:0", addr, "memory", io.Discard), reason, addr)
	}
}
