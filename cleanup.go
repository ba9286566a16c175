package oauth

import (
	"context"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

const (
	cleanupBatch   = 500
	cleanupBatches = 2000 // in one call: a million records
)

// Cleanup deletes expired codes, and authorizations that have been expired or
// revoked for longer than Policy.Keep, in small batches, up to a million records
// a call; and it rotates managed keys that are due. It is safe to run on several
// machines at once. What was deleted before an error is counted.
func (p *Provider) Cleanup(ctx context.Context) (store.Deleted, error) {
	var total store.Deleted
	if _, err := p.signingKeys(ctx); err != nil {
		return total, err
	}
	for range cleanupBatches {
		n, err := p.cfg.Store.DeleteExpired(ctx, now(), cleanupBatch)
		total.Clients += n.Clients
		total.Codes += n.Codes
		total.Tokens += n.Tokens
		if err != nil {
			return total, outage("cleanup", err)
		}
		if n.Total() < cleanupBatch {
			break
		}
	}
	return total, nil
}

// RunCleanup calls Cleanup at once and then every so often, until ctx ends, and
// returns ctx's error. A failed run is logged and tried again next time. Run it
// in a goroutine of your own, on any number of machines.
func (p *Provider) RunCleanup(ctx context.Context, every time.Duration) error {
	if every <= 0 {
		return errorf(ErrInvalidRequest, "the interval must be positive")
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := p.Cleanup(ctx); err != nil && ctx.Err() == nil {
			p.emit(ctx, Event{Kind: EventOutage, Detail: "cleanup", Err: err})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
