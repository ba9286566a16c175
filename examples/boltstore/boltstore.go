// Package boltstore keeps what a provider has to remember in one file, with
// go.etcd.io/bbolt. It is an example for those who write a store of their own:
// complete, in under 300 lines of code, and storetest passes. docs/stores.md
// walks through it.
package boltstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-e797c9ce/oauth/store"
)

// Store is a store.Store in a bbolt file. Any number of goroutines may use it,
// and any number of Stores one *bolt.DB; bbolt locks its file, so one process has
// it at a time. The methods do what package store says.
type Store struct{ db *bolt.DB }

// New returns a store in db, which the caller closes after the last call of a
// method. With db.NoSync, a crash brings back codes that were used and tokens
// that were revoked.
func New(db *bolt.DB) (*Store, error) {
	err := db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucketIfNotExists(bucket); return err })
	return &Store{db}, err
}

// Look-ups, by key.

func (s *Store) Client(ctx context.Context, id string) (store.Client, error) {
	return get[store.Client](ctx, s, join("client", id))
}
func (s *Store) Code(ctx context.Context, kind, key string) (store.Code, error) {
	return get[store.Code](ctx, s, join("code", kind, key))
}
func (s *Store) Token(ctx context.Context, id string) (store.Token, error) {
	return get[store.Token](ctx, s, join("token", id))
}
func (s *Store) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	return get[store.Consent](ctx, s, join("consent", subject, clientID))
}

// Inserts, and compare-and-swaps.

func (s *Store) CreateClient(ctx context.Context, c store.Client) error {
	return put(ctx, s, &c, true, nil)
}
func (s *Store) UpdateClient(ctx context.Context, c store.Client) error {
	return put(ctx, s, &c, false, nil)
}
func (s *Store) CreateCode(ctx context.Context, c store.Code) error {
	c.ConsumedAt = time.Time{}
	return put(ctx, s, &c, true, nil)
}
func (s *Store) UpdateCode(ctx context.Context, c store.Code) error {
	c.ConsumedAt = time.Time{}
	return put(ctx, s, &c, false, store.ErrConsumed)
}
func (s *Store) CreateToken(ctx context.Context, t store.Token) error {
	return put(ctx, s, &t, true, nil)
}
func (s *Store) UpdateToken(ctx context.Context, t store.Token) error {
	t.RevokedAt = time.Time{}
	return put(ctx, s, &t, false, store.ErrRevoked)
}

// ConsumeCode returns the record also to those who come too late.
func (s *Store) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (c store.Code, err error) {
	err = s.run(ctx, s.db.Update, func(t *txn) error {
		if at.IsZero() {
			return store.ErrInvalid
		}
		if c, err = read[store.Code](t, join("code", kind, key)); err != nil {
			return err
		}
		if !c.ConsumedAt.IsZero() {
			return store.ErrConsumed
		}
		c.Version, c.ConsumedAt = c.Version+1, at
		write(t, &c)
		return nil
	})
	return c, err
}

// GrantConsent adds to what the user has agreed to; if the client is not what it
// was then, it begins anew.
func (s *Store) GrantConsent(ctx context.Context, c store.Consent) error {
	return change(ctx, s, &c, func(old store.Consent, err error) error {
		if err != nil || old.ClientHash != c.ClientHash {
			old = store.Consent{GrantedAt: c.GrantedAt}
		}
		c.Scopes, c.Resources, c.GrantedAt = union(old.Scopes, c.Scopes), union(old.Resources, c.Resources), old.GrantedAt
		return c.Check() // together they may be too much
	})
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// Lists, in the order of an index.

func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]store.Client, error) {
	return list(ctx, s, join("clients", ""), after, limit, func(store.Client) bool { return true })
}
func (s *Store) ListConsents(ctx context.Context, subject, after string, limit int) ([]store.Consent, error) {
	return list(ctx, s, join("consents of user", subject, ""), after, limit, func(store.Consent) bool { return true })
}
func (s *Store) ListTokens(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
	index, selected := tokens(q)
	return list(ctx, s, index, after, limit, selected)
}

// tokens says which index has what q selects, none if it selects nothing, and
// what in it is selected.
func tokens(q store.TokenQuery) (index string, selected func(store.Token) bool) {
	index = cmp.Or(prefix("tokens", q.ID), prefix("tokens of user", q.Subject), prefix("tokens of client", q.ClientID))
	return index, func(t store.Token) bool {
		return t.Subject == cmp.Or(q.Subject, t.Subject) && t.ClientID == cmp.Or(q.ClientID, t.ClientID)
	}
}

// Revocations and deletions: each is one transaction, but for DeleteExpired.

func (s *Store) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (n int, err error) {
	index, selected := tokens(q)
	err = s.run(ctx, s.db.Update, func(t *txn) error {
		if index == "" || at.IsZero() {
			return store.ErrInvalid
		}
		for _, key := range slices.Collect(entries(t, index, "", "\xff", math.MaxInt)) {
			if r, err := read[store.Token](t, key); err == nil && selected(r) && r.RevokedAt.IsZero() {
				r.Version, r.RevokedAt, r.PurgeAt = r.Version+1, at, purgeAt
				write(t, &r)
				n++
			}
		}
		return nil
	})
	return n, err
}
func (s *Store) RevokeConsents(ctx context.Context, q store.ConsentQuery) (n int, err error) {
	index := cmp.Or(prefix("consents of user", q.Subject), prefix("consents to client", q.ClientID))
	err = s.run(ctx, s.db.Update, func(t *txn) error {
		if index == "" {
			return store.ErrInvalid
		}
		for _, key := range slices.Collect(entries(t, index, "", "\xff", math.MaxInt)) {
			if r, err := read[store.Consent](t, key); err == nil && r.ClientID == cmp.Or(q.ClientID, r.ClientID) {
				n++
				remove[store.Consent](t, key)
			}
		}
		return nil
	})
	return n, err
}
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.run(ctx, s.db.Update, func(t *txn) error { return remove[store.Client](t, join("client", id)) })
}

// DeleteExpired works in steps, between which others have their turn.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (total store.Deleted, err error) {
	for more := true; more && err == nil; {
		sum, most := total, min(200, limit-total.Total())
		if err = s.run(ctx, s.db.Update, func(t *txn) error { return purge(t, before, most, &sum) }); err == nil {
			more, total = sum.Total() == total.Total()+most && sum.Total() < limit, sum
		}
	}
	return total, err
}

// purge finds what is due and deletes it in one transaction, so that nobody can
// put it off in between, and nobody else counts it.
func purge(t *txn, before time.Time, most int, sum *store.Deleted) error {
	counts := map[string]*int{"client": &sum.Clients, "code": &sum.Codes, "token": &sum.Tokens}
	removers := map[string]func(*txn, string) error{"client": remove[store.Client], "code": remove[store.Code], "token": remove[store.Token]}
	for _, key := range slices.Collect(entries(t, join("due", ""), "", join(sortable(before), "\xff"), most)) {
		kind, _, _ := strings.Cut(key, "\x00")
		*counts[kind]++
		removers[kind](t, key) // its errors are in t, too
	}
	return nil
}

// What follows is what the methods have in common.

// One bucket has all of it: records, as JSON, so that what a caller holds and
// what is stored never share memory; and index entries, which lead to the key of
// a record.
var bucket = []byte("oauth")

// join makes a key of parts. None has a NUL, since Check refuses it: so no two
// records share a key, and all of a user's begin with prefix(…, user).
func join(parts ...string) string { return strings.Join(parts, "\x00") }

func prefix(index, of string) string {
	if of == "" {
		return ""
	}
	return join(index, of, "")
}

// sortable is a time as text in the order of times, those before 1970 too.
func sortable(t time.Time) string { return fmt.Sprintf("%020d", t.UnixMicro()+1<<62) }

// A place is where a record is: its key, and the index entries that lead to it.
// And where in the record are its version and the time that ends it.
type place struct {
	key     string
	index   []string
	version *int64
	end     *time.Time
}

// placeOf also brings times into the form of the contract: UTC, microseconds.
func placeOf(record any) (p place) {
	p.version, p.end = new(int64), new(time.Time)
	purgeAt, times := new(time.Time), []*time.Time(nil)
	switch r := record.(type) {
	case *store.Client:
		p.key, p.version, purgeAt = join("client", r.ID), &r.Version, &r.PurgeAt
		p.index, times = []string{join("clients", r.ID)}, []*time.Time{&r.CreatedAt, &r.UpdatedAt}
		r.Secrets = slices.Clone(r.Secrets) // the caller's are not ours to change
		for i := range r.Secrets {
			times = append(times, &r.Secrets[i].ExpiresAt)
		}
	case *store.Code:
		p.key, p.version, p.end, purgeAt = join("code", r.Kind, r.Key), &r.Version, &r.ConsumedAt, &r.PurgeAt
		times = []*time.Time{&r.ExpiresAt}
	case *store.Token:
		p.key, p.version, p.end, purgeAt = join("token", r.ID), &r.Version, &r.RevokedAt, &r.PurgeAt
		p.index = []string{join("tokens", r.ID, r.ID), join("tokens of user", r.Subject, r.ID), join("tokens of client", r.ClientID, r.ID)}
		times = []*time.Time{&r.RotatedAt, &r.CreatedAt, &r.LastUsedAt, &r.ExpiresAt}
	case *store.Consent:
		p.key, times = join("consent", r.Subject, r.ClientID), []*time.Time{&r.GrantedAt, &r.UpdatedAt}
		p.index = []string{join("consents of user", r.Subject, r.ClientID), join("consents to client", r.ClientID, r.Subject)}
	}
	for _, t := range append(times, p.end, purgeAt) {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	if !purgeAt.IsZero() {
		p.index = append(p.index, join("due", sortable(*purgeAt), p.key))
	}
	return p
}

// txn is a transaction. The first error of the database undoes it.
type txn struct {
	*bolt.Bucket
	err error
}

func (t *txn) note(err error) { t.err = cmp.Or(t.err, err) }

// run is how every method begins: one whose context has ended does nothing.
// Transaction is db.View or db.Update; an error of f undoes it, too.
func (s *Store) run(ctx context.Context, transaction func(func(*bolt.Tx) error) error, f func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return transaction(func(tx *bolt.Tx) error {
		t := &txn{Bucket: tx.Bucket(bucket)}
		err := f(t)
		return cmp.Or(t.err, err)
	})
}

func read[R any](t *txn, key string) (r R, err error) {
	text := t.Get([]byte(key))
	if text == nil {
		return r, store.ErrNotFound
	}
	err = json.Unmarshal(text, &r)
	t.note(err) // an outage, whoever asked: not "not found"
	return r, err
}

// write and remove are all that changes the file. A record and what leads to it
// change in one transaction: no crash leaves one without the other, and no
// revocation misses a token that was created before it.
func write[R any](t *txn, r *R) {
	p := placeOf(r)
	remove[R](t, p.key)
	text, err := json.Marshal(r)
	t.note(cmp.Or(err, t.Put([]byte(p.key), text)))
	for _, entry := range p.index {
		t.note(t.Put([]byte(entry), []byte(p.key)))
	}
}

func remove[R any](t *txn, key string) error {
	old, err := read[R](t, key)
	if err == nil {
		for _, k := range append(placeOf(&old).index, key) {
			t.note(t.Delete([]byte(k)))
		}
	}
	return err
}

// entries are the keys that an index leads to, at most so many: from prefix, but
// for what is up to after and what is from last on. Who writes in a loop over
// them collects them first: a cursor loses its place when entries come and go.
func entries(t *txn, prefix, after, last string, most int) iter.Seq[string] {
	return func(yield func(string) bool) {
		c := t.Cursor()
		k, key := c.Seek([]byte(prefix + after + "\x00"))
		for n := 0; n < most && k != nil && string(k) < prefix+last && yield(string(key)); n++ {
			k, key = c.Next()
		}
	}
}

func get[R any](ctx context.Context, s *Store, key string) (r R, err error) {
	err = s.run(ctx, s.db.View, func(t *txn) error { r, err = read[R](t, key); return err })
	return r, err
}

func list[R any](ctx context.Context, s *Store, index, after string, limit int, wanted func(R) bool) (page []R, err error) {
	err = s.run(ctx, s.db.View, func(t *txn) error {
		if limit < 1 || limit > store.MaxPage || index == "" {
			return store.ErrInvalid
		}
		for key := range entries(t, index, after, "\xff", math.MaxInt) {
			if r, err := read[R](t, key); err == nil && wanted(r) {
				if page = append(page, r); len(page) == limit {
					break
				}
			}
		}
		return nil
	})
	return page, err
}

// change writes r, unless judge, which gets what is stored, has an error. Nobody
// else writes in between.
func change[R interface{ Check() error }](ctx context.Context, s *Store, r *R, judge func(old R, err error) error) error {
	return s.run(ctx, s.db.Update, func(t *txn) error {
		if err := (*r).Check(); err != nil {
			return err
		}
		if err := judge(read[R](t, placeOf(r).key)); err != nil {
			return err
		}
		write(t, r)
		return nil
	})
}

// put is every Create and every Update, which is a compare-and-swap. Ended is the
// answer to one that comes after the use of a code or a token's revocation.
func put[R interface{ Check() error }](ctx context.Context, s *Store, r *R, isNew bool, ended error) error {
	return change(ctx, s, r, func(old R, err error) error {
		stored, next := placeOf(&old), placeOf(r)
		switch {
		case isNew && err == nil:
			return store.ErrExists
		case !isNew && err != nil:
			return err
		case !stored.end.IsZero():
			return ended
		case !isNew && *stored.version != *next.version:
			return store.ErrConflict
		}
		*next.version = *stored.version + 1 // 1, if there was none
		return nil
	})
}
