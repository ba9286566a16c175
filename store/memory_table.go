package store

import (
	"hash/maphash"
	"runtime"
)

// A table keeps records of one sort in shards. A record is in the shard that
// the hash of its key says.
type table struct {
	layout
	seed   maphash.Seed
	shards []shard
	sweeps []*sweep // changed under all locks, read under any
}

// A layout says how records are found.
type layout struct {
	fields int       // how many of its strings a record begins with
	key    int       // how many of them are its key
	orders []orderBy // the lists that are kept
}

func newTable(shards int, l layout) *table {
	t := &table{layout: l, seed: maphash.MakeSeed(), shards: make([]shard, shards)}
	for i := range t.shards {
		s := &t.shards[i]
		s.number, s.table, s.byKey = i, t, map[uint64]uint32{}
		for _, by := range l.orders {
			s.orders = append(s.orders, order{by: by})
		}
	}
	return t
}

func (t *table) hash(key ...string) (h uint64) {
	for _, part := range key {
		h = h*odd + maphash.String(t.seed, part)
	}
	return h
}

// hashOf returns the hash of a record's key.
func (t *table) hashOf(rec record) (h uint64) {
	for n := range t.key {
		h = h*odd + maphash.Bytes(t.seed, rec.field(n))
	}
	return h
}

// odd makes the order of a key's parts count.
const odd = 0x9e37_79b9_7f4a_7c15

func (t *table) shardOf(h uint64) *shard { return &t.shards[h%uint64(len(t.shards))] }

// lookup returns a copy of the record.
func (t *table) lookup(key ...string) (string, error) {
	h := t.hash(key...)
	s := t.shardOf(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.find(h, key...)
	if !ok {
		return "", ErrNotFound
	}
	if text, ok := t.seen(s, n); ok {
		return text, nil
	}
	return "", ErrNotFound
}

// create stores a record, unless there is one with its key.
func (t *table) create(rec record, key ...string) error {
	return t.change(func(s *shard, h uint64, _ uint32, exists bool) error {
		if exists {
			return ErrExists
		}
		s.insert(h, rec)
		return nil
	}, key...)
}

// swap replaces the record that has the version before rec's. If the record has
// ended, it returns the error ended.
func (t *table) swap(rec record, ended error, key ...string) error {
	return t.change(func(s *shard, _ uint64, n uint32, exists bool) error {
		if !exists {
			return ErrNotFound
		}
		old := s.record(n)
		if old.ended() != noTime {
			return ended
		}
		if old.version()+1 != rec.version() {
			return ErrConflict
		}
		s.replace(n, rec)
		return nil
	}, key...)
}

// change calls f for the record that has the key, under its shard's lock.
func (t *table) change(f func(s *shard, h uint64, n uint32, exists bool) error, key ...string) error {
	h := t.hash(key...)
	s := t.shardOf(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.find(h, key...)
	if ok {
		ok = t.settle(s, n)
	}
	return f(s, h, n, ok)
}

// lockAll takes the locks of all shards, and unlockAll gives them back. Nobody
// who has one takes a second in any other way, so this cannot block for good.
func (t *table) lockAll() {
	for i := range t.shards {
		t.shards[i].mu.Lock()
	}
}

func (t *table) unlockAll() {
	for i := range t.shards {
		t.shards[i].mu.Unlock()
	}
}

func (t *table) rlockAll() {
	for i := range t.shards {
		t.shards[i].mu.RLock()
	}
}

func (t *table) runlockAll() {
	for i := range t.shards {
		t.shards[i].mu.RUnlock()
	}
}

// step is how many records are worked on under one lock: some tens of
// microseconds.
const step = 128

// purge deletes at most limit records that are due, in short steps.
func (t *table) purge(stop func() error, before int64, limit int) (deleted int, err error) {
	for i := range t.shards {
		for more := true; more && deleted < limit; {
			if err := stop(); err != nil {
				return deleted, err
			}
			var n int
			n, more = t.shards[i].purge(before, min(step, limit-deleted))
			deleted += n
			if n > 0 || more {
				runtime.Gosched() // on one processor nobody else would run for 10 ms
			}
		}
	}
	return deleted, nil
}

// purge looks at up to limit records that seem to be due, and reports whether
// there are more.
func (s *shard) purge(before int64, limit int) (deleted int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range limit {
		n, at, ok := s.schedule.first()
		if !ok || at > before {
			return deleted, false
		}
		if !s.table.settle(s, n) {
			continue
		}
		switch purge := s.record(n).purge(); {
		case purge == noTime:
			s.schedule.drop(n)
		case purge > before:
			s.schedule.postpone(purge)
		default:
			s.remove(s.table.hashOf(s.record(n)), n)
			deleted++
		}
	}
	return deleted, true
}
