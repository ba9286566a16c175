package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// maxBatch is how many rows one statement deletes.
const maxBatch = 1000

// purgeStatements delete the expired records of one table. The first passes over
// rows that others have locked; the second waits for them.
type purgeStatements struct {
	skip, wait *statement
	key        []string // MySQL: the primary key, which skip and wait select
}

func (s *statements) addPurges(t tables) {
	for table, key := range map[string]string{"clients": "id", "codes": "code_key, kind", "tokens": "id"} {
		due, order := "purge_at <= ?", "purge_at"
		if table == "tokens" {
			due, order = "purge_day <= ? AND purge_at <= ?", "purge_day"
		}
		selected := func(columns, lock string) string {
			return "SELECT " + columns + " FROM {" + table + "} WHERE " + due + " ORDER BY " + order + " LIMIT ?" + lock
		}
		p := purgeStatements{key: strings.Split(key, ", ")}
		switch t.dialect {
		case Postgres:
			// MATERIALIZED: the selection runs once, whatever the planner thinks.
			// ANY: it looks the rows up by key, however few the table has.
			del := func(lock string) *statement {
				text := "WITH due AS MATERIALIZED (" + selected(key, lock) + ") DELETE FROM {" + table + "} WHERE " + p.key[0] + " = ANY (ARRAY(SELECT " + p.key[0] + " FROM due))"
				if len(p.key) > 1 {
					text += " AND (" + key + ") IN (SELECT " + key + " FROM due)"
				}
				return s.add(t, text)
			}
			p.skip, p.wait = del(" FOR UPDATE SKIP LOCKED"), del(" FOR UPDATE")
		case MySQL:
			p.skip, p.wait = s.add(t, selected(key, " FOR UPDATE SKIP LOCKED")), s.add(t, selected(key, " FOR UPDATE"))
		default:
			p.wait = s.add(t, "DELETE FROM {"+table+"} WHERE rowid IN ("+selected("rowid", "")+")")
			p.skip = p.wait // one writer at a time: nothing is locked but by the one that waits for the file
		}
		s.purge[table] = p
	}
}

// DeleteExpired implements store.Store. It deletes at most 1,000 rows a
// statement.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
	var d store.Deleted
	if err := checkTimes(before); err != nil {
		return d, err
	}
	for _, p := range []struct {
		table string
		count *int
		due   []any
	}{
		{"clients", &d.Clients, []any{before.UnixMicro()}},
		{"codes", &d.Codes, []any{before.UnixMicro()}},
		{"tokens", &d.Tokens, []any{dayOf(before), before.UnixMicro()}},
	} {
		if err := s.purgeTable(ctx, p.table, p.due, limit-d.Total(), p.count); err != nil {
			return d, err
		}
	}
	return d, ctx.Err()
}

func (s *Store) purgeTable(ctx context.Context, table string, due []any, limit int, count *int) error {
	p := s.sql.purge[table]
	st := p.skip
	for limit > 0 {
		batch := min(limit, maxBatch)
		n, err := s.purgeBatch(ctx, table, st, append(due[:len(due):len(due)], batch))
		if err != nil {
			return err
		}
		*count += n
		limit -= n
		switch {
		case n == batch:
		case st == p.wait:
			return nil
		default: // there are no more, but perhaps some that were locked
			st = p.wait
		}
	}
	return nil
}

func (s *Store) purgeBatch(ctx context.Context, table string, st *statement, args []any) (int, error) {
	switch {
	case s.dialect != MySQL:
		return s.exec(ctx, st, args...)
	case s.tx != nil:
		return s.purgeKeys(ctx, s, table, st, args)
	}
	n := 0
	err := s.retry(ctx, func() error {
		var err error
		n, err = s.purgeInTx(ctx, table, st, args)
		return err
	})
	return n, err
}

// purgeInTx deletes one batch on MySQL, which can pass over locked rows in a
// SELECT, but not in a DELETE. In READ COMMITTED neither locks a gap, so that no
// insert waits.
func (s *Store) purgeInTx(ctx context.Context, table string, st *statement, args []any) (int, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	n, err := s.purgeKeys(ctx, s.WithTx(tx), table, st, args)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, tx.Commit()
}

func (s *Store) purgeKeys(ctx context.Context, in *Store, table string, st *statement, args []any) (int, error) {
	key := s.sql.purge[table].key
	var keys []any
	err := in.query(ctx, st, func() { keys = nil }, func(row scanner) error {
		values := make([][]byte, len(key))
		dest := make([]any, len(key))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := row.Scan(dest...); err != nil {
			return err
		}
		for _, v := range values {
			keys = append(keys, v)
		}
		return nil
	}, args...)
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	one := "(" + params(len(key)) + "), "
	text := "DELETE FROM {" + table + "} WHERE (" + strings.Join(key, ", ") + ") IN (" + strings.TrimSuffix(strings.Repeat(one, len(keys)/len(key)), ", ") + ")"
	return in.exec(ctx, &statement{text: s.tables.render(text)}, keys...)
}
