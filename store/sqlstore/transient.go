package sqlstore

import (
	"errors"
	"strconv"
	"strings"
)

// transient reports whether the database has certainly not done what the
// statement says, and may do it if asked again. Drivers are known by the
// methods and the messages of their errors, since none is imported.
func transient(d Dialect, err error) bool {
	switch d {
	case Postgres:
		return transientPostgres(sqlState(err))
	case MySQL:
		return transientMySQL(mysqlNumber(err))
	default:
		return transientSQLite(err)
	}
}

// noTable reports whether the statement is about a table that is not there.
func noTable(d Dialect, err error) bool {
	switch d {
	case Postgres:
		return sqlState(err) == "42P01" // undefined_table
	case MySQL:
		return mysqlNumber(err) == 1146 // ER_NO_SUCH_TABLE
	default:
		return strings.Contains(err.Error(), "no such table")
	}
}

func transientPostgres(state string) bool {
	switch state {
	case "40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03": // lock_not_available
		return true
	}
	return false
}

// sqlState returns the SQLSTATE that the error carries; pgx and lib/pq have this
// method.
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

func transientMySQL(number int) bool {
	switch number {
	case 1205, // ER_LOCK_WAIT_TIMEOUT
		1213, // ER_LOCK_DEADLOCK
		1020: // ER_CHECKREAD, of MariaDB's innodb_snapshot_isolation
		return true
	}
	return false
}

// mysqlNumber returns the number of an error of the server. The usual driver's
// error has it in a field, which cannot be read without the driver, and first in
// its text: "Error 1213 (40001): ...".
func mysqlNumber(err error) int {
	number := 0
	each(err, func(e error) bool {
		rest, ok := strings.CutPrefix(e.Error(), "Error ")
		if !ok {
			return false
		}
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		if next := rest[len(digits):]; !strings.HasPrefix(next, " (") && !strings.HasPrefix(next, ": ") {
			return false
		}
		n, err := strconv.Atoi(digits)
		if err == nil {
			number = n
		}
		return err == nil
	})
	return number
}

const (
	sqliteBusy   = 5
	sqliteLocked = 6
)

func transientSQLite(err error) bool {
	return each(err, func(e error) bool {
		if c, ok := e.(interface{ Code() int }); ok { // modernc.org/sqlite
			primary := c.Code() & 0xff // the rest is the extended code
			return primary == sqliteBusy || primary == sqliteLocked
		}
		text := e.Error() // the words of sqlite3_errstr, which all drivers pass on
		return strings.HasPrefix(text, "database is locked") || strings.HasPrefix(text, "database table is locked") ||
			strings.HasPrefix(text, "sqlite3: database is locked") || strings.HasPrefix(text, "sqlite3: database table is locked")
	})
}

// each calls f for err and what it wraps until f returns true, and reports
// whether it did.
func each(err error, f func(error) bool) bool {
	if err == nil {
		return false
	}
	if f(err) {
		return true
	}
	switch w := err.(type) {
	case interface{ Unwrap() error }:
		return each(w.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, e := range w.Unwrap() {
			if each(e, f) {
				return true
			}
		}
	}
	return false
}
