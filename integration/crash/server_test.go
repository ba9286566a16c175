// Package crash kills the reference server at random moments, under load, and
// checks from the clients' records that nothing that was promised was lost.
package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	callback = "http://127.0.0.1:1/callback"
	subject  = "user-1"
)

// programs is a folder for what is built, until all tests have ended.
var programs string

func TestMain(m *testing.M) {
	if os.Getenv(childAddr) != "" {
		log.Fatal(child())
	}
	var err error
	if programs, err = os.MkdirTemp("", "oauth-crash-"); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// build makes the program under test, once.
func build(t *testing.T) string {
	t.Helper()
	program, err := buildServer()
	require.NoError(t, err)
	return program
}

var buildServer = sync.OnceValues(func() (string, error) {
	program := filepath.Join(programs, "server")
	cmd := exec.Command("go", "build", "-o", program, "./server")
	cmd.Dir = "../../examples"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

// fleet is some instances of the server over one store.
type fleet struct {
	issuer    string
	instances []*instance
}

type instance struct {
	program, config, addr string
	log                   *os.File

	mu  sync.Mutex
	cmd *exec.Cmd
}

// freeAddrs returns n addresses on which nothing listens. None is given back
// before all are known: they would not all be different.
func freeAddrs(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// startFleet starts n instances; clients are "client-0" and so on.
func startFleet(t *testing.T, program, store string, n, clients int) *fleet {
	t.Helper()
	dir := t.TempDir()
	addrs := freeAddrs(t, n)
	f := &fleet{issuer: "http://" + addrs[0]}
	config := filepath.Join(dir, "config.json")
	require.NoError(t, os.WriteFile(config, configuration(t, f.issuer, store, clients), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, in := range f.instances {
			in.kill()
		}
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the end of the servers' log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	for _, addr := range addrs {
		in := &instance{program: program, config: config, addr: addr, log: log}
		f.instances = append(f.instances, in)
		require.NoError(t, in.start(t.Context()))
	}
	return f
}

// requireAlive checks that no instance has ended. A signal would reach one that
// nobody has waited for, too.
func (f *fleet) requireAlive(t *testing.T) {
	t.Helper()
	for _, in := range f.instances {
		conn, err := net.Dial("tcp", in.addr)
		require.NoError(t, err, "an instance did not outlive the outage")
		require.NoError(t, conn.Close())
	}
}

func configuration(t *testing.T, issuer, store string, clients int) []byte {
	t.Helper()
	c := map[string]any{
		"issuer": issuer, "store": store, "auto_login": subject, "auto_consent": true,
		"users":     []any{map[string]any{"subject": subject, "username": "u", "password": "long enough", "active": true}},
		"scopes":    map[string]string{"read": "Read", "write": "Write"},
		"resources": []any{map[string]any{"identifier": issuer + "/api", "scopes": []string{"read", "write"}}},
	}
	var list []any
	for i := range clients {
		list = append(list, map[string]any{
			"client_id": clientID(i), "client_name": "Client", "token_endpoint_auth_method": "none", "application_type": "native",
			"redirect_uris": []string{callback}, "grant_types": []string{"authorization_code", "refresh_token"}, "scope": "read write",
		})
	}
	c["clients"] = list
	text, err := json.Marshal(c)
	require.NoError(t, err)
	return text
}

func clientID(i int) string { return fmt.Sprintf("client-%d", i) }

// start returns when the instance listens.
func (in *instance) start(ctx context.Context) error {
	cmd := exec.Command(in.program, "-config", in.config, "-addr", in.addr)
	cmd.Env = append(os.Environ(), "OAUTH_SECRET="+strings.Repeat("crash", 8))
	cmd.Stderr = in.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	in.mu.Lock()
	in.cmd = cmd
	in.mu.Unlock()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "listening") {
		_ = cmd.Wait()
		return fmt.Errorf("an instance did not start: %q %w", line, err)
	}
	return ctx.Err()
}

// kill ends the instance as kill -9 does, and returns once it is gone.
func (in *instance) kill() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.cmd == nil {
		return
	}
	_ = in.cmd.Process.Signal(syscall.SIGKILL)
	_ = in.cmd.Wait()
	in.cmd = nil
}

// pause stops the instance for a while, as a machine does that swaps.
func (in *instance) pause(d time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	_ = in.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	_ = in.cmd.Process.Signal(syscall.SIGCONT)
}
