package redisstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// The hot path over a server that keeps what it acknowledges, and over one that
// does not, which shows what the disk costs. With -cpu 1,4,16 the number of
// workers varies.
func BenchmarkStore(b *testing.B) {
	for _, server := range []struct {
		name string
		args []string
	}{{"durable", durable}, {"memory", []string{"--appendonly", "no"}}} {
		b.Run(server.name, func(b *testing.B) {
			client := redis.NewClient(&redis.Options{Addr: startServer(b, server.args...).addr, PoolSize: 32})
			defer client.Close()
			s, err := redisstore.New(b.Context(), client, redisstore.Options{AllowDataLoss: true})
			require.NoError(b, err)
			var serial atomic.Int64
			next := func() string { return fmt.Sprintf("%021d", serial.Add(1)) }
			for _, bench := range []struct {
				name string
				op   func(id string) error
			}{
				{"CreateToken", func(id string) error { return s.CreateToken(b.Context(), token(id, "client", "user"+id[15:])) }},
				{"CreateCode", func(id string) error { return s.CreateCode(b.Context(), code("code", id)) }},
				{"Create and consume code", func(id string) error {
					if err := s.CreateCode(b.Context(), code("code", id)); err != nil {
						return err
					}
					_, err := s.ConsumeCode(b.Context(), "code", id, epoch)
					return err
				}},
			} {
				b.Run(bench.name, func(b *testing.B) { parallel(b, func() error { return bench.op(next()) }) })
			}
			tokens := make(chan store.Token, 64)
			for range cap(tokens) {
				tok := token(next(), "client", "user")
				require.NoError(b, s.CreateToken(b.Context(), tok))
				tokens <- tok
			}
			b.Run("Refresh", func(b *testing.B) { parallel(b, func() error { return refresh(b, s, tokens) }) })
			b.Run("Introspect", func(b *testing.B) {
				tok := <-tokens
				parallel(b, func() error { _, err := s.Token(b.Context(), tok.ID); return err })
				tokens <- tok
			})
		})
	}
}

// refresh is what one refresh asks of the store: read, compare and swap.
func refresh(b *testing.B, s store.Store, tokens chan store.Token) error {
	id := <-tokens
	tok, err := s.Token(b.Context(), id.ID)
	if err == nil {
		err = s.UpdateToken(b.Context(), tok)
	}
	tokens <- id
	return err
}

func parallel(b *testing.B, op func() error) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := op(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
