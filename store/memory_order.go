package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sort"
)

// An order is a sorted list of records, in chunks that are short enough to
// insert into. It keeps groups together, and each group in order of its IDs.
type order struct {
	by     orderBy
	chunks [][]item
}

// An orderBy says by which fields an order is: records with the same group are
// a list in order of id. Group -1 makes one list of all records.
type orderBy struct{ group, id int }

func (by orderBy) groupOf(rec record) []byte {
	if by.group < 0 {
		return nil
	}
	return rec.field(by.group)
}

func (by orderBy) idOf(rec record) []byte { return rec.field(by.id) }

// An item is a record in an order, with the beginning of what it is sorted by:
// most comparisons need not look at the record, which is somewhere else in
// memory. The groups are in order of their hashes. Two groups with one hash are
// mixed, and each still in order.
type item struct{ group, id, n uint32 }

// A bound is a position in an order: before the first item that is not less.
type bound struct {
	group, id         uint32
	fullGroup, fullID []byte
}

func newBound(seed maphash.Seed, group, id []byte) bound {
	var first [4]byte // keys hold no zero bytes, so a short ID comes before a longer one
	copy(first[:], id)
	return bound{uint32(maphash.Bytes(seed, group)), binary.BigEndian.Uint32(first[:]), group, id}
}

const chunkSize = 512

// A place is an index into a chunk, or the end of the list.
type place struct{ chunk, at int }

// seek finds the place of a bound.
func (o *order) seek(m bound, s *shard) place {
	less := func(i item) bool {
		if c := cmp.Or(cmp.Compare(i.group, m.group), cmp.Compare(i.id, m.id)); c != 0 {
			return c < 0
		}
		rec := s.record(i.n)
		return cmp.Or(bytes.Compare(o.by.idOf(rec), m.fullID), bytes.Compare(o.by.groupOf(rec), m.fullGroup)) < 0
	}
	c := sort.Search(len(o.chunks), func(i int) bool {
		chunk := o.chunks[i]
		return !less(chunk[len(chunk)-1])
	})
	if c == len(o.chunks) {
		return place{chunk: c}
	}
	chunk := o.chunks[c]
	return place{c, sort.Search(len(chunk), func(i int) bool { return !less(chunk[i]) })}
}

// get returns the item at a place and the place after it.
func (o *order) get(p place) (i item, next place, ok bool) {
	if p.chunk == len(o.chunks) {
		return item{}, p, false
	}
	chunk := o.chunks[p.chunk]
	next = place{p.chunk, p.at + 1}
	if next.at == len(chunk) {
		next = place{chunk: p.chunk + 1}
	}
	return chunk[p.at], next, true
}

// insert adds record n of a shard.
func (o *order) insert(n uint32, s *shard) {
	m := o.boundOf(n, s)
	i := item{m.group, m.id, n}
	if len(o.chunks) == 0 {
		o.chunks = append(o.chunks, []item{i})
		return
	}
	p := o.seek(m, s)
	if p.chunk == len(o.chunks) {
		p.chunk--
		p.at = len(o.chunks[p.chunk])
	}
	chunk := slices.Insert(o.chunks[p.chunk], p.at, i)
	o.chunks[p.chunk] = chunk
	if len(chunk) == chunkSize {
		half := slices.Clone(chunk[chunkSize/2:])
		o.chunks[p.chunk] = chunk[:chunkSize/2]
		o.chunks = slices.Insert(o.chunks, p.chunk+1, half)
	}
}

// remove takes out record n of a shard.
func (o *order) remove(n uint32, s *shard) {
	p := o.seek(o.boundOf(n, s), s)
	chunk := slices.Delete(o.chunks[p.chunk], p.at, p.at+1)
	o.chunks[p.chunk] = chunk
	if len(chunk) == 0 {
		o.chunks = slices.Delete(o.chunks, p.chunk, p.chunk+1)
	} else if c := p.chunk; c > 0 && len(o.chunks[c-1])+len(chunk) <= chunkSize/2 {
		o.join(c - 1)
	} else if c+1 < len(o.chunks) && len(chunk)+len(o.chunks[c+1]) <= chunkSize/2 {
		o.join(c)
	}
}

func (o *order) boundOf(n uint32, s *shard) bound {
	rec := s.record(n)
	return newBound(s.table.seed, o.by.groupOf(rec), o.by.idOf(rec))
}

// join makes one chunk of two.
func (o *order) join(c int) {
	o.chunks[c] = append(o.chunks[c], o.chunks[c+1]...)
	o.chunks = slices.Delete(o.chunks, c+1, c+2)
}

// A cursor goes through the records of a group in one shard, in order.
type cursor struct {
	shard *shard
	order *order
	group []byte
	hash  uint32 // of group
	next  place
	n     uint32 // the record that it is at
	rec   record
}

// cursor returns a cursor before the first record of the group whose ID is
// greater than after.
func (s *shard) cursor(number int, group string, after []byte) *cursor {
	o := &s.orders[number]
	// What comes right after an ID is the ID with a zero byte.
	m := newBound(s.table.seed, []byte(group), append(bytes.Clone(after), 0))
	return &cursor{shard: s, order: o, group: m.fullGroup, hash: m.group, next: o.seek(m, s)}
}

// advance goes to the next record.
func (c *cursor) advance() bool {
	for {
		i, next, ok := c.order.get(c.next)
		if !ok || i.group != c.hash {
			return false
		}
		c.n, c.next, c.rec = i.n, next, c.shard.record(i.n)
		if bytes.Equal(c.order.by.groupOf(c.rec), c.group) {
			return true
		}
	}
}

func (c *cursor) id() []byte { return c.order.by.idOf(c.rec) }
