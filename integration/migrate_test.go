package integration

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

func TestMigrateIsSafeWhenSeveralInstancesStartAtOnce(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		for range 3 {
			d := k.Bare(t)
			errs := make([]error, 8)
			var wg sync.WaitGroup
			for i := range errs {
				s := d.Handle(t, d.Pool(t))
				wg.Go(func() {
					errs[i] = errors.Join(s.Migrate(t.Context()), s.CreateClient(t.Context(), store.Client{ID: string(rune('a' + i))}))
				})
			}
			wg.Wait()
			require.NoError(t, errors.Join(errs...))
			list, err := d.Store.ListClients(t.Context(), "", 100)
			require.NoError(t, err)
			assert.Len(t, list, len(errs))
			require.NoError(t, d.Store.Migrate(t.Context()), "again, with nothing to do")
			require.NoError(t, d.Store.Check(t.Context()))
		}
	})
}

func TestMigrateEndsWithItsContext(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		d := k.Bare(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, d.Store.Migrate(ctx), context.Canceled)
		require.NoError(t, d.Store.Migrate(t.Context()), "nothing is left locked")
	})
}

func TestMigrateFinishesWhatWasCutOff(t *testing.T) {
	d := dbtest.MySQL.Open(t)
	require.NoError(t, d.Store.CreateClient(t.Context(), store.Client{ID: "c"}))
	d.Exec(t, "DROP TABLE "+d.Table("consents"))
	d.Exec(t, "DELETE FROM "+d.Table("migrations"))
	require.ErrorContains(t, d.Store.Check(t.Context()), "consents")
	require.NoError(t, d.Store.Migrate(t.Context()))
	require.NoError(t, d.Store.Check(t.Context()))
	_, err := d.Store.Client(t.Context(), "c")
	require.NoError(t, err)
}

func TestMigrateLeavesTheTablesOfALaterVersion(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		d.Exec(t, "INSERT INTO "+d.Table("migrations")+" (version) VALUES (1000)")
		require.NoError(t, d.Store.Migrate(t.Context()))
	})
}

func TestMigrateNeedsNoRightsWhenThereIsNothingToDo(t *testing.T) {
	d := dbtest.Postgres.Open(t)
	role := d.Options.Schema + "_app"
	d.Exec(t, `CREATE ROLE `+role)
	t.Cleanup(func() { d.Pool(t).Exec(`DROP OWNED BY ` + role); d.Pool(t).Exec(`DROP ROLE ` + role) })
	d.Exec(t, `GRANT USAGE ON SCHEMA "`+d.Options.Schema+`" TO `+role)
	d.Exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "`+d.Options.Schema+`" TO `+role)
	db := d.Pool(t)
	db.SetMaxOpenConns(1)
	_, err := db.ExecContext(t.Context(), "SET ROLE "+role)
	require.NoError(t, err)
	s := d.Handle(t, db)
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.CreateClient(t.Context(), store.Client{ID: "c"}))
}

func TestMigrationsRunInAnotherToolMakeTheSameTables(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		d := k.Bare(t)
		all, err := d.Store.Migrations()
		require.NoError(t, err)
		for _, m := range all {
			c, err := d.DB.Conn(t.Context())
			require.NoError(t, err)
			for _, text := range splitSQL(m.SQL) {
				_, err := c.ExecContext(t.Context(), text)
				require.NoError(t, err, text)
			}
			require.NoError(t, c.Close())
		}
		require.NoError(t, d.Store.Check(t.Context()))
		require.NoError(t, d.Store.CreateClient(t.Context(), store.Client{ID: "c"}))
	})
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Run("no tables", func(t *testing.T) {
		dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
			assert.ErrorContains(t, k.Bare(t).Store.Check(t.Context()), "call Migrate")
		})
	})
	for _, c := range []struct {
		kind dbtest.Kind
		want string
	}{
		{with(dbtest.Postgres, "asynchronous", "synchronous_commit=off"), "synchronous_commit is off"},
		{with(dbtest.Postgres, "serializable", "default_transaction_isolation=serializable"), "default_transaction_isolation is serializable"},
		{with(dbtest.MySQL, "two character sets", "character_set_connection='latin1'"), "character_set_connection is latin1"},
		{dbtest.FileWith("no wal", "_pragma=busy_timeout(1000)&_pragma=synchronous(FULL)"), "journal_mode is delete"},
		{dbtest.FileWith("not synced", "_pragma=busy_timeout(1000)&_pragma=synchronous(NORMAL)&_pragma=journal_mode(WAL)"), "synchronous is 1"},
		{dbtest.FileWith("utf-16", "_pragma=encoding('UTF-16')&_pragma=busy_timeout(1000)&_pragma=synchronous(FULL)&_pragma=journal_mode(WAL)"), "encoding is UTF-16"},
		{dbtest.FileWith("impatient", "_pragma=synchronous(FULL)&_pragma=journal_mode(WAL)"), "busy_timeout is 0"},
	} {
		t.Run(c.kind.Name, func(t *testing.T) {
			assert.ErrorContains(t, c.kind.Open(t).Store.Check(t.Context()), c.want)
		})
	}
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		assert.NoError(t, k.Open(t).Store.Check(t.Context()))
	})
}

func TestMigrateInASchemaThatDoesNotExistFails(t *testing.T) {
	for _, k := range []dbtest.Kind{dbtest.Postgres, dbtest.MySQL} {
		d := k.Bare(t)
		s, err := sqlstore.New(d.DB, d.Dialect, sqlstore.Options{Schema: "there-is-none"})
		require.NoError(t, err)
		assert.Error(t, s.Migrate(t.Context()))
	}
}
