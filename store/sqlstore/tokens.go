package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// Token implements store.Tokens.
func (s *Store) Token(ctx context.Context, id string) (store.Token, error) {
	var t store.Token
	if err := s.enter(ctx, store.ValidKey(id, store.MaxKey)); err != nil {
		return t, err
	}
	found, err := s.one(ctx, s.sql.token, func(row scanner) error { return scanToken(row, &t) }, id)
	return t, notFound(found, err)
}

// CreateToken implements store.Tokens.
func (s *Store) CreateToken(ctx context.Context, t store.Token) error {
	fields, err := tokenValues(t)
	if err != nil {
		return err
	}
	args := append([]any{t.ID, t.ClientID, t.Subject, 1}, fields...)
	return s.create(ctx, s.sql.createToken, append(args, micros(t.RevokedAt)))
}

// UpdateToken implements store.Tokens.
func (s *Store) UpdateToken(ctx context.Context, t store.Token) error {
	args, err := tokenValues(t)
	if err != nil {
		return err
	}
	return s.swap(ctx, s.sql.updateToken, append(args, t.ID, t.Version), t.Version, func() (version int64, err error) {
		var revokedAt sql.NullInt64
		found, err := s.one(ctx, s.sql.explainToken, func(row scanner) error { return row.Scan(&version, &revokedAt) }, t.ID)
		if err = notFound(found, err); err == nil && revokedAt.Valid {
			err = store.ErrRevoked
		}
		return version, err
	})
}

// RevokeTokens implements store.Tokens.
func (s *Store) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
	mask, keys, possible := selected(q)
	if mask == 0 || at.IsZero() {
		return 0, store.ErrInvalid
	}
	if err := checkTimes(at, purgeAt); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil || !possible {
		return 0, err
	}
	args := append([]any{micros(at), micros(purgeAt), purgeDay(purgeAt)}, keys...)
	return s.exec(ctx, s.sql.revokeTokens[mask], args...)
}

// ListTokens implements store.Tokens.
func (s *Store) ListTokens(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
	mask, keys, possible := selected(q)
	if mask == 0 {
		return nil, store.ErrInvalid
	}
	ok, err := page(ctx, after, limit)
	if err != nil || !ok || !possible {
		return nil, err
	}
	return list(ctx, s, s.sql.listTokens[mask], scanToken, append(keys, after, limit)...)
}

// selected returns which fields of q are set, as a mask, their values as
// parameters, and whether a record can have them.
func selected(q store.TokenQuery) (mask int, keys []any, possible bool) {
	return keysOf([]string{q.ID, q.Subject, q.ClientID}, []int{store.MaxKey, store.MaxSubject, store.MaxClientID})
}

func keysOf(fields []string, limits []int) (mask int, keys []any, possible bool) {
	possible = true
	for i, v := range fields {
		if v == "" {
			continue
		}
		mask |= 1 << i
		keys = append(keys, v)
		possible = possible && store.ValidKey(v, limits[i])
	}
	return mask, keys, possible
}

// tokenValues checks the token and returns the values of the columns
// tokenFields.
func tokenValues(t store.Token) ([]any, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if err := checkTimes(t.RotatedAt, t.CreatedAt, t.LastUsedAt, t.ExpiresAt, t.RevokedAt, t.PurgeAt); err != nil {
		return nil, err
	}
	scopes, err := textOf(t.Scopes)
	if err != nil {
		return nil, err
	}
	resources, err := textOf(t.Resources)
	if err != nil {
		return nil, err
	}
	values := make([]any, 0, 24) // and room for the keys that callers add
	return append(values, int64(t.State), scopes, resources,
		hash(t.FamilyHash), hash(t.SecretHash), hash(t.PreviousHash), blob(t.Successor), micros(t.RotatedAt),
		micros(t.CreatedAt), micros(t.LastUsedAt), micros(t.ExpiresAt), micros(t.PurgeAt), purgeDay(t.PurgeAt),
		t.Device, t.IP, blob(t.Data)), nil
}

func scanToken(row scanner, t *store.Token) error {
	var (
		id, clientID, subject, scopes, resources, device, ip []byte
		family, secret, previous                             []byte
		state                                                int64
		rotated, created, used, expires, purge, revoked      sql.NullInt64
		purgeDay                                             sql.NullInt64
	)
	*t = store.Token{}
	err := row.Scan(&id, &clientID, &subject, &t.Version, &state, &scopes, &resources, &family, &secret, &previous, &t.Successor, &rotated,
		&created, &used, &expires, &purge, &purgeDay, &device, &ip, &t.Data, &revoked)
	if err != nil {
		return err
	}
	t.ID, t.ClientID, t.Subject, t.State = string(id), string(clientID), string(subject), store.TokenState(state)
	t.Device, t.IP = string(device), string(ip)
	t.RotatedAt, t.CreatedAt, t.LastUsedAt = timeOf(rotated), timeOf(created), timeOf(used)
	t.ExpiresAt, t.RevokedAt, t.PurgeAt = timeOf(expires), timeOf(revoked), timeOf(purge)
	return firstError(
		hashOf(&t.FamilyHash, family), hashOf(&t.SecretHash, secret), hashOf(&t.PreviousHash, previous),
		stringsOf(&t.Scopes, scopes), stringsOf(&t.Resources, resources))
}
