package sqlstore

import (
	"context"

	"github.com/seed-e797c9ce/oauth/store"
)

// enter begins a look-up: by a key that no record can have, nothing is found,
// and the database is not asked (it might not even take the bytes).
func (s *Store) enter(ctx context.Context, possible bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !possible {
		return store.ErrNotFound
	}
	return nil
}

func notFound(found bool, err error) error {
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}

// create runs an insert that changes no row if there is one with the key.
func (s *Store) create(ctx context.Context, st *statement, args []any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := s.exec(ctx, st, args...)
	if err == nil && n == 0 {
		return store.ErrExists
	}
	return err
}

// page checks the arguments of a List method. It reports false if no key can be
// the last of a page: nothing comes after what cannot be.
func page(ctx context.Context, after string, limit int) (bool, error) {
	if limit < 1 || limit > store.MaxPage {
		return false, store.ErrInvalid
	}
	return after == "" || store.ValidKey(after, len(after)), ctx.Err()
}
