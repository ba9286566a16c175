package dbtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"testing"
)

// Statement is what went to a driver, and what came back.
type Statement struct {
	Text string
	Args []any
	Err  error
}

// Recorder keeps what goes through a pool: one Statement for each round trip
// that runs one, and the number of those that only prepare.
type Recorder struct {
	mu         sync.Mutex
	statements []Statement
	prepared   int
	wake       chan struct{}
}

// Recorded returns a pool whose traffic is recorded.
func (d *Database) Recorded(t testing.TB) (*sql.DB, *Recorder) {
	t.Helper()
	probe, err := sql.Open(d.Driver, d.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	r := &Recorder{wake: make(chan struct{}, 1)}
	db := sql.OpenDB(&connector{probe.Driver(), d.Address, r})
	t.Cleanup(func() { db.Close() })
	return db, r
}

// Take returns what was recorded and forgets it.
func (r *Recorder) Take() (statements []Statement, prepared int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	statements, prepared = r.statements, r.prepared
	r.statements, r.prepared = nil, 0
	return statements, prepared
}

// Failed returns once a statement has failed.
func (r *Recorder) Failed(ctx context.Context) error {
	for {
		r.mu.Lock()
		failed := slices.ContainsFunc(r.statements, func(s Statement) bool { return s.Err != nil })
		r.mu.Unlock()
		if failed {
			return nil
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *Recorder) ran(text string, args []driver.NamedValue, err error) {
	if errors.Is(err, driver.ErrSkip) { // database/sql will try another way
		return
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	r.mu.Lock()
	r.statements = append(r.statements, Statement{text, values, err})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

type connector struct {
	driver driver.Driver
	dsn    string
	r      *Recorder
}

func (c *connector) Driver() driver.Driver { return c.driver }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if d, ok := c.driver.(driver.DriverContext); ok {
		inner, err := d.OpenConnector(c.dsn)
		if err != nil {
			return nil, err
		}
		conn, err := inner.Connect(ctx)
		return &recordedConn{conn, c.r}, err
	}
	conn, err := c.driver.Open(c.dsn)
	return &recordedConn{conn, c.r}, err
}

// recordedConn passes on what the three drivers have.
type recordedConn struct {
	driver.Conn
	r *Recorder
}

func (c *recordedConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	c.r.mu.Lock()
	c.r.prepared++
	c.r.mu.Unlock()
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return &recordedStmt{stmt, text, c.r}, nil
}

func (c *recordedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
	c.r.ran(text, args, err)
	return result, err
}

func (c *recordedConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
	c.r.ran(text, args, err)
	return rows, err
}

// BeginTx is recorded as one statement, which stands for the COMMIT too.
func (c *recordedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	c.r.ran("BEGIN", nil, err)
	return tx, err
}

func (c *recordedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *recordedConn) ResetSession(ctx context.Context) error {
	if resetter, ok := c.Conn.(driver.SessionResetter); ok {
		return resetter.ResetSession(ctx)
	}
	return nil
}

func (c *recordedConn) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return !ok || v.IsValid()
}

type recordedStmt struct {
	driver.Stmt
	text string
	r    *Recorder
}

func (s *recordedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	result, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	s.r.ran(s.text, args, err)
	return result, err
}

func (s *recordedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	s.r.ran(s.text, args, err)
	return rows, err
}
