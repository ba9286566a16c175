package sqlstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations
var files embed.FS

// Migration is one step from one version of the tables to the next.
type Migration struct {
	Version int    // 1, 2, 3, ...
	Name    string // of the file it comes from: "0001_create.sql"
	SQL     string // statements, each ended by a semicolon at the end of its line
}

// Migrations returns the statements that [Store.Migrate] runs, in order, for
// programs that bring tables up to date with a tool of their own. The files
// under migrations/ beside this package are the same with the default prefix
// and without a schema. Such a program need not call Migrate.
func (s *Store) Migrations() ([]Migration, error) {
	entries, err := fs.ReadDir(files, "migrations/"+string(s.dialect))
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, e := range entries {
		text, err := files.ReadFile("migrations/" + string(s.dialect) + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		version, err := strconv.Atoi(e.Name()[:4])
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{version, e.Name(), s.tables.rename(string(text))})
	}
	return all, nil
}

// rename puts the prefix and the schema of t into the text of a migration file.
func (t tables) rename(text string) string {
	table := t.prefix
	if t.schema != "" {
		table = t.quote(t.schema) + "." + t.prefix
	}
	return strings.NewReplacer(
		"CREATE TABLE oauth_", "CREATE TABLE "+table,
		"CREATE TABLE IF NOT EXISTS oauth_", "CREATE TABLE IF NOT EXISTS "+table,
		" ON oauth_", " ON "+table,
		"INDEX oauth_", "INDEX "+t.prefix, // an index is where its table is
	).Replace(text)
}

// statements splits the text of a migration.
func (m Migration) statements() []string {
	var all []string
	for text := range strings.SplitSeq(m.SQL, ";\n") {
		if strings.TrimSpace(text) != "" {
			all = append(all, text)
		}
	}
	return all
}

// Migrate creates the tables or brings them up to date. Any number of programs
// may call it at once: one works, the others wait. If there is nothing to do it
// needs no more rights than to read one table. Tables that a later version of
// this package has made are left as they are.
//
// On PostgreSQL and SQLite it does all or nothing. On MySQL, where every CREATE
// commits by itself, a call that fails may have done a part, and the next one
// does the rest. It fails in a transaction of the program, see [Store.WithTx].
func (s *Store) Migrate(ctx context.Context) error {
	if s.tx != nil {
		return errors.New("sqlstore: Migrate in a transaction")
	}
	all, err := s.Migrations()
	if err != nil {
		return err
	}
	if v, err := s.version(ctx, s.db); err == nil && v >= len(all) {
		return nil
	}
	for try := 0; ; try++ {
		err := s.migrate(ctx, all)
		if err == nil {
			return nil
		}
		if try == maxRetries || !transient(s.dialect, err) && !s.racing(err) || !pause(ctx, try+2) {
			if ctx.Err() != nil { // the database may well be there
				return outage(ctx, err)
			}
			return cmp.Or(s.answers(ctx), outage(ctx, err))
		}
	}
}

// racing reports whether another program was creating the same tables, on a
// database whose advisory locks do not lock (CockroachDB).
func (s *Store) racing(err error) bool {
	switch state := sqlState(err); {
	case s.dialect != Postgres:
		return false
	default:
		return state == "42P07" || state == "23505" // duplicate_table, unique_violation
	}
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// version returns how far the tables are.
func (s *Store) version(ctx context.Context, q queryer) (int, error) {
	var v sql.NullInt64
	err := q.QueryRowContext(ctx, s.tables.render("SELECT MAX(version) FROM {migrations}")).Scan(&v)
	return int(v.Int64), err
}

func (s *Store) migrate(ctx context.Context, all []Migration) error {
	if s.dialect == Postgres {
		return s.migratePostgres(ctx, all)
	}
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if s.dialect == MySQL {
		return s.migrateMySQL(ctx, c, all)
	}
	return s.migrateSQLite(ctx, c, all)
}

// discard closes the connection for good, so that no lock and no transaction
// goes back into the pool.
func discard(c *sql.Conn) {
	_ = c.Raw(func(any) error { return driver.ErrBadConn })
}

// apply runs the migrations that are missing.
func (s *Store) apply(ctx context.Context, q queryer, all []Migration) error {
	if _, err := q.ExecContext(ctx, s.tables.render("CREATE TABLE IF NOT EXISTS {migrations} (version BIGINT NOT NULL PRIMARY KEY)")); err != nil {
		return err
	}
	done, err := s.version(ctx, q)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.Version <= done {
			continue
		}
		for _, text := range m.statements() {
			if _, err := q.ExecContext(ctx, text); err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
		}
		insert := s.tables.render("INSERT INTO {migrations} (version) VALUES (" + strconv.Itoa(m.Version) + ")")
		if _, err := q.ExecContext(ctx, insert); err != nil {
			return err
		}
	}
	return nil
}

// lockKey is the same for all who migrate the same tables of one database.
func (s *Store) lockKey(database string) [32]byte {
	return sha256.Sum256([]byte("oauth sqlstore migrate\x00" + database + "\x00" + s.options.Schema + "\x00" + s.options.Prefix))
}

func (s *Store) migratePostgres(ctx context.Context, all []Migration) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	key := s.lockKey("") // PostgreSQL keeps the locks of its databases apart
	number := int64(binary.BigEndian.Uint64(key[:8]))
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+strconv.FormatInt(number, 10)+")"); err != nil {
		return err
	}
	if err := s.apply(ctx, tx, all); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *Store) migrateMySQL(ctx context.Context, c *sql.Conn, all []Migration) error {
	var database sql.NullString
	if err := c.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&database); err != nil {
		return err
	}
	key := s.lockKey(database.String)
	name := "'oauth-" + hex.EncodeToString(key[:16]) + "'" // at most 64 characters
	for locked := false; !locked; {
		if err := c.QueryRowContext(ctx, "SELECT COALESCE(GET_LOCK("+name+", 5), 0) = 1").Scan(&locked); err != nil {
			discard(c)
			return err
		}
	}
	err := s.apply(ctx, c, all)
	if err == nil {
		_, err = c.ExecContext(ctx, "DO RELEASE_LOCK("+name+")")
	}
	if err != nil {
		discard(c) // the lock ends with it
	}
	return err
}

func (s *Store) migrateSQLite(ctx context.Context, c *sql.Conn, all []Migration) error {
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := s.apply(ctx, c, all)
	if err == nil {
		_, err = c.ExecContext(ctx, "COMMIT")
	}
	if err == nil {
		return nil
	}
	// Not discarded if it can be helped: a database in memory ends with its
	// last connection.
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, undone := c.ExecContext(undo, "ROLLBACK"); undone != nil {
		discard(c)
	}
	return err
}
