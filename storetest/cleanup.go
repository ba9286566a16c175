package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// cleanupCases are about DeleteExpired.
var cleanupCases = []testCase{
	{
		name:        "DeleteExpired deletes codes and tokens whose PurgeAt is set and not after before, and nothing else",
		explanation: "package store, DeleteExpired: it says how many of each; ExpiresAt, consumption and revocation mean nothing to it, and it never deletes a consent",
		f:           deleteDue,
	},
	{
		name:        "DeleteExpired deletes clients whose PurgeAt is set and not after before, and nothing else",
		explanation: "package store, DeleteExpired: it says how many",
		clients:     true,
		f:           deleteDueClients,
	},
	{
		name:        "DeleteExpired deletes at most limit records, and fewer only if it has left none",
		explanation: "package store, DeleteExpired: limit counts records of all kinds together",
		f:           deleteLimit,
	},
	{
		name:        "DeleteExpired goes by the PurgeAt that the record has now",
		explanation: "package store, DeleteExpired: updates make PurgeAt earlier, later, or never",
		f:           deleteByCurrentPurgeAt,
	},
	{
		name:        "a record that DeleteExpired deleted is gone, and its key is free",
		explanation: "package store, DeleteExpired",
		f:           deletedIsGone,
	},
}

func deleteDue(ctx context.Context, a, b store.Store) error {
	var f failures
	before := now.In(time.FixedZone("", -7*3600))
	purgeAts := []time.Time{
		before, before.Add(-time.Microsecond), before.AddDate(-100, 0, 0), time.Unix(0, 0), time.Unix(-1, 0), // due
		{}, before.Add(time.Microsecond), before.AddDate(100, 0, 0), // not due
	}
	const due = 5
	for i, purgeAt := range purgeAts {
		for _, expiresAt := range []time.Time{{}, before.AddDate(-1, 0, 0), before.AddDate(1, 0, 0)} {
			id := fmt.Sprintf("%d %d", i, expiresAt.Year())
			f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: "k", Key: id, ExpiresAt: expiresAt, PurgeAt: purgeAt}))
			t := store.Token{ID: id, ClientID: "c", Subject: "s", ExpiresAt: expiresAt, PurgeAt: purgeAt}
			if expiresAt.IsZero() {
				t.RevokedAt = before
				_, err := a.ConsumeCode(ctx, "k", id, before)
				f.ok("ConsumeCode", err)
			}
			f.ok("CreateToken", a.CreateToken(ctx, t))
		}
	}
	f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c"}))

	returned(&f, "DeleteExpired before the zero time", store.Deleted{})(b.DeleteExpired(ctx, time.Time{}, 100))
	returned(&f, "DeleteExpired", store.Deleted{Codes: 3 * due, Tokens: 3 * due})(b.DeleteExpired(ctx, before, 100))
	for i, purgeAt := range purgeAts {
		for _, year := range []int{1, before.Year() - 1, before.Year() + 1} {
			id := fmt.Sprintf("%d %d", i, year)
			var want error
			if i < due {
				want = store.ErrNotFound
			}
			what := fmt.Sprintf(" with PurgeAt %v after DeleteExpired %v", purgeAt, before)
			result[store.Code](&f, "Code"+what, want)(a.Code(ctx, "k", id))
			result[store.Token](&f, "Token"+what, want)(a.Token(ctx, id))
		}
	}
	returned(&f, "Consent", store.Consent{Subject: "s", ClientID: "c"})(a.Consent(ctx, "s", "c"))
	returned(&f, "DeleteExpired again", store.Deleted{})(a.DeleteExpired(ctx, before, 100))
	returned(&f, "DeleteExpired at the end of time", store.Deleted{Codes: 6, Tokens: 6})(a.DeleteExpired(ctx, farFuture, math.MaxInt))
	return f.err()
}

func deleteDueClients(ctx context.Context, a, b store.Store) error {
	var f failures
	purgeAts := map[string]time.Time{
		"due 1": now, "due 2": now.Add(-time.Microsecond), "due 3": time.Unix(0, 0),
		"never": {}, "not yet": now.Add(time.Microsecond),
	}
	for id, purgeAt := range purgeAts {
		f.ok("CreateClient", a.CreateClient(ctx, store.Client{ID: id, PurgeAt: purgeAt}))
	}
	f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: "k", Key: "x", PurgeAt: now}))
	f.ok("CreateToken", a.CreateToken(ctx, store.Token{ID: "t", ClientID: "due 1", PurgeAt: now.Add(time.Hour)}))
	f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "due 1"}))
	returned(&f, "DeleteExpired", store.Deleted{Clients: 3, Codes: 1})(b.DeleteExpired(ctx, now, 100))
	list, err := a.ListClients(ctx, "", 10)
	f.ok("ListClients", err)
	same(&f, "ListClients", keys(list, clientID), []string{"never", "not yet"})
	result[store.Client](&f, "Client", store.ErrNotFound)(a.Client(ctx, "due 1"))
	result[store.Token](&f, "Token of a deleted client", nil)(a.Token(ctx, "t"))
	result[store.Consent](&f, "Consent to a deleted client", nil)(a.Consent(ctx, "s", "due 1"))
	f.ok("CreateClient of an ID that was deleted", b.CreateClient(ctx, fullClient("due 1", 1)))
	returned(&f, "Client that was created anew", clientAt(fullClient("due 1", 1), 1))(a.Client(ctx, "due 1"))
	f.ok("UpdateClient that puts PurgeAt off", a.UpdateClient(ctx, store.Client{ID: "not yet", Version: 1, PurgeAt: farFuture}))
	f.ok("UpdateClient that sets PurgeAt", a.UpdateClient(ctx, store.Client{ID: "never", Version: 1, PurgeAt: now}))
	returned(&f, "DeleteExpired after the updates", store.Deleted{Clients: 1})(b.DeleteExpired(ctx, now.Add(time.Hour-time.Microsecond), 100))
	return f.err()
}

func deleteLimit(ctx context.Context, a, b store.Store) error {
	var f failures
	const each = 25
	for i := range each {
		f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: "k", Key: fmt.Sprint(i), PurgeAt: now}))
		f.ok("CreateToken", a.CreateToken(ctx, store.Token{ID: fmt.Sprint(i), ClientID: "c", PurgeAt: now}))
	}
	left := func() (n int) {
		for i := range each {
			if _, err := b.Code(ctx, "k", fmt.Sprint(i)); !errors.Is(err, store.ErrNotFound) {
				n++
			}
			if _, err := b.Token(ctx, fmt.Sprint(i)); !errors.Is(err, store.ErrNotFound) {
				n++
			}
		}
		return n
	}
	for _, limit := range []int{0, -1} { // whether that is an error is the store's affair
		d, _ := a.DeleteExpired(ctx, now, limit)
		same(&f, fmt.Sprintf("DeleteExpired with limit %d", limit), d.Total(), 0)
	}
	want := 2 * each
	same(&f, "records before DeleteExpired", left(), want)
	for _, limit := range []int{1, 20, 19, 11, 5} {
		d, err := a.DeleteExpired(ctx, now, limit)
		what := fmt.Sprintf("with limit %d and %d records that are due", limit, want)
		f.ok("DeleteExpired "+what, err)
		same(&f, "number of records deleted "+what, d.Total(), min(limit, want))
		want -= min(limit, want)
		same(&f, "number of records left by DeleteExpired "+what, left(), want)
	}
	return f.err()
}

func deleteByCurrentPurgeAt(ctx context.Context, a, b store.Store) error {
	var f failures
	for i, step := range []struct {
		old, new time.Time
		due      bool
	}{
		{now, now.Add(time.Hour), false},
		{now, time.Time{}, false},
		{now, now.Add(time.Microsecond), false},
		{now.Add(time.Hour), now, true},
		{time.Time{}, now, true},
		{now.Add(2 * time.Hour), now.Add(time.Hour), false},
	} {
		id, what := fmt.Sprint(i), fmt.Sprintf("PurgeAt changed from %v to %v", step.old, step.new)
		f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: "k", Key: id, PurgeAt: step.old}))
		f.ok("CreateToken", a.CreateToken(ctx, store.Token{ID: id, ClientID: "c", PurgeAt: step.old}))
		f.ok("UpdateCode", b.UpdateCode(ctx, store.Code{Kind: "k", Key: id, PurgeAt: step.new, Version: 1}))
		f.ok("UpdateToken", b.UpdateToken(ctx, store.Token{ID: id, ClientID: "c", PurgeAt: step.new, Version: 1}))
		want := store.Deleted{}
		if step.due {
			want = store.Deleted{Codes: 1, Tokens: 1}
		}
		returned(&f, "DeleteExpired with "+what, want)(a.DeleteExpired(ctx, now, 100))
	}
	returned(&f, "DeleteExpired later", store.Deleted{Codes: 3, Tokens: 3})(a.DeleteExpired(ctx, now.Add(time.Hour), 100))
	returned(&f, "DeleteExpired at the end of time", store.Deleted{})(a.DeleteExpired(ctx, farFuture, 100))
	result[store.Token](&f, "Token that is never purged", nil)(b.Token(ctx, "1"))
	return f.err()
}

func deletedIsGone(ctx context.Context, a, b store.Store) error {
	var f failures
	code, t := fullCode("k", "x", 1), fullToken("t", 1)
	f.ok("CreateCode", a.CreateCode(ctx, code))
	f.ok("CreateToken", a.CreateToken(ctx, t))
	returned(&f, "DeleteExpired", store.Deleted{Codes: 1, Tokens: 1})(a.DeleteExpired(ctx, farFuture, 10))

	result[store.Code](&f, "Code", store.ErrNotFound)(b.Code(ctx, "k", "x"))
	f.is("UpdateCode", b.UpdateCode(ctx, codeAt(code, 1)), store.ErrNotFound)
	result[store.Code](&f, "ConsumeCode", store.ErrNotFound)(b.ConsumeCode(ctx, "k", "x", now))
	result[store.Token](&f, "Token", store.ErrNotFound)(b.Token(ctx, "t"))
	f.is("UpdateToken", b.UpdateToken(ctx, tokenAt(t, 1)), store.ErrNotFound)
	for _, q := range []store.TokenQuery{{ID: "t"}, {Subject: t.Subject}, {ClientID: t.ClientID}, {Subject: t.Subject, ClientID: t.ClientID}} {
		returned[[]store.Token](&f, fmt.Sprintf("ListTokens of %+v", q), nil)(b.ListTokens(ctx, q, "", 10))
		returned(&f, fmt.Sprintf("RevokeTokens of %+v", q), 0)(b.RevokeTokens(ctx, q, now, later))
	}
	code, t = fullCode("k", "x", 2), fullToken("t", 2)
	t.Subject, t.ClientID = "someone else", "another"
	f.ok("CreateCode of the key that is free", b.CreateCode(ctx, code))
	f.ok("CreateToken of the ID that is free", b.CreateToken(ctx, t))
	returned(&f, "Code that was created anew", codeAt(code, 1))(a.Code(ctx, "k", "x"))
	returned(&f, "Token that was created anew", tokenAt(t, 1))(a.Token(ctx, "t"))
	returned(&f, "ListTokens", []store.Token{tokenAt(t, 1)})(a.ListTokens(ctx, store.TokenQuery{Subject: "someone else"}, "", 10))
	return f.err()
}

func raceDelete(ctx context.Context, a, b store.Store) error {
	var f failures
	const each = 200
	f.ok("storing", inParallel(each, func(i int) error {
		if err := a.CreateToken(ctx, store.Token{ID: fmt.Sprint(i), ClientID: "c", PurgeAt: now}); err != nil {
			return err
		}
		return a.CreateCode(ctx, store.Code{Kind: "k", Key: fmt.Sprint(i), PurgeAt: now})
	}))
	var mu sync.Mutex
	var total store.Deleted
	for _, err := range race(racers, func(i int) error {
		for {
			const limit = 7
			d, err := either(a, b, i).DeleteExpired(ctx, now, limit)
			mu.Lock()
			total.Codes += d.Codes
			total.Tokens += d.Tokens
			total.Clients += d.Clients
			mu.Unlock()
			if err != nil || d.Total() < limit {
				return err
			}
		}
	}) {
		f.ok("DeleteExpired", err)
	}
	same(&f, "sum of what the DeleteExpired calls counted", total, store.Deleted{Codes: each, Tokens: each})
	returned[[]store.Token](&f, "ListTokens", nil)(a.ListTokens(ctx, store.TokenQuery{ClientID: "c"}, "", 10))
	return f.err()
}

func raceDeleteUpdate(ctx context.Context, a, b store.Store) error {
	var f failures
	for round := range rounds {
		updated := make([]error, racers/2)
		for i := range updated {
			f.ok("CreateToken", a.CreateToken(ctx, store.Token{ID: fmt.Sprint(round, "/", i), ClientID: "c", PurgeAt: now}))
		}
		for _, err := range race(racers, func(i int) error {
			if i >= len(updated) {
				_, err := either(a, b, i).DeleteExpired(ctx, now, 100)
				return err
			}
			updated[i] = either(a, b, i).UpdateToken(ctx, store.Token{ID: fmt.Sprint(round, "/", i), ClientID: "c", PurgeAt: later, Version: 1})
			return nil
		}) {
			f.ok("DeleteExpired", err)
		}
		for i, err := range updated {
			if err != nil {
				f.is("UpdateToken", err, store.ErrNotFound)
			}
			result[store.Token](&f, fmt.Sprintf("Token whose UpdateToken ended with error %v", err), err)(either(a, b, round).Token(ctx, fmt.Sprint(round, "/", i)))
		}
	}
	return f.err()
}
