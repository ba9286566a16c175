package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// BenchmarkRequests is for profiles; the table compares.
func BenchmarkRequests(b *testing.B) {
	for _, o := range newBench().operations() {
		b.Run(o.name, func(b *testing.B) {
			const n = 200
			var m hand
			b.ReportAllocs()
			for done := 0; done < b.N; done += n {
				b.StopTimer()
				requests := o.requests(n)
				b.StartTimer()
				_, answers := m.serve(o.handler, requests, o.status)
				b.StopTimer()
				requests.finish(answers)
				b.StartTimer()
			}
		})
	}
}

// allowed is how often a request of each operation may allocate: some more than
// it does, so that another version of Go can pass. Time depends on the machine,
// this does not. Raise a number only with a reason.
var allowed = map[string]float64{
	"authorize":                          70,
	"exchange":                           136,
	"refresh":                            124,
	"client_credentials":                 103,
	"client_credentials, over no secret": 103,
	"revoke":                             22,
	"introspect, seen before":            34,
	"introspect, first time":             91,
	"bearer, seen before":                15,
	"bearer, first time":                 73,
	"bearer by JWKS, seen before":        8,
	"bearer by JWKS, first time":         64,
	"metadata":                           9,
	"JWKS":                               9,
}

func TestRequestsAllocateNoMoreThanAllowed(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	var m hand
	for _, o := range newBench().operations() {
		if o.target == 0 {
			continue // another floor of an operation that is there
		}
		t.Run(o.name, func(t *testing.T) {
			require.Contains(t, allowed, o.name)
			n := m.allocs(&o)
			assert.LessOrEqual(t, n, allowed[o.name])
			assert.Greater(t, n, allowed[o.name]/2, "the number can be lower")
		})
	}
}

// Each operation and its floor give the answer that they should; else the table
// would compare errors.
func TestOperationsAndFloorsAnswer(t *testing.T) {
	for _, o := range newBench().operations() {
		t.Run(o.name, func(t *testing.T) {
			r := compare(&o, 1, 2)
			assert.Positive(t, r.allocs)
			assert.Positive(t, throughput(&o, 2, 2))
		})
	}
}
