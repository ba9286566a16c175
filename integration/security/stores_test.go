// Package security attacks a provider over HTTP, on every store there is. Each
// case is named by the ID that ../../docs/security-cases.md lists it under.
package security

import (
	"context"
	"crypto/rand"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// storeKind opens two handles on the same empty data, as two processes have.
type storeKind struct {
	name string
	open func(t *testing.T) (a, b store.Store)
}

var storeKinds = []storeKind{
	{"memory", func(*testing.T) (a, b store.Store) { s := store.NewMemory(); return s, s }},
	sqlKind("sqlite", dbtest.FileWith("sqlite", "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")),
	sqlKind("postgres", dbtest.Postgres),
	sqlKind("mysql", dbtest.MySQL),
	{"redis", openRedis},
}

func sqlKind(name string, k dbtest.Kind) storeKind {
	return storeKind{name, func(t *testing.T) (a, b store.Store) { return k.Open(t).Pair(t) }}
}

// openRedis is an empty store on the server at OAUTH_TEST_REDIS.
func openRedis(t *testing.T) (a, b store.Store) {
	dsn := os.Getenv("OAUTH_TEST_REDIS")
	if dsn == "" {
		dsn = "redis://127.0.0.1:6379/0"
	}
	options, err := redis.ParseURL(dsn)
	require.NoError(t, err, "OAUTH_TEST_REDIS")
	prefix := "test:" + rand.Text()[:12] + ":"
	handle := func() (*redis.Client, store.Store) {
		client := redis.NewClient(options)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := client.Ping(ctx).Err(); err != nil {
			message := "NOT RUN: Redis does not answer: " + err.Error() + ". Start it, or set OAUTH_TEST_REDIS."
			if os.Getenv("CI") == "true" {
				t.Fatal(message)
			}
			t.Skip(message)
		}
		s, err := redisstore.New(t.Context(), client, redisstore.Options{Prefix: prefix, AllowDataLoss: true})
		require.NoError(t, err)
		return client, s
	}
	first, a := handle()
	second, b := handle()
	t.Cleanup(func() {
		ctx := context.Background()
		for keys := first.Scan(ctx, 0, prefix+"*", 1000).Iterator(); keys.Next(ctx); {
			if err := first.Del(ctx, keys.Val()).Err(); err != nil {
				t.Errorf("redis: %v", err)
			}
		}
		_ = first.Close()
		_ = second.Close()
	})
	return a, b
}
