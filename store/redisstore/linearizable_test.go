package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// driver makes random calls on a few records at a time, so that they race.
type driver struct {
	store   store.Store
	history *history
	rng     *rand.Rand
	worker  int
	n       *serial
}

// serial gives every write a number of its own.
type serial struct {
	mu sync.Mutex
	n  int64
}

func (s *serial) next() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.n
}

func after(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Sub(epoch).Microseconds()
}

func answered(err error, out output) output {
	if err != nil && !isAnswer(err) {
		return output{unknown: true}
	}
	out.err = err
	return out
}

func codeRegister(c store.Code) register {
	return register{exists: c.Version > 0, version: c.Version, value: string(c.Data), endedAt: after(c.ConsumedAt)}
}

func tokenRegister(t store.Token) register {
	return register{exists: t.Version > 0, version: t.Version, value: string(t.Data), endedAt: after(t.RevokedAt)}
}

func (d *driver) read(ctx context.Context, key string) output {
	return d.history.record(d.worker, func() output {
		if isCode(key) {
			c, err := d.store.Code(ctx, "code", key)
			return answered(err, output{state: codeRegister(c)})
		}
		t, err := d.store.Token(ctx, key)
		return answered(err, output{state: tokenRegister(t)})
	}, input{key: key, action: doRead})
}

func (d *driver) create(ctx context.Context, key string) output {
	value := strconv.FormatInt(d.n.next(), 10)
	return d.history.record(d.worker, func() output {
		if isCode(key) {
			return answered(d.store.CreateCode(ctx, store.Code{Kind: "code", Key: key, Data: []byte(value)}), output{})
		}
		return answered(d.store.CreateToken(ctx, store.Token{ID: key, ClientID: "c", Subject: subjectOf(key), Data: []byte(value)}), output{})
	}, input{key: key, action: doCreate, value: value})
}

func (d *driver) update(ctx context.Context, key string, version int64) output {
	value := strconv.FormatInt(d.n.next(), 10)
	return d.history.record(d.worker, func() output {
		if isCode(key) {
			return answered(d.store.UpdateCode(ctx, store.Code{Kind: "code", Key: key, Data: []byte(value), Version: version}), output{})
		}
		return answered(d.store.UpdateToken(ctx, store.Token{ID: key, ClientID: "c", Subject: subjectOf(key), Data: []byte(value), Version: version}), output{})
	}, input{key: key, action: doUpdate, version: version, value: value})
}

func (d *driver) end(ctx context.Context, key string) output {
	n := d.n.next()
	at := epoch.Add(time.Duration(n) * time.Microsecond)
	return d.history.record(d.worker, func() output {
		if isCode(key) {
			c, err := d.store.ConsumeCode(ctx, "code", key, at)
			return answered(err, output{state: codeRegister(c)})
		}
		marked, err := d.store.RevokeTokens(ctx, store.TokenQuery{ID: key}, at, at)
		return answered(err, output{marked: marked == 1})
	}, input{key: key, action: doEnd, at: n})
}

// endAll revokes every token of a subject.
func (d *driver) endAll(ctx context.Context, subject string, keys []string) output {
	n := d.n.next()
	at := epoch.Add(time.Duration(n) * time.Microsecond)
	var ins []input
	for _, key := range keys {
		ins = append(ins, input{key: key, action: doEndAll, at: n})
	}
	return d.history.record(d.worker, func() output {
		_, err := d.store.RevokeTokens(ctx, store.TokenQuery{Subject: subject}, at, at)
		return answered(err, output{})
	}, ins...)
}

// A round is two codes and four tokens of two subjects.
func subjectOf(key string) string { return key[:len(key)-1] }

func keysOfRound(round int) (codes []string, tokens [][]string) {
	for i := range 2 {
		codes = append(codes, fmt.Sprintf("c%d-%d", round, i))
		user := fmt.Sprintf("t%d-%d-", round, i)
		tokens = append(tokens, []string{user + "0", user + "1"})
	}
	return codes, tokens
}

func (d *driver) act(ctx context.Context, round int) output {
	codes, users := keysOfRound(round)
	user := users[d.rng.IntN(len(users))]
	key := user[d.rng.IntN(len(user))]
	if d.rng.IntN(2) == 0 {
		key = codes[d.rng.IntN(len(codes))]
	}
	switch d.rng.IntN(8) {
	case 0, 1:
		return d.create(ctx, key)
	case 2, 3, 4:
		out := d.read(ctx, key)
		if out.state.exists {
			out = d.update(ctx, key, out.state.version)
		}
		return out
	case 5:
		return d.end(ctx, key)
	case 6:
		if d.rng.IntN(2) == 0 {
			return d.endAll(ctx, subjectOf(user[0]), user)
		}
	}
	return d.read(ctx, key)
}

// actsPerRound is how many calls are made on the records of one round.
const actsPerRound = 48

// load makes random calls until stop says so, which is asked with the number
// of calls made before, and waits with wait after a call that failed.
func load(ctx context.Context, stores []store.Store, workers int, stop func(calls int64) bool, wait func()) *history {
	h, n := newHistory(), &serial{}
	calls := &serial{}
	var wg sync.WaitGroup
	for w := range workers {
		d := &driver{store: stores[w%len(stores)], history: h, rng: rand.New(rand.NewPCG(1, uint64(w))), worker: w, n: n}
		wg.Go(func() {
			for call := calls.next(); !stop(call); call = calls.next() {
				if d.act(ctx, int(call/actsPerRound)).unknown {
					wait()
				}
			}
		})
	}
	wg.Wait()
	return h
}

func finalReads(t *testing.T, s store.Store, h *history) {
	t.Helper()
	seen := map[string]bool{}
	d := &driver{store: s, history: h}
	for _, op := range h.ops {
		key := op.Input.(input).key
		if !seen[key] {
			seen[key] = true
			require.False(t, d.read(t.Context(), key).unknown)
		}
	}
}

// requireIndexed checks that every token that exists is in its subject's list.
func requireIndexed(t *testing.T, s store.Store, h *history) {
	t.Helper()
	tokens := 0
	seen := map[string]bool{}
	for _, op := range h.ops {
		key := op.Input.(input).key
		if isCode(key) || seen[key] {
			continue
		}
		seen[key] = true
		tok, err := s.Token(t.Context(), key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		require.NoError(t, err)
		list, err := s.ListTokens(t.Context(), store.TokenQuery{Subject: subjectOf(key)}, "", 10)
		require.NoError(t, err)
		require.Contains(t, list, tok)
		tokens++
	}
	require.Positive(t, tokens)
}

func TestHistoriesAreLinearizable(t *testing.T) {
	t.Run("one server", func(t *testing.T) { histories(t, []redis.UniversalClient{shared(t), shared(t)}, 1) })
	t.Run("partitions", func(t *testing.T) { histories(t, []redis.UniversalClient{shared(t), shared(t)}, 16) })
}

func histories(t *testing.T, clients []redis.UniversalClient, partitions int) {
	pre := prefix(t, clients[0])
	var stores []store.Store
	for _, c := range clients {
		stores = append(stores, open(t, c, pre, partitions))
	}
	enough := func(calls int64) bool { return calls > 8000 }
	h := load(t.Context(), stores, 8, enough, func() { t.Error("a call failed") })
	finalReads(t, stores[0], h)
	t.Logf("%d operations", len(h.ops))
	h.check(t)
}
