package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-e797c9ce/oauth/store"
)

func wrongStores() []wrongStore {
	return slices.Concat(wrongRules, wrongKeys, wrongLists, wrongClients, wrongCodes, wrongTokens, wrongConsents, wrongCleanups, wrongRaces)
}

func TestEveryWrongStoreIsCaught(t *testing.T) {
	for _, w := range wrongStores() {
		t.Run(w.does, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(cases(), func(c testCase) bool { return c.name == w.caught })
			if i < 0 {
				t.Fatalf("there is no case %q", w.caught)
			}
			a, b := w.open(store.NewMemory())
			if err := cases()[i].f(t.Context(), a, b); err == nil {
				t.Errorf("a store that %s is not caught by the case %q", w.does, w.caught)
			} else {
				t.Log(err)
			}
		})
	}
}

func TestEveryCaseCanFail(t *testing.T) {
	caught := map[string]bool{}
	for _, w := range wrongStores() {
		caught[w.caught] = true
	}
	for _, c := range cases() {
		if !caught[c.name] {
			t.Errorf("no wrong store is caught by the case %q", c.name)
		}
	}
}

func TestTestReturnsTheCasesThatFailed(t *testing.T) {
	w := wrongTokens[2]
	err := Test(t.Context(), func() (a, b store.Store, err error) {
		a, b = w.open(store.NewMemory())
		return a, b, nil
	})
	var f *Failure
	if !errors.As(err, &f) || f.Err == nil || f.Explanation == "" {
		t.Fatalf("Test returned %v, want a Failure", err)
	}
	if text := f.Error(); !strings.Contains(text, f.Name) || !strings.Contains(text, f.Err.Error()) {
		t.Errorf("the Failure reads %q", text)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return errors.As(err, &f) && f.Name == w.caught }) {
		t.Errorf("Test returned %v, want the case %q in it", err, w.caught)
	}
}

func TestTestStopsIfOpenFailsOrTheContextEnds(t *testing.T) {
	down := errors.New("the database is down")
	err := Test(t.Context(), func() (a, b store.Store, err error) { return nil, nil, down })
	if !errors.Is(err, down) {
		t.Errorf("Test returned %v, want %v", err, down)
	}
	ctx, cancel := context.WithCancel(t.Context())
	opened := 0
	err = Test(ctx, func() (a, b store.Store, err error) {
		if opened++; opened == 3 {
			cancel()
		}
		m := store.NewMemory()
		return m, m, nil
	})
	if !errors.Is(err, context.Canceled) || opened > 3 {
		t.Errorf("Test returned %v after %d cases, want %v after 3", err, opened, context.Canceled)
	}
}

// A store may take its clients from where they cannot be changed.
func TestClientsThatCannotBeChangedAreSpared(t *testing.T) {
	fixed := func() (a, b store.Store) {
		w := wrong{Memory: store.NewMemory(),
			createClient: func(context.Context, store.Client) error { return errors.ErrUnsupported },
			updateClient: func(context.Context, store.Client) error { return errors.ErrUnsupported },
			deleteClient: func(context.Context, string) error { return errors.ErrUnsupported },
		}
		return w, w
	}
	Run(t, func(*testing.T) (a, b store.Store) { return fixed() })
	if err := Test(t.Context(), func() (a, b store.Store, err error) { a, b = fixed(); return a, b, nil }); err != nil {
		t.Error(err)
	}
}
