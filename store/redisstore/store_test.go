package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func TestStoreKeepsTheContract(t *testing.T) {
	for name, partitions := range map[string]int{"one partition": 1, "partitions": 5} {
		t.Run(name, func(t *testing.T) {
			a, b := shared(t), shared(t)
			storetest.Run(t, func(t *testing.T) (store.Store, store.Store) {
				p := prefix(t, a)
				return open(t, a, p, partitions), open(t, b, p, partitions)
			})
		})
	}
	t.Run("cluster", func(t *testing.T) {
		a := startCluster(t)
		b := redis.NewClusterClient(a.Options())
		t.Cleanup(func() { _ = b.Close() })
		storetest.Run(t, func(t *testing.T) (store.Store, store.Store) {
			p := prefix(t, a)
			return open(t, a, p, 12), open(t, b, p, 12)
		})
	})
}
