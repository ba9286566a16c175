package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// tokenDocument is what no script looks at of a token.
type tokenDocument struct {
	State        store.TokenState `json:"state,omitempty"`
	Scopes       []string         `json:"scopes,omitempty"`
	Resources    []string         `json:"resources,omitempty"`
	FamilyHash   []byte           `json:"family,omitempty"`
	SecretHash   []byte           `json:"secret,omitempty"`
	PreviousHash []byte           `json:"previous,omitempty"`
	Successor    []byte           `json:"successor,omitempty"`
	RotatedAt    micros           `json:"rotated"`
	CreatedAt    micros           `json:"created"`
	LastUsedAt   micros           `json:"used"`
	ExpiresAt    micros           `json:"expires"`
	Device       string           `json:"device,omitempty"`
	IP           string           `json:"ip,omitempty"`
	Data         []byte           `json:"data,omitempty"`
}

func encodeToken(t store.Token) ([]byte, error) {
	return json.Marshal(tokenDocument{
		State: t.State, Scopes: t.Scopes, Resources: t.Resources,
		FamilyHash: hashBytes(t.FamilyHash), SecretHash: hashBytes(t.SecretHash), PreviousHash: hashBytes(t.PreviousHash),
		Successor: t.Successor, RotatedAt: micros{t.RotatedAt},
		CreatedAt: micros{t.CreatedAt}, LastUsedAt: micros{t.LastUsedAt}, ExpiresAt: micros{t.ExpiresAt},
		Device: t.Device, IP: t.IP, Data: t.Data,
	})
}

// decodeToken reads the fields v, d, p, r, c and s.
func decodeToken(id string, v []any) (store.Token, error) {
	var f fields
	var d tokenDocument
	f.json(v[1], &d)
	t := store.Token{
		ID: id, ClientID: f.text(v[4]), Subject: f.text(v[5]),
		State: d.State, Scopes: d.Scopes, Resources: d.Resources,
		FamilyHash: f.hash(d.FamilyHash), SecretHash: f.hash(d.SecretHash), PreviousHash: f.hash(d.PreviousHash),
		Successor: d.Successor, RotatedAt: d.RotatedAt.Time,
		CreatedAt: d.CreatedAt.Time, LastUsedAt: d.LastUsedAt.Time, ExpiresAt: d.ExpiresAt.Time,
		RevokedAt: f.time(v[3]), PurgeAt: f.sortable(v[2]),
		Device: d.Device, IP: d.IP, Data: d.Data, Version: f.number(v[0]),
	}
	return t, f.err
}

// Token implements [store.Tokens].
func (s *Store) Token(ctx context.Context, id string) (store.Token, error) {
	if !store.ValidKey(id, store.MaxKey) {
		return store.Token{}, nothing(ctx)
	}
	v, err := s.read(ctx, s.tokenPlace(id, "", "").key, "v", "d", "p", "r", "c", "s")
	if err != nil {
		return store.Token{}, wrap("read token", err)
	}
	t, err := decodeToken(id, v)
	return t, wrap("read token", err)
}

// CreateToken implements [store.Tokens].
func (s *Store) CreateToken(ctx context.Context, t store.Token) error {
	if err := t.Check(); err != nil {
		return err
	}
	document, err := encodeToken(t)
	if err != nil {
		return wrap("create token", err)
	}
	err = s.create(ctx, s.tokenPlace(t.ID, t.ClientID, t.Subject), t.ID, t.PurgeAt,
		"d", document, "r", text(t.RevokedAt), "c", t.ClientID, "s", t.Subject)
	return wrap("create token", err)
}

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, t store.Token) error {
	if err := t.Check(); err != nil {
		return err
	}
	document, err := encodeToken(t)
	if err != nil {
		return wrap("update token", err)
	}
	err = s.update(ctx, s.tokenPlace(t.ID, t.ClientID, t.Subject), t.Version, "r", store.ErrRevoked, t.PurgeAt,
		"d", document)
	return wrap("update token", err)
}

// RevokeTokens implements [store.Tokens]. See the package comment for what
// happens when it concerns many records.
func (s *Store) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
	if q == (store.TokenQuery{}) {
		return 0, errQuery
	}
	if text(at) == "" {
		return 0, fmt.Errorf("%w: the time of a revocation must not be zero", store.ErrInvalid)
	}
	if !validQuery(q) {
		return 0, ctx.Err()
	}
	change := []any{q.ClientID, q.Subject, text(at), sortable(purgeAt), expiry(purgeAt)}
	if q.ID != "" {
		p := s.tokenPlace(q.ID, "", "")
		n, err := s.number(ctx, revokeOne, call{keys: []string{p.key, purgeKey(p.tag)}, args: append([]any{q.ID}, change...)})
		return int(n), wrap("revoke token", err)
	}
	n, err := s.stepwise(ctx, revokeMany, s.everywhere(), func(tag, from string) call {
		return call{keys: []string{tag + tokenIndex(q), purgeKey(tag)}, args: append([]any{tag, from, step}, change...)}
	})
	return n, wrap("revoke tokens", err)
}

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
	if q == (store.TokenQuery{}) {
		return nil, errQuery
	}
	if err := checkPage(limit); err != nil {
		return nil, err
	}
	if !validQuery(q) {
		return nil, ctx.Err()
	}
	if q.ID != "" {
		tokens, err := s.oneToken(ctx, q, after)
		return tokens, wrap("list tokens", err)
	}
	rows, err := s.list(ctx, tokenIndex(q), ":token:", q, after, limit)
	if err != nil {
		return nil, wrap("list tokens", err)
	}
	tokens := make([]store.Token, len(rows))
	for i, r := range rows {
		tokens[i], err = decodeToken(r.id, []any{r.version, r.document, r.purgeAt, r.revokedAt, r.client, r.subject})
		if err != nil {
			return nil, wrap("list tokens", err)
		}
	}
	return tokens, nil
}

// oneToken is the list of the record that q names by its ID.
func (s *Store) oneToken(ctx context.Context, q store.TokenQuery, after string) ([]store.Token, error) {
	t, err := s.Token(ctx, q.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if t.ID <= after || (q.ClientID != "" && q.ClientID != t.ClientID) || (q.Subject != "" && q.Subject != t.Subject) {
		return nil, nil
	}
	return []store.Token{t}, nil
}

var errQuery = fmt.Errorf("%w: the query is empty", store.ErrInvalid)

// validQuery reports whether any record can match.
func validQuery(q store.TokenQuery) bool {
	return (q.ID == "" || store.ValidKey(q.ID, store.MaxKey)) &&
		(q.Subject == "" || store.ValidKey(q.Subject, store.MaxSubject)) &&
		(q.ClientID == "" || store.ValidKey(q.ClientID, store.MaxClientID))
}

// tokenIndex is the index to look through: a user has fewer authorizations than
// a client.
func tokenIndex(q store.TokenQuery) string {
	if q.Subject != "" {
		return ":subject:" + q.Subject
	}
	return ":app:" + q.ClientID
}
