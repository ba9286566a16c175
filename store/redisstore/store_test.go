package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func TestStoreKeepsTheContract(t *testing.T) {
	for name, partitions := range map[string]int{"one partition": 1, "partitions": 5} {
		t.Run(name, func(t *testing.T) { contract(t, shared(t), shared(t), partitions) })
	}
}

func contract(t *testing.T, a, b redis.UniversalClient, partitions int) {
	storetest.Run(t, func(t *testing.T) (store.Store, store.Store) {
		p := prefix(t, a)
		return open(t, a, p, partitions), open(t, b, p, partitions)
	})
}

// TestCluster is all that is tested on a cluster, of which there is one: it
// takes seconds until its nodes have found each other. What moves slots comes
// last.
func TestCluster(t *testing.T) {
	a := startCluster(t)
	t.Run("it keeps the contract", func(t *testing.T) {
		b := redis.NewClusterClient(a.Options())
		t.Cleanup(func() { _ = b.Close() })
		contract(t, a, b, 12)
	})
	t.Run("hostile IDs are only IDs", func(t *testing.T) { hostileIDs(t, a, 0) })
	t.Run("histories are linearizable", func(t *testing.T) { histories(t, []redis.UniversalClient{a}, 0) })
	t.Run("slots that move lose nothing", func(t *testing.T) { slotsMove(t, a) })
	t.Run("a slot that is half moved is an outage", func(t *testing.T) { slotHalfMoved(t, a) })
}
