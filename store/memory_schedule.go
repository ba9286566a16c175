package store

// A schedule is a heap of records by when they may be deleted. It is lazy: when
// a record's time moves back, which every refresh does, nothing is done; the
// time in the heap is then too early, and is put right when it comes. It is
// never too late.
type schedule struct {
	times   []int64
	records []uint32
	places  []uint32 // of each record, its place in the heap plus 1; 0: it is not in it
}

// put makes sure that the record comes up at the time given, or earlier.
func (s *schedule) put(n uint32, at int64) {
	for int(n) >= len(s.places) {
		s.places = append(s.places, 0)
	}
	if p := s.places[n]; p == 0 {
		s.times, s.records = append(s.times, at), append(s.records, n)
		s.places[n] = uint32(len(s.times))
		s.up(len(s.times) - 1)
	} else if i := int(p - 1); at < s.times[i] {
		s.times[i] = at
		s.up(i)
	}
}

// first returns the record that comes up first.
func (s *schedule) first() (n uint32, at int64, ok bool) {
	if len(s.times) == 0 {
		return 0, 0, false
	}
	return s.records[0], s.times[0], true
}

// postpone sets the time of the record that comes up first.
func (s *schedule) postpone(at int64) {
	s.times[0] = at
	s.down(0)
}

// drop takes the record out, if it is in.
func (s *schedule) drop(n uint32) {
	if int(n) >= len(s.places) || s.places[n] == 0 {
		return
	}
	i, last := int(s.places[n]-1), len(s.times)-1
	s.places[n] = 0
	if i != last {
		s.move(i, s.times[last], s.records[last])
	}
	s.times, s.records = s.times[:last], s.records[:last]
	if i != last {
		s.up(i)
		s.down(i)
	}
}

func (s *schedule) move(i int, at int64, n uint32) {
	s.times[i], s.records[i] = at, n
	s.places[n] = uint32(i + 1)
}

func (s *schedule) swap(i, j int) {
	at, n := s.times[i], s.records[i]
	s.move(i, s.times[j], s.records[j])
	s.move(j, at, n)
}

func (s *schedule) up(i int) {
	for i > 0 && s.times[i] < s.times[(i-1)/2] {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (s *schedule) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.times); child++ {
			if s.times[child] < s.times[least] {
				least = child
			}
		}
		if least == i {
			return
		}
		s.swap(i, least)
		i = least
	}
}
