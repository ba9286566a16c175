package redisstore_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// While a slot moves from one node to another, key by key, calls on its records
// may fail. None may be half done.
func TestSlotsThatMoveLoseNothing(t *testing.T) {
	cluster := startCluster(t)
	pre := prefix(t, cluster)
	s := open(t, cluster, pre, 2)
	fill := ids(400)
	for _, id := range fill {
		require.NoError(t, s.CreateToken(t.Context(), token(id, "many", "many")))
	}

	var over atomic.Bool
	pause := func() { time.Sleep(20 * time.Millisecond) } // the nodes are other processes, on another clock
	result := make(chan *history)
	go func() {
		result <- load(t.Context(), []store.Store{s}, 4, func(int64) bool { return over.Load() }, pause)
	}()
	nodes := nodesOf(t, cluster)
	for i, tag := range []string{"{0}", "{1}", "{0}", "{1}"} {
		slot := int(nodes[0].ClusterKeySlot(t.Context(), tag).Val())
		moveSlot(t, nodes, slot, i)
	}
	over.Store(true)
	h := <-result
	require.Eventually(t, func() bool {
		n, err := s.RevokeTokens(t.Context(), store.TokenQuery{Subject: "many"}, epoch, epoch)
		return err == nil && n == 400
	}, 10*time.Second, 50*time.Millisecond)
	finalReads(t, s, h)
	t.Logf("%d operations, %d of unknown outcome", len(h.ops), h.unknown())
	h.check(t)
	require.Equal(t, fill, tokenIDs(t, s, store.TokenQuery{ClientID: "many"}, 100))
	requireIndexed(t, s, h)
}

// moveSlot moves a slot to another node than the one that has it.
func moveSlot(t *testing.T, nodes []*redis.Client, slot, seed int) {
	t.Helper()
	ctx := t.Context()
	source := owner(t, nodes, slot)
	var others []*redis.Client
	for _, n := range nodes {
		if n != source {
			others = append(others, n)
		}
	}
	target := others[seed%len(others)]
	from, to := nodeID(t, source), nodeID(t, target)
	require.NoError(t, target.Do(ctx, "cluster", "setslot", slot, "importing", from).Err())
	require.NoError(t, source.Do(ctx, "cluster", "setslot", slot, "migrating", to).Err())
	host, port, err := net.SplitHostPort(target.Options().Addr)
	require.NoError(t, err)
	for {
		keys, err := source.ClusterGetKeysInSlot(ctx, slot, 2).Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"migrate", host, port, "", 0, 5000, "keys"}
		for _, key := range keys {
			args = append(args, key)
		}
		require.NoError(t, source.Do(ctx, args...).Err())
	}
	for _, n := range append([]*redis.Client{target, source}, others...) {
		require.NoError(t, n.Do(ctx, "cluster", "setslot", slot, "node", to).Err())
	}
}

func nodeID(t *testing.T, node *redis.Client) string {
	t.Helper()
	id, err := node.Do(t.Context(), "cluster", "myid").Text()
	require.NoError(t, err)
	return id
}

func owner(t *testing.T, nodes []*redis.Client, slot int) *redis.Client {
	t.Helper()
	for _, n := range nodes {
		shards, err := n.ClusterShards(context.Background()).Result()
		require.NoError(t, err)
		id := nodeID(t, n)
		for _, shard := range shards {
			for _, r := range shard.Slots {
				if r.Start <= int64(slot) && int64(slot) <= r.End && shard.Nodes[0].ID == id {
					return n
				}
			}
		}
	}
	t.Fatalf("nobody has slot %d", slot)
	return nil
}
