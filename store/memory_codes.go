package store

import (
	"context"
	"time"
)

// Code implements Codes.
func (m *Memory) Code(ctx context.Context, kind, key string) (Code, error) {
	if err := m.enter(ctx); err != nil {
		return Code{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.codes[codeKey{kind, key}]
	if !ok {
		return Code{}, ErrNotFound
	}
	return c.clone(), nil
}

// CreateCode implements Codes.
func (m *Memory) CreateCode(ctx context.Context, c Code) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.codes[codeKey{c.Kind, c.Key}]; ok {
		return ErrExists
	}
	c.Version, c.ConsumedAt = 1, time.Time{}
	m.codes[codeKey{c.Kind, c.Key}] = c.clone()
	return nil
}

// UpdateCode implements Codes.
func (m *Memory) UpdateCode(ctx context.Context, c Code) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	old, ok := m.codes[codeKey{c.Kind, c.Key}]
	switch {
	case !ok:
		return ErrNotFound
	case !old.ConsumedAt.IsZero():
		return ErrConsumed
	case old.Version != c.Version:
		return ErrConflict
	}
	c.Version++
	c.ConsumedAt = time.Time{}
	m.codes[codeKey{c.Kind, c.Key}] = c.clone()
	return nil
}

// ConsumeCode implements Codes.
func (m *Memory) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (Code, error) {
	if at.IsZero() {
		return Code{}, ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return Code{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.codes[codeKey{kind, key}]
	switch {
	case !ok:
		return Code{}, ErrNotFound
	case !c.ConsumedAt.IsZero():
		return c.clone(), ErrConsumed
	}
	c.ConsumedAt = stamp(at)
	c.Version++
	m.codes[codeKey{kind, key}] = c
	return c.clone(), nil
}
