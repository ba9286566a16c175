package store_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

var start = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// name returns the nth of many names that are 22 bytes long and in no order.
func name(prefix string, n int) string {
	r := rand.NewPCG(uint64(n), uint64(len(prefix)))
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], r.Uint64())
	binary.LittleEndian.PutUint64(b[8:], uint64(n))
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])[len(prefix):]
}

// authorization returns a token as a provider keeps it after some refreshes: of
// one of many users, at one of a hundred clients.
func authorization(n int) store.Token {
	at := start.Add(time.Duration(n) * time.Millisecond)
	var h store.Hash
	for i := range h {
		h[i] = byte(n + i)
	}
	return store.Token{
		ID: name("t", n), ClientID: name("client-", n%100), Subject: name("user-", n/2), State: store.TokenActive,
		Scopes: []string{"openid", "notes:read", "notes:write"}, Resources: []string{"https://api.example.com/"},
		FamilyHash: h, SecretHash: h, PreviousHash: h, Successor: make([]byte, 140), RotatedAt: at,
		CreatedAt: at, LastUsedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour), PurgeAt: at.Add(31 * 24 * time.Hour),
		Device: "Firefox on Linux", IP: "203.0.113.77",
	}
}

// filled returns a store with n authorizations.
func filled(tb testing.TB, n int) *store.Memory {
	tb.Helper()
	m := store.NewMemory()
	for i := range n {
		require.NoError(tb, m.CreateToken(context.Background(), authorization(i)))
	}
	return m
}

// sizes runs a benchmark on stores of some sizes.
func sizes(b *testing.B, f func(b *testing.B, m *store.Memory, n int)) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("authorizations=%d", n), func(b *testing.B) {
			m := filled(b, n)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			f(b, m, n)
		})
	}
}

func BenchmarkToken(b *testing.B) {
	sizes(b, func(b *testing.B, m *store.Memory, n int) {
		ids := idsOf(n)
		for i := 0; b.Loop(); i++ {
			if _, err := m.Token(b.Context(), ids[i%len(ids)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// idsOf returns some of the IDs, in no order.
func idsOf(n int) []string {
	ids := make([]string, 4096)
	for i := range ids {
		ids[i] = name("t", rand.IntN(n))
	}
	return ids
}

// BenchmarkRefresh is what a refresh does: read a record, swap it.
func BenchmarkRefresh(b *testing.B) {
	sizes(b, func(b *testing.B, m *store.Memory, n int) {
		ids := idsOf(n)
		for i := 0; b.Loop(); i++ {
			t, err := m.Token(b.Context(), ids[i%len(ids)])
			if err != nil {
				b.Fatal(err)
			}
			t.PurgeAt = t.PurgeAt.Add(time.Second)
			if err := m.UpdateToken(b.Context(), t); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkExchange is what an authorization and its exchange do: create a code
// and a pending record, consume the one and swap the other.
func BenchmarkExchange(b *testing.B) {
	sizes(b, func(b *testing.B, m *store.Memory, n int) {
		for i := n; b.Loop(); i++ {
			exchange(b, m, i)
		}
	})
}

func exchange(b *testing.B, m *store.Memory, i int) {
	ctx := b.Context()
	t := authorization(i)
	t.State, t.SecretHash, t.PreviousHash, t.Successor = store.TokenPending, store.Hash{}, store.Hash{}, nil
	err := m.CreateToken(ctx, t)
	if err != nil {
		b.Fatal(err)
	}
	key := name("", i)
	if err := m.CreateCode(ctx, store.Code{Kind: "code", Key: key, Data: make([]byte, 300), ExpiresAt: t.CreatedAt, PurgeAt: t.CreatedAt}); err != nil {
		b.Fatal(err)
	}
	if _, err := m.ConsumeCode(ctx, "code", key, t.CreatedAt); err != nil {
		b.Fatal(err)
	}
	t = authorization(i)
	t.Version = 1
	if err := m.UpdateToken(ctx, t); err != nil {
		b.Fatal(err)
	}
	if i%1000 == 999 { // keep the number of records
		if _, err := m.DeleteExpired(ctx, t.CreatedAt, 1000); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateToken(b *testing.B) {
	sizes(b, func(b *testing.B, m *store.Memory, n int) {
		for i := n; b.Loop(); i++ {
			if err := m.CreateToken(b.Context(), authorization(i)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkListTokensOfSubject(b *testing.B) {
	sizes(b, func(b *testing.B, m *store.Memory, n int) {
		for i := 0; b.Loop(); i++ {
			list, err := m.ListTokens(b.Context(), store.TokenQuery{Subject: name("user-", i*31%n/2)}, "", 50)
			if err != nil || len(list) != 2 {
				b.Fatal(len(list), err)
			}
		}
	})
}

func BenchmarkListTokensOfClient(b *testing.B) {
	sizes(b, func(b *testing.B, m *store.Memory, n int) {
		for i := 0; b.Loop(); i++ {
			if _, err := m.ListTokens(b.Context(), store.TokenQuery{ClientID: name("client-", i%100)}, "", 50); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRevokeTokensOfSubject(b *testing.B) {
	sizes(b, func(b *testing.B, m *store.Memory, n int) {
		for i := 0; b.Loop(); i++ {
			if _, err := m.RevokeTokens(b.Context(), store.TokenQuery{Subject: name("user-", i*31%n/2)}, start, start); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRefreshInParallel shows whether the locks scale.
func BenchmarkRefreshInParallel(b *testing.B) {
	m := filled(b, 100_000)
	var worker atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := int(worker.Add(1)) * 10_000; pb.Next(); i++ {
			id := name("t", i%100_000)
			t, err := m.Token(context.Background(), id)
			if err != nil {
				b.Fatal(err)
			}
			_ = m.UpdateToken(context.Background(), t)
		}
	})
}

// BenchmarkMillion reports what a million authorizations cost: bytes each,
// processor time of a collection, and how long other calls wait while they are
// deleted.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		m, used := measured(b, million)
		b.ReportMetric(float64(used)/million, "B/authorization")
		b.ReportMetric(float64(collection().Microseconds())/1000, "ms-cpu/collection")
		began := time.Now()
		wait := longestWait(b, m, million, func() error { return deleteAll(m, million) })
		took := time.Since(began)
		b.ReportMetric(float64(wait.Microseconds())/1000, "ms-wait/delete")
		b.ReportMetric(float64(took.Nanoseconds())/million, "ns/deleted")
		wait = longestWait(b, m, million, func() error { return spin(took) })
		b.ReportMetric(float64(wait.Microseconds())/1000, "ms-wait/nothing") // the machine's own
	}
}

const million = 1_000_000

func revokeOne(tb testing.TB, m *store.Memory) int {
	n, err := m.RevokeTokens(context.Background(), store.TokenQuery{ID: name("t", 1)}, start, start)
	require.NoError(tb, err)
	return n
}

// measured returns a store with n authorizations and the bytes that they take.
func measured(tb testing.TB, n int) (m *store.Memory, used uint64) {
	before := heap()
	m = filled(tb, n)
	return m, heap() - before
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// collection returns the processor time that a garbage collection takes.
func collection() time.Duration {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	gc := func() time.Duration {
		runtime.GC() // brings the figures up to date too
		metrics.Read(sample)
		return time.Duration(sample[0].Value.Float64() * float64(time.Second))
	}
	const n = 5
	before := gc()
	for range n - 1 {
		gc()
	}
	return (gc() - before) / n
}

// deleteAll deletes all authorizations.
func deleteAll(m *store.Memory, n int) error {
	d, err := m.DeleteExpired(context.Background(), start.AddDate(1, 0, 0), n)
	if err == nil && d.Tokens != n {
		err = fmt.Errorf("deleted %d of %d", d.Tokens, n)
	}
	return err
}

// longestWait returns the longest that a reader and writer had to wait while
// something else is done.
func longestWait(tb testing.TB, m *store.Memory, n int, work func() error) (longest time.Duration) {
	done := make(chan error)
	go func() { done <- work() }()
	for i := 0; ; i++ {
		select {
		case err := <-done:
			require.NoError(tb, err)
			return longest
		default:
		}
		began := time.Now()
		_, _ = m.Token(context.Background(), name("t", i))
		_ = m.CreateCode(context.Background(), store.Code{Kind: "k", Key: name("", i%10_000)})
		_ = m.UpdateToken(context.Background(), authorization(i%n))
		longest = max(longest, time.Since(began))
		runtime.Gosched()
	}
}

// spin does nothing, for as long as d.
func spin(d time.Duration) error {
	for began := time.Now(); time.Since(began) < d; {
		runtime.Gosched()
	}
	return nil
}
