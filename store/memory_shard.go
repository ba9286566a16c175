package store

import (
	"bytes"
	"sync"
)

// A shard is a part of a table under a lock of its own. It has everything that
// belongs to its records, the indexes too, so that a record and its place in
// every index change in one step. All methods but lock and unlock need the lock.
type shard struct {
	mu       sync.RWMutex
	number   int
	table    *table
	byKey    map[uint64]uint32 // hash of the key: first of the records with that hash
	entries  []entry
	unused   uint32 // first unused entry, plus 1
	arena    arena
	orders   []order // one for each of table.orders
	schedule schedule
}

// An entry is a record, known by its number, which never changes.
type entry struct {
	ref  ref
	next uint32 // another record with the same hash, or another unused entry; plus 1
}

func (s *shard) record(n uint32) record { return s.arena.at(s.entries[n].ref) }

// find returns the number of the record with the key whose hash is h.
func (s *shard) find(h uint64, key ...string) (n uint32, ok bool) {
	n, ok = s.byKey[h]
	for ok && !s.record(n).has(key...) {
		next := s.entries[n].next
		n, ok = next-1, next != 0
	}
	return n, ok
}

// insert stores a record with a key that is not there.
func (s *shard) insert(h uint64, rec record) {
	n := s.unused - 1
	if s.unused == 0 {
		n = uint32(len(s.entries))
		s.entries = append(s.entries, entry{})
	} else {
		s.unused = s.entries[n].next
	}
	e := entry{ref: s.arena.add(rec)}
	if other, ok := s.byKey[h]; ok {
		e.next = other + 1
	}
	s.entries[n] = e
	s.byKey[h] = n
	s.addToOrders(n)
	s.plan(n, rec.purge())
	s.table.sparedBy(s, n, rec)
}

// replace stores another record in the place of one with the same key.
func (s *shard) replace(n uint32, rec record) {
	old := s.record(n)
	moved := false // in some order, because a caller changed what never changes
	for i := range s.table.fields {
		moved = moved || !bytes.Equal(old.field(i), rec.field(i))
	}
	if moved {
		s.removeFromOrders(n)
	}
	s.entries[n].ref = s.arena.put(s.entries[n].ref, rec)
	if moved {
		s.addToOrders(n)
	}
	s.plan(n, rec.purge())
}

// remove deletes a record whose key has the hash h.
func (s *shard) remove(h uint64, n uint32) {
	s.removeFromOrders(n)
	s.schedule.drop(n)
	e := s.entries[n]
	if first := s.byKey[h]; first != n {
		for s.entries[first].next != n+1 {
			first = s.entries[first].next - 1
		}
		s.entries[first].next = e.next
	} else if e.next != 0 {
		s.byKey[h] = e.next - 1
	} else {
		delete(s.byKey, h)
	}
	s.arena.drop(e.ref)
	s.entries[n] = entry{next: s.unused}
	s.unused = n + 1
}

// mark ends a record where it lies.
func (s *shard) mark(n uint32, ended, purge int64) {
	rec := s.record(n)
	rec.set(atVersion, rec.version()+1)
	rec.set(atEnded, ended)
	rec.set(atPurge, purge)
	s.plan(n, purge)
}

// plan makes sure that the record is looked at when it may be deleted.
func (s *shard) plan(n uint32, purge int64) {
	if purge != noTime {
		s.schedule.put(n, purge)
	}
}

func (s *shard) addToOrders(n uint32) {
	for i := range s.orders {
		s.orders[i].insert(n, s)
	}
}

func (s *shard) removeFromOrders(n uint32) {
	for i := range s.orders {
		s.orders[i].remove(n, s)
	}
}
