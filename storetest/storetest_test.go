package storetest_test

import (
	"testing"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func TestMemoryKeepsEveryPromise(t *testing.T) {
	storetest.Run(t, func(*testing.T) (a, b store.Store) {
		m := store.NewMemory()
		return m, m
	})
}
