package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
)

// rows counts what is in the tables, or what Redis has keys for.
func rows(t *testing.T, d *dbtest.Database) (n int) {
	t.Helper()
	for _, name := range []string{"clients", "codes", "tokens", "consents"} {
		var of int
		require.NoError(t, d.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+d.Table(name)).Scan(&of))
		n += of
	}
	return n
}

// TestRefreshesThroughTheProviderLeaveTheRowsAsTheyAre counts all that there is,
// so that a provider that kept something of each refresh would be seen: 10,000 on
// a database in memory, and on those that wait for a disk what takes as long.
func TestRefreshesThroughTheProviderLeaveTheRowsAsTheyAre(t *testing.T) {
	refreshes := func(t *testing.T, s *site, times int, count func() int) {
		_, token := s.tokens(s.exchange("trusted", s.code(s.authorize("trusted", "read"))))
		before := count()
		for range times {
			w := s.visit(http.MethodPost, "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"trusted"}, "refresh_token": {token}})
			_, token = s.tokens(w)
			s.take()
		}
		assert.Equal(t, before, count())
	}
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		t.Parallel()
		d := k.Open(t)
		times := 1000
		if k.Name == dbtest.Memory.Name {
			times = 10_000
		}
		s := newSite(t, d.Store, func() []string { return nil })
		refreshes(t, s, times, func() int { return rows(t, d) })
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		client, commands := dbtest.StartRedis(t).Client(t)
		db, err := redisstore.New(t.Context(), client, redisstore.Options{})
		require.NoError(t, err)
		keys := func() int {
			n, err := client.DBSize(t.Context()).Result()
			require.NoError(t, err)
			return int(n)
		}
		refreshes(t, newSite(t, db, commands.Take), 1000, keys)
	})
}

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
