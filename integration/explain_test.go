package integration

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// planners are the databases that make plans of their own: SQLite makes the same
// in a file and in memory.
var planners = []dbtest.Kind{dbtest.Postgres, dbtest.MySQL, dbtest.File}

// TestSQLStoreScansNoTable asks each database how it would run every statement
// that the store has really sent, with the values it has sent, over tables that
// are large enough for a scan to be seen.
func TestSQLStoreScansNoTable(t *testing.T) {
	dbtest.Each(t, planners, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		d.Fill(t, 20000)
		db, recorder := d.Recorded(t)
		s := d.Handle(t, db)
		for _, c := range calls(d.Dialect, "-x") {
			require.ErrorIs(t, c.f(t.Context(), s), c.want, c.name)
		}
		deleted, err := s.DeleteExpired(t.Context(), time.Unix(1_000_000, 0), 40)
		require.NoError(t, err)
		require.Equal(t, 40, deleted.Total())
		deleted, err = s.DeleteExpired(t.Context(), time.Unix(1_000_000, 0), 1000)
		require.NoError(t, err)
		require.Equal(t, 380, deleted.Total(), "the rest of 20 clients, 200 codes and 200 tokens")

		ran, _ := recorder.Take()
		seen := map[string]bool{}
		for _, st := range ran {
			if strings.HasPrefix(st.Text, "INSERT") || st.Text == "BEGIN" || seen[st.Text] {
				continue
			}
			seen[st.Text] = true
			for _, plan := range plans(t, d, st) {
				assert.False(t, scans(d, plan), "%s\n%s", st.Text, plan)
			}
		}
		require.Greater(t, len(seen), 25, "the test sees the statements")
	})
}

// TestAPlanThatScansIsSeen is what makes the test above worth something.
func TestAPlanThatScansIsSeen(t *testing.T) {
	dbtest.Each(t, planners, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		d.Fill(t, 2000)
		for _, text := range []string{
			"SELECT id FROM " + d.Table("tokens") + " WHERE device = 'x'",
			"SELECT id, device FROM " + d.Table("tokens") + " ORDER BY id", // by way of an index, all of it
			"SELECT count(*) FROM " + d.Table("tokens"),
		} {
			for _, plan := range plans(t, d, dbtest.Statement{Text: text}) {
				assert.True(t, scans(d, plan), plan)
			}
		}
	})
}

var (
	// wholeIndex is SQLite's word for the reading of a whole table or index.
	wholeIndex = regexp.MustCompile(`(?m)^SCAN `)
	// indexScan is PostgreSQL's for the reading of an index: of all of it, unless
	// there is a condition.
	indexScan = regexp.MustCompile(`Index (Only )?Scan`)
)

func scans(d *dbtest.Database, plan string) bool {
	switch d.Dialect {
	case sqlstore.Postgres:
		return strings.Contains(plan, "Seq Scan") || len(indexScan.FindAllString(plan, -1)) > strings.Count(plan, "Index Cond:")
	case sqlstore.MySQL:
		return strings.Contains(plan, "type=ALL") || strings.Contains(plan, "type=index ")
	}
	return wholeIndex.MatchString(plan)
}

func plans(t *testing.T, d *dbtest.Database, st dbtest.Statement) []string {
	t.Helper()
	switch d.Dialect {
	case sqlstore.Postgres:
		return []string{explain(t, d.DB, "EXPLAIN "+st.Text, st.Args...), generic(t, d, st)}
	case sqlstore.MySQL:
		return []string{explain(t, d.DB, "EXPLAIN "+st.Text, st.Args...)}
	}
	return []string{explain(t, d.DB, "EXPLAIN QUERY PLAN "+st.Text, st.Args...)}
}

// generic returns the plan that PostgreSQL makes for any values.
func generic(t *testing.T, d *dbtest.Database, st dbtest.Statement) string {
	t.Helper()
	c, err := d.DB.Conn(t.Context())
	require.NoError(t, err)
	defer c.Close()
	for _, text := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE st AS " + st.Text} {
		_, err := c.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
	args := ""
	if n := len(st.Args); n > 0 {
		args = "(" + strings.TrimSuffix(strings.Repeat("NULL, ", n), ", ") + ")"
	}
	plan := explain(t, c, "EXPLAIN EXECUTE st"+args)
	_, err = c.ExecContext(t.Context(), "DEALLOCATE st")
	require.NoError(t, err)
	return plan
}

type explainer interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

func explain(t *testing.T, db explainer, text string, args ...any) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	require.NoError(t, err, text)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		values, dest := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		require.NoError(t, rows.Scan(dest...))
		switch {
		case len(columns) == 1: // PostgreSQL
			plan.WriteString(values[0].String)
		case columns[len(columns)-1] == "detail": // SQLite
			plan.WriteString(values[len(columns)-1].String)
		default:
			for i, v := range values {
				fmt.Fprintf(&plan, "%s=%s ", columns[i], v.String)
			}
		}
		plan.WriteString("\n")
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, plan.String(), text)
	return plan.String()
}
