// Package storetest tests whether a store keeps the promises of package store.
//
// A store's own test is one call:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) (a, b store.Store) {
//			db := emptyDatabase(t)
//			return mystore.New(db), mystore.New(db)
//		})
//	}
//
// Every case gets two handles on the same, empty data, as two processes would
// have them. Give it two connections to the real thing: a suite that runs
// against a stand-in says nothing about the database behind it. If both
// handles can only be one value, return it twice.
//
// Each case is named by the sentence of package store that it checks, so that
// the name of a failing case says which promise was not kept. Cases that race
// many goroutines give a store that checks first and acts later a chance to
// fail, but cannot force it: passing is evidence, not proof. Whether
// DeleteExpired works in short steps is not tested at all, because that would
// take a clock.
//
// A store whose clients cannot be changed, and which says so by returning
// errors.ErrUnsupported from CreateClient, is spared the cases that change
// clients.
//
// The package imports nothing but the standard library and package store.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/seed-e797c9ce/oauth/store"
)

// A testCase is one promise.
type testCase struct {
	name        string // the promise, as a sentence
	explanation string // where package store makes it, and what to look at if it fails
	clients     bool   // the case needs to create clients
	f           func(ctx context.Context, a, b store.Store) error
}

// Run runs every case as a subtest of t. It calls open once per case; open
// returns two handles on the same, empty data, fails t if it cannot, and frees
// what it opened in t.Cleanup. The cases run one after the other.
func Run(t *testing.T, open func(t *testing.T) (a, b store.Store)) {
	t.Helper()
	fixed := false
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			if c.clients && fixed {
				t.Skip("the store's clients cannot be changed")
			}
			a, b := open(t)
			err := c.f(t.Context(), a, b)
			if c.clients && fixedClients(t.Context(), a) {
				fixed = true
				t.Skip("the store's clients cannot be changed")
			}
			if err != nil {
				t.Errorf("%v\n%s", err, c.explanation)
			}
		})
	}
}

// Test is Run outside a test: for a command that checks a store where it is
// installed, say. It returns all failures, joined; errors.As finds a [*Failure]
// in each. It stops early only if ctx ends or open fails, and says so. The
// function open is called once per case and returns two handles on the same,
// empty data; whatever is to be closed or removed after the case, open does at
// its next call, and the caller after the last.
func Test(ctx context.Context, open func() (a, b store.Store, err error)) error {
	var errs []error
	fixed := false
	for _, c := range cases() {
		if c.clients && fixed {
			continue
		}
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		a, b, err := open()
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("storetest: open: %w", err))...)
		}
		err = c.f(ctx, a, b)
		if c.clients && fixedClients(ctx, a) {
			fixed = true
			continue
		}
		if err != nil {
			errs = append(errs, &Failure{Name: c.name, Explanation: c.explanation, Err: err})
		}
	}
	return errors.Join(errs...)
}

// Failure is a case that failed.
type Failure struct {
	Name        string // the promise that was not kept
	Explanation string // more about it
	Err         error  // what was seen; several, joined
}

// Error says which promise was not kept and what was seen.
func (f *Failure) Error() string {
	return fmt.Sprintf("storetest: %s: %v (%s)", f.Name, f.Err, f.Explanation)
}

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// fixedClients reports whether the store says that its clients cannot be
// changed.
func fixedClients(ctx context.Context, s store.Store) bool {
	return errors.Is(s.CreateClient(ctx, store.Client{ID: "storetest-probe"}), errors.ErrUnsupported)
}

func cases() []testCase {
	return slices.Concat(
		ruleCases, recordCases, keyCases, listCases,
		clientCases, codeCases, tokenCases, revocationCases, consentCases, cleanupCases, raceCases,
	)
}
