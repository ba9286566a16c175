package redisstore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// missing ends a test that lacks a server: as a failure in CI, where one must
// be there, and elsewhere as not run.
func missing(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %v", what, err)
	}
	t.Skipf("not run: %s is missing: %v", what, err)
}

// shared is a client of the server at OAUTH_TEST_REDIS.
func shared(t testing.TB) *redis.Client {
	t.Helper()
	dsn := os.Getenv("OAUTH_TEST_REDIS")
	if dsn == "" {
		dsn = "redis://127.0.0.1:6379/0"
	}
	opts, err := redis.ParseURL(dsn)
	require.NoError(t, err, "OAUTH_TEST_REDIS")
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		missing(t, "the Redis of OAUTH_TEST_REDIS", err)
	}
	return client
}

// prefix begins the keys of one test, and is empty again after it.
func prefix(t testing.TB, client redis.UniversalClient) string {
	t.Helper()
	p := "test:" + rand.Text()[:12] + ":"
	t.Cleanup(func() {
		_, err := client.Pipelined(context.Background(), func(pipe redis.Pipeliner) error {
			for _, key := range keysOf(t, client, p) {
				pipe.Del(context.Background(), key)
			}
			return nil
		})
		require.NoError(t, err)
	})
	return p
}

// keysOf are all keys under a prefix, on all nodes.
func keysOf(t testing.TB, client redis.UniversalClient, prefix string) []string {
	t.Helper()
	var all []string
	scan := func(ctx context.Context, node *redis.Client) error {
		iter := node.Scan(ctx, 0, prefix+"*", 1000).Iterator()
		for iter.Next(ctx) {
			all = append(all, iter.Val())
		}
		return iter.Err()
	}
	ctx := context.Background()
	if cluster, ok := client.(*redis.ClusterClient); ok {
		for _, node := range nodesOf(t, cluster) {
			require.NoError(t, scan(ctx, node))
		}
		return all
	}
	require.NoError(t, scan(ctx, client.(*redis.Client)))
	return all
}

func nodesOf(t testing.TB, cluster *redis.ClusterClient) []*redis.Client {
	t.Helper()
	nodes := make(chan *redis.Client, 16)
	require.NoError(t, cluster.ForEachMaster(context.Background(), func(_ context.Context, node *redis.Client) error {
		nodes <- node
		return nil
	}))
	close(nodes)
	var all []*redis.Client
	for node := range nodes {
		all = append(all, node)
	}
	return all
}

// open is a store for tests, which a server that forgets is good enough for.
func open(t testing.TB, client redis.UniversalClient, prefix string, partitions int) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(t.Context(), client, redisstore.Options{Prefix: prefix, Partitions: partitions, AllowDataLoss: true})
	require.NoError(t, err)
	return s
}

// fresh is an empty store on the shared server, and its client and prefix.
func fresh(t testing.TB, partitions int) (*redisstore.Store, *redis.Client, string) {
	t.Helper()
	client := shared(t)
	p := prefix(t, client)
	return open(t, client, p, partitions), client, p
}

// server is a redis-server that a test started.
type server struct {
	addr string
	dir  string
	args []string
	cmd  *exec.Cmd
}

// durable are the settings that New wants.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

// startServer starts a redis-server of its own for a test; args are settings.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	return startServerOn(t, freePorts(t, 1)[0], args...)
}

func startServerOn(t testing.TB, port string, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		missing(t, "redis-server", err)
	}
	s := &server{addr: "127.0.0.1:" + port, dir: t.TempDir()}
	s.args = append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--logfile", filepath.Join(s.dir, "log"),
	}, args...)
	s.start(t)
	t.Cleanup(func() { s.kill(t) })
	return s
}

// freePorts returns n ports on which nothing listens. None is given back before
// all are known: they would not all be different.
func freePorts(t testing.TB, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

func (s *server) start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	require.NoError(t, s.cmd.Start())
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1, DialTimeout: time.Second})
	defer client.Close()
	require.Eventually(t, func() bool {
		err := client.Ping(context.Background()).Err()
		return err == nil || redis.HasErrorPrefix(err, "NOAUTH")
	}, time.Minute, 10*time.Millisecond, "redis-server does not answer; see %s", filepath.Join(s.dir, "log"))
}

// kill ends the server as a crash would: kill -9.
func (s *server) kill(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
}

func (s *server) client(t testing.TB) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// startCluster starts three masters that share the slots evenly, and keep nothing
// on disk.
func startCluster(t testing.TB) *redis.ClusterClient {
	t.Helper()
	const nodes = 3
	var addrs []string
	var clients []*redis.Client
	ports := freePorts(t, 2*nodes)
	for i := range nodes {
		// A node that a busy machine holds up is not taken for a dead one.
		s := startServerOn(t, ports[i], "--cluster-enabled", "yes", "--cluster-port", ports[nodes+i], "--cluster-node-timeout", "60000")
		addrs = append(addrs, s.addr)
		clients = append(clients, s.client(t))
	}
	ctx := t.Context()
	for i, c := range clients {
		// Each its own epoch, as redis-cli does it: nodes that share one settle it
		// later, at a moment of theirs, and may then drop a slot that has just moved.
		require.NoError(t, c.Do(ctx, "cluster", "set-config-epoch", i+1).Err())
		first, last := i*16384/nodes, (i+1)*16384/nodes-1
		require.NoError(t, c.ClusterAddSlotsRange(ctx, first, last).Err())
		host, port, err := net.SplitHostPort(addrs[0])
		require.NoError(t, err)
		bus, err := clients[0].ConfigGet(ctx, "cluster-port").Result()
		require.NoError(t, err)
		require.NoError(t, c.Do(ctx, "cluster", "meet", host, port, bus["cluster-port"]).Err())
	}
	for _, c := range clients {
		require.Eventually(t, func() bool {
			info, err := c.ClusterInfo(ctx).Result()
			return err == nil && containsAll(info, "cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d", nodes), "cluster_slots_assigned:16384")
		}, 2*time.Minute, 50*time.Millisecond, "the cluster does not form")
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { _ = cluster.Close() })
	return cluster
}
