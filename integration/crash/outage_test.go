package crash

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
)

// cluster is a PostgreSQL server of the test's own, to be killed.
type cluster struct {
	dir, bin, port string
	as             *syscall.SysProcAttr
	cmd            *exec.Cmd
	ended          chan struct{} // closed when cmd has
}

// newCluster makes and starts one. PostgreSQL's programs are looked for on PATH
// and where Debian has them.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{as: &syscall.SysProcAttr{Setpgid: true}}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		message := "NOT RUN: " + t.Name() + " needs the programs of a PostgreSQL server (initdb, postgres)"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	c.bin = filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "oauth-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	c.dir = filepath.Join(dir, "data")
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		u, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, err := strconv.Atoi(u.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(u.Gid)
		require.NoError(t, err)
		require.NoError(t, os.Chown(dir, uid, gid))
		c.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	_, c.port, err = net.SplitHostPort(freeAddrs(t, 1)[0])
	require.NoError(t, err)
	initdb := c.command("initdb", "-D", c.dir, "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8")
	out, err := initdb.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, c.start(t.Context()))
	t.Cleanup(c.kill)
	return c
}

func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.SysProcAttr, cmd.Dir = c.as, filepath.Dir(c.dir)
	return cmd
}

func (c *cluster) dsn() string {
	return "postgres://postgres@127.0.0.1:" + c.port + "/postgres?sslmode=disable"
}

// start returns when the server answers, after the recovery from a crash. A
// server that finds what a killed one has left behind, such as shared memory
// that is still attached, gives up: it is started again.
func (c *cluster) start(ctx context.Context) error {
	db, err := sql.Open("pgx", c.dsn())
	if err != nil {
		return err
	}
	defer db.Close()
	var said bytes.Buffer
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		c.cmd = c.command("postgres", "-D", c.dir, "-p", c.port, "-k", filepath.Dir(c.dir), "-c", "listen_addresses=127.0.0.1")
		said.Reset()
		c.cmd.Stderr, c.cmd.WaitDelay = &said, 5*time.Second
		if err := c.cmd.Start(); err != nil {
			return err
		}
		c.ended = make(chan struct{})
		go func(cmd *exec.Cmd, ended chan struct{}) {
			defer close(ended)
			_ = cmd.Wait()
		}(c.cmd, c.ended)
		for alive := true; alive && time.Now().Before(deadline); {
			if err = db.PingContext(ctx); err == nil {
				return nil
			}
			select {
			case <-c.ended:
				alive = false
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	c.kill()
	return fmt.Errorf("the database does not come back: %w: %s", err, said.String())
}

// kill ends the server and each of its children, by their IDs, at once: nobody
// is left to write a buffer out.
func (c *cluster) kill() {
	select {
	case <-c.ended:
		return
	default:
	}
	parent := c.cmd.Process.Pid
	children := childrenOf(parent)
	_ = syscall.Kill(parent, syscall.SIGSTOP) // so that it starts no more
	children = append(children, childrenOf(parent)...)
	_ = syscall.Kill(parent, syscall.SIGKILL)
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-c.ended
}

func childrenOf(parent int) (children []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err == nil {
				children = append(children, pid)
			}
		}
	}
	return children
}

// TestADatabaseThatCrashesIsAnOutage kills the database under load. Requests
// fail meanwhile, none is told that its token is invalid, and all go on without
// a restart of the servers: the groups take any other answer for a violation.
func TestADatabaseThatCrashesIsAnOutage(t *testing.T) {
	program := build(t)
	outage := func(t *testing.T, address string, kill func(), start func(context.Context) error) {
		const groups = 4
		f := startFleet(t, program, address, 2, groups)
		n := max(kills(t)/4, 3)
		run(t, f, groups, 2, func(ctx context.Context, c *tally) error {
			for i := range n {
				// It is killed while it works: some codes after the last time.
				if err := c.reaches(ctx, "codes", 10*(i+1)); err != nil {
					return err
				}
				before := c.count("unanswered")
				kill()
				time.Sleep(rand.N(500 * time.Millisecond))
				// Stores try again: it is gone for long enough to be missed.
				if err := c.reaches(ctx, "unanswered", before+1); err != nil {
					return err
				}
				if err := start(ctx); err != nil {
					return err
				}
			}
			return c.reaches(ctx, "codes", 10*(n+1))
		})
		f.requireAlive(t)
	}
	t.Run("postgres", func(t *testing.T) {
		c := newCluster(t)
		outage(t, c.dsn(), c.kill, c.start)
	})
	t.Run("redis", func(t *testing.T) {
		r := dbtest.StartRedis(t)
		outage(t, "redis://"+r.Addr+"/0", r.Kill, r.Start)
	})
}
