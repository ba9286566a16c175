package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// fakeDB is a driver whose statements fail with the errors given, in order, and
// then change one row.
type fakeDB struct {
	errs []error
	rows []*fakeRows // of the queries, in order
	runs int

	during func() // each statement; nil: nothing
}

func (f *fakeDB) Connect(context.Context) (driver.Conn, error) { return fakeConn{f}, nil }
func (f *fakeDB) Driver() driver.Driver                        { return nil }

type fakeConn struct{ f *fakeDB }

func (c fakeConn) Prepare(string) (driver.Stmt, error) { return fakeStmt(c), nil }
func (c fakeConn) Close() error                        { return nil }
func (c fakeConn) Begin() (driver.Tx, error)           { return fakeTx{}, nil }

type fakeTx struct{}

func (fakeTx) Commit() error   { return nil }
func (fakeTx) Rollback() error { return nil }

type fakeStmt struct{ f *fakeDB }

func (s fakeStmt) Close() error  { return nil }
func (s fakeStmt) NumInput() int { return -1 }

func (s fakeStmt) run() error {
	s.f.runs++
	if s.f.during != nil {
		s.f.during()
	}
	if len(s.f.errs) == 0 {
		return nil
	}
	err := s.f.errs[0]
	s.f.errs = s.f.errs[1:]
	return err
}

func (s fakeStmt) Exec([]driver.Value) (driver.Result, error) {
	return driver.RowsAffected(1), s.run()
}

func (s fakeStmt) Query([]driver.Value) (driver.Rows, error) {
	if err := s.run(); err != nil {
		return nil, err
	}
	if len(s.f.rows) == 0 {
		return &fakeRows{end: io.EOF}, nil
	}
	rows := s.f.rows[0]
	s.f.rows = s.f.rows[1:]
	return rows, nil
}

// fakeRows is at most one row, and then an error.
type fakeRows struct {
	row []driver.Value
	end error
}

func (r *fakeRows) Columns() []string { return make([]string, len(r.row)) }
func (r *fakeRows) Close() error      { return nil }

func (r *fakeRows) Next(dest []driver.Value) error {
	if r.row == nil {
		return r.end
	}
	copy(dest, r.row)
	r.row = nil
	return nil
}

// The errors of drivers, as they are to be known without importing one.
type (
	stateError string // pgx, lib/pq
	codeError  int    // modernc.org/sqlite
)

func (e stateError) Error() string    { return "ERROR: (SQLSTATE " + string(e) + ")" }
func (e stateError) SQLState() string { return string(e) }
func (e codeError) Error() string     { return fmt.Sprintf("sqlite (%d)", int(e)) }
func (e codeError) Code() int         { return int(e) }

func TestWhatWasRolledBackIsTriedAgainAndNothingElse(t *testing.T) {
	busy := func(d sqlstore.Dialect, again bool, errs ...error) (cases []retryCase) {
		for _, err := range errs {
			cases = append(cases, retryCase{d, err, again}, retryCase{d, fmt.Errorf("traced: %w", err), again}, retryCase{d, errors.Join(errors.New("x"), err), again})
		}
		return cases
	}
	var cases []retryCase
	cases = append(cases, busy(sqlstore.Postgres, true, stateError("40001"), stateError("40P01"), stateError("55P03"))...)
	cases = append(cases, busy(sqlstore.Postgres, false, stateError("40003"), stateError("57P01"), stateError("08006"), stateError("57014"), stateError("23505"), codeError(5), errors.New("Error 1213 (40001): x"))...)
	cases = append(cases, busy(sqlstore.MySQL, true, errors.New("Error 1213 (40001): Deadlock found"), errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), errors.New("Error 1213: Deadlock found"), errors.New("Error 1020 (HY000): Record has changed"))...)
	cases = append(cases, busy(sqlstore.MySQL, false, errors.New("Error 1062 (23000): Duplicate entry 'Error 1213 (40001): x'"), errors.New("Error 12130 (40001): x"), errors.New("Error 1213x: y"), errors.New("Error : y"), errors.New("invalid connection"), codeError(5))...)
	cases = append(cases, busy(sqlstore.SQLite, true, codeError(5), codeError(6), codeError(5|2<<8), codeError(6|1<<8), errors.New("database is locked"), errors.New("database table is locked: oauth_tokens"), errors.New("sqlite3: database is locked"))...)
	cases = append(cases, busy(sqlstore.SQLite, false, codeError(10), codeError(13), codeError(10|5<<8), errors.New("disk I/O error"), stateError("40001"))...)
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeDB{errs: []error{c.err, c.err}}
			db := sql.OpenDB(f)
			defer db.Close()
			err := c.store(t, db).DeleteClient(t.Context(), "c")
			if c.again {
				assert.NoError(t, err, "%s: %v", c.dialect, c.err)
				assert.Equal(t, 3, f.runs)
			} else {
				assert.ErrorIs(t, err, c.err, "%s: %v", c.dialect, c.err)
				assert.Equal(t, 1, f.runs)
			}
		})
	}
}

func TestADatabaseThatIsAwayOrAnotherIsNamedOnce(t *testing.T) {
	one := func() *fakeRows { return &fakeRows{row: []driver.Value{"1"}} }
	failure := errors.New("no such function")
	for want, f := range map[string]*fakeDB{
		"no connection to the database":                          {errs: []error{failure}},
		"the database is none of postgres, the Dialect that New": {errs: []error{nil, failure}, rows: []*fakeRows{one()}},
	} {
		db := sql.OpenDB(f)
		s := retryCase{dialect: sqlstore.Postgres}.store(t, db)
		err := s.Check(t.Context())
		assert.ErrorIs(t, err, failure)
		assert.ErrorContains(t, err, want)
		assert.Equal(t, 1, strings.Count(err.Error(), "sqlstore:"), err)
		require.NoError(t, db.Close())
	}

	// Migrate finds no version, and this driver has no transactions as it needs them.
	f := &fakeDB{errs: []error{failure, nil, failure}, rows: []*fakeRows{one()}}
	db := sql.OpenDB(f)
	defer db.Close()
	assert.ErrorContains(t, retryCase{dialect: sqlstore.Postgres}.store(t, db).Migrate(t.Context()), "the database is none of postgres")
}

// Who runs out of time has a database: what went before says what took so long.
func TestMigrateThatRunsOutOfTimeSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	waiting := errors.New("canceling statement due to user request")
	f := &fakeDB{errs: []error{errors.New("no such table"), waiting}}
	f.during = func() {
		if f.runs == 2 {
			cancel()
		}
	}
	db := sql.OpenDB(f)
	defer db.Close()
	err := retryCase{dialect: sqlstore.SQLite}.store(t, db).Migrate(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, waiting)
	assert.NotContains(t, err.Error(), "no connection")
}

func TestAForgottenMigrateIsNamed(t *testing.T) {
	for dialect, missing := range map[sqlstore.Dialect]error{
		sqlstore.Postgres: stateError("42P01"), sqlstore.MySQL: errors.New("Error 1146 (42S02): Table 'app.oauth_clients' doesn't exist"), sqlstore.SQLite: errors.New("no such table: oauth_clients"),
	} {
		for err, named := range map[error]bool{missing: true, stateError("42P02"): false, errors.New("Error 1147 (42000): no"): false} {
			db := sql.OpenDB(&fakeDB{errs: []error{err}})
			_, got := retryCase{dialect: dialect}.store(t, db).Client(t.Context(), "c")
			assert.ErrorIs(t, got, err)
			assert.Equal(t, named, strings.Contains(got.Error(), "call Migrate first"), got)
			require.NoError(t, db.Close())
		}
	}
}

type retryCase struct {
	dialect sqlstore.Dialect
	err     error
	again   bool
}

func (c retryCase) store(t *testing.T, db *sql.DB) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(db, c.dialect, sqlstore.Options{})
	require.NoError(t, err)
	return s
}

func TestAQueryThatIsTriedAgainForgetsWhatItHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		row := func(record string) []driver.Value { return []driver.Value{"c", int64(1), nil, record} }
		f := &fakeDB{rows: []*fakeRows{
			{row: row(`{"client_name":"old","disabled":true}`), end: stateError("40001")},
			{row: row(`{"public":true}`), end: io.EOF},
			{row: row(`{}`), end: stateError("40001")},
			{row: row(`{"public":true}`), end: io.EOF},
		}}
		db := sql.OpenDB(f)
		defer db.Close()
		s := retryCase{dialect: sqlstore.Postgres}.store(t, db)
		want := store.Client{ID: "c", Public: true, Version: 1}
		got, err := s.Client(t.Context(), "c")
		require.NoError(t, err)
		assert.Equal(t, want, got)
		list, err := s.ListClients(t.Context(), "", 10)
		require.NoError(t, err)
		assert.Equal(t, []store.Client{want}, list)
	})
}

// TestAnErrorAtTheEndOfTheRowsIsNotMissed: SQLite reports there that an UPDATE
// with RETURNING was not committed.
func TestAnErrorAtTheEndOfTheRowsIsNotMissed(t *testing.T) {
	full := errors.New("database or disk is full")
	f := &fakeDB{rows: []*fakeRows{{row: []driver.Value{"code", "k", int64(2), nil, int64(1), nil, nil}, end: full}}}
	db := sql.OpenDB(f)
	defer db.Close()
	_, err := retryCase{dialect: sqlstore.SQLite}.store(t, db).ConsumeCode(t.Context(), "code", "k", time.Unix(0, 1000))
	require.ErrorIs(t, err, full)
}

func TestAtMostThreeRetriesThenAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := stateError("40001")
		f := &fakeDB{errs: []error{failure, failure, failure, failure, failure}}
		db := sql.OpenDB(f)
		defer db.Close()
		start := time.Now()
		_, err := retryCase{dialect: sqlstore.Postgres}.store(t, db).Token(t.Context(), "t")
		require.ErrorIs(t, err, failure)
		for _, answer := range []error{store.ErrNotFound, store.ErrConflict, store.ErrRevoked, store.ErrConsumed, store.ErrExists, store.ErrInvalid} {
			assert.NotErrorIs(t, err, answer)
		}
		assert.Equal(t, 4, f.runs)
		assert.LessOrEqual(t, time.Since(start), 210*time.Millisecond)
	})
}

func TestNoRetryAfterTheContextHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDB{errs: []error{stateError("40001"), stateError("40001"), stateError("40001"), stateError("40001")}}
		db := sql.OpenDB(f)
		defer db.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		_, err := retryCase{dialect: sqlstore.Postgres}.store(t, db).Token(ctx, "t")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.LessOrEqual(t, f.runs, 1)
	})
}

func TestNoRetryInATransactionOfTheProgram(t *testing.T) {
	failure := stateError("40001")
	f := &fakeDB{errs: []error{failure}}
	db := sql.OpenDB(f)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	err = retryCase{dialect: sqlstore.Postgres}.store(t, db).WithTx(tx).DeleteClient(t.Context(), "c")
	require.ErrorIs(t, err, failure)
	assert.Equal(t, 1, f.runs)
	require.NoError(t, tx.Rollback())
}

func TestMigrateRefusesATransactionOfTheProgram(t *testing.T) {
	db := sql.OpenDB(&fakeDB{})
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	assert.Error(t, retryCase{dialect: sqlstore.MySQL}.store(t, db).WithTx(tx).Migrate(t.Context()))
	require.NoError(t, tx.Rollback())
}

func TestAWriterOfSQLiteWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, release := make(chan struct{}), make(chan struct{})
		db := sql.OpenDB(&blockingDB{fakeDB: &fakeDB{}, held: held, release: release})
		defer db.Close()
		s := retryCase{dialect: sqlstore.SQLite}.store(t, db)
		first := make(chan error)
		go func() { first <- s.DeleteClient(context.Background(), "a") }()
		<-held
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, s.DeleteClient(ctx, "b"), context.DeadlineExceeded)
		close(release)
		assert.NoError(t, <-first)
	})
}

// blockingDB holds its first statement until it is released.
type blockingDB struct {
	*fakeDB
	held, release chan struct{}
}

func (b *blockingDB) Connect(context.Context) (driver.Conn, error) { return blockingConn{b}, nil }

type blockingConn struct{ b *blockingDB }

func (c blockingConn) Prepare(string) (driver.Stmt, error) {
	return blockingStmt{fakeStmt{c.b.fakeDB}, c.b}, nil
}
func (c blockingConn) Close() error              { return nil }
func (c blockingConn) Begin() (driver.Tx, error) { return fakeTx{}, nil }

type blockingStmt struct {
	fakeStmt
	b *blockingDB
}

func (s blockingStmt) Exec(args []driver.Value) (driver.Result, error) {
	s.b.held <- struct{}{}
	<-s.b.release
	return s.fakeStmt.Exec(args)
}
