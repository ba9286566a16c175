package storetest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

// A store's test is a call of Run. In a file of your own it is named
// TestStore, and t is its argument.
func ExampleRun() {
	TestStore := func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) (a, b store.Store) {
			s := store.NewMemory() // two connections to an empty database of yours
			return s, s
		})
	}
	_ = TestStore
}

// Outside a test, for a command that checks a store where it is installed.
func ExampleTest() {
	err := storetest.Test(context.Background(), func() (a, b store.Store, err error) {
		s := store.NewMemory()
		return s, s, nil
	})
	fmt.Println(err)
	// Output: <nil>
}
