package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
)

// TestTenThousandRefreshesOfOneAuthorizationLeaveOneRow refreshes over ten days,
// so that the time after which the record may be deleted moves each time.
func TestTenThousandRefreshesOfOneAuthorizationLeaveOneRow(t *testing.T) {
	d := dbtest.OwnPostgres("synchronous_commit=off").Open(t) // for speed; it changes no table
	alone(t, d)
	ctx := t.Context()
	id := refreshable("bloat")
	require.NoError(t, d.Store.CreateToken(ctx, id))
	refresh := func(times int) {
		for range times {
			require.NoError(t, refreshOnce(ctx, d.Store, id.ID))
		}
	}
	size := func() (bytes int64) {
		d.Exec(t, "VACUUM "+d.Table("tokens"))
		require.NoError(t, d.DB.QueryRowContext(ctx, "SELECT pg_total_relation_size('"+d.Table("tokens")+"')").Scan(&bytes))
		return bytes
	}
	refresh(1)
	one := size()
	refresh(9999)
	many := size()
	var rows int
	require.NoError(t, d.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+d.Table("tokens")).Scan(&rows))
	t.Logf("%d bytes after one refresh, %d after 10,000", one, many)
	assert.Equal(t, 1, rows)
	assert.LessOrEqual(t, many, 2*one)
}

// TestARefreshChangesNoIndex is about HOT updates: all of a day's refreshes of
// one authorization but the first.
func TestARefreshChangesNoIndex(t *testing.T) {
	d := dbtest.OwnPostgres("synchronous_commit=off").Open(t)
	alone(t, d)
	ctx := t.Context()
	require.NoError(t, d.Store.CreateToken(ctx, refreshable("hot")))
	var updates, hot int
	d.DB.SetMaxOpenConns(1) // whose statistics are complete when the transaction that asks is
	for range 50 {
		require.NoError(t, refreshOnce(ctx, d.Store, "hot"))
	}
	d.Exec(t, "SELECT pg_stat_force_next_flush()")
	query := "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = '" + d.Table("tokens") + "'::regclass"
	require.NoError(t, d.DB.QueryRowContext(ctx, query).Scan(&updates, &hot))
	assert.Equal(t, 50, updates)
	assert.GreaterOrEqual(t, hot, 49, "a refresh wrote to the indexes")
}

// alone keeps autovacuum away, whose ANALYZE holds a snapshot: on a busy machine
// for long, and old rows stay as long as that.
func alone(t *testing.T, d *dbtest.Database) {
	t.Helper()
	d.Exec(t, "ALTER TABLE "+d.Table("tokens")+" SET (autovacuum_enabled = false)")
}
