package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
	"github.com/seed-e797c9ce/oauth/storetest"
)

// with returns the kind with settings added to its data source name.
func with(k dbtest.Kind, name, settings string) dbtest.Kind {
	dsn := k.DSN
	k.Name += " " + name
	k.DSN = func(t testing.TB) string {
		address := dsn(t)
		if strings.Contains(address, "?") {
			return address + "&" + settings
		}
		return address + "?" + settings
	}
	return k
}

// TestSQLStoreNeedsNoSettingOfTheConnection runs storetest over connections that
// are set in other ways than the usual one, each of which has broken a store.
// Several at once are as good: what one of them breaks, another does not mend.
func TestSQLStoreNeedsNoSettingOfTheConnection(t *testing.T) {
	kinds := []dbtest.Kind{
		with(dbtest.MySQL, "lax", "sql_mode=''&charset=latin1&loc=Asia%2FKolkata&parseTime=true&time_zone='%2B05:30'&tx_isolation='SERIALIZABLE'"),
		with(dbtest.MySQL, "strict", "sql_mode='ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES'&charset=utf8mb3&clientFoundRows=true&interpolateParams=true&tx_isolation='READ-UNCOMMITTED'"),
		with(dbtest.Postgres, "elsewhere", "TimeZone=Asia%2FKolkata&default_query_exec_mode=cache_describe"),
		with(dbtest.Postgres, "simple", "default_query_exec_mode=simple_protocol&DateStyle=German&search_path=pg_catalog"),
	}
	dbtest.Each(t, kinds, func(t *testing.T, k dbtest.Kind) {
		t.Parallel()
		d := k.Open(t)
		d.Options.Unprepared = strings.Contains(d.Address, "interpolateParams") || strings.Contains(d.Address, "simple_protocol")
		storetest.Run(t, func(t *testing.T) (a, b store.Store) { return d.Pair(t) })
	})
}

// TestSQLStoreWorksOnOneConnection is for SQLite in memory without a name, and
// for programs that have one connection to a file.
func TestSQLStoreWorksOnOneConnection(t *testing.T) {
	k := dbtest.Memory
	k.DSN = func(testing.TB) string { return ":memory:" }
	d := k.Bare(t)
	d.DB.SetMaxOpenConns(1)
	require.NoError(t, d.Store.Migrate(t.Context()))
	other := d.Handle(t, d.DB)
	storetest.Run(t, func(t *testing.T) (a, b store.Store) {
		d.Empty(t)
		return d.Store, other
	})
}

// TestMySQLTruncatesNothing looks at what is in the tables of a server that
// would shorten a value, and warn at most.
func TestMySQLTruncatesNothing(t *testing.T) {
	d := with(dbtest.MySQL, "lax", "sql_mode=''").Open(t)
	ctx := t.Context()
	client := strings.Repeat("c", store.MaxClientID)
	require.NoError(t, d.Store.CreateToken(ctx, store.Token{ID: strings.Repeat("i", store.MaxKey), ClientID: client, Subject: strings.Repeat("s", store.MaxSubject), Device: strings.Repeat("😀", 50000), State: 255}))
	require.NoError(t, d.Store.CreateClient(ctx, store.Client{ID: client, Data: make([]byte, store.MaxRecord-store.MaxClientID)}))
	got, err := d.Store.Token(ctx, strings.Repeat("i", store.MaxKey))
	require.NoError(t, err)
	assert.Equal(t, 200000, len(got.Device))
	assert.Equal(t, client, got.ClientID)
	var warnings int
	require.NoError(t, d.DB.QueryRowContext(ctx, "SELECT @@warning_count").Scan(&warnings))
	assert.Zero(t, warnings)
	assert.ErrorIs(t, d.Store.CreateToken(ctx, store.Token{ID: "x", ClientID: client + "c"}), store.ErrInvalid)
}

// Names that are SQL words, or have capitals, are quoted everywhere.
func TestASchemaWithCapitalsAndAHyphenWorks(t *testing.T) {
	d := dbtest.Postgres.Bare(t)
	d.Exec(t, `ALTER SCHEMA "`+d.Options.Schema+`" RENAME TO "T-`+d.Options.Schema+`"`)
	d.Options = sqlstore.Options{Schema: "T-" + d.Options.Schema, Prefix: "select_"}
	s := d.Handle(t, d.DB)
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.CreateClient(t.Context(), store.Client{ID: "c"}))
	require.NoError(t, s.Check(t.Context()))
}

// A consent that was revoked and granted anew must not pass for the old one: a
// merge that has read the old one would bring back what was revoked.
func TestAConsentGrantedAnewIsAnotherVersion(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		seen := map[int64]bool{}
		for range 5 {
			require.NoError(t, d.Store.GrantConsent(t.Context(), store.Consent{Subject: "s", ClientID: "c"}))
			var version int64
			require.NoError(t, d.DB.QueryRowContext(t.Context(), "SELECT version FROM "+d.Table("consents")).Scan(&version))
			seen[version] = true
			n, err := d.Store.RevokeConsents(t.Context(), store.ConsentQuery{Subject: "s"})
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		assert.Len(t, seen, 5)
	})
}
