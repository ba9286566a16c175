// Package dbtest opens the databases that the integration tests run against.
//
// Each has a default address, for a machine on which ../compose.yaml or the
// distribution's own packages are up, and an environment variable that names
// another. A database that does not answer fails the test if CI is true, and
// skips it otherwise, saying what was not run.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// Kind is a kind of database.
type Kind struct {
	Name    string
	Dialect sqlstore.Dialect
	Driver  string
	DSN     func(t testing.TB) string // of an empty database, or of one shared with others
}

// The kinds.
var (
	Postgres = Kind{"postgres", sqlstore.Postgres, "pgx", server("OAUTH_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test?sslmode=disable")}
	MySQL    = Kind{"mysql", sqlstore.MySQL, "mysql", server("OAUTH_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")}
	File     = FileWith("sqlite-file", "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	Memory   = Kind{"sqlite-memory", sqlstore.SQLite, "sqlite", func(testing.TB) string {
		// The memdb file system, unlike mode=memory with a shared cache, has
		// the locks of a file, for which busy_timeout waits.
		return "file:/" + random() + "?vfs=memdb&_pragma=busy_timeout(10000)"
	}}
	All = []Kind{Postgres, MySQL, File, Memory}
)

// FileWith is SQLite in a file with these parameters; File has the ones that are
// recommended.
func FileWith(name, parameters string) Kind {
	return Kind{name, sqlstore.SQLite, "sqlite", func(t testing.TB) string {
		return "file:" + filepath.Join(t.TempDir(), "oauth.db") + "?" + parameters
	}}
}

func server(variable, dsn string) func(testing.TB) string {
	return func(testing.TB) string {
		if v := os.Getenv(variable); v != "" {
			return v
		}
		return dsn
	}
}

func random() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return "t" + hex.EncodeToString(b[:])
}

// OwnPostgres is PostgreSQL in a database of the test's own, where no other's
// snapshots keep old rows.
func OwnPostgres(parameters string) Kind {
	k := Postgres
	k.DSN = func(t testing.TB) string {
		d := Postgres.Bare(t)
		name := random()
		d.Exec(t, "CREATE DATABASE "+name)
		t.Cleanup(func() {
			db := d.Pool(t)
			if _, err := db.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
				t.Errorf("%v", err)
			}
		})
		u, err := url.Parse(d.Address)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + name
		return u.String() + "&" + parameters
	}
	return k
}

// Database is a place for the tables of one test.
type Database struct {
	Kind
	Address string
	Options sqlstore.Options
	DB      *sql.DB
	Store   *sqlstore.Store
	pair    func() (a, b store.Store)
}

// Open returns a database with empty tables, which are dropped when the test
// ends.
func (k Kind) Open(t testing.TB) *Database {
	t.Helper()
	d := k.Bare(t)
	if err := d.Store.Migrate(t.Context()); err != nil {
		t.Fatalf("%s: %v", k.Name, err)
	}
	return d
}

// Bare is Open without tables.
func (k Kind) Bare(t testing.TB) *Database {
	t.Helper()
	d := &Database{Kind: k, Address: k.DSN(t), Options: sqlstore.Options{Prefix: random() + "_"}}
	if k.Dialect == sqlstore.Postgres {
		d.Options = sqlstore.Options{Schema: random()}
	}
	d.DB = d.Pool(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := d.DB.PingContext(ctx); err != nil {
		absent(t, k.Name, err)
	}
	if k.Dialect == sqlstore.Postgres {
		d.Exec(t, `CREATE SCHEMA "`+d.Options.Schema+`"`)
	}
	t.Cleanup(func() { d.drop(t) })
	d.Store = d.Handle(t, d.DB)
	d.pair = sync.OnceValues(func() (store.Store, store.Store) {
		a, b := d.Pool(t), d.Pool(t)
		a.SetMaxIdleConns(maxIdle)
		b.SetMaxIdleConns(maxIdle)
		return d.Handle(t, a), d.Handle(t, b)
	})
	return d
}

// maxIdle is more than the goroutines that a test has on one handle.
const maxIdle = 32

// absent ends a test that has no database.
func absent(t testing.TB, name string, err error) {
	t.Helper()
	message := fmt.Sprintf("NOT RUN: %s on %s, which does not answer: %v. Start it with 'docker compose up -d --wait' in the root of the repository, or set OAUTH_TEST_POSTGRES or OAUTH_TEST_MYSQL.", t.Name(), name, err)
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// Pool returns another pool of connections to the database.
func (d *Database) Pool(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.Driver, d.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Handle returns a store in the database over db.
func (d *Database) Handle(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(db, d.Dialect, d.Options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Exec runs a statement of the test.
func (d *Database) Exec(t testing.TB, text string, args ...any) {
	t.Helper()
	if _, err := d.DB.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// Table returns the name of a table, for a statement of the test.
func (d *Database) Table(name string) string {
	if d.Options.Schema != "" {
		return `"` + d.Options.Schema + `".oauth_` + name
	}
	return d.Options.Prefix + name
}

var tables = []string{"clients", "codes", "tokens", "consents"}

// Empty deletes all records.
func (d *Database) Empty(t testing.TB) {
	t.Helper()
	for _, name := range tables {
		d.Exec(t, "DELETE FROM "+d.Table(name))
	}
}

func (d *Database) drop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	db, err := sql.Open(d.Driver, d.Address) // the test may have broken its own
	if err != nil {
		return
	}
	defer db.Close()
	switch d.Dialect {
	case sqlstore.Postgres:
		_, err = db.ExecContext(ctx, `DROP SCHEMA "`+d.Options.Schema+`" CASCADE`)
	case sqlstore.MySQL:
		for _, name := range append(tables, "migrations") {
			_, e := db.ExecContext(ctx, "DROP TABLE IF EXISTS "+d.Table(name))
			if e != nil {
				err = e
			}
		}
	}
	if err != nil {
		t.Errorf("%s: %v", d.Name, err)
	}
}

// Pair returns two handles over pools of their own, on empty tables. They are
// the same each time, so that a suite of many cases does not make each
// connection, and each statement on it, anew for every case.
func (d *Database) Pair(t testing.TB) (a, b store.Store) {
	t.Helper()
	d.Empty(t)
	return d.pair()
}

// Each runs f as a subtest for each of the kinds.
func Each(t *testing.T, kinds []Kind, f func(t *testing.T, k Kind)) {
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) { f(t, k) })
	}
}
