package store

import (
	"context"
	"time"
)

// Token implements Tokens.
func (m *Memory) Token(ctx context.Context, id string) (Token, error) {
	if err := m.enter(ctx); err != nil {
		return Token{}, err
	}
	defer m.mu.Unlock()
	t, ok := m.tokens[id]
	if !ok {
		return Token{}, ErrNotFound
	}
	return t.clone(), nil
}

// CreateToken implements Tokens.
func (m *Memory) CreateToken(ctx context.Context, t Token) error {
	if err := t.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.tokens[t.ID]; ok {
		return ErrExists
	}
	t.Version = 1
	m.tokens[t.ID] = t.clone()
	return nil
}

// UpdateToken implements Tokens.
func (m *Memory) UpdateToken(ctx context.Context, t Token) error {
	if err := t.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	old, ok := m.tokens[t.ID]
	switch {
	case !ok:
		return ErrNotFound
	case !old.RevokedAt.IsZero():
		return ErrRevoked
	case old.Version != t.Version:
		return ErrConflict
	}
	t.Version++
	t.RevokedAt = time.Time{}
	m.tokens[t.ID] = t.clone()
	return nil
}

// RevokeTokens implements Tokens.
func (m *Memory) RevokeTokens(ctx context.Context, q TokenQuery, at, purgeAt time.Time) (int, error) {
	if q == (TokenQuery{}) || at.IsZero() {
		return 0, ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for id, t := range m.tokens {
		if q.selects(t) && t.RevokedAt.IsZero() {
			t.RevokedAt, t.PurgeAt = stamp(at), stamp(purgeAt)
			t.Version++
			m.tokens[id] = t
			n++
		}
	}
	return n, nil
}

// ListTokens implements Tokens.
func (m *Memory) ListTokens(ctx context.Context, q TokenQuery, after string, limit int) ([]Token, error) {
	if q == (TokenQuery{}) {
		return nil, ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list, err := page(m.tokens, func(t Token) string { return t.ID }, q.selects, after, limit)
	return clonePage(list, err, Token.clone)
}

func (q TokenQuery) selects(t Token) bool {
	return (q.ID == "" || q.ID == t.ID) &&
		(q.Subject == "" || q.Subject == t.Subject) &&
		(q.ClientID == "" || q.ClientID == t.ClientID)
}
