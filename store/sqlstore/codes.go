package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

func validCodeKey(kind, key string) bool {
	return store.ValidKey(kind, store.MaxKey) && store.ValidKey(key, store.MaxKey)
}

// Code implements store.Codes.
func (s *Store) Code(ctx context.Context, kind, key string) (store.Code, error) {
	if err := s.enter(ctx, validCodeKey(kind, key)); err != nil {
		return store.Code{}, err
	}
	return s.readCode(ctx, s.sql.code, kind, key)
}

func (s *Store) readCode(ctx context.Context, st *statement, kind, key string) (store.Code, error) {
	var c store.Code
	found, err := s.one(ctx, st, func(row scanner) error { return scanCode(row, &c) }, kind, key)
	return c, notFound(found, err)
}

// CreateCode implements store.Codes.
func (s *Store) CreateCode(ctx context.Context, c store.Code) error {
	if err := checkCode(c); err != nil {
		return err
	}
	return s.create(ctx, s.sql.createCode, []any{c.Kind, c.Key, 1, micros(c.ExpiresAt), nil, micros(c.PurgeAt), blob(c.Data)})
}

// UpdateCode implements store.Codes.
func (s *Store) UpdateCode(ctx context.Context, c store.Code) error {
	if err := checkCode(c); err != nil {
		return err
	}
	args := []any{micros(c.ExpiresAt), micros(c.PurgeAt), blob(c.Data), c.Kind, c.Key, c.Version}
	return s.swap(ctx, s.sql.updateCode, args, c.Version, func() (int64, error) {
		now, err := s.readCode(ctx, s.sql.explainCode, c.Kind, c.Key)
		if err == nil && !now.ConsumedAt.IsZero() {
			err = store.ErrConsumed
		}
		return now.Version, err
	})
}

// ConsumeCode implements store.Codes.
func (s *Store) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
	if at.IsZero() {
		return store.Code{}, store.ErrInvalid
	}
	if err := checkTimes(at); err != nil {
		return store.Code{}, err
	}
	if err := s.enter(ctx, validCodeKey(kind, key)); err != nil {
		return store.Code{}, err
	}
	won, c, err := s.consume(ctx, kind, key, at)
	if won || err != nil {
		return c, err
	}
	c, err = s.readCode(ctx, s.sql.explainCode, kind, key)
	switch {
	case err != nil:
		return store.Code{}, err
	case c.ConsumedAt.IsZero(): // deleted after its time and created again, between the two statements
		return store.Code{}, outage(ctx, errMoved)
	}
	return c, store.ErrConsumed
}

// consume marks the code and reports whether it was this call that did.
func (s *Store) consume(ctx context.Context, kind, key string, at time.Time) (bool, store.Code, error) {
	if s.dialect != MySQL {
		done, err := s.turn(ctx)
		if err != nil {
			return false, store.Code{}, outage(ctx, err)
		}
		defer done()
		var c store.Code
		won, err := s.one(ctx, s.sql.consumeCode, func(row scanner) error { return scanCode(row, &c) }, micros(at), kind, key)
		return won, c, err
	}
	n, err := s.exec(ctx, s.sql.consumeCode, micros(at), kind, key)
	if err != nil || n == 0 {
		return false, store.Code{}, err
	}
	c, err := s.readCode(ctx, s.sql.explainCode, kind, key)
	if errors.Is(err, store.ErrNotFound) { // but it was there, and was this call's
		err = outage(ctx, errMoved)
	}
	return err == nil, c, err
}

func checkCode(c store.Code) error {
	if err := c.Check(); err != nil {
		return err
	}
	return checkTimes(c.ExpiresAt, c.PurgeAt)
}

func scanCode(row scanner, c *store.Code) error {
	var (
		kind, key                      []byte
		expiresAt, consumedAt, purgeAt sql.NullInt64
	)
	*c = store.Code{}
	if err := row.Scan(&kind, &key, &c.Version, &expiresAt, &consumedAt, &purgeAt, &c.Data); err != nil {
		return err
	}
	c.Kind, c.Key = string(kind), string(key)
	c.ExpiresAt, c.ConsumedAt, c.PurgeAt = timeOf(expiresAt), timeOf(consumedAt), timeOf(purgeAt)
	return nil
}
