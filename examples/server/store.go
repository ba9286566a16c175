package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the driver sqlite

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// openStore opens what "store" in the file names. The caller calls done at the end.
func openStore(ctx context.Context, name string) (s store.Store, done func() error, err error) {
	switch scheme, rest, _ := strings.Cut(name, ":"); scheme {
	case "memory":
		if name != "memory" {
			break
		}
		return store.NewMemory(), func() error { return nil }, nil
	case "sqlite":
		if rest == "" || strings.ContainsAny(rest, "?#") {
			return nil, nil, errors.New("store: sqlite: must be followed by the name of a file, without ? and #")
		}
		return openSQL(ctx, "sqlite", "file:"+rest+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", sqlstore.SQLite)
	case "postgres":
		return openSQL(ctx, "pgx", name, sqlstore.Postgres)
	case "mysql":
		dsn, err := mysqlDSN(name)
		if err != nil {
			return nil, nil, err
		}
		return openSQL(ctx, "mysql", dsn, sqlstore.MySQL)
	case "redis":
		return openRedis(ctx, name)
	}
	return nil, nil, errors.New("store: must be memory, sqlite:FILE, or a URL of postgres://, mysql:// or redis://")
}

func openSQL(ctx context.Context, driver, dsn string, dialect sqlstore.Dialect) (store.Store, func() error, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("store: the address of this %s cannot be read", dialect) // the driver's error may hold a password
	}
	s, err := sqlstore.New(db, dialect, sqlstore.Options{})
	if err == nil {
		err = s.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("store: %s: %w", dialect, err), db.Close())
	}
	if err := s.Check(ctx); err != nil {
		slog.Warn("the database is not set as it should be", "error", err)
	}
	return s, db.Close, nil
}

// mysqlDSN turns a URL into what the driver understands.
func mysqlDSN(name string) (string, error) {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" {
		return "", errors.New("store: must be mysql://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, strings.Trim(u.Path, "/")
	c.Passwd, _ = u.User.Password()
	return c.FormatDSN(), nil
}

func openRedis(ctx context.Context, name string) (store.Store, func() error, error) {
	o, err := redis.ParseURL(name)
	if err != nil {
		return nil, nil, errors.New("store: must be redis://USER:PASSWORD@HOST:PORT/NUMBER")
	}
	client := redis.NewClient(o)
	s, err := redisstore.New(ctx, client, redisstore.Options{})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("store: redis: %w", err), client.Close())
	}
	return s, client.Close, nil
}
