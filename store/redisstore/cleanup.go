package redisstore

import (
	"context"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// purgeStep is how many records one script deletes at most: other calls wait
// for no longer than that takes.
const purgeStep = 200

// DeleteExpired implements [store.Store]. It goes through the partitions one
// after the other.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
	var total store.Deleted
	due := sortable(before)
	if due == "" || limit < 1 {
		return total, ctx.Err()
	}
	for _, tag := range s.everywhere() {
		for done := false; !done && total.Total() < limit; {
			count := min(purgeStep, limit-total.Total())
			// "~" is behind the letter that follows the time in every entry.
			c := call{keys: []string{purgeKey(tag)}, args: []any{tag, "(" + due + "~", count}}
			n, err := s.numbers(ctx, purge, c, 4)
			if err != nil {
				return total, wrap("delete expired", err)
			}
			total.Clients += n[0]
			total.Codes += n[1]
			total.Tokens += n[2]
			done = n[3] < count
		}
	}
	return total, nil
}
