package redisstore_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// A code and a token are, for the checker, the same thing: a register with a
// version that can be brought to an end once, by consuming or revoking it.

type action int

const (
	doCreate action = iota
	doRead
	doUpdate
	doEnd    // consume a code, revoke a token by its ID
	doEndAll // revoke a token among all of its subject's; says nothing about this one
)

// input is what was asked: of an update the version it is for, of a create or
// update the value to store, of an end the time.
type input struct {
	key     string
	action  action
	version int64
	value   string
	at      int64
}

// output is what was answered. err is an answer of the contract, or nil. An
// unknown output is that of a call that failed: it may have been done.
type output struct {
	err     error
	state   register // of a read, and of consuming a code
	marked  bool     // of revoking by ID: whether it was this call
	unknown bool
}

type register struct {
	exists  bool
	version int64
	value   string
	endedAt int64 // microseconds after epoch, from 1; 0: not ended
}

// isCode says whether a key is a code's; every other is a token's.
func isCode(key string) bool { return key[0] == 'c' }

func ended(key string) error {
	if isCode(key) {
		return store.ErrConsumed
	}
	return store.ErrRevoked
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(input).key
			byKey[key] = append(byKey[key], op)
		}
		var all [][]porcupine.Operation
		for _, ops := range byKey {
			all = append(all, ops)
		}
		return all
	},
	Init: func() any { return register{} },
	Step: func(state, in, out any) (bool, any) {
		return step(state.(register), in.(input), out.(output))
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// step is the contract: whether this answer is right in this state, and the
// state after it. A call of unknown outcome that was not done is one that takes
// effect after everything else, so it needs no case of its own.
func step(s register, in input, out output) (bool, register) {
	want := output{unknown: out.unknown}
	next := s
	switch in.action {
	case doCreate:
		if s.exists {
			want.err = store.ErrExists
			break
		}
		next = register{exists: true, version: 1, value: in.value}
	case doRead:
		if !s.exists {
			want.err = store.ErrNotFound
			break
		}
		want.state = s
	case doUpdate:
		switch {
		case !s.exists:
			want.err = store.ErrNotFound
		case s.endedAt != 0:
			want.err = ended(in.key)
		case s.version != in.version:
			want.err = store.ErrConflict
		default:
			next.version, next.value = s.version+1, in.value
		}
	case doEnd, doEndAll:
		next, want = end(s, in, want)
	}
	return out.unknown || out == want, next
}

func end(s register, in input, want output) (register, output) {
	next := s
	if s.exists && s.endedAt == 0 {
		next.version, next.endedAt = s.version+1, in.at
	}
	switch {
	case in.action == doEndAll:
		// Its answer is about all records together.
	case isCode(in.key) && !s.exists:
		want.err = store.ErrNotFound
	case isCode(in.key):
		want.state = next
		if s.endedAt != 0 {
			want.err = store.ErrConsumed
		}
	default:
		want.marked = next != s
	}
	return next, want
}

// history collects what several goroutines saw.
type history struct {
	mu      sync.Mutex
	started time.Time
	ops     []porcupine.Operation
}

func newHistory() *history { return &history{started: time.Now()} }

// record makes a call and writes down what was asked and answered, for each of
// several inputs if one call concerns several records.
func (h *history) record(worker int, call func() output, ins ...input) output {
	begin := time.Since(h.started).Nanoseconds()
	out := call()
	finish := time.Since(h.started).Nanoseconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	if out.unknown {
		finish = 1 << 62
	}
	for _, in := range ins {
		h.ops = append(h.ops, porcupine.Operation{ClientId: worker, Input: in, Output: out, Call: begin, Return: finish})
	}
	return out
}

// unknown is how many calls failed.
func (h *history) unknown() int {
	n := 0
	for _, op := range h.ops {
		if op.Output.(output).unknown {
			n++
		}
	}
	return n
}

func (h *history) linearizable() bool {
	return porcupine.CheckOperationsTimeout(model, h.ops, 2*time.Minute) == porcupine.Ok
}

func (h *history) check(t *testing.T) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(model, h.ops, 2*time.Minute)
	if result != porcupine.Ok {
		file, err := os.CreateTemp("", "history-*.html")
		require.NoError(t, err)
		defer file.Close()
		require.NoError(t, porcupine.Visualize(model, info, file))
		t.Fatalf("the history of %d operations is not linearizable (%s): see %s", len(h.ops), result, file.Name())
	}
}

// The checker has to see what it is there for.
func TestModelRefusesWhatMustNotBe(t *testing.T) {
	const key = "c1"
	created := porcupine.Operation{Input: input{key: key, action: doCreate, value: "v"}, Output: output{}, Call: 0, Return: 1}
	used := func(at, call, ret int64, out output) porcupine.Operation {
		return porcupine.Operation{Input: input{key: key, action: doEnd, at: at}, Output: out, Call: call, Return: ret}
	}
	won := func(at int64) output {
		return output{state: register{exists: true, version: 2, value: "v", endedAt: at}}
	}
	lost := output{state: won(5).state, err: store.ErrConsumed}
	read := func(key string, call int64, r register) porcupine.Operation {
		return porcupine.Operation{Input: input{key: key, action: doRead}, Output: output{state: r}, Call: call, Return: call + 1}
	}
	tests := []struct {
		name string
		ops  []porcupine.Operation
		want bool
	}{
		{"one wins", []porcupine.Operation{created, used(5, 2, 9, won(5)), used(6, 3, 8, lost)}, true},
		{"two win", []porcupine.Operation{created, used(5, 2, 9, won(5)), used(6, 3, 8, won(6))}, false},
		{"nobody wins", []porcupine.Operation{created, used(6, 3, 8, lost)}, false},
		{"a lost use", []porcupine.Operation{created, used(5, 2, 3, won(5)), read(key, 5, register{true, 1, "v", 0})}, false},
		{"an unknown use that was done", []porcupine.Operation{created, used(5, 2, 1<<62, output{unknown: true}), used(6, 3, 8, lost)}, true},
		{"an unknown use that was not", []porcupine.Operation{created, used(5, 2, 1<<62, output{unknown: true}), used(6, 3, 8, won(6))}, true},
		{"unknown is no excuse twice", []porcupine.Operation{created, used(5, 2, 1<<62, output{unknown: true}),
			used(6, 3, 8, won(6)), read(key, 9, register{true, 1, "v", 0})}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, porcupine.CheckOperations(model, tt.ops))
		})
	}
}
