package storetest_test

import (
	"context"
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

func TestTestFindsNothingWrongWithMemory(t *testing.T) {
	err := storetest.Test(context.Background(), func() (a, b store.Store, err error) {
		m := store.NewMemory()
		return m, m, nil
	})
	if err != nil {
		t.Error(err)
	}
}
