package boltstore_test

import (
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// openRedis starts a server of its own: in one that others use, too, nobody can
// tell whose memory it is.
func openRedis(b *testing.B) sized {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skipf("NOT RUN: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	addr := l.Addr().String()
	require.NoError(b, l.Close())
	_, port, _ := net.SplitHostPort(addr)
	server := exec.CommandContext(b.Context(), program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", b.TempDir())
	require.NoError(b, server.Start())
	b.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 16})
	b.Cleanup(func() { client.Close() })
	require.Eventually(b, func() bool { return client.Ping(b.Context()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
	s, err := redisstore.New(b.Context(), client, redisstore.Options{AllowDataLoss: true})
	require.NoError(b, err)
	return sized{Store: s, bytes: func() int64 {
		info, err := client.Info(b.Context(), "memory").Result()
		require.NoError(b, err)
		_, used, _ := strings.Cut(info, "used_memory:")
		n, err := strconv.ParseInt(strings.Fields(used)[0], 10, 64)
		require.NoError(b, err)
		return n
	}}
}
