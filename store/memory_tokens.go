package store

import (
	"context"
	"time"
)

// Token implements Tokens.
func (m *Memory) Token(ctx context.Context, id string) (Token, error) {
	if err := ctx.Err(); err != nil {
		return Token{}, err
	}
	text, err := m.tokens.lookup(id)
	if err != nil {
		return Token{}, err
	}
	return decodeToken(text), nil
}

// CreateToken implements Tokens.
func (m *Memory) CreateToken(ctx context.Context, t Token) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.Check(); err != nil {
		return err
	}
	t.Version = 1
	return m.tokens.create(encodeToken(t), t.ID)
}

// UpdateToken implements Tokens.
func (m *Memory) UpdateToken(ctx context.Context, t Token) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.Check(); err != nil {
		return err
	}
	t.Version++
	t.RevokedAt = time.Time{}
	return m.tokens.swap(encodeToken(t), ErrRevoked, t.ID)
}

// RevokeTokens implements Tokens.
func (m *Memory) RevokeTokens(ctx context.Context, q TokenQuery, at, purgeAt time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	revoked, purge := at.UnixMicro(), purgeAt.UnixMicro()
	if q == (TokenQuery{}) || revoked == noTime {
		return 0, ErrInvalid
	}
	if q.ID == "" {
		return m.tokens.sweep(&sweep{selection: q.selection(), ended: revoked, purge: purge}), nil
	}
	marked := 0
	err := m.tokens.change(func(s *shard, _ uint64, n uint32, exists bool) error {
		if exists && q.selects(s.record(n)) && s.record(n).ended() == noTime {
			s.mark(n, revoked, purge)
			marked = 1
		}
		return nil
	}, q.ID)
	return marked, err
}

// ListTokens implements Tokens.
func (m *Memory) ListTokens(ctx context.Context, q TokenQuery, after string, limit int) ([]Token, error) {
	if err := checkPage(ctx, limit); err != nil {
		return nil, err
	}
	if q == (TokenQuery{}) {
		return nil, ErrInvalid
	}
	if q.ID == "" {
		return all(m.tokens.list(q.selection(), after, limit), decodeToken), nil
	}
	text, err := m.tokens.lookup(q.ID)
	if err != nil || q.ID <= after || !q.selects(record(text)) {
		return nil, nil // the only error is ErrNotFound
	}
	return []Token{decodeToken(text)}, nil
}

// selection returns what a query without an ID selects.
func (q TokenQuery) selection() selection {
	if q.Subject == "" {
		return selection{order: byClient, group: q.ClientID}
	}
	return selection{order: bySubject, group: q.Subject, field: tokenClient, value: q.ClientID}
}

// selects reports whether the record with the query's ID has its other fields.
func (q TokenQuery) selects(rec record) bool {
	return (q.Subject == "" || string(rec.field(tokenSubject)) == q.Subject) &&
		(q.ClientID == "" || string(rec.field(tokenClient)) == q.ClientID)
}
