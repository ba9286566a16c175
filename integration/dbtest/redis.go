package dbtest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a server of the test's own, which keeps what it has acknowledged. It
// can be killed.
type Redis struct {
	Addr string
	args []string
	cmd  *exec.Cmd
}

// StartRedis starts one.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		message := "NOT RUN: " + t.Name() + " needs the program redis-server"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	dir := t.TempDir()
	r := &Redis{Addr: "127.0.0.1:" + port, args: []string{
		"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--logfile", filepath.Join(dir, "log"),
		"--save", "", "--appendonly", "yes", "--appendfsync", "always",
	}}
	t.Cleanup(r.Kill)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// Start returns when the server answers.
func (r *Redis) Start(ctx context.Context) error {
	r.cmd = exec.Command("redis-server", r.args...)
	if err := r.cmd.Start(); err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1})
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := client.Ping(ctx).Err()
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Kill ends the server as kill -9 does, and returns once it is gone.
func (r *Redis) Kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// Client returns a client of the server whose commands are recorded.
func (r *Redis) Client(t testing.TB) (*redis.Client, *Commands) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: r.Addr})
	t.Cleanup(func() { _ = client.Close() })
	c := &Commands{}
	client.AddHook(c)
	return client, c
}
