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

// storeKind is a store that the cases run on.
type storeKind struct {
	name string
	open func(t *testing.T) opened
}

// opened is two handles on the same empty data, as two processes have, and a way
// to see all that is kept there.
type opened struct {
	a, b store.Store
	dump func(c *run) string
}

var storeKinds = []storeKind{
	{"memory", func(*testing.T) opened { s := store.NewMemory(); return opened{s, s, dumpRecords} }},
	sqlKind("sqlite", dbtest.FileWith("sqlite", "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")),
	sqlKind("postgres", dbtest.Postgres),
	sqlKind("mysql", dbtest.MySQL),
	{"redis", openRedis},
}

func sqlKind(name string, k dbtest.Kind) storeKind {
	return storeKind{name, func(t *testing.T) opened {
		d := k.Open(t)
		handle := func() store.Store {
			pool := d.Pool(t)
			pool.SetMaxOpenConns(16)
			pool.SetMaxIdleConns(16) // connecting costs more than what most cases do
			return d.Handle(t, pool)
		}
		return opened{handle(), handle(), func(c *run) string { return dumpTables(c, d) }}
	}}
}

// openRedis is an empty store on the server at OAUTH_TEST_REDIS.
func openRedis(t *testing.T) opened {
	dsn := os.Getenv("OAUTH_TEST_REDIS")
	if dsn == "" {
		dsn = "redis://127.0.0.1:6379/0"
	}
	options, err := redis.ParseURL(dsn)
	require.NoError(t, err, "OAUTH_TEST_REDIS")
	prefix := "test:" + rand.Text()[:12] + ":"
	handle := func() (*redis.Client, store.Store) {
		client := redis.NewClient(options)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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
	return opened{a, b, func(c *run) string { return dumpKeys(c, first, prefix) }}
}
