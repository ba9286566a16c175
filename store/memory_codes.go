package store

import (
	"context"
	"time"
)

// Code implements Codes.
func (m *Memory) Code(ctx context.Context, kind, key string) (Code, error) {
	if err := ctx.Err(); err != nil {
		return Code{}, err
	}
	text, err := m.codes.lookup(kind, key)
	if err != nil {
		return Code{}, err
	}
	return decodeCode(text), nil
}

// CreateCode implements Codes.
func (m *Memory) CreateCode(ctx context.Context, c Code) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	c.Version, c.ConsumedAt = 1, time.Time{}
	return m.codes.create(encodeCode(c), c.Kind, c.Key)
}

// UpdateCode implements Codes.
func (m *Memory) UpdateCode(ctx context.Context, c Code) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	c.Version++
	c.ConsumedAt = time.Time{}
	return m.codes.swap(encodeCode(c), ErrConsumed, c.Kind, c.Key)
}

// ConsumeCode implements Codes.
func (m *Memory) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (Code, error) {
	if err := ctx.Err(); err != nil {
		return Code{}, err
	}
	consumed := at.UnixMicro()
	if consumed == noTime {
		return Code{}, ErrInvalid
	}
	var text string
	err := m.codes.change(func(s *shard, _ uint64, n uint32, exists bool) (err error) {
		if !exists {
			return ErrNotFound
		}
		if old := s.record(n); old.ended() != noTime {
			err = ErrConsumed
		} else {
			s.mark(n, consumed, old.purge())
		}
		text = string(s.record(n))
		return err
	}, kind, key)
	if text == "" {
		return Code{}, err
	}
	return decodeCode(text), err
}
