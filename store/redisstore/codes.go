package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

func validCode(kind, key string) bool {
	return store.ValidKey(kind, store.MaxKey) && store.ValidKey(key, store.MaxKey)
}

// decodeCode reads the fields v, d, e, u and p.
func decodeCode(kind, key string, v []any) (store.Code, error) {
	var f fields
	c := store.Code{
		Kind: kind, Key: key,
		Version: f.number(v[0]), Data: f.bytes(v[1]),
		ExpiresAt: f.time(v[2]), ConsumedAt: f.time(v[3]), PurgeAt: f.sortable(v[4]),
	}
	return c, f.err
}

// Code implements [store.Codes].
func (s *Store) Code(ctx context.Context, kind, key string) (store.Code, error) {
	if !validCode(kind, key) {
		return store.Code{}, nothing(ctx)
	}
	v, err := s.read(ctx, s.codePlace(kind, key).key, "v", "d", "e", "u", "p")
	if err != nil {
		return store.Code{}, wrap("read code", err)
	}
	c, err := decodeCode(kind, key, v)
	return c, wrap("read code", err)
}

// CreateCode implements [store.Codes].
func (s *Store) CreateCode(ctx context.Context, c store.Code) error {
	if err := c.Check(); err != nil {
		return err
	}
	err := s.create(ctx, s.codePlace(c.Kind, c.Key), "", c.PurgeAt, "d", c.Data, "e", text(c.ExpiresAt), "u", "")
	return wrap("create code", err)
}

// UpdateCode implements [store.Codes].
func (s *Store) UpdateCode(ctx context.Context, c store.Code) error {
	if err := c.Check(); err != nil {
		return err
	}
	err := s.update(ctx, s.codePlace(c.Kind, c.Key), c.Version, "u", store.ErrConsumed, c.PurgeAt,
		"d", c.Data, "e", text(c.ExpiresAt))
	return wrap("update code", err)
}

// ConsumeCode implements [store.Codes].
func (s *Store) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
	if text(at) == "" {
		return store.Code{}, fmt.Errorf("%w: the time at which a code is used must not be zero", store.ErrInvalid)
	}
	if !validCode(kind, key) {
		return store.Code{}, nothing(ctx)
	}
	reply, err := s.array(ctx, consume, call{keys: []string{s.codePlace(kind, key).key}, args: []any{text(at)}})
	if err != nil {
		return store.Code{}, wrap("consume code", err)
	}
	if len(reply) == 0 {
		return store.Code{}, store.ErrNotFound
	}
	if len(reply) != 6 {
		return store.Code{}, wrap("consume code", errReply)
	}
	c, err := decodeCode(kind, key, reply)
	if err == nil && reply[5] != int64(isDone) {
		err = store.ErrConsumed
	}
	return c, wrap("consume code", err)
}
