package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/seed-e797c9ce/oauth/store"
)

// errMoved says that others changed a record faster than it could be read.
var errMoved = errors.New("the record was deleted or changed at the same time")

// maxGrants is how often a grant begins anew because another one for the same
// user and client came before it.
const maxGrants = 1000

func validConsentKey(subject, clientID string) bool {
	return store.ValidKey(subject, store.MaxSubject) && store.ValidKey(clientID, store.MaxClientID)
}

// Consent implements store.Consents.
func (s *Store) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	if err := s.enter(ctx, validConsentKey(subject, clientID)); err != nil {
		return store.Consent{}, err
	}
	c, _, err := s.readConsent(ctx, s.sql.consent, subject, clientID)
	return c, err
}

func (s *Store) readConsent(ctx context.Context, st *statement, subject, clientID string) (store.Consent, int64, error) {
	var (
		c       store.Consent
		version int64
	)
	found, err := s.one(ctx, st, func(row scanner) error { return scanConsentVersion(row, &c, &version) }, subject, clientID)
	return c, version, notFound(found, err)
}

// GrantConsent implements store.Consents.
func (s *Store) GrantConsent(ctx context.Context, c store.Consent) error {
	if err := checkConsent(c); err != nil {
		return err
	}
	for try := range maxGrants {
		err := s.createConsent(ctx, c)
		if errors.Is(err, store.ErrExists) {
			err = s.mergeConsent(ctx, c)
		}
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if !pause(ctx, min(try, 1)) {
			break
		}
	}
	return outage(ctx, errMoved)
}

// createConsent stores the first consent of a user for a client; ErrExists.
func (s *Store) createConsent(ctx context.Context, c store.Consent) error {
	fields, err := consentValues(c)
	if err != nil {
		return err
	}
	// The versions of a consent begin anywhere: a merge that has read one, which
	// was then revoked and granted anew, does not take the new one for it and
	// bring back what was revoked.
	version := rand.Int64N(1 << 62)
	return s.create(ctx, s.sql.createConsent, append([]any{c.Subject, c.ClientID, version}, fields...))
}

// mergeConsent adds c to the stored consent; ErrNotFound if that was revoked,
// ErrConflict if another grant came between.
func (s *Store) mergeConsent(ctx context.Context, c store.Consent) error {
	old, version, err := s.readConsent(ctx, s.sql.mergeConsent, c.Subject, c.ClientID)
	if err != nil {
		return err
	}
	if old.ClientHash == c.ClientHash {
		c.Scopes, c.Resources = slices.Concat(old.Scopes, c.Scopes), slices.Concat(old.Resources, c.Resources)
		c.GrantedAt = old.GrantedAt
	}
	fields, err := consentValues(c)
	if err != nil {
		return err
	}
	n, err := s.exec(ctx, s.sql.updateConsent, append(fields, c.Subject, c.ClientID, version)...)
	if err == nil && n == 0 {
		return store.ErrConflict
	}
	return err
}

// RevokeConsents implements store.Consents.
func (s *Store) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	mask, keys, possible := keysOf([]string{q.Subject, q.ClientID}, []int{store.MaxSubject, store.MaxClientID})
	if mask == 0 {
		return 0, store.ErrInvalid
	}
	if err := ctx.Err(); err != nil || !possible {
		return 0, err
	}
	return s.exec(ctx, s.sql.revokeConsents[mask], keys...)
}

// ListConsents implements store.Consents.
func (s *Store) ListConsents(ctx context.Context, subject, after string, limit int) ([]store.Consent, error) {
	ok, err := page(ctx, after, limit)
	if err != nil || !ok || !store.ValidKey(subject, store.MaxSubject) {
		return nil, err
	}
	return list(ctx, s, s.sql.listConsents, scanConsent, subject, after, limit)
}

func checkConsent(c store.Consent) error {
	if err := c.Check(); err != nil {
		return err
	}
	return checkTimes(c.GrantedAt, c.UpdatedAt)
}

// consentValues are the values of the columns consentFields. It makes the lists
// sets, and checks the size of what a merge has made.
func consentValues(c store.Consent) ([]any, error) {
	c.Scopes, c.Resources = sorted(c.Scopes), sorted(c.Resources)
	if err := checkConsent(c); err != nil {
		return nil, err
	}
	scopes, err := textOf(c.Scopes)
	if err != nil {
		return nil, err
	}
	resources, err := textOf(c.Resources)
	if err != nil {
		return nil, err
	}
	values := make([]any, 0, 8) // and room for the keys that callers add
	return append(values, scopes, resources, hash(c.ClientHash), micros(c.GrantedAt), micros(c.UpdatedAt)), nil
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func scanConsent(row scanner, c *store.Consent) error {
	return scanConsentVersion(row, c, new(int64))
}

func scanConsentVersion(row scanner, c *store.Consent, version *int64) error {
	var (
		subject, clientID, scopes, resources, clientHash []byte
		granted, updated                                 sql.NullInt64
	)
	*c = store.Consent{}
	if err := row.Scan(&subject, &clientID, version, &scopes, &resources, &clientHash, &granted, &updated); err != nil {
		return err
	}
	c.Subject, c.ClientID, c.GrantedAt, c.UpdatedAt = string(subject), string(clientID), timeOf(granted), timeOf(updated)
	return firstError(hashOf(&c.ClientHash, clientHash), stringsOf(&c.Scopes, scopes), stringsOf(&c.Resources, resources))
}
