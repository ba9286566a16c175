package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func TestMemoryKeepsThePromises(t *testing.T) {
	storetest.Run(t, func(*testing.T) (a, b store.Store) {
		m := store.NewMemory()
		return m, m
	})
}

func ExampleNewMemory() {
	ctx := context.Background()
	var s store.Store = store.NewMemory()

	code := store.Code{Kind: "invitation", Key: "digest of what was sent", Data: []byte("for Ada")}
	fmt.Println(s.CreateCode(ctx, code))

	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	used, err := s.ConsumeCode(ctx, "invitation", "digest of what was sent", now)
	fmt.Println(string(used.Data), err)
	_, err = s.ConsumeCode(ctx, "invitation", "digest of what was sent", now)
	fmt.Println(err)
	// Output:
	// <nil>
	// for Ada <nil>
	// store: the code was used before
}
