package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

func raceRevokeUpdate(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		subject, client := fmt.Sprint("s", round), fmt.Sprint("c", round)
		ids := []string{fmt.Sprint(round, "a"), fmt.Sprint(round, "b")}
		for i, id := range ids {
			t := token(id, subject, client)
			t.State = store.TokenState(i % 2)
			f.ok("CreateToken", a.CreateToken(ctx, t))
		}
		q := []store.TokenQuery{{Subject: subject}, {ClientID: client}, {Subject: subject, ClientID: client}}[round%3]
		var returnedAlready atomic.Bool
		updates := make([]atomic.Int64, len(ids))
		for _, err := range race(racers, func(i int) error {
			s := either(a, b, i/2+round)
			if i == 0 {
				n, err := s.RevokeTokens(ctx, q, now, later)
				returnedAlready.Store(true)
				if err == nil && n != len(ids) {
					err = fmt.Errorf("RevokeTokens returned %d, want %d", n, len(ids))
				}
				return err
			}
			return untilOver(func() (bool, error) {
				return updateOnce(ctx, s, ids[i%len(ids)], &returnedAlready, &updates[i%len(ids)])
			})
		}) {
			f.ok("round", err)
		}
		for i, id := range ids {
			t, err := either(a, b, round).Token(ctx, id)
			f.ok("Token", err)
			same(&f, "RevokedAt", t.RevokedAt, now)
			same(&f, "PurgeAt", t.PurgeAt, later)
			same(&f, "Version", t.Version, updates[i].Load()+2)
		}
	}
	return f.err()
}

// updateOnce reads a token, on one way or the other, and updates it.
func updateOnce(ctx context.Context, s store.Store, id string, revoked *atomic.Bool, updates *atomic.Int64) (done bool, err error) {
	late := revoked.Load()
	t, err := s.Token(ctx, id)
	if err != nil {
		return true, err
	}
	if late && t.RevokedAt.IsZero() {
		return true, errors.New("a record was not revoked once RevokeTokens had returned, says Token")
	}
	list, err := s.ListTokens(ctx, store.TokenQuery{Subject: t.Subject, ClientID: t.ClientID}, "", 10)
	if err != nil {
		return true, err
	}
	if late && slices.ContainsFunc(list, func(t store.Token) bool { return t.RevokedAt.IsZero() }) {
		return true, errors.New("a record was not revoked once RevokeTokens had returned, says ListTokens")
	}
	t.PurgeAt = farFuture
	err = s.UpdateToken(ctx, t)
	if err == nil {
		updates.Add(1)
	}
	return over(err, late, store.ErrRevoked, "UpdateToken after RevokeTokens had returned")
}

func raceRevokeCreate(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		subject, client := fmt.Sprint("s", round), fmt.Sprint("c", round)
		q := []store.TokenQuery{{Subject: subject}, {ClientID: client}, {Subject: subject, ClientID: client}}[round%3]
		var r revocation
		for _, err := range race(racers, func(i int) error {
			s := either(a, b, i+round)
			if i == 0 {
				return r.revoke(ctx, s, q)
			}
			return r.createUntilRevoked(ctx, s, fmt.Sprint(round, "/", i, "/"), subject, client)
		}) {
			f.ok("round", err)
		}
		for _, id := range r.before {
			t, err := either(a, b, round).Token(ctx, id)
			f.ok("Token", err)
			same(&f, "revoked, of a record created before", !t.RevokedAt.IsZero(), true)
		}
		for _, id := range r.after {
			t, err := either(a, b, round).Token(ctx, id)
			f.ok("Token", err)
			same(&f, "revoked, of a record created after", !t.RevokedAt.IsZero(), false)
		}
	}
	return f.err()
}

// A revocation is told of the records that are created while it is made.
type revocation struct {
	mu               sync.Mutex
	created          int
	called, returned bool
	before, after    []string // created before it was called, after it had returned
}

// revoke waits until some records are there, and revokes them.
func (r *revocation) revoke(ctx context.Context, s store.Store, q store.TokenQuery) error {
	for some := false; !some && ctx.Err() == nil; runtime.Gosched() {
		r.mu.Lock()
		some = r.created >= racers/2
		r.called = some
		r.mu.Unlock()
	}
	_, err := s.RevokeTokens(ctx, q, now, later)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.returned = true
	return err
}

// createUntilRevoked creates records until it has created one after the
// revocation, or enough.
func (r *revocation) createUntilRevoked(ctx context.Context, s store.Store, prefix, subject, client string) error {
	for j := range 100 {
		id := fmt.Sprint(prefix, j)
		r.mu.Lock()
		late := r.returned
		r.mu.Unlock()
		err := s.CreateToken(ctx, token(id, subject, client))
		r.mu.Lock()
		r.created++
		switch {
		case late:
			r.after = append(r.after, id)
		case !r.called:
			r.before = append(r.before, id)
		}
		r.mu.Unlock()
		if err != nil || late {
			return err
		}
		runtime.Gosched() // on one processor nobody else would come between
	}
	return nil
}

func raceRevoke(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		subject, client := fmt.Sprint("s", round), fmt.Sprint("c", round)
		const each = 3 // of the subject, of the client, of both
		for i := range each {
			f.ok("CreateToken", a.CreateToken(ctx, token(fmt.Sprint(round, "s", i), subject, "other")))
			f.ok("CreateToken", a.CreateToken(ctx, token(fmt.Sprint(round, "c", i), "other", client)))
			f.ok("CreateToken", a.CreateToken(ctx, token(fmt.Sprint(round, "b", i), subject, client)))
		}
		queries := []store.TokenQuery{{Subject: subject}, {ClientID: client}, {Subject: subject, ClientID: client}, {ID: fmt.Sprint(round, "b0")}}
		var total atomic.Int64
		for _, err := range race(racers, func(i int) error {
			n, err := either(a, b, i).RevokeTokens(ctx, queries[i/2%len(queries)], now.Add(time.Duration(i)*time.Second), later)
			total.Add(int64(n))
			return err
		}) {
			f.ok("RevokeTokens", err)
		}
		same(&f, "sum of what the RevokeTokens calls counted", total.Load(), 3*each)
		t, err := b.Token(ctx, fmt.Sprint(round, "b0"))
		f.ok("Token", err)
		same(&f, "Version", t.Version, 2)
	}
	return f.err()
}
