package store

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// NewMemoryOf returns a Memory with few shards, so that a few records make long
// indexes.
func NewMemoryOf(shards int) *Memory { return newMemory(shards) }

// CheckIndexes requires that every record is found in every way that there is,
// and that nothing else is kept.
func (m *Memory) CheckIndexes(tb testing.TB) {
	tb.Helper()
	for _, t := range []*table{m.clients, m.codes, m.tokens, m.consents} {
		require.Empty(tb, t.sweeps)
		for i := range t.shards {
			t.shards[i].check(tb)
		}
	}
}

func (s *shard) check(tb testing.TB) {
	tb.Helper()
	live := map[uint32]bool{}
	for h, n := range s.byKey {
		for {
			require.False(tb, live[n], "record in two places")
			live[n] = true
			require.Equal(tb, h, s.table.hashOf(s.record(n)))
			if s.entries[n].next == 0 {
				break
			}
			n = s.entries[n].next - 1
		}
	}
	unused := 0
	for n := s.unused; n != 0; n = s.entries[n-1].next {
		unused++
	}
	require.Equal(tb, len(s.entries), len(live)+unused, "entries")
	require.Equal(tb, len(live), s.arena.check(tb), "records in the arena")
	for i := range s.orders {
		s.orders[i].check(tb, s, live)
	}
	s.schedule.check(tb, s, live)
}

func (a *arena) check(tb testing.TB) (live int) {
	tb.Helper()
	for n := range a.classes {
		c := &a.classes[n]
		open := 0
		for i, s := range c.slabs {
			live += int(s.live)
			require.Equal(tb, s.live == 0, s.data == nil, "memory of a slab")
			if s.data != nil && int(s.live) < len(s.data)/slotSize(uint16(n)) {
				open++
				require.Equal(tb, uint32(i), c.open[s.open])
			}
		}
		require.Len(tb, c.open, open)
	}
	for _, data := range a.large {
		if data != nil {
			live++
		}
	}
	return live
}

func (o *order) check(tb testing.TB, s *shard, live map[uint32]bool) {
	tb.Helper()
	count := 0
	var last *item
	for c, chunk := range o.chunks {
		require.NotEmpty(tb, chunk)
		require.Less(tb, len(chunk), chunkSize)
		if c > 0 {
			require.Greater(tb, len(chunk)+len(o.chunks[c-1]), chunkSize/2, "chunks that are almost empty")
		}
		for i := range chunk {
			count++
			require.True(tb, live[chunk[i].n], "a deleted record is in an order")
			rec := s.record(chunk[i].n)
			m := o.boundOf(chunk[i].n, s)
			require.Equal(tb, item{m.group, m.id, chunk[i].n}, chunk[i])
			if last != nil {
				old := s.record(last.n)
				require.Negative(tb, cmp.Or(cmp.Compare(last.group, m.group), bytes.Compare(o.by.idOf(old), o.by.idOf(rec)), bytes.Compare(o.by.groupOf(old), o.by.groupOf(rec))))
			}
			last = &chunk[i]
		}
	}
	require.Len(tb, live, count, "records in an order")
}

func (q *schedule) check(tb testing.TB, s *shard, live map[uint32]bool) {
	tb.Helper()
	for n := range live {
		if purge := s.record(n).purge(); purge != noTime {
			i := int(q.places[n]) - 1
			require.GreaterOrEqual(tb, i, 0, "a record is not scheduled")
			require.LessOrEqual(tb, q.times[i], purge, "a record is scheduled too late")
		}
	}
	for i, n := range q.records {
		require.True(tb, live[n], "a deleted record is scheduled")
		require.Equal(tb, uint32(i+1), q.places[n])
		require.LessOrEqual(tb, q.times[(i-1)/2*min(i, 1)], q.times[i], "a heap")
	}
}

var (
	day   = time.Date(2031, 5, 6, 0, 0, 0, 0, time.UTC)
	night = day.Add(20 * time.Hour)
)

// A revocation of many records is in steps. Whatever is called between two of
// them must see all of it.
func TestRevocationTakesEffectAtOnce(t *testing.T) {
	ctx := t.Context()
	m := NewMemory()
	const n = 100
	id := func(i int) string { return fmt.Sprintf("%03d", i) }
	for i := range n {
		require.NoError(t, m.CreateToken(ctx, Token{ID: id(i), ClientID: "c", Subject: "s", PurgeAt: day}))
	}
	require.NoError(t, m.CreateToken(ctx, Token{ID: "other", ClientID: "d", Subject: "s"}))
	require.Equal(t, 1, must(m.RevokeTokens(ctx, TokenQuery{ID: id(9)}, night, night)), "revoked before")

	w := &sweep{selection: selection{order: byClient, group: "c"}, ended: day.UnixMicro(), purge: night.UnixMicro()}
	m.tokens.begin(w)
	revoked := Token{ID: id(1), ClientID: "c", Subject: "s", RevokedAt: day, PurgeAt: night, Version: 2}
	require.Equal(t, revoked, must(m.Token(ctx, id(1))))
	require.Equal(t, []Token{revoked}, must(m.ListTokens(ctx, TokenQuery{ID: id(1)}, "", 1)))
	for _, token := range must(m.ListTokens(ctx, TokenQuery{Subject: "s", ClientID: "c"}, "", n)) {
		require.False(t, token.RevokedAt.IsZero())
	}
	require.ErrorIs(t, m.UpdateToken(ctx, Token{ID: id(2), ClientID: "c", Subject: "s", Version: 1}), ErrRevoked)
	require.ErrorIs(t, m.UpdateToken(ctx, revoked), ErrRevoked)
	require.ErrorIs(t, m.CreateToken(ctx, Token{ID: id(3), ClientID: "c"}), ErrExists)
	require.Zero(t, must(m.RevokeTokens(ctx, TokenQuery{ID: id(4)}, night, night)), "another revocation comes after")
	require.Zero(t, must(m.RevokeTokens(ctx, TokenQuery{ClientID: "c"}, night, night)))
	require.Equal(t, 1, must(m.RevokeTokens(ctx, TokenQuery{Subject: "s"}, night, night)), "of another client")
	require.Zero(t, must(m.DeleteExpired(ctx, day, n)), "PurgeAt is later now")

	require.NoError(t, m.CreateToken(ctx, Token{ID: "new", ClientID: "c", Subject: "s"}), "created after")
	require.True(t, must(m.Token(ctx, "new")).RevokedAt.IsZero())
	require.NoError(t, m.UpdateToken(ctx, Token{ID: "new", ClientID: "c", Subject: "s", Version: 1}))

	for i := range m.tokens.shards {
		m.tokens.sweepStep(w, &m.tokens.shards[i], nil)
	}
	m.tokens.end(w)
	require.EqualValues(t, n-1, w.count.Load())
	require.True(t, must(m.Token(ctx, "new")).RevokedAt.IsZero())
	for i := range n {
		want := Token{ID: id(i), ClientID: "c", Subject: "s", RevokedAt: day, PurgeAt: night, Version: 2}
		if i == 9 {
			want.RevokedAt = night
		}
		require.Equal(t, want, must(m.Token(ctx, id(i))))
	}
	m.CheckIndexes(t)
}

func TestRevocationOfConsentsTakesEffectAtOnce(t *testing.T) {
	ctx := t.Context()
	m := NewMemory()
	const n = 100
	id := func(i int) string { return fmt.Sprintf("%03d", i) }
	for i := range n {
		require.NoError(t, m.GrantConsent(ctx, Consent{Subject: id(i), ClientID: "c", Scopes: []string{"old"}}))
	}
	require.NoError(t, m.GrantConsent(ctx, Consent{Subject: id(1), ClientID: "d"}))
	w := &sweep{selection: selection{order: byClient, group: "c"}, delete: true}
	m.consents.begin(w)
	_, err := m.Consent(ctx, id(1), "c")
	require.ErrorIs(t, err, ErrNotFound)
	require.Equal(t, []Consent{{Subject: id(1), ClientID: "d"}}, must(m.ListConsents(ctx, id(1), "", n)))
	require.Zero(t, must(m.RevokeConsents(ctx, ConsentQuery{Subject: id(2)})))
	require.Zero(t, must(m.RevokeConsents(ctx, ConsentQuery{Subject: id(3), ClientID: "c"})))
	anew := Consent{Subject: id(4), ClientID: "c", Scopes: []string{"new"}}
	require.NoError(t, m.GrantConsent(ctx, anew))
	require.Equal(t, anew, must(m.Consent(ctx, id(4), "c")))
	require.NoError(t, m.GrantConsent(ctx, anew))
	for i := range m.consents.shards {
		m.consents.sweepStep(w, &m.consents.shards[i], nil)
	}
	m.consents.end(w)
	require.EqualValues(t, n, w.count.Load())
	require.Equal(t, anew, must(m.Consent(ctx, id(4), "c")))
	require.Equal(t, []Consent{{Subject: id(1), ClientID: "d"}}, must(m.ListConsents(ctx, id(1), "", n)))
	m.CheckIndexes(t)
}

func must[R any](r R, err error) R {
	if err != nil {
		panic(err)
	}
	return r
}

// Hashes of 64 bits do not collide by themselves.
func TestKeysWithOneHash(t *testing.T) {
	table := newTable(1, layout{fields: 1, key: 1})
	s := &table.shards[0]
	const h = 42
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		s.insert(h, newRecord(1, time.Time{}, time.Time{}, name))
	}
	for _, gone := range []string{"b", "d", "a", "c"} {
		for _, name := range names {
			n, ok := s.find(h, name)
			require.True(t, ok)
			require.True(t, s.record(n).has(name))
		}
		n, _ := s.find(h, gone)
		s.remove(h, n)
		names = slices.DeleteFunc(names, func(name string) bool { return name == gone })
		_, ok := s.find(h, gone)
		require.False(t, ok)
	}
	require.Empty(t, s.byKey)
}

// Groups of an order are told apart by 32 bits of a hash, most of the time.
func TestGroupsWithOneHash(t *testing.T) {
	m := newMemory(1)
	seen := map[uint32]string{}
	var one, two string
	for i := 0; two == ""; i++ {
		s := fmt.Sprint("s", i)
		h := uint32(maphash.String(m.tokens.seed, s))
		if other, ok := seen[h]; ok {
			one, two = other, s
		}
		seen[h] = s
	}
	want := map[string][]string{}
	for i := range 600 { // the first bytes of the IDs are the same, or not
		id, subject := fmt.Sprintf("%d long", i*7919%600), []string{one, two}[i%2]
		if i%3 == 0 {
			id = "long " + id
		}
		require.NoError(t, m.CreateToken(t.Context(), Token{ID: id, ClientID: "c", Subject: subject}))
		want[subject] = append(want[subject], id)
	}
	m.CheckIndexes(t)
	for subject, ids := range want {
		slices.Sort(ids)
		var got []string
		for after := ""; ; {
			list := must(m.ListTokens(t.Context(), TokenQuery{Subject: subject}, after, 7))
			for _, token := range list {
				got = append(got, token.ID)
			}
			if len(list) < 7 {
				break
			}
			after = got[len(got)-1]
		}
		require.Equal(t, ids, got)
	}
	require.Equal(t, 300, must(m.RevokeTokens(t.Context(), TokenQuery{Subject: one}, day, day)))
	require.Len(t, want[two], must(m.RevokeTokens(t.Context(), TokenQuery{Subject: two}, day, day)))
	require.Equal(t, 600, must(m.DeleteExpired(t.Context(), day, 1000)).Tokens)
	m.CheckIndexes(t)
}

// What is deleted is given back, but for a little that is kept per record.
func TestMemoryOfDeletedRecordsIsFreed(t *testing.T) {
	m := newMemory(1)
	for round := range 3 {
		const n = 3000
		for i := range n {
			require.NoError(t, m.CreateToken(t.Context(), Token{ID: fmt.Sprint(round, i), ClientID: "c", Subject: fmt.Sprint(i), PurgeAt: day, Data: make([]byte, i%1500)}))
		}
		require.Equal(t, n, must(m.DeleteExpired(t.Context(), day, n)).Tokens)
		m.CheckIndexes(t)
		s := &m.tokens.shards[0]
		require.Len(t, s.entries, n, "entries are used again")
		require.Empty(t, s.orders[byClient].chunks)
		for _, c := range s.arena.classes {
			for _, slab := range c.slabs {
				require.Nil(t, slab.data)
			}
		}
		for _, data := range s.arena.large {
			require.Nil(t, data)
		}
	}
}

// How long others wait in all is measured by BenchmarkMillion; here it would
// depend on what else the machine does. A call waits for one step.
func TestDeleteExpiredGoesInShortSteps(t *testing.T) {
	m := NewMemory()
	const n = 50_000
	for i := range n {
		require.NoError(t, m.CreateToken(t.Context(), Token{ID: fmt.Sprint(i), ClientID: "c", Subject: fmt.Sprint(i), PurgeAt: day.Add(time.Duration(i%100) * time.Second), Data: make([]byte, 300)}))
	}
	var took []time.Duration
	left := n
	for i := range m.tokens.shards {
		for more := true; more; {
			began := time.Now()
			var deleted int
			deleted, more = m.tokens.shards[i].purge(night.UnixMicro(), step)
			took = append(took, time.Since(began))
			require.LessOrEqual(t, deleted, step)
			left -= deleted
		}
	}
	require.Zero(t, left)
	slices.Sort(took)
	require.Less(t, took[len(took)/2], 10*time.Millisecond)
}
