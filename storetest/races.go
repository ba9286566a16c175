package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

const (
	racers = 16 // goroutines, half of them on each handle
	rounds = 20
)

// raceCases are about what is promised to callers that call at once.
var raceCases = []testCase{
	{
		name:        "of concurrent CreateCode and CreateToken calls for one key exactly one succeeds",
		explanation: "package store, CreateCode and CreateToken: the others get ErrExists, and the record is the winner's",
		f:           raceCreate,
	},
	{
		name:        "of concurrent CreateClient, UpdateClient and DeleteClient calls for one client exactly one succeeds",
		explanation: "package store, Clients: the others get ErrExists, ErrConflict, ErrNotFound, and the record is the winner's",
		clients:     true,
		f:           raceClients,
	},
	{
		name:        "of updates that race on one version exactly one succeeds",
		explanation: "package store, Versions: UpdateCode and UpdateToken are a compare-and-swap, never a read followed by a write",
		f:           raceUpdate,
	},
	{
		name:        "of concurrent ConsumeCode calls exactly one gets a nil error",
		explanation: "package store, ConsumeCode: all others get the record, with the ConsumedAt of the one that won, together with ErrConsumed",
		f:           raceConsume,
	},
	{
		name:        "once ConsumeCode has returned no UpdateCode succeeds",
		explanation: "package store, UpdateCode and ConsumeCode: a record that changes is not consumed, a consumed one does not change",
		f:           raceConsumeUpdate,
	},
	{
		name:        "once RevokeTokens has returned no selected record is returned as not revoked and no UpdateToken of one succeeds",
		explanation: "package store, RevokeTokens: also if the update was called before",
		f:           raceRevokeUpdate,
	},
	{
		name:        "RevokeTokens marks every record that was created before it was called",
		explanation: "package store, RevokeTokens: and none that is created after it has returned",
		f:           raceRevokeCreate,
	},
	{
		name:        "of concurrent RevokeTokens calls each record is counted once",
		explanation: "package store, RevokeTokens: it returns how many it marked; a record is marked once",
		f:           raceRevoke,
	},
	{
		name:        "concurrent grants of consent all count",
		explanation: "package store, GrantConsent: merging is one step, never a read followed by a write",
		f:           raceGrant,
	},
	{
		name:        "of concurrent RevokeConsents calls each record is counted once",
		explanation: "package store, RevokeConsents: it returns how many there were",
		f:           raceRevokeConsents,
	},
	{
		name:        "of concurrent DeleteExpired calls each deleted record is counted once",
		explanation: "package store, DeleteExpired: several machines may call it at once",
		f:           raceDelete,
	},
	{
		name:        "a record whose PurgeAt was put off is not deleted by a DeleteExpired that runs at the time",
		explanation: "package store, DeleteExpired: it looks at PurgeAt when it deletes, not only when it looks for records",
		f:           raceDeleteUpdate,
	},
	{
		name:        "pages hold every record that is there all the time, once, while others come and go",
		explanation: "package store, Strings and limits: a page goes on after a key, not after a number of records",
		f:           racePages,
	},
}

// race calls f n times at once and returns the errors, in order of i.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// inParallel calls f for each i below n, from some goroutines at once.
func inParallel(n int, f func(i int) error) error {
	return errors.Join(race(racers, func(r int) error {
		for i := r; i < n; i += racers {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	})...)
}

// oneWins notes it if the calls of a race did not end with one nil error and
// the error lost for all others. It returns who won, or -1.
func (f *failures) oneWins(what string, errs []error, lost error) int {
	winner := -1
	for i, err := range errs {
		switch {
		case err != nil:
			f.is(what+", one that lost", err, lost)
		case winner >= 0:
			f.addf("%s: calls %d and %d both succeeded", what, winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		f.addf("%s: none succeeded", what)
	}
	return winner
}

// either returns one handle for the even and one for the odd.
func either(a, b store.Store, i int) store.Store {
	if i%2 == 0 {
		return a
	}
	return b
}

func raceCreate(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		id := fmt.Sprint(round)
		w := f.oneWins("CreateCode", race(racers, func(i int) error {
			return either(a, b, i).CreateCode(ctx, fullCode("k", id, i))
		}), store.ErrExists)
		returned(&f, "Code", codeAt(fullCode("k", id, w), 1))(either(a, b, round).Code(ctx, "k", id))
		w = f.oneWins("CreateToken", race(racers, func(i int) error {
			return either(a, b, i).CreateToken(ctx, fullToken(id, i))
		}), store.ErrExists)
		returned(&f, "Token", tokenAt(fullToken(id, w), 1))(either(a, b, round).Token(ctx, id))
	}
	return f.err()
}

func raceClients(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		id := fmt.Sprint(round)
		w := f.oneWins("CreateClient", race(racers, func(i int) error {
			return either(a, b, i).CreateClient(ctx, fullClient(id, i))
		}), store.ErrExists)
		returned(&f, "Client", clientAt(fullClient(id, w), 1))(either(a, b, round).Client(ctx, id))
		w = f.oneWins("UpdateClient", race(racers, func(i int) error {
			return either(a, b, i).UpdateClient(ctx, clientAt(fullClient(id, i+racers), 1))
		}), store.ErrConflict)
		returned(&f, "Client after UpdateClient", clientAt(fullClient(id, w+racers), 2))(either(a, b, round).Client(ctx, id))
		f.oneWins("DeleteClient", race(racers, func(i int) error {
			return either(a, b, i).DeleteClient(ctx, id)
		}), store.ErrNotFound)
	}
	return f.err()
}

func raceUpdate(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 0)))
	f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 0)))
	for round := range rounds {
		version := int64(round + 1)
		w := f.oneWins("UpdateCode", race(racers, func(i int) error {
			return either(a, b, i).UpdateCode(ctx, codeAt(fullCode("k", "x", i), version))
		}), store.ErrConflict)
		returned(&f, "Code", codeAt(fullCode("k", "x", w), version+1))(either(a, b, round).Code(ctx, "k", "x"))
		w = f.oneWins("UpdateToken", race(racers, func(i int) error {
			return either(a, b, i).UpdateToken(ctx, tokenAt(fullToken("t", i), version))
		}), store.ErrConflict)
		returned(&f, "Token", tokenAt(fullToken("t", w), version+1))(either(a, b, round).Token(ctx, "t"))
	}
	return f.err()
}

func raceConsume(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		key := fmt.Sprint(round)
		f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", key, 1)))
		got := make([]store.Code, racers)
		w := f.oneWins("ConsumeCode", race(racers, func(i int) (err error) {
			got[i], err = either(a, b, i).ConsumeCode(ctx, "k", key, now.Add(time.Duration(i)*time.Second))
			return err
		}), store.ErrConsumed)
		want := codeAt(fullCode("k", key, 1), 2)
		want.ConsumedAt = now.Add(time.Duration(w) * time.Second)
		for i := range got {
			same(&f, "the record that a ConsumeCode returned", got[i], want)
		}
		returned(&f, "Code", want)(either(a, b, round).Code(ctx, "k", key))
	}
	return f.err()
}

func raceConsumeUpdate(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		key := fmt.Sprint(round)
		f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: "k", Key: key}))
		var used store.Code
		var returnedAlready atomic.Bool
		var updates atomic.Int64
		for _, err := range race(racers, func(i int) (err error) {
			s := either(a, b, i+round)
			if i == 0 {
				used, err = s.ConsumeCode(ctx, "k", key, now)
				returnedAlready.Store(true)
				return err
			}
			return untilOver(func() (bool, error) {
				late := returnedAlready.Load()
				c, err := s.Code(ctx, "k", key)
				if err != nil {
					return true, err
				}
				if late && c.ConsumedAt.IsZero() {
					return true, errors.New("a record was not consumed once ConsumeCode had returned")
				}
				err = s.UpdateCode(ctx, c)
				if err == nil {
					updates.Add(1)
				}
				return over(err, late, store.ErrConsumed, "UpdateCode after ConsumeCode had returned")
			})
		}) {
			f.ok("round", err)
		}
		same(&f, "Version that ConsumeCode returned", used.Version, updates.Load()+2)
		returned(&f, "Code", used)(either(a, b, round).Code(ctx, "k", key))
	}
	return f.err()
}

// untilOver calls step until it says that it is over. A right store ends that
// soon; a wrong one may never.
func untilOver(step func() (bool, error)) error {
	for range 100_000 {
		if done, err := step(); done {
			return err
		}
	}
	return errors.New("the record was never consumed or revoked")
}

// over judges an update that races with what ends a record: late says that the
// end had returned before the update was called, ended is the error that tells
// of it.
func over(err error, late bool, ended error, what string) (bool, error) {
	switch {
	case errors.Is(err, ended):
		return true, nil
	case late:
		return true, fmt.Errorf("%s: error %v, want %q", what, err, ended)
	case err == nil || errors.Is(err, store.ErrConflict):
		return false, nil
	}
	return true, err
}

func raceGrant(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		client := fmt.Sprint(round)
		var scopes, resources []string
		if round%2 == 0 { // on a record that exists, or all of them on none
			f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: client, Scopes: []string{"first"}, GrantedAt: now}))
			scopes = []string{"first"}
		}
		for i := range racers {
			scopes = append(scopes, fmt.Sprint("scope ", i))
			resources = append(resources, fmt.Sprint("urn:", i))
		}
		for _, err := range race(racers, func(i int) error {
			return either(a, b, i).GrantConsent(ctx, store.Consent{
				Subject: "s", ClientID: client, Scopes: []string{fmt.Sprint("scope ", i)}, Resources: []string{fmt.Sprint("urn:", i)}, GrantedAt: now, UpdatedAt: later,
			})
		}) {
			f.ok("GrantConsent", err)
		}
		want := store.Consent{Subject: "s", ClientID: client, Scopes: sorted(scopes...), Resources: sorted(resources...), GrantedAt: now, UpdatedAt: later}
		returned(&f, "Consent", want)(either(a, b, round).Consent(ctx, "s", client))
	}
	return f.err()
}

func raceRevokeConsents(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		subject, client := fmt.Sprint("s", round), fmt.Sprint("c", round)
		for i := range 3 {
			f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: subject, ClientID: fmt.Sprint("other", i)}))
			f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: fmt.Sprint("other", i), ClientID: client}))
		}
		f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: subject, ClientID: client}))
		queries := []store.ConsentQuery{{Subject: subject}, {ClientID: client}, {Subject: subject, ClientID: client}}
		var total atomic.Int64
		for _, err := range race(racers, func(i int) error {
			n, err := either(a, b, i).RevokeConsents(ctx, queries[i/2%len(queries)])
			total.Add(int64(n))
			return err
		}) {
			f.ok("RevokeConsents", err)
		}
		same(&f, "sum of what the RevokeConsents calls counted", total.Load(), 7)
	}
	return f.err()
}
