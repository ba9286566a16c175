package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/seed-e797c9ce/oauth/store"
)

// Dialect names a family of databases.
type Dialect string

const (
	Postgres Dialect = "postgres" // PostgreSQL, and CockroachDB as far as it is the same
	MySQL    Dialect = "mysql"    // MySQL and MariaDB
	SQLite   Dialect = "sqlite"
)

// Options are the choices that a Store leaves to the program. The zero Options
// is right for most.
type Options struct {
	// Prefix begins the name of every table and index. Empty: "oauth_". At most
	// 32 of a-z, 0-9 and _, not beginning with a digit.
	Prefix string

	// Schema is where the tables are: a schema of PostgreSQL, a database of
	// MySQL. It has to exist. Empty: the connection's own. At most 63 of A-Z,
	// a-z, 0-9, _ and -, in the case in which the database has it. SQLite has
	// no schemas.
	Schema string

	// Unprepared sends each statement with its text, for connection poolers
	// that cannot keep prepared statements. Some drivers then need two round
	// trips for a statement.
	Unprepared bool
}

// Store keeps records in a database. It is safe for use by many goroutines at
// once. It does not own the *sql.DB: the program closes that.
type Store struct {
	db      *sql.DB
	tx      *sql.Tx // of WithTx; nil otherwise
	dialect Dialect
	options Options
	tables  tables
	sql     *statements
	inTx    *statements   // the same for WithTx
	writer  chan struct{} // SQLite: full while a call writes
}

var _ store.Store = (*Store)(nil)

// New returns a Store over db. It does not touch the database: see
// [Store.Migrate] and [Store.Check]. An error says what is wrong with the
// arguments.
func New(db *sql.DB, dialect Dialect, o Options) (*Store, error) {
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	errs := []error{o.check(dialect)}
	if db == nil {
		errs = append(errs, errors.New("sqlstore: no database: the *sql.DB is nil"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t := tables{dialect: dialect, schema: o.Schema, prefix: o.Prefix}
	inTx := t
	inTx.lock = true
	s := &Store{db: db, dialect: dialect, options: o, tables: t, sql: newStatements(t), inTx: newStatements(inTx)}
	if dialect == SQLite {
		s.writer = make(chan struct{}, 1)
	}
	return s, nil
}

// WithTx returns a Store whose calls run in tx, and take effect when the program
// commits it: so that a user can be deleted, and what they granted revoked, in
// one transaction. It is meant for the management of clients, consents and
// authorizations.
//
// The rules of package store then hold from the commit on. Nothing is tried
// again: after an error that is none of package store's, roll back. The Store
// is used by one goroutine at a time, and not after the transaction has ended.
func (s *Store) WithTx(tx *sql.Tx) *Store {
	in := *s
	in.tx = tx
	in.sql = s.inTx
	return &in
}

// Close releases the prepared statements. Call it, if at all, after the last use
// of the Store; closing the *sql.DB does the same. The error is the driver's.
func (s *Store) Close() error {
	var errs []error
	for _, st := range s.sql.all {
		if stmt := st.prepared.Swap(nil); stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

func (o Options) check(d Dialect) error {
	var errs []error
	if d != Postgres && d != MySQL && d != SQLite {
		errs = append(errs, fmt.Errorf("sqlstore: unknown dialect %q: it must be Postgres, MySQL (MariaDB too) or SQLite", string(d)))
	}
	if !validPrefix(o.Prefix) {
		errs = append(errs, fmt.Errorf("sqlstore: the prefix %q is not 1 to %d of a-z, 0-9 and _", o.Prefix, maxPrefix))
	}
	if o.Schema != "" && !validSchema(o.Schema) {
		errs = append(errs, fmt.Errorf("sqlstore: the schema %q is not 1 to %d of A-Z, a-z, 0-9, _ and -", o.Schema, maxSchema))
	}
	if o.Schema != "" && d == SQLite {
		errs = append(errs, errors.New("sqlstore: SQLite has no schemas"))
	}
	return errors.Join(errs...)
}
