package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

var errRecord = errors.New("a stored record cannot be read")

// What the scripts answer.
const (
	isMissing  = 0
	isDone     = 1
	isEnded    = 2
	isConflict = 3
	isTooLarge = 4
)

// create stores a record at its place, unless there is one.
func (s *Store) create(ctx context.Context, p place, id string, purgeAt time.Time, values ...any) error {
	c := call{keys: append([]string{p.key, purgeKey(p.tag)}, p.indexes...)}
	c.args = append([]any{p.tag, sortable(purgeAt), expiry(purgeAt), p.entry, id}, values...)
	n, err := s.number(ctx, create, c)
	switch {
	case err != nil:
		return err
	case n != isDone:
		return store.ErrExists
	}
	return nil
}

// update replaces the record at a place if it has this version and the field
// that marks its end is empty; if it is not, the answer is ended.
func (s *Store) update(ctx context.Context, p place, version int64, end string, ended error, purgeAt time.Time, values ...any) error {
	c := call{keys: []string{p.key, purgeKey(p.tag)}}
	c.args = append([]any{strconv.FormatInt(version, 10), end, sortable(purgeAt), expiry(purgeAt), p.entry}, values...)
	n, err := s.number(ctx, update, c)
	switch {
	case err != nil:
		return err
	case n == isMissing:
		return store.ErrNotFound
	case n == isEnded:
		return ended
	case n == isConflict:
		return store.ErrConflict
	}
	return nil
}

// read returns fields of the record at a place, the first of which every record
// has.
func (s *Store) read(ctx context.Context, key string, names ...string) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	values, err := s.client.HMGet(ctx, key, names...).Result()
	if err != nil {
		return nil, err
	}
	if len(values) != len(names) {
		return nil, errReply
	}
	if values[0] == nil {
		return nil, store.ErrNotFound
	}
	return values, nil
}

// wrap says where an error comes from. The contract's answers stay themselves.
func wrap(doing string, err error) error {
	for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrConsumed, store.ErrRevoked, store.ErrInvalid} {
		if errors.Is(err, answer) {
			return err
		}
	}
	if err == nil {
		return nil
	}
	return outage(doing, err)
}

// never is the name of a field that no record has: nothing ends a client.
const never = ""

// nothing is the answer to a look-up by a key that no record can have.
func nothing(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return store.ErrNotFound
}

// checkPage is what the limit of a list must be.
func checkPage(limit int) error {
	if limit < 1 || limit > store.MaxPage {
		return fmt.Errorf("%w: limit must be 1 to %d", store.ErrInvalid, store.MaxPage)
	}
	return nil
}
