// Package sqlstore is a [store.Store] in PostgreSQL, MySQL, MariaDB or SQLite,
// over the *sql.DB that the program has already. It imports database/sql and no
// driver; any driver of these databases serves.
//
//	s, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.Options{})
//	...
//	if err := s.Migrate(ctx); err != nil { ... }
//
// The README beside this file has the tables and the connection settings for
// each database.
//
// # Databases
//
// PostgreSQL 13 or later, whose encoding is UTF8; MySQL 8.0.1 or MariaDB 10.6
// or later, with InnoDB; SQLite 3.37 or later. Every connection must reach the
// primary: a replica that lags, or a proxy that sends SELECT to one, breaks the
// promise that what has been written is seen.
//
// # Statements
//
// What a provider does on the way of a request is one statement each, committed
// by itself: a look-up by primary key, an insert, or an UPDATE whose WHERE has
// the version and whose count of rows is the decision. What they decide is right
// at every isolation level. On PostgreSQL READ COMMITTED, the default, is also
// the one at which no call fails because of another: at a stricter one the
// database refuses some of those that race on one record. A second statement
// runs only to say why an update changed nothing, to merge a consent that
// exists, and, on MySQL, to return a code that was consumed. Statements are
// prepared once per connection.
//
// # Errors
//
// A statement that the database rolled back because of others (a serialization
// failure, a deadlock, a lock that took too long, a busy file) is tried again,
// at most three times, after a random pause. What may have been committed (a
// connection that broke) is not: the caller gets the error.
package sqlstore
