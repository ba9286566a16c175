package integration

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// TestALockThatTakesTooLongIsTriedAgain holds a row, or the file, until the
// driver has reported that the store's statement did not get it. A statement
// waits for a second, so that the lock is gone before the last try has given up,
// on a busy machine too.
func TestALockThatTakesTooLongIsTriedAgain(t *testing.T) {
	kinds := []dbtest.Kind{
		with(dbtest.Postgres, "lock", "lock_timeout=1s"),
		with(dbtest.MySQL, "lock", "innodb_lock_wait_timeout=1"),
		dbtest.FileWith("sqlite-file lock", "_pragma=busy_timeout(1000)&_pragma=journal_mode(WAL)"),
		dbtest.FileWith("sqlite-file lock without WAL", "_pragma=busy_timeout(1000)"),
	}
	dbtest.Each(t, kinds, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		db, recorder := d.Recorded(t)
		s := d.Handle(t, db)
		require.NoError(t, s.CreateToken(t.Context(), store.Token{ID: "t", ClientID: "c", Subject: "s"}))
		recorder.Take()

		tx, err := d.DB.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer tx.Rollback()
		_, err = tx.ExecContext(t.Context(), "UPDATE "+d.Table("tokens")+" SET version = version")
		require.NoError(t, err)
		revoked := make(chan error, 1)
		go func() {
			n, err := s.RevokeTokens(t.Context(), store.TokenQuery{Subject: "s"}, now, now)
			assert.Equal(t, 1, n)
			revoked <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		require.NoError(t, recorder.Failed(ctx), "no statement failed: the test tests nothing")
		require.NoError(t, tx.Rollback())
		require.NoError(t, <-revoked)
		token, err := d.Store.Token(t.Context(), "t")
		require.NoError(t, err)
		assert.Equal(t, int64(2), token.Version)
	})
}

// TestADeadlockIsTriedAgain lets the store wait for a transaction that then
// waits for what the store has locked. PostgreSQL ends the one that finds the
// deadlock after it has waited for deadlock_timeout: the store, if by then the
// transaction waits too.
func TestADeadlockIsTriedAgain(t *testing.T) {
	for _, k := range []dbtest.Kind{with(dbtest.Postgres, "deadlock", "deadlock_timeout=5s"), dbtest.MySQL} {
		t.Run(k.Name, func(t *testing.T) {
			d := k.Open(t)
			db, recorder := d.Recorded(t)
			s := d.Handle(t, db)
			ctx := t.Context()
			for _, id := range []string{"a", "b"} {
				require.NoError(t, s.CreateToken(ctx, store.Token{ID: id, ClientID: "c", Subject: "s"}))
			}
			for _, id := range []string{"x", "y", "z", "w"} { // more work undone makes MySQL choose the other as victim
				require.NoError(t, s.CreateToken(ctx, store.Token{ID: id, ClientID: "other", Subject: "other"}))
			}
			recorder.Take()
			// READ COMMITTED: it locks the rows that it names and no others.
			tx, err := d.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
			require.NoError(t, err)
			defer tx.Rollback()
			touch := func(where string) error {
				_, err := tx.ExecContext(ctx, "UPDATE "+d.Table("tokens")+" SET version = version + 1 WHERE "+where)
				return err
			}
			require.NoError(t, touch("client_id = 'other'"))
			require.NoError(t, touch("id = 'b'"))
			revoked := make(chan error, 1)
			go func() {
				_, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, now, now)
				revoked <- err
			}()
			waitForALock(t, d)
			require.NoError(t, touch("id = 'a'"))
			require.NoError(t, tx.Commit())
			require.NoError(t, <-revoked)
			ran, _ := recorder.Take()
			require.Greater(t, len(ran), 1, "there was no deadlock: the test tests nothing")
			assert.Error(t, ran[0].Err)
			left, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, now, now)
			require.NoError(t, err)
			assert.Zero(t, left)
		})
	}
}

// TestDeleteExpiredPassesOverLockedRowsAndComesBackForThem: those that are free
// go at once; those that are not, when they are, so that a call that deletes
// fewer than its limit has left none.
func TestDeleteExpiredPassesOverLockedRowsAndComesBackForThem(t *testing.T) {
	for _, k := range []dbtest.Kind{dbtest.Postgres, dbtest.MySQL} {
		t.Run(k.Name, func(t *testing.T) {
			d := k.Open(t)
			ctx := t.Context()
			for _, id := range []string{"held", "free"} {
				require.NoError(t, d.Store.CreateToken(ctx, store.Token{ID: id, ClientID: "c", PurgeAt: now}))
			}
			tx, err := d.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
			require.NoError(t, err)
			defer tx.Rollback()
			_, err = tx.ExecContext(ctx, "UPDATE "+d.Table("tokens")+" SET version = version + 1 WHERE id = 'held'")
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() {
				deleted, err := d.Store.DeleteExpired(ctx, now, 10)
				assert.Equal(t, store.Deleted{Tokens: 2}, deleted)
				done <- err
			}()
			waitForALock(t, d)
			_, err = d.Store.Token(ctx, "free")
			assert.ErrorIs(t, err, store.ErrNotFound)
			require.NoError(t, tx.Rollback())
			require.NoError(t, <-done)
			_, err = d.Store.Token(ctx, "held")
			assert.ErrorIs(t, err, store.ErrNotFound)
		})
	}
}

// waitForALock returns once a statement on the table of tokens waits.
func waitForALock(t *testing.T, d *dbtest.Database) {
	t.Helper()
	query := "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%" + d.Options.Prefix + "tokens%'"
	if d.Dialect == sqlstore.Postgres {
		query = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%" + d.Options.Schema + "%'"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := 0; n == 0; {
		// InnoDB's tables are a cache that is not renewed while it is being read.
		time.Sleep(150 * time.Millisecond)
		require.NoError(t, d.DB.QueryRowContext(ctx, query).Scan(&n))
	}
}
