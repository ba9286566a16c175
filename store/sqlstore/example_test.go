package sqlstore_test

import (
	"context"
	"database/sql"
	"log"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// The program imports its driver as usual, for example
// _ "github.com/jackc/pgx/v5/stdlib".
func Example() {
	ctx := context.Background()
	db, err := sql.Open("pgx", "postgres://app@localhost/app")
	if err != nil {
		log.Fatal(err)
	}
	s, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	if err := s.Check(ctx); err != nil {
		log.Print(err) // works, but forgets after a crash
	}
}

// Deleting a user and ending all that they allowed, or neither.
func ExampleStore_WithTx() {
	deleteUser := func(ctx context.Context, db *sql.DB, s *sqlstore.Store, user string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, "DELETE FROM users WHERE id = $1", user); err != nil {
			return err
		}
		in, now := s.WithTx(tx), time.Now()
		if _, err := in.RevokeTokens(ctx, store.TokenQuery{Subject: user}, now, now.AddDate(0, 0, 7)); err != nil {
			return err
		}
		if _, err := in.RevokeConsents(ctx, store.ConsentQuery{Subject: user}); err != nil {
			return err
		}
		return tx.Commit()
	}
	_ = deleteUser
}

// For another migration tool: the statements with this program's names.
func ExampleStore_Migrations() {
	var db *sql.DB // the program's
	s, err := sqlstore.New(db, sqlstore.MySQL, sqlstore.Options{Prefix: "auth_"})
	if err != nil {
		log.Fatal(err)
	}
	all, err := s.Migrations()
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range all {
		log.Print(m.Name, m.SQL)
	}
}
