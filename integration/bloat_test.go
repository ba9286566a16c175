package integration

import (
	"cmp"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// TestRefreshesThroughTheProviderLeaveTheRowsAsTheyAre counts all that is kept, so
// that whatever a provider kept of each refresh would be seen. There are 10,000
// where each costs little, and with OAUTH_TEST_REFRESHES=10000 everywhere.
func TestRefreshesThroughTheProviderLeaveTheRowsAsTheyAre(t *testing.T) {
	some, err := strconv.Atoi(cmp.Or(os.Getenv("OAUTH_TEST_REFRESHES"), "1000"))
	require.NoError(t, err)
	refreshes := func(t *testing.T, s *site, times int, count func() int) {
		_, token := s.tokens(s.exchange("trusted", s.code(s.authorize("trusted", "read"))))
		before := count()
		for range times {
			_, token = s.tokens(s.visit(http.MethodPost, "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"trusted"}, "refresh_token": {token}}))
			s.take()
		}
		assert.Equal(t, before, count())
	}
	kinds := []dbtest.Kind{dbtest.OwnPostgres("synchronous_commit=off"), dbtest.MySQL, dbtest.Memory}
	dbtest.Each(t, kinds, func(t *testing.T, k dbtest.Kind) {
		t.Parallel()
		d := k.Open(t)
		times := some
		if k.Name == dbtest.Memory.Name {
			times = 10_000
		}
		refreshes(t, newSite(t, d.Store, func() []string { return nil }), times, func() (rows int) {
			for _, name := range []string{"clients", "codes", "tokens", "consents"} {
				var n int
				require.NoError(t, d.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+d.Table(name)).Scan(&n))
				rows += n
			}
			return rows
		})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		client, commands := dbtest.StartRedis(t).Client(t)
		db, err := redisstore.New(t.Context(), client, redisstore.Options{})
		require.NoError(t, err)
		refreshes(t, newSite(t, db, commands.Take), some, func() int {
			keys, err := client.DBSize(t.Context()).Result()
			require.NoError(t, err)
			return int(keys)
		})
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
