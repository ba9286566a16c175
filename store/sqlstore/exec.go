package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"
)

const maxRetries = 3

// rows of a query: what the scan functions need of *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// exec runs the statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, st *statement, args ...any) (int, error) {
	var n int64
	err := s.retry(ctx, func() error {
		done, err := s.turn(ctx)
		if err != nil {
			return err
		}
		defer done()
		result, err := s.execOnce(ctx, st, args)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return int(n), err
}

func (s *Store) execOnce(ctx context.Context, st *statement, args []any) (sql.Result, error) {
	switch {
	case s.tx != nil:
		return s.tx.ExecContext(ctx, st.text, args...)
	case s.options.Unprepared:
		return s.db.ExecContext(ctx, st.text, args...)
	}
	stmt, err := s.prepare(ctx, st)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// turn waits until no other call writes to SQLite through this Store. One file
// has one writer, and those who wait for it ask now and then, for longer and
// longer pauses: some would wait for very long.
func (s *Store) turn(ctx context.Context) (done func(), err error) {
	if s.writer == nil || s.tx != nil {
		return func() {}, nil
	}
	select {
	case s.writer <- struct{}{}:
		return func() { <-s.writer }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// query runs the statement and calls scan for each row, anew from the first if
// it is tried again. It reads the answer to its end: an error of the commit
// (SQLite reports it there) is not missed.
func (s *Store) query(ctx context.Context, st *statement, begin func(), scan func(scanner) error, args ...any) error {
	return s.retry(ctx, func() error {
		begin()
		rows, err := s.queryOnce(ctx, st, args)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return rows.Close()
	})
}

func (s *Store) queryOnce(ctx context.Context, st *statement, args []any) (*sql.Rows, error) {
	switch {
	case s.tx != nil:
		// Not through a prepared statement of the pool: preparing one would
		// wait for a second connection, which a pool of one never has.
		return s.tx.QueryContext(ctx, st.text, args...)
	case s.options.Unprepared:
		return s.db.QueryContext(ctx, st.text, args...)
	}
	stmt, err := s.prepare(ctx, st)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// one runs a statement that returns at most one row and reports whether it did.
func (s *Store) one(ctx context.Context, st *statement, scan func(scanner) error, args ...any) (bool, error) {
	found := false
	err := s.query(ctx, st, func() { found = false }, func(row scanner) error {
		found = true
		return scan(row)
	}, args...)
	return found && err == nil, err
}

// list runs a statement that returns a page of records.
func list[R any](ctx context.Context, s *Store, st *statement, scan func(scanner, *R) error, args ...any) ([]R, error) {
	var page []R
	err := s.query(ctx, st, func() { page = nil }, func(row scanner) error {
		var r R
		err := scan(row, &r)
		page = append(page, r)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	return page, nil
}

func (s *Store) prepare(ctx context.Context, st *statement) (*sql.Stmt, error) {
	if stmt := st.prepared.Load(); stmt != nil {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, st.text)
	if err != nil {
		return nil, err
	}
	if st.prepared.CompareAndSwap(nil, stmt) {
		return stmt, nil
	}
	_ = stmt.Close() // another goroutine was faster
	if stmt := st.prepared.Load(); stmt != nil {
		return stmt, nil
	}
	return nil, sql.ErrConnDone // Close ran meanwhile
}

// retry calls f, and again if the database says that it has rolled the
// statement back and that another try can succeed.
func (s *Store) retry(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil {
			return nil
		}
		if s.tx != nil || try == maxRetries || !transient(s.dialect, err) || !pause(ctx, try) {
			if noTable(s.dialect, err) {
				err = fmt.Errorf("the tables are not there, call Migrate first: %w", err)
			}
			return outage(ctx, err)
		}
	}
}

// pause waits a random time of up to 10, 40 or 160 ms, and reports false if the
// context ends before.
func pause(ctx context.Context, try int) bool {
	timer := time.NewTimer(rand.N(10 * time.Millisecond << (2 * try)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// outage wraps an error that is none of package store's. If the context has
// ended, its error is part of it, whatever the driver has made of that.
func outage(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("sqlstore: %w: %w", ended, err)
	}
	return fmt.Errorf("sqlstore: %w", err)
}
