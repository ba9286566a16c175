// Package sqldb opens the SQL stores of the examples. It has the driver of
// SQLite and no other: what quickstart links, a newcomer waits for.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	_ "modernc.org/sqlite" // the driver sqlite

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// SQLite opens a store in a file, which it creates if it is not there. The
// caller calls done at the end.
func SQLite(ctx context.Context, file string) (s store.Store, done func() error, err error) {
	if file == "" || strings.ContainsAny(file, "?#") {
		return nil, nil, errors.New("store: sqlite: must be followed by the name of a file, without ? and #")
	}
	s, done, err = Open(ctx, "sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", sqlstore.SQLite)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s", err, file) // the driver says what is wrong, but not with which file
	}
	return s, done, nil
}

// Open opens a store through a driver that the caller has linked, and makes its
// tables if they are not there.
func Open(ctx context.Context, driver, dsn string, dialect sqlstore.Dialect) (s store.Store, done func() error, err error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("store: the address of this %s cannot be read", dialect) // the driver's error may hold a password
	}
	opened, err := sqlstore.New(db, dialect, sqlstore.Options{})
	if err == nil {
		err = opened.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("store: %s: %w", dialect, err), db.Close())
	}
	if err := opened.Check(ctx); err != nil {
		slog.Warn("the database is not set as it should be", "error", err)
	}
	return opened, db.Close, nil
}
