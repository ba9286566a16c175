// Package stores opens a store by its name: what the server's configuration and
// the arguments of move are.
package stores

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/redis/go-redis/v9"

	"github.com/seed-e797c9ce/oauth/examples/internal/sqldb"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// Open opens memory, sqlite:FILE, or a URL of postgres://, mysql:// or redis://.
// The caller calls done at the end. An error has no password in it.
func Open(ctx context.Context, name string) (s store.Store, done func() error, err error) {
	switch scheme, rest, _ := strings.Cut(name, ":"); scheme {
	case "memory":
		if name != "memory" {
			break
		}
		return store.NewMemory(), func() error { return nil }, nil
	case "sqlite":
		return sqldb.SQLite(ctx, rest)
	case "postgres":
		return sqldb.Open(ctx, "pgx", name, sqlstore.Postgres)
	case "mysql":
		dsn, err := mysqlDSN(name)
		if err != nil {
			return nil, nil, err
		}
		return sqldb.Open(ctx, "mysql", dsn, sqlstore.MySQL)
	case "redis":
		return openRedis(ctx, name)
	}
	return nil, nil, errors.New("store: must be memory, sqlite:FILE, or a URL of postgres://, mysql:// or redis://")
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
