package sqlstore

import (
	"strconv"
	"strings"
)

const (
	defaultPrefix = "oauth_"
	maxPrefix     = 32
	maxSchema     = 63
)

// Names go into the text of statements, so they are made of characters that mean
// nothing in SQL, and are quoted all the same.
func validPrefix(s string) bool {
	for i, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxPrefix
}

func validSchema(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= maxSchema
}

// tables makes the text of statements.
type tables struct {
	dialect        Dialect
	schema, prefix string
	lock           bool // reads that explain or merge lock the row: they run in a transaction with an old snapshot
}

func (t tables) quote(name string) string {
	if t.dialect == MySQL {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}

func (t tables) qualify(name string) string {
	if t.schema == "" {
		return t.quote(name)
	}
	return t.quote(t.schema) + "." + t.quote(name)
}

// render puts the tables' names in place of {clients}, {codes}, {tokens},
// {consents} and {migrations}, and the dialect's parameters in place of ?.
func (t tables) render(text string) string {
	for _, name := range []string{"clients", "codes", "tokens", "consents", "migrations"} {
		text = strings.ReplaceAll(text, "{"+name+"}", t.qualify(t.prefix+name))
	}
	if t.dialect != Postgres {
		return text
	}
	parts := strings.Split(text, "?")
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		b.WriteString("$" + strconv.Itoa(i+1) + part)
	}
	return b.String()
}

// forUpdate ends a SELECT that has to see what is committed now, also in a
// transaction that began before.
func (t tables) forUpdate() string {
	if t.dialect == SQLite {
		return ""
	}
	return " FOR UPDATE"
}

// insert returns an INSERT that changes no row if one with the key exists.
func (t tables) insert(into, columns string) string {
	values := " (" + columns + ") VALUES (" + params(strings.Count(columns, ",")+1) + ")"
	if t.dialect == MySQL {
		// A plain INSERT would report the duplicate by an error that only a
		// driver can read. What IGNORE also hides cannot happen: no value is
		// longer than its column or null where it may not be.
		return "INSERT IGNORE INTO " + into + values
	}
	return "INSERT INTO " + into + values + " ON CONFLICT DO NOTHING"
}

func params(n int) string { return strings.Repeat("?, ", n-1) + "?" }

// set returns "a = ?, b = ?" for "a, b".
func set(columns string) string {
	return strings.ReplaceAll(columns, ", ", " = ?, ") + " = ?"
}
