package redisstore_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

func TestNewRefusesAServerThatForgets(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no AOF", []string{"--appendonly", "no", "--appendfsync", "always"}, "appendonly no"},
		{"sync every second", []string{"--appendonly", "yes", "--appendfsync", "everysec"}, "appendfsync everysec"},
		{"no sync while rewriting", append([]string{"--no-appendfsync-on-rewrite", "yes"}, durable...), "no-appendfsync-on-rewrite yes"},
		{"eviction", append([]string{"--maxmemory-policy", "volatile-ttl"}, durable...), "maxmemory-policy volatile-ttl"},
		{"no AOF, CONFIG forbidden", []string{"--appendonly", "no", "--rename-command", "CONFIG", ""}, "appendonly no"},
		{"eviction, CONFIG forbidden", append([]string{"--maxmemory-policy", "allkeys-lru", "--rename-command", "CONFIG", ""}, durable...), "maxmemory-policy allkeys-lru"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := startServer(t, tt.args...).client(t)
			_, err := redisstore.New(t.Context(), client, redisstore.Options{})
			require.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, "AllowDataLoss")
			_, err = redisstore.New(t.Context(), client, redisstore.Options{AllowDataLoss: true})
			assert.NoError(t, err)
		})
	}
}

func TestNewAcceptsADurableServer(t *testing.T) {
	for name, args := range map[string][]string{
		"open":             durable,
		"CONFIG forbidden": append([]string{"--rename-command", "CONFIG", ""}, durable...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redisstore.New(t.Context(), startServer(t, args...).client(t), redisstore.Options{})
			require.NoError(t, err)
		})
	}
}

func TestNewAcceptsAUserWithoutAdministration(t *testing.T) {
	s := startServer(t, durable...)
	admin := s.client(t)
	require.NoError(t, admin.ACLSetUser(t.Context(), "app", "on", ">pw", "~oauth:*", "-@all", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+time").Err())
	client := redis.NewClient(&redis.Options{Addr: s.addr, Username: "app", Password: "pw"})
	t.Cleanup(func() { _ = client.Close() })
	st, err := redisstore.New(t.Context(), client, redisstore.Options{})
	require.NoError(t, err)
	warmUp(t, st)
}

// A script that may not do all that it has to does nothing.
func TestUserWithTooFewRightsChangesNothing(t *testing.T) {
	s := startServer(t, durable...)
	admin := s.client(t)
	require.NoError(t, admin.ACLSetUser(t.Context(), "app", "on", ">pw", "~oauth:*", "+@all", "-time").Err())
	client := redis.NewClient(&redis.Options{Addr: s.addr, Username: "app", Password: "pw"})
	t.Cleanup(func() { _ = client.Close() })
	st, err := redisstore.New(t.Context(), client, redisstore.Options{})
	require.NoError(t, err)
	require.Error(t, st.CreateToken(t.Context(), token("t", "c", "s")))
	require.Equal(t, []string{"oauth:layout"}, keysOf(t, admin, "oauth:"))
}

func TestNewRefusesAReplica(t *testing.T) {
	primary := startServer(t)
	client := startServer(t).client(t)
	require.NoError(t, client.ReplicaOf(t.Context(), "127.0.0.1", primary.addr[len("127.0.0.1:"):]).Err())
	_, err := redisstore.New(t.Context(), client, redisstore.Options{AllowDataLoss: true})
	assert.ErrorContains(t, err, "replica")
}

func TestNewRefusesClientsThatLag(t *testing.T) {
	tests := map[string]redis.UniversalClient{
		"ring":      redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}}),
		"read only": redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ReadOnly: true}),
		"latency":   redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, RouteByLatency: true}),
		"random":    redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, RouteRandomly: true}),
		"cache":     redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ClientSideCacheConfig: &redis.ClientSideCacheConfig{}}),
	}
	for name, client := range tests {
		t.Run(name, func(t *testing.T) {
			defer client.Close()
			_, err := redisstore.New(t.Context(), client, redisstore.Options{AllowDataLoss: true})
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "connect", "refused before it was asked")
		})
	}
	_, err := redisstore.New(t.Context(), nil, redisstore.Options{})
	require.Error(t, err)
}

func TestNewRefusesBadOptionsAllAtOnce(t *testing.T) {
	_, err := redisstore.New(t.Context(), nil, redisstore.Options{Prefix: "a{b}", Partitions: 1025})
	require.Error(t, err)
	for _, part := range []string{"Prefix", "Partitions", "nil"} {
		assert.ErrorContains(t, err, part)
	}
}

func TestPartitionsAreDecidedOnce(t *testing.T) {
	client := shared(t)
	p := prefix(t, client)
	first := open(t, client, p, 5)
	require.NoError(t, first.CreateToken(t.Context(), token("t", "c", "s")))
	_, err := redisstore.New(t.Context(), client, redisstore.Options{Prefix: p, Partitions: 6, AllowDataLoss: true})
	require.ErrorContains(t, err, "are in 5")
	later := open(t, client, p, 0)
	_, err = later.Token(t.Context(), "t")
	require.NoError(t, err, "zero means what was decided")

	require.NoError(t, client.Set(t.Context(), p+"layout", "2:5", 0).Err())
	_, err = redisstore.New(t.Context(), client, redisstore.Options{Prefix: p, AllowDataLoss: true})
	require.ErrorContains(t, err, "another format")
}

func TestPrefixesAreSeparate(t *testing.T) {
	client := shared(t)
	p := prefix(t, client)
	a, b := open(t, client, p+"a", 1), open(t, client, p+"b", 1)
	require.NoError(t, a.CreateToken(t.Context(), token("t", "c", "s")))
	_, err := b.Token(t.Context(), "t")
	require.ErrorIs(t, err, store.ErrNotFound)
	n, err := b.RevokeTokens(t.Context(), store.TokenQuery{Subject: "s"}, epoch, epoch)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestOutageIsNotAnAnswer(t *testing.T) {
	s := startServer(t)
	client := redis.NewClient(&redis.Options{
		Addr: s.addr, MaxRetries: -1, DialerRetries: 1,
		PoolSize: 100, // after so many failures to connect a client does not try for a second
	})
	t.Cleanup(func() { _ = client.Close() })
	st := open(t, client, "p:", 3)
	warmUp(t, st)
	s.kill(t)
	ctx := t.Context()
	tok := token("t", "c", "s")
	calls := map[string]func() error{
		"Token":          func() error { _, err := st.Token(ctx, "t"); return err },
		"CreateToken":    func() error { return st.CreateToken(ctx, tok) },
		"UpdateToken":    func() error { return st.UpdateToken(ctx, tok) },
		"RevokeTokens":   func() error { _, err := st.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, epoch, epoch); return err },
		"ListTokens":     func() error { _, err := st.ListTokens(ctx, store.TokenQuery{ID: "t"}, "", 1); return err },
		"Code":           func() error { _, err := st.Code(ctx, "k", "x"); return err },
		"ConsumeCode":    func() error { _, err := st.ConsumeCode(ctx, "k", "x", epoch); return err },
		"Client":         func() error { _, err := st.Client(ctx, "c"); return err },
		"ListClients":    func() error { _, err := st.ListClients(ctx, "", 1); return err },
		"Consent":        func() error { _, err := st.Consent(ctx, "s", "c"); return err },
		"RevokeConsents": func() error { _, err := st.RevokeConsents(ctx, store.ConsentQuery{ClientID: "c"}); return err },
		"DeleteExpired":  func() error { _, err := st.DeleteExpired(ctx, epoch, 1); return err },
	}
	for name, call := range calls {
		err := call()
		require.Error(t, err, name)
		assert.False(t, isAnswer(err), "%s: %v", name, err)
	}
	s.start(t)
	require.NoError(t, calls["ListClients"](), "it is back, and so is the store")
}

func TestEndedContextDoesNothing(t *testing.T) {
	st, client, pre := fresh(t, 3)
	before := len(keysOf(t, client, pre))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, st.CreateToken(ctx, token("t", "c", "s")), context.Canceled)
	_, err := st.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, epoch, epoch)
	require.ErrorIs(t, err, context.Canceled)
	_, err = st.Token(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, keysOf(t, client, pre), before)
}
