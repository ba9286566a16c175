package integration

import (
	"testing"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func TestSQLStoreKeepsThePromisesOfAStore(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		storetest.Run(t, func(t *testing.T) (a, b store.Store) { return d.Pair(t) })
	})
}
