package main

import (
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An operation is one kind of request, with the least that it could cost.
type operation struct {
	name   string
	target float64 // of ours, in floors; zero: there is none

	handler  http.Handler
	requests func(n int) batch
	status   int // of the right answer

	// floor makes a handler that gives the same answer, which it is told.
	floor func(right answer) http.Handler
	// floorRequests are for a floor that is a request of another kind; nil: it
	// gets the same.
	floorRequests func(n int) batch
}

// A batch is requests that were not made before.
type batch struct {
	requests []*http.Request
	done     func(answers []answer) // if not nil, sees what was answered, for the requests to come
}

// answer is a http.ResponseWriter that costs next to nothing and keeps what it
// was given.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.body = append(a.body, b...)
	return len(b), nil
}

// A hand makes requests, and writes their answers where the ones before stood, so
// that the measuring itself leaves little to the garbage collector.
type hand struct{ answers []answer }

// ready returns n empty answers.
func (m *hand) ready(n int) []answer {
	for len(m.answers) < n {
		m.answers = append(m.answers, answer{header: make(http.Header, 8), body: make([]byte, 0, 2048)})
	}
	for i := range m.answers[:n] {
		a := &m.answers[i]
		clear(a.header)
		a.status, a.body = 0, a.body[:0]
	}
	return m.answers[:n]
}

// serve makes the requests and returns the processor time that one took. The
// answers hold until the next call.
func (m *hand) serve(h http.Handler, b batch, status int) (each time.Duration, answers []answer) {
	answers = m.ready(len(b.requests))
	began := cpuTime()
	for i, r := range b.requests {
		h.ServeHTTP(&answers[i], r)
	}
	took := cpuTime() - began
	for i := range answers {
		if answers[i].status != status {
			panic("wrong answer: " + string(answers[i].body))
		}
	}
	return took / time.Duration(len(answers)), answers
}

// run makes n requests of an operation.
func (m *hand) run(o *operation, n int) time.Duration {
	b := o.requests(n)
	each, answers := m.serve(o.handler, b, o.status)
	b.finish(answers)
	return each
}

// right is what an operation answers.
func (m *hand) right(o *operation) answer {
	b := o.requests(1)
	_, answers := m.serve(o.handler, b, o.status)
	b.finish(answers)
	m.answers = nil // it is kept
	return answers[0]
}

func (b batch) finish(answers []answer) {
	if b.done != nil {
		b.done(answers)
	}
}

// result is a line of the table.
type result struct {
	name          string
	ours, floor   time.Duration // medians
	ratio         float64       // the median of the ratios of one after the other
	target        float64
	allocs        float64
	allocsOfFloor float64
}

// compare measures an operation and its floor in turns, so that whatever else
// the machine does meets both.
func compare(o *operation, rounds, n int) result {
	var m hand
	floor, floorRequests := o.floor(m.right(o)), o.floorRequests
	if floorRequests == nil {
		floorRequests = o.requests
	}
	var ours, floors []time.Duration
	var ratios []float64
	for range rounds {
		a := m.run(o, n)
		b, _ := m.serve(floor, floorRequests(n), o.status)
		ours, floors, ratios = append(ours, a), append(floors, b), append(ratios, float64(a)/float64(b))
	}
	return result{
		name: o.name, target: o.target, ours: median(ours), floor: median(floors), ratio: median(ratios),
		allocs: m.allocs(o), allocsOfFloor: m.allocsOf(floor, floorRequests(sampled+1)),
	}
}

// sampled is how many requests allocations are counted of.
const sampled = 100

// allocs returns how often a request of the operation allocates, without what
// the server and the network do.
func (m *hand) allocs(o *operation) float64 {
	b := o.requests(sampled + 1) // testing.AllocsPerRun runs once more than it is told
	n := m.allocsOf(o.handler, b)
	b.finish(m.answers[:sampled+1])
	return n
}

func (m *hand) allocsOf(h http.Handler, b batch) float64 {
	answers, i := m.ready(len(b.requests)), 0
	return testing.AllocsPerRun(len(b.requests)-1, func() {
		h.ServeHTTP(&answers[i], b.requests[i])
		i++
	})
}

// scaling is how many times the requests of one core two cores make, of an
// operation and of its floor. A core works for about so long at a time: what
// happens once in a while, such as a garbage collection, happens to all.
func scaling(o *operation, rounds int, long time.Duration) (ours, floors float64) {
	var m hand
	n := max(int(long/m.run(o, 100)), 1)
	requests := o.floorRequests
	if requests == nil {
		requests = o.requests
	}
	bottom := operation{handler: o.floor(m.right(o)), status: o.status, requests: func(n int) batch {
		return batch{requests: requests(n).requests} // what a floor answers is not for done
	}}
	ratio := func(o *operation) float64 {
		one := throughput(o, 1, n)
		return throughput(o, 2, n) / one
	}
	var a, b []float64
	for range rounds {
		a, b = append(a, ratio(o)), append(b, ratio(&bottom))
	}
	return median(a), median(b)
}

// throughput is in requests per nanosecond. All cores begin at once: how long it
// takes to wake one up is not a request's.
func throughput(o *operation, cores, n int) float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	batches, answers := make([]batch, cores), make([][]answer, cores)
	hands := make([]hand, cores)
	for i := range batches {
		batches[i] = o.requests(n)
		hands[i].ready(n)
	}
	runtime.GC()
	var awake atomic.Int32
	began := make([]time.Time, cores)
	var wg sync.WaitGroup
	for i := range batches {
		wg.Go(func() {
			for awake.Add(1); int(awake.Load()) < cores; {
			}
			began[i] = time.Now()
			_, answers[i] = hands[i].serve(o.handler, batches[i], o.status)
		})
	}
	wg.Wait()
	took := time.Since(slices.MinFunc(began, time.Time.Compare))
	for i := range batches {
		batches[i].finish(answers[i])
	}
	return float64(cores*n) / float64(took)
}

func median[T int | float64 | time.Duration](list []T) T {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
