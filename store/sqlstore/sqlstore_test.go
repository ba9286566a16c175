package sqlstore_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

var dialects = []sqlstore.Dialect{sqlstore.Postgres, sqlstore.MySQL, sqlstore.SQLite}

func TestNewRefusesNamesThatCouldBeSQL(t *testing.T) {
	db := sql.OpenDB(&fakeDB{})
	for _, d := range dialects {
		for _, prefix := range []string{`a"; DROP TABLE users; --`, "a`", "a'", "a b", "a.b", "a-b", "A_", "ä_", "1_", "a\x00", "a;", strings.Repeat("a", 33)} {
			_, err := sqlstore.New(db, d, sqlstore.Options{Prefix: prefix})
			assert.ErrorContains(t, err, "prefix", "%s %q", d, prefix)
		}
		for _, schema := range []string{`a"."b`, "a`", "a'b", "a b", "a.b", "ä", "a\x00", "a;b", `a\`, strings.Repeat("a", 64)} {
			_, err := sqlstore.New(db, d, sqlstore.Options{Schema: schema})
			assert.ErrorContains(t, err, "schema", "%s %q", d, schema)
		}
		_, err := sqlstore.New(db, d, sqlstore.Options{Prefix: "_a1_"})
		assert.NoError(t, err)
	}
	for _, schema := range []string{"auth", "My-App_1", strings.Repeat("a", 63)} {
		_, err := sqlstore.New(db, sqlstore.MySQL, sqlstore.Options{Schema: schema})
		assert.NoError(t, err, schema)
	}
}

func TestNewReportsEverythingThatIsWrong(t *testing.T) {
	_, err := sqlstore.New(nil, "oracle", sqlstore.Options{Prefix: "-", Schema: "'"})
	for _, part := range []string{"no database", `"oracle"`, "prefix", "schema"} {
		assert.ErrorContains(t, err, part)
	}
	_, err = sqlstore.New(sql.OpenDB(&fakeDB{}), sqlstore.SQLite, sqlstore.Options{Schema: "main"})
	assert.ErrorContains(t, err, "SQLite has no schemas")
}

func TestMigrationFilesAreWhatMigrateRunsByDefault(t *testing.T) {
	for _, d := range dialects {
		s, err := sqlstore.New(sql.OpenDB(&fakeDB{}), d, sqlstore.Options{})
		require.NoError(t, err)
		all, err := s.Migrations()
		require.NoError(t, err)
		require.NotEmpty(t, all)
		for i, m := range all {
			assert.Equal(t, i+1, m.Version)
			file, err := os.ReadFile("migrations/" + string(d) + "/" + m.Name)
			require.NoError(t, err)
			assert.Equal(t, string(file), m.SQL)
		}
	}
}

func TestMigrationsTakeThePrefixAndTheSchemaEverywhere(t *testing.T) {
	for _, d := range dialects {
		o := sqlstore.Options{Prefix: "app_"}
		if d != sqlstore.SQLite {
			o.Schema = "Auth-1"
		}
		s, err := sqlstore.New(sql.OpenDB(&fakeDB{}), d, o)
		require.NoError(t, err)
		all, err := s.Migrations()
		require.NoError(t, err)
		for _, m := range all {
			assert.NotContains(t, m.SQL, "oauth_", "%s: a name in a place that is not replaced", d)
			for _, table := range []string{"clients", "codes", "tokens", "consents"} {
				want := map[sqlstore.Dialect]string{sqlstore.Postgres: `"Auth-1".app_`, sqlstore.MySQL: "`Auth-1`.app_", sqlstore.SQLite: "app_"}[d] + table
				assert.Contains(t, m.SQL, " "+want+" (", d)
			}
		}
	}
}

func TestTheREADMEHasTheTables(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, d := range dialects {
		file, err := os.ReadFile("migrations/" + string(d) + "/0001_create.sql")
		require.NoError(t, err)
		assert.Contains(t, string(readme), string(file), "%s: copy the file into the README", d)
	}
}
