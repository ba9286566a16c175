package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Check asks the database how it is set, and returns an error that says
// everything that is wrong: tables that are not up to date, an encoding that
// cannot hold every text, a server that is a replica, and settings with which a
// crash loses what was acknowledged, so that used codes, replaced refresh tokens
// and revoked authorizations are valid again. Call it when the program starts,
// after Migrate; whether to stop or to warn is the program's choice. It sees one
// connection, and takes the others to be like it.
func (s *Store) Check(ctx context.Context) error {
	if err := s.answers(ctx); err != nil {
		return err
	}
	var errs []error
	for table, columns := range map[string]string{"clients": clientColumns, "codes": codeColumns, "tokens": tokenColumns, "consents": consentColumns} {
		// Asked of the tables, not of their version: who made them is no matter.
		rows, err := s.db.QueryContext(ctx, s.tables.render("SELECT "+columns+" FROM {"+table+"} WHERE 1 = 0"))
		if err != nil {
			errs = append(errs, fmt.Errorf("sqlstore: the table of %s is not there or not up to date; call Migrate: %w", table, err))
			continue
		}
		errs = append(errs, rows.Close())
	}
	rules, err := s.rules(ctx)
	if err != nil {
		errs = append(errs, outage(ctx, err))
	}
	for _, r := range rules {
		var value string
		if err := s.db.QueryRowContext(ctx, r.query).Scan(&value); err != nil {
			errs = append(errs, outage(ctx, err))
		} else if !r.ok(value) {
			errs = append(errs, fmt.Errorf("sqlstore: %s is %s: %s", r.name, value, r.why))
		}
	}
	return errors.Join(errs...)
}

// answers sees whether there is a database, and one of the dialect: else what is
// said of its tables and settings, or of the syntax, would lead nowhere.
func (s *Store) answers(ctx context.Context) error {
	var value string
	if err := s.db.QueryRowContext(ctx, "SELECT 1").Scan(&value); err != nil {
		return fmt.Errorf("sqlstore: no connection to the database: %w", err)
	}
	query := map[Dialect]string{Postgres: "SHOW server_version", MySQL: "SELECT @@version", SQLite: "SELECT sqlite_version()"}[s.dialect]
	if err := s.db.QueryRowContext(ctx, query).Scan(&value); err != nil {
		return fmt.Errorf("sqlstore: the database is none of %s, the Dialect that New was given: %w", s.dialect, err)
	}
	return nil
}

// rule is a setting, how to ask for it, and what is wrong with other values.
type rule struct {
	name, query string
	ok          func(value string) bool
	why         string
}

const loses = "a crash loses what was acknowledged"

func is(values ...string) func(string) bool {
	return func(v string) bool {
		for _, want := range values {
			if strings.EqualFold(v, want) {
				return true
			}
		}
		return false
	}
}

func not(value string) func(string) bool {
	return func(v string) bool { return !strings.EqualFold(v, value) }
}

func atLeast(least int) func(string) bool {
	return func(v string) bool {
		n, err := strconv.Atoi(v)
		return err == nil && n >= least
	}
}

func (s *Store) rules(ctx context.Context) ([]rule, error) {
	switch s.dialect {
	case Postgres:
		return []rule{
			{"server_encoding", "SHOW server_encoding", is("UTF8"), "it cannot hold every text"},
			{"fsync", "SHOW fsync", is("on"), loses},
			{"full_page_writes", "SHOW full_page_writes", is("on"), loses},
			{"synchronous_commit", "SHOW synchronous_commit", not("off"), loses},
			{"default_transaction_isolation", "SHOW default_transaction_isolation", is("read committed"), "calls that race on one record fail"},
			{"pg_is_in_recovery", "SELECT CAST(pg_is_in_recovery() AS TEXT)", is("false"), "the server is a replica"},
		}, nil
	case MySQL:
		return []rule{
			{"innodb_flush_log_at_trx_commit", "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit", is("1"), loses},
			{"character_set_connection", "SELECT IF(@@character_set_connection = @@character_set_client, 'the same', @@character_set_connection)", is("the same"), "the server changes the text of keys on its way"},
			{"read_only", "SELECT @@GLOBAL.read_only", is("0", "OFF"), "the server is a replica"},
		}, nil
	}
	rules := []rule{
		{"encoding", "PRAGMA encoding", is("UTF-8"), "lists are not in the order of bytes"},
		{"busy_timeout", "PRAGMA busy_timeout", atLeast(1000), "writers do not wait for each other; see the README"},
	}
	var file string
	err := s.db.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file)
	if err != nil || file == "" { // in memory there is nothing to lose
		return rules, err
	}
	return append(rules,
		rule{"journal_mode", "PRAGMA journal_mode", is("wal"), "readers and writers wait for each other; see the README"},
		rule{"synchronous", "PRAGMA synchronous", atLeast(2), loses}), nil
}
