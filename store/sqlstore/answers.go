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

// maxSwaps is how often a compare-and-swap is made before it is an outage.
const maxSwaps = 5

// swap makes a compare-and-swap. If it changed nothing, explain says why: by the
// version that the record has now, and by an error if that alone decides. Should
// it be the very version that was asked for, the record has come there between
// the two statements, and neither has seen what the other did: once more.
func (s *Store) swap(ctx context.Context, st *statement, args []any, version int64, explain func() (int64, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for range maxSwaps {
		n, err := s.exec(ctx, st, args...)
		if err != nil || n > 0 {
			return err
		}
		now, err := explain()
		if err != nil {
			return err
		}
		if now != version {
			return store.ErrConflict
		}
	}
	return outage(ctx, errMoved)
}

// page checks the arguments of a List method. It reports false if no key can be
// the last of a page: nothing comes after what cannot be.
func page(ctx context.Context, after string, limit int) (bool, error) {
	if limit < 1 || limit > store.MaxPage {
		return false, store.ErrInvalid
	}
	return after == "" || store.ValidKey(after, len(after)), ctx.Err()
}
