package store

import "encoding/binary"

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
	slabSize    = 8 << 10
	slotStep    = 32 // classes are this far apart
	largestSlot = 1 << 10
)

// A ref says where a record is: the class in its low bits (all of them set: in
// large), and the number of the slot above.
type ref uint32

const (
	classBits = 6
	inLarge   = 1<<classBits - 1
)

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

func classOf(size int) int { return (max(size, 1) - 1) / slotStep }

func slotSize(class int) int { return (class + 1) * slotStep }

// add stores a copy of the record.
func (a *arena) add(rec record) ref {
	if len(rec) > largestSlot {
		data := append([]byte(nil), rec...)
		if n := len(a.unused); n > 0 {
			i := a.unused[n-1]
			a.unused = a.unused[:n-1]
			a.large[i] = data
			return ref(i<<classBits | inLarge)
		}
		a.large = append(a.large, data)
		return ref((len(a.large)-1)<<classBits | inLarge)
	}
	n := classOf(len(rec))
	r := ref(a.classes[n].take(slotSize(n))<<classBits | uint32(n))
	copy(a.at(r), rec)
	return r
}

// at returns the memory of a record, which may be longer than the record.
func (a *arena) at(r ref) record {
	n, i := int(r&inLarge), int(r>>classBits)
	if n == inLarge {
		return a.large[i]
	}
	size := slotSize(n)
	per := slabSize / size
	from := i % per * size
	return a.classes[n].slabs[i/per].data[from : from+size : from+size]
}

// put stores a copy of the record in the place of another, or in a new one.
func (a *arena) put(r ref, rec record) ref {
	if n := int(r & inLarge); n != inLarge && len(rec) <= largestSlot && n == classOf(len(rec)) {
		copy(a.at(r), rec)
		return r
	}
	a.drop(r)
	return a.add(rec)
}

// drop frees the place of a record.
func (a *arena) drop(r ref) {
	n, i := int(r&inLarge), uint32(r>>classBits)
	if n == inLarge {
		a.large[i] = nil
		a.unused = append(a.unused, i)
		return
	}
	clear(a.at(r)) // a record that was deleted is not to be found in a memory dump
	a.classes[n].give(i, slotSize(n))
}

// take finds a free slot.
func (c *class) take(size int) uint32 {
	per := uint32(slabSize / size)
	if len(c.open) == 0 {
		c.grow(int(per) * size)
	}
	n := c.open[len(c.open)-1]
	s := &c.slabs[n]
	slot := uint32(s.cut)
	if s.free != 0 {
		slot = uint32(s.free - 1)
		s.free = binary.LittleEndian.Uint16(s.data[int(slot)*size:])
	} else {
		s.cut++
	}
	s.live++
	if uint32(s.live) == per {
		c.close(n)
	}
	return n*per + slot
}

// give takes a slot back.
func (c *class) give(i uint32, size int) {
	per := uint32(slabSize / size)
	n, slot := i/per, i%per
	s := &c.slabs[n]
	if uint32(s.live) == per {
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
	binary.LittleEndian.PutUint16(s.data[int(slot)*size:], s.free)
	s.free = uint16(slot + 1)
}

// grow adds an empty slab.
func (c *class) grow(size int) {
	n := uint32(len(c.slabs))
	if last := len(c.absent) - 1; last >= 0 {
		n = c.absent[last]
		c.absent = c.absent[:last]
	} else {
		c.slabs = append(c.slabs, slab{})
	}
	c.slabs[n] = slab{data: make([]byte, size), open: uint32(len(c.open))}
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
