package boltstore_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/oauth2"
	_ "modernc.org/sqlite"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// BenchmarkSize says how many bytes each store takes for an authorization that
// was refreshed once, for a consent and for a code, as a provider writes them,
// indexes included; and how many bytes a refresh writes where that can be told.
// The figures of docs/stores.md come from
//
//	go test -run '^$' -bench Size -benchtime 10000x ./examples/boltstore
//
// A database that does not answer is skipped. On PostgreSQL and MariaDB what a
// refresh writes is right only while nobody else writes there.
func BenchmarkSize(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(*testing.B) sized
	}{
		{"memory", openMemory}, {"boltstore", openBolt}, {"sqlite", openSQLite},
		{"postgres", openPostgres}, {"mysql", openMySQL}, {"redis", openRedis},
	} {
		b.Run(kind.name, func(b *testing.B) { measure(b, kind.open(b)) })
	}
}

// sized is a store and how much there is of it.
type sized struct {
	store.Store
	bytes   func() int64
	written func() int64 // bytes written since some moment; nil: nobody says
}

func measure(b *testing.B, s sized) {
	ctx := b.Context()
	token, consent, code := samples(b)
	number := func(i int) string { return fmt.Sprintf("%07d", i) }
	start := s.bytes()
	parallel(b, func(i int) error {
		t := token
		t.ID, t.Subject = t.ID[7:]+number(i), t.Subject[:29]+number(i)
		return s.CreateToken(ctx, t)
	})
	if s.written != nil {
		start := s.written()
		parallel(b, func(i int) error { return refreshed(ctx, s, token, token.ID[7:]+number(i)) })
		b.ReportMetric(float64(s.written()-start)/float64(b.N), "B-written/refresh")
	} else {
		parallel(b, func(i int) error { return refreshed(ctx, s, token, token.ID[7:]+number(i)) })
	}
	authorizations := s.bytes()
	parallel(b, func(i int) error {
		c := consent
		c.Subject = c.Subject[:29] + number(i)
		return s.GrantConsent(ctx, c)
	})
	consents := s.bytes()
	parallel(b, func(i int) error {
		c := code
		c.Key = c.Key[7:] + number(i)
		return s.CreateCode(ctx, c)
	})
	b.ReportMetric(float64(authorizations-start)/float64(b.N), "B/authorization")
	b.ReportMetric(float64(consents-authorizations)/float64(b.N), "B/consent")
	b.ReportMetric(float64(s.bytes()-consents)/float64(b.N), "B/code")
	runtime.KeepAlive(s.Store)
}

// refreshed does to the record what a refresh does: other hashes, other times.
func refreshed(ctx context.Context, s store.Store, token store.Token, id string) error {
	t, err := s.Token(ctx, id)
	if err != nil {
		return err
	}
	t.PreviousHash, t.SecretHash, t.Successor = t.SecretHash, t.FamilyHash, token.Successor
	t.RotatedAt, t.LastUsedAt, t.ExpiresAt, t.PurgeAt = t.RotatedAt.Add(time.Hour), t.LastUsedAt.Add(time.Hour), t.ExpiresAt.Add(time.Hour), t.PurgeAt.Add(time.Hour)
	return s.UpdateToken(ctx, t)
}

func parallel(b *testing.B, f func(i int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// kept remembers the last code, which is not listed.
type kept struct {
	*store.Memory
	code store.Code
}

func (k *kept) CreateCode(ctx context.Context, c store.Code) error {
	if c.Kind == "code" {
		k.code = c
	}
	return k.Memory.CreateCode(ctx, c)
}

// samples are the records that a provider keeps of a user who has let a
// registered client do three things, and of that client's first refresh.
func samples(b *testing.B) (store.Token, store.Consent, store.Code) {
	ctx, k := b.Context(), &kept{Memory: store.NewMemory()}
	const subject, client, callback = "4b4ae4d3-6f5c-4a0e-9d5e-0123456789ab", "1d0f5b6a-6a3b-4c69-8d8e-1b9a55b8a3c1", "https://app.example/callback"
	p, err := oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: k, LoginURL: "/login", Logger: slog.New(slog.DiscardHandler),
		Session:   func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:    map[string]string{"profile": "", "notes:read": "", "notes:write": ""},
		Resources: []oauth.Resource{{URI: "https://api.example/"}},
	})
	require.NoError(b, err)
	c, _, err := p.RegisterClient(ctx, oauth.Client{ID: client, Public: true, RedirectURIs: []string{callback}, Scopes: []string{"profile", "notes:read", "notes:write"}})
	require.NoError(b, err)
	verifier := oauth2.GenerateVerifier()
	req, err := p.ParseAuthorization(ctx, url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "scope": {"profile notes:read notes:write"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	})
	require.NoError(b, err)
	code, err := p.CreateAuthorizationCode(ctx, req, oauth.Approval{Session: oauth.Session{Subject: subject, AuthTime: time.Now(), ID: rand.Text()}})
	require.NoError(b, err)
	tokens, err := p.Exchange(ctx, c, oauth.ExchangeRequest{Code: code, RedirectURI: callback, CodeVerifier: verifier, Device: "Firefox on Linux", IP: "203.0.113.77"})
	require.NoError(b, err)
	_, err = p.Refresh(ctx, c, oauth.RefreshRequest{RefreshToken: tokens.RefreshToken})
	require.NoError(b, err)
	list, err := k.ListTokens(ctx, store.TokenQuery{Subject: subject}, "", 1)
	require.NoError(b, err)
	consent, err := k.Consent(ctx, subject, client)
	require.NoError(b, err)
	return list[0], consent, k.code
}

func openMemory(*testing.B) sized {
	return sized{Store: store.NewMemory(), bytes: func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}}
}

// openBolt counts pages in use: the file grows by doubling.
func openBolt(b *testing.B) sized {
	db, s := open(b, filepath.Join(b.TempDir(), "oauth.db"), true)
	page := int64(db.Info().PageSize)
	return sized{s, func() (n int64) {
		require.NoError(b, db.View(func(tx *bolt.Tx) error { n = tx.Size(); return nil }))
		stats := db.Stats()
		return n - int64(stats.FreePageN+stats.PendingPageN)*page
	}, func() int64 {
		stats := db.Stats()
		return stats.TxStats.GetWrite() * page
	}}
}

func openSQLite(b *testing.B) sized {
	file := filepath.Join(b.TempDir(), "oauth.db")
	// For speed it does not wait for the disk, and the log grows all the time, so
	// that its length is what was written.
	s, db := openSQL(b, "sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=wal_autocheckpoint(0)", sqlstore.SQLite, sqlstore.Options{})
	return sized{s, func() int64 {
		return number(b, db, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
	}, func() int64 {
		info, err := os.Stat(file + "-wal")
		require.NoError(b, err)
		return info.Size()
	}}
}

func openPostgres(b *testing.B) sized {
	schema := "sizes_" + strings.ToLower(rand.Text()[:8])
	dsn := address("OAUTH_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test?sslmode=disable") + "&synchronous_commit=off"
	db := ping(b, "pgx", dsn)
	_, err := db.Exec("CREATE SCHEMA " + schema)
	require.NoError(b, err)
	b.Cleanup(func() { db.Exec("DROP SCHEMA " + schema + " CASCADE") })
	s, _ := openSQL(b, "pgx", dsn, sqlstore.Postgres, sqlstore.Options{Schema: schema})
	return sized{s, func() int64 {
		return number(b, db, "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE relkind = 'r' AND relnamespace = '"+schema+"'::regnamespace")
	}, func() int64 { return number(b, db, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint") }}
}

func openMySQL(b *testing.B) sized {
	prefix := "sizes_" + strings.ToLower(rand.Text()[:8]) + "_"
	dsn := address("OAUTH_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")
	db := ping(b, "mysql", dsn)
	tables := []string{"clients", "codes", "tokens", "consents", "migrations"}
	b.Cleanup(func() {
		for _, t := range tables {
			db.Exec("DROP TABLE IF EXISTS " + prefix + t)
		}
	})
	s, _ := openSQL(b, "mysql", dsn, sqlstore.MySQL, sqlstore.Options{Prefix: prefix})
	return sized{s, func() int64 {
		for _, t := range tables {
			rows, err := db.Query("ANALYZE TABLE " + prefix + t)
			require.NoError(b, err)
			require.NoError(b, rows.Close())
		}
		return number(b, db, "SELECT CAST(SUM(data_length + index_length) AS SIGNED) FROM information_schema.tables WHERE table_name LIKE '"+strings.ReplaceAll(prefix, "_", `\\_`)+"%'")
	}, func() int64 {
		return number(b, db, "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status WHERE variable_name = 'Innodb_os_log_written'")
	}}
}

func openSQL(b *testing.B, driver, dsn string, d sqlstore.Dialect, o sqlstore.Options) (store.Store, *sql.DB) {
	db := ping(b, driver, dsn)
	db.SetMaxOpenConns(16)
	s, err := sqlstore.New(db, d, o)
	require.NoError(b, err)
	require.NoError(b, s.Migrate(b.Context()))
	return s, db
}

func ping(b *testing.B, driver, dsn string) *sql.DB {
	db, err := sql.Open(driver, dsn)
	require.NoError(b, err)
	b.Cleanup(func() { db.Close() })
	if err := db.PingContext(b.Context()); err != nil {
		b.Skipf("NOT RUN: %v", err)
	}
	return db
}

func address(variable, otherwise string) string {
	if v := os.Getenv(variable); v != "" {
		return v
	}
	return otherwise
}

func number(b *testing.B, db *sql.DB, query string) (n int64) {
	require.NoError(b, db.QueryRow(query).Scan(&n))
	return n
}
