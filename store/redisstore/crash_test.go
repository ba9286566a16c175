package redisstore_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// kills is how often the server is killed; OAUTH_TEST_KILLS says another number.
func kills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("OAUTH_TEST_KILLS"))
	if err != nil {
		return 5
	}
	return n
}

// A killed process is not a power failure: what the process had written to the
// AOF but not synced is still there. That the server syncs before it answers
// is what appendfsync always means, and New checks that; it is not tested here.
func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	s, h := crash(t, startServer(t, durable...), redisstore.Options{}, kills(t))
	h.check(t)
	requireIndexed(t, s, h)
}

// The same, where it must fail: or the test above shows nothing.
func TestCheckerNoticesAServerThatForgets(t *testing.T) {
	_, h := crash(t, startServer(t, "--appendonly", "no"), redisstore.Options{AllowDataLoss: true}, 2)
	require.False(t, h.linearizable())
}

// crash loads a server, kills it so many times, and returns what was seen, with
// a last look at every record.
func crash(t *testing.T, srv *server, opts redisstore.Options, kills int) (*redisstore.Store, *history) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: srv.addr, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	s, err := redisstore.New(t.Context(), client, opts)
	require.NoError(t, err)

	var over atomic.Bool
	back := func() {
		for client.Ping(context.Background()).Err() != nil {
			time.Sleep(5 * time.Millisecond) // the server is another process, on another clock
		}
	}
	result := make(chan *history)
	go func() {
		result <- load(t.Context(), []store.Store{s}, 8, func(int64) bool { return over.Load() }, back)
	}()
	for range kills {
		time.Sleep(time.Duration(50+rand.IntN(150)) * time.Millisecond)
		srv.kill(t)
		srv.start(t)
	}
	over.Store(true)
	h := <-result
	finalReads(t, s, h)
	require.Positive(t, h.unknown(), "no call was hit")
	t.Logf("%d operations, %d of unknown outcome, %d kills", len(h.ops), h.unknown(), kills)
	return s, h
}
