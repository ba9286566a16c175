package integration

import (
	"testing"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func TestSQLStoreKeepsThePromisesOfAStore(t *testing.T) {
	// SQLite in both ways of beginning a transaction.
	kinds := []dbtest.Kind{dbtest.Postgres, dbtest.MySQL, dbtest.File, with(dbtest.Memory, "immediate", "_txlock=immediate")}
	dbtest.Each(t, kinds, func(t *testing.T, k dbtest.Kind) {
		t.Parallel()
		d := k.Open(t)
		storetest.Run(t, func(t *testing.T) (a, b store.Store) { return d.Pair(t) })
	})
}
