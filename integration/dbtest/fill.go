package dbtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// Fill adds n authorizations, as many codes and a tenth as many clients and
// consents, in few statements, and lets the database count them. Authorization
// i has the ID "fill-i", the subject "subject-(i/10)" and the client
// "client-(i%1000)". One in a hundred is due for deletion at the time 1,000,000
// seconds.
func (d *Database) Fill(t testing.TB, n int) {
	t.Helper()
	name := func(prefix, number string) string {
		if d.Dialect == sqlstore.MySQL {
			return "CONCAT('" + prefix + "', " + number + ")"
		}
		return "'" + prefix + "' || " + number
	}
	div := map[sqlstore.Dialect]string{sqlstore.MySQL: "DIV"}[d.Dialect]
	if div == "" {
		div = "/"
	}
	tenth := "i " + div + " 10"
	if d.Dialect != sqlstore.MySQL {
		tenth = "(" + tenth + ")"
	}
	purge := "CASE WHEN i % 100 = 0 THEN 1000000000000 ELSE 2000000000000000 + i END"
	days := "CASE WHEN i % 100 = 0 THEN 12 ELSE 23149 END"
	hash := map[sqlstore.Dialect]string{
		sqlstore.Postgres: `'\x` + strings.Repeat("61", 32) + `'::bytea`, sqlstore.MySQL: "'" + strings.Repeat("a", 32) + "'", sqlstore.SQLite: "x'" + strings.Repeat("61", 32) + "'",
	}[d.Dialect]
	const step = 100000
	for from := 0; from < n; from += step {
		rows, some := numbers(from, min(n, from+step)), numbers(from/10, min(n, from+step)/10)
		d.Exec(t, "INSERT INTO "+d.Table("tokens")+" (id, client_id, subject, state, version, scopes, resources, family_hash, secret_hash, created_at, last_used_at, expires_at, purge_at, purge_day, device, ip) SELECT "+
			name("fill-", "i")+", "+name("client-", "i % 1000")+", "+name("subject-", tenth)+`, 1, 1, '["read","write"]', '["https://api.example/"]', `+hash+", "+hash+", 1, 1, 1, "+purge+", "+days+", 'phone', '192.0.2.1' FROM "+rows)
		d.Exec(t, "INSERT INTO "+d.Table("codes")+" (kind, code_key, version, expires_at, purge_at, data) SELECT 'code', "+name("fill-", "i")+", 1, 1, "+purge+", "+hash+" FROM "+rows)
		d.Exec(t, "INSERT INTO "+d.Table("clients")+" (id, version, purge_at, record) SELECT "+name("client-", "i")+", 1, CASE WHEN i % 100 = 0 THEN 1000000000000 END, '{}' FROM "+some)
		d.Exec(t, "INSERT INTO "+d.Table("consents")+" (subject, client_id, version, scopes, resources, granted_at, updated_at) SELECT "+
			name("subject-", tenth)+", "+name("client-", "i")+", 1, '[]', '[]', 1, 1 FROM "+some)
	}
	for _, table := range tables {
		switch d.Dialect {
		case sqlstore.Postgres:
			d.Exec(t, "VACUUM ANALYZE "+d.Table(table))
		case sqlstore.MySQL:
			d.Exec(t, "ANALYZE TABLE "+d.Table(table))
		default:
			d.Exec(t, "ANALYZE "+d.Table(table))
		}
	}
}

// numbers is a table of the numbers from first to before last, which works on
// every database.
func numbers(first, last int) string {
	digit := "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	sum, from, factor := fmt.Sprint(first), "", 1
	for i := 0; factor < last-first; i++ {
		sum += fmt.Sprintf(" + %d * d%d.d", factor, i)
		from += fmt.Sprintf(", %s AS d%d", digit, i)
		factor *= 10
	}
	if from == "" {
		return "(SELECT 0 AS i) AS n WHERE 1 = 0"
	}
	return fmt.Sprintf("(SELECT %s AS i FROM %s) AS n WHERE i < %d", sum, from[2:], last)
}
