package store

import (
	"runtime"
	"slices"
	"sync/atomic"
)

// A sweep ends all records that a query selects, a million perhaps, without
// making anyone wait for the whole of it. It begins in one moment, under all
// locks, and from that moment on everyone sees the selected records as ended:
// who comes upon one before the sweep does, ends it then, or looks at a copy
// that has ended. Records that are created later are spared. So other calls see
// the sweep happen at once, and every call comes before it or after it.
type sweep struct {
	selection
	delete bool  // or else mark
	ended  int64 // with this
	purge  int64

	count  atomic.Int64
	spared []map[uint32]struct{} // one for each shard, under its lock
}

// covers reports whether the sweep is to end the record.
func (w *sweep) covers(s *shard, n uint32, rec record) bool {
	if _, ok := w.spared[s.number][n]; ok {
		return false
	}
	return w.has(s.table, rec) && (w.delete || rec.ended() == noTime)
}

// seen returns a copy of the record as it is once all sweeps have passed, or
// reports that one deletes it.
func (t *table) seen(s *shard, n uint32) (text string, ok bool) {
	rec := s.record(n)
	if len(t.sweeps) == 0 { // almost always: one copy less
		return string(rec), true
	}
	rec = slices.Clone(rec)
	for _, w := range t.sweeps {
		if !w.covers(s, n, rec) {
			continue
		}
		if w.delete {
			return "", false
		}
		rec.set(atVersion, rec.version()+1)
		rec.set(atEnded, w.ended)
		rec.set(atPurge, w.purge)
	}
	return string(rec), true
}

// settle does to a record what the sweeps that have begun are going to do, and
// reports whether it is still there.
func (t *table) settle(s *shard, n uint32) bool {
	for _, w := range t.sweeps {
		if !w.covers(s, n, s.record(n)) {
			continue
		}
		w.count.Add(1)
		if w.delete {
			s.remove(t.hashOf(s.record(n)), n)
			return false
		}
		s.mark(n, w.ended, w.purge)
	}
	return true
}

// sparedBy notes that a record was created after the sweeps that have begun.
func (t *table) sparedBy(s *shard, n uint32, rec record) {
	for _, w := range t.sweeps {
		if !w.has(t, rec) {
			continue
		}
		if w.spared[s.number] == nil {
			w.spared[s.number] = map[uint32]struct{}{}
		}
		w.spared[s.number][n] = struct{}{}
	}
}

// sweep runs a sweep to its end and returns how many records it has ended.
func (t *table) sweep(w *sweep) int {
	t.begin(w)
	for i := range t.shards {
		for after, more := []byte(nil), true; more; {
			var n int
			if after, n = t.sweepStep(w, &t.shards[i], after); n > 0 {
				runtime.Gosched() // on one processor nobody else would run for 10 ms
			}
			more = n == step
		}
	}
	t.end(w)
	return int(w.count.Load())
}

// begin is the moment at which the sweep takes effect.
func (t *table) begin(w *sweep) {
	w.spared = make([]map[uint32]struct{}, len(t.shards))
	t.lockAll()
	t.sweeps = append(t.sweeps, w)
	t.unlockAll()
}

// end forgets the sweep, once it has been through all shards.
func (t *table) end(w *sweep) {
	t.lockAll()
	t.sweeps = slices.DeleteFunc(t.sweeps, func(other *sweep) bool { return other == w })
	t.unlockAll()
}

// sweepStep ends the records of one shard whose IDs are greater than after, up
// to step. It returns how many it looked at and the ID of the last.
func (t *table) sweepStep(w *sweep, s *shard, after []byte) (last []byte, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found [step]uint32
	for c := s.cursor(w.order, w.group, after); n < step && c.advance(); n++ {
		found[n] = c.n
		last = append(last[:0], c.id()...)
	}
	for _, r := range found[:n] {
		t.settle(s, r)
	}
	return last, n
}
