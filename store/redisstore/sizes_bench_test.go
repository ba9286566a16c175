package redisstore_test

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// BenchmarkSizes is the store's part of a refresh and of an exchange (the code
// and the record read, the record swapped) for 1, 4 and 16 workers among 10³
// authorizations, and more of them up to OAUTH_BENCH_MAX.
func BenchmarkSizes(b *testing.B) {
	most, err := strconv.Atoi(os.Getenv("OAUTH_BENCH_MAX"))
	if err != nil {
		most = 1000
	}
	for _, server := range []struct {
		name string
		args []string
	}{{"durable", durable}, {"memory", []string{"--appendonly", "no"}}} {
		for n := 1000; n <= most; n *= 10 {
			if n == 10_000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/authorizations=%d", server.name, n), func(b *testing.B) {
				client := redis.NewClient(&redis.Options{Addr: startServer(b, server.args...).addr, PoolSize: 64})
				defer client.Close()
				s, err := redisstore.New(b.Context(), client, redisstore.Options{AllowDataLoss: true})
				require.NoError(b, err)
				id := func(i int) string { return fmt.Sprintf("%021d", i) }
				each(b, 64, n, func(i int) error {
					return s.CreateToken(b.Context(), token(id(i), "client", fmt.Sprintf("user-%d", i/10)))
				})
				for _, workers := range []int{1, 4, 16} {
					b.Run(fmt.Sprintf("refresh/workers=%d", workers), func(b *testing.B) {
						each(b, workers, b.N, func(i int) error {
							t, err := s.Token(b.Context(), id(i*7919%n))
							if err == nil {
								err = s.UpdateToken(b.Context(), t)
							}
							return err
						})
					})
					b.Run(fmt.Sprintf("exchange/workers=%d", workers), func(b *testing.B) {
						round := strconv.FormatUint(benchRound.Add(1), 10) + "-"
						each(b, workers, b.N, func(i int) error {
							t := token(round+strconv.Itoa(i), "client", "user")
							t.State = store.TokenPending
							if err := s.CreateToken(b.Context(), t); err != nil {
								return err
							}
							return s.CreateCode(b.Context(), code("code", t.ID))
						})
						each(b, workers, b.N, func(i int) error {
							key := round + strconv.Itoa(i)
							if _, err := s.Code(b.Context(), "code", key); err != nil {
								return err
							}
							t, err := s.Token(b.Context(), key)
							if err != nil {
								return err
							}
							t.State = store.TokenActive
							return s.UpdateToken(b.Context(), t)
						})
					})
				}
			})
		}
	}
}

var benchRound atomic.Uint64 // of the rounds of exchanges: IDs are used once

// each calls f with 0 to n-1 from the workers, and times that alone.
func each(b *testing.B, workers, n int, f func(i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := f(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "ops/s")
}
