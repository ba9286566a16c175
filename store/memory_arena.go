package store

import (
	"bytes"
	"encoding/binary"
)

// An arena keeps records of many sizes in few allocations. Each size class has
// slabs that are cut into slots; a record that is larger than the largest slot
// has an allocation of its own. Slots are used again, and a slab that has
// become empty goes back to the garbage collector.
type arena struct {
	classes [largestSlot / slotStep]class
	large   [][]byte
	unused  []uint32 // of large
}

const (
	slotStep    = 32 // the slots of a class are so much larger than those of the one before
	largestSlot = 1 << 10
	firstSlab   = 4 << 10  // bytes; of the first few slabs of a class
	largestSlab = 32 << 10 // and of all but a few
)

// A ref says where a record is.
type ref struct {
	slab  uint32 // or an index into large
	slot  uint16
	class uint16
}

const inLarge = 1<<16 - 1 // as a class

func classOf(size int) uint16 { return uint16((size - 1) / slotStep) }

func slotSize(class uint16) int { return (int(class) + 1) * slotStep }

// add stores a copy of the record.
func (a *arena) add(rec record) ref {
	if len(rec) > largestSlot {
		return ref{slab: a.addLarge(bytes.Clone(rec)), class: inLarge}
	}
	class := classOf(len(rec))
	slab, slot := a.classes[class].take(slotSize(class))
	r := ref{slab, slot, class}
	copy(a.at(r), rec)
	return r
}

func (a *arena) addLarge(rec record) uint32 {
	if last := len(a.unused) - 1; last >= 0 {
		i := a.unused[last]
		a.unused = a.unused[:last]
		a.large[i] = rec
		return i
	}
	a.large = append(a.large, rec)
	return uint32(len(a.large) - 1)
}

// at returns the memory of a record, which may be longer than the record.
func (a *arena) at(r ref) record {
	if r.class == inLarge {
		return a.large[r.slab]
	}
	return a.classes[r.class].slabs[r.slab].at(int(r.slot), slotSize(r.class))
}

// put stores a copy of the record in the place of another, or in a new one.
func (a *arena) put(r ref, rec record) ref {
	if r.class != inLarge && r.class == classOf(len(rec)) {
		copy(a.at(r), rec)
		return r
	}
	a.drop(r)
	return a.add(rec)
}

// drop frees the place of a record.
func (a *arena) drop(r ref) {
	if r.class == inLarge {
		a.large[r.slab] = nil
		a.unused = append(a.unused, r.slab)
		return
	}
	a.classes[r.class].give(r.slab, r.slot, slotSize(r.class))
}

// A class is the slabs with slots of one size.
type class struct {
	slabs  []slab
	open   []uint32 // the slabs that have a free slot
	absent []uint32 // the slabs that have no memory
}

type slab struct {
	data []byte
	live uint16 // slots in use
	cut  uint16 // slots that were ever used
	free uint16 // the first slot to use again, plus 1; its first bytes hold the next
	open uint32 // place in class.open, if it is there
}

func (s *slab) at(slot, size int) []byte { return s.data[slot*size : slot*size+size : slot*size+size] }

func (s *slab) full(size int) bool { return int(s.live) == len(s.data)/size }

// take finds a free slot.
func (c *class) take(size int) (n uint32, slot uint16) {
	if len(c.open) == 0 {
		c.grow(size)
	}
	n = c.open[len(c.open)-1]
	s := &c.slabs[n]
	if s.free != 0 {
		slot = s.free - 1
		s.free = binary.LittleEndian.Uint16(s.at(int(slot), size))
	} else {
		slot = s.cut
		s.cut++
	}
	s.live++
	if s.full(size) {
		c.close(n)
	}
	return n, slot
}

// give takes a slot back.
func (c *class) give(n uint32, slot uint16, size int) {
	s := &c.slabs[n]
	if s.full(size) {
		s.open = uint32(len(c.open))
		c.open = append(c.open, n)
	}
	s.live--
	if s.live == 0 {
		c.close(n)
		*s = slab{}
		c.absent = append(c.absent, n)
		return
	}
	data := s.at(int(slot), size)
	clear(data) // what was deleted is not to be found in memory
	binary.LittleEndian.PutUint16(data, s.free)
	s.free = slot + 1
}

// grow adds an empty slab. The more there are, the larger it is, so that a
// small store stays small and a large one has few slabs.
func (c *class) grow(size int) {
	n := uint32(len(c.slabs))
	if last := len(c.absent) - 1; last >= 0 {
		n = c.absent[last]
		c.absent = c.absent[:last]
	} else {
		c.slabs = append(c.slabs, slab{})
	}
	bytes := min(firstSlab<<min(n/4, 8), largestSlab)
	c.slabs[n] = slab{data: make([]byte, bytes-bytes%size), open: uint32(len(c.open))}
	c.open = append(c.open, n)
}

// close takes a slab from the list of those that have a free slot.
func (c *class) close(n uint32) {
	last := len(c.open) - 1
	moved := c.open[last]
	c.open[c.slabs[n].open] = moved
	c.slabs[moved].open = c.slabs[n].open
	c.open = c.open[:last]
}
