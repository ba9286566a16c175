package store

import (
	"context"
	"time"
)

// Memory is a Store in the memory of one process: for tests, for trying things
// out, and for a single server that may forget everything when it restarts. It
// is safe for use by many goroutines at once.
//
// An authorization takes some 600 bytes, indexes included. Call DeleteExpired
// now and then, or the Memory grows: what it deletes is freed, but for some 60
// bytes a record, which the next record uses. Methods on one record take about
// the same time however many there are. Those that work on many, which are
// RevokeTokens, RevokeConsents, the lists and DeleteExpired, go in steps, and no
// other call waits for more than one of them; RevokeTokens and RevokeConsents
// nevertheless take effect in a single moment. Once these two have begun they
// run to their end, also if the context ends.
//
// The zero Memory cannot be used; call [NewMemory].
type Memory struct {
	clients, codes, tokens, consents *table

	nobody record // of no client
}

// The fields of each table, and the orders that they are kept in.
const (
	tokenID, tokenSubject, tokenClient = 0, 1, 2
	consentSubject, consentClient      = 0, 1

	bySubject, byClient = 0, 1 // orders of tokens and consents
)

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return newMemory(32) }

// newMemory returns a Memory whose tables have some number of shards: more, and
// two calls that come at once seldom want the same one; fewer, and a call that
// looks at all of them has less to do.
func newMemory(shards int) *Memory {
	return &Memory{
		nobody:  nobody(),
		clients: newTable(shards, layout{fields: 1, key: 1, orders: []orderBy{{group: -1, id: 0}}}),
		codes:   newTable(shards, layout{fields: 2, key: 2}),
		tokens: newTable(shards, layout{fields: 3, key: 1, orders: []orderBy{
			bySubject: {group: tokenSubject, id: tokenID},
			byClient:  {group: tokenClient, id: tokenID},
		}}),
		consents: newTable(shards, layout{fields: 2, key: 2, orders: []orderBy{
			bySubject: {group: consentSubject, id: consentClient},
			byClient:  {group: consentClient, id: consentSubject},
		}}),
	}
}

// DeleteExpired implements Store. If the context ends meanwhile, it returns
// what it has deleted so far and the context's error.
func (m *Memory) DeleteExpired(ctx context.Context, before time.Time, limit int) (d Deleted, err error) {
	if err := ctx.Err(); err != nil {
		return d, err
	}
	at := before.UnixMicro()
	if d.Clients, err = m.clients.purge(ctx.Err, at, limit); err != nil {
		return d, err
	}
	if d.Codes, err = m.codes.purge(ctx.Err, at, limit-d.Total()); err != nil {
		return d, err
	}
	d.Tokens, err = m.tokens.purge(ctx.Err, at, limit-d.Total())
	return d, err
}

// all decodes a list of records.
func all[R any](list []string, decode func(string) R) []R {
	out := make([]R, len(list))
	for i, rec := range list {
		out[i] = decode(rec)
	}
	return out
}

func checkPage(ctx context.Context, limit int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if limit < 1 || limit > MaxPage {
		return ErrInvalid
	}
	return nil
}
