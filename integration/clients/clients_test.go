// Package clients runs MCP clients that others wrote against examples/mcp.
package clients

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accessTTL is how long the server's access tokens live: the tests wait for it.
const accessTTL = 6 * time.Second

// Each client goes from the URL of an MCP server to a tool's answer, with nobody
// setting anything up, once named by its metadata document and once registering
// itself; and then through what the life of a connection brings.
func TestClientsConnectRefreshStepUpAndComeBack(t *testing.T) {
	install(t)
	_, err := build()
	require.NoError(t, err)
	life := []string{"denied", "connected", "refreshed", "stepped up", "disconnected", "connected again"}
	for _, tt := range []struct {
		name  string
		args  []string
		steps []string
	}{
		{"TypeScript client 2.4", []string{"typescript.mjs", "v2"}, life},
		{"TypeScript SDK 1.32", []string{"typescript.mjs", "v1"}, life},
		{"mcp-remote", []string{"remote.mjs"}, []string{"connected", "refreshed", "started again"}},
		{"MCP Inspector", []string{"inspector.mjs"}, []string{"connected", "refreshed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, registration := range []string{"cimd", "dcr"} {
				t.Run(registration, func(t *testing.T) {
					assert.Equal(t, tt.steps, run(t, append(tt.args, serve(t), registration)))
				})
			}
		})
	}
}

// A person in a browser signs in, allows less than was asked for, denies, and
// disconnects. Set PICTURES to a folder to look at what that person saw.
func TestChromiumWithoutScriptSignsInConsentsDeniesAndDisconnects(t *testing.T) {
	install(t)
	_, err := build()
	require.NoError(t, err)
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium is missing: install it to run the examples in a browser")
	}
	t.Setenv("CHROMIUM", chromium)
	assert.Equal(t, []string{"signed in", "allowed less", "denied", "disconnected"}, run(t, []string{"chromium.mjs", serve(t)}))
}

// missing skips the test, but for CI, where what it needs has to be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// run runs one of the scripts and returns what it did.
func run(t *testing.T, args []string) (steps []string) {
	t.Helper()
	return start(t, args)(t)
}

// start starts one of the scripts; what it returns waits for the end of it, and
// returns what it did.
func start(t *testing.T, args []string) func(t *testing.T) (steps []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	node := exec.CommandContext(ctx, "node", args...)
	node.Dir = "testdata"
	node.Env = append(os.Environ(), fmt.Sprintf("ACCESS_TTL=%.0f", accessTTL.Seconds()))
	var out bytes.Buffer
	node.Stdout, node.Stderr = &out, &out
	require.NoError(t, node.Start())
	return func(t *testing.T) (steps []string) {
		t.Helper()
		require.NoError(t, node.Wait(), "%s", &out)
		for line := range strings.Lines(out.String()) {
			if rest, ok := strings.CutPrefix(line, "ok "); ok {
				name, detail, _ := strings.Cut(strings.TrimSpace(rest), ":")
				steps = append(steps, name)
				t.Log(name, detail)
			}
		}
		return steps
	}
}

var (
	installOnce sync.Once
	installed   error
)

// install fetches the clients, as package-lock.json names them.
func install(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		missing(t, "npm is missing: install Node.js 20 or newer to run real MCP clients")
	}
	installOnce.Do(func() {
		// A lock file of npm's own inside says which packages are there.
		want, err := os.ReadFile("testdata/package-lock.json")
		if err != nil {
			installed = err
			return
		}
		stamp := filepath.Join("testdata", "node_modules", ".installed")
		if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, want) {
			return
		}
		for try := range 3 { // a registry that is slow once is no failure
			time.Sleep(time.Duration(try) * 10 * time.Second)
			npm := exec.Command("npm", "ci", "--no-audit", "--no-fund")
			npm.Dir = "testdata"
			out, err := npm.CombinedOutput()
			if err == nil {
				installed = os.WriteFile(stamp, want, 0o644)
				return
			}
			installed = fmt.Errorf("npm ci: %w\n%s", err, out)
		}
	})
	require.NoError(t, installed)
}

// built is the folder of what build made.
var built string

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mcp")
	if err != nil {
		return "", err
	}
	built = dir
	binary := filepath.Join(dir, "mcp")
	cmd := exec.Command("go", "build", "-o", binary, "./mcp")
	cmd.Dir = "../../examples"
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build ./mcp: %w\n%s", err, out)
	}
	return binary, nil
})

// starting is held from the choice of a port until a server listens there: the
// next test could be given the same.
var starting sync.Mutex

// serve starts examples/mcp, with a document for https://client.test/cimd.json,
// and returns the URL of its MCP server.
func serve(t *testing.T) string {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	starting.Lock()
	defer starting.Unlock()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	var log bytes.Buffer
	server := exec.Command(binary, "-addr", addr, "-access-ttl", accessTTL.String(), "-cimd-pin", "testdata/cimd.json")
	server.Stderr = &log
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Logf("the server's log:\n%s", log.String())
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "/mcp") {
			go func() {
				for lines.Scan() { // so that the server can go on printing
				}
			}()
			return "http://" + addr + "/mcp"
		}
	}
	t.Fatalf("the server did not start: %s", log.String())
	return ""
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}
