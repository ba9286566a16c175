package storetest

import (
	"context"
	"fmt"

	"github.com/seed-e797c9ce/oauth/store"
)

// revocationCases are about RevokeTokens. What it promises beside concurrent
// updates is in raceCases.
var revocationCases = []testCase{
	{
		name:        "RevokeTokens marks every record that the query selects, pending ones included, and no other",
		explanation: "package store, RevokeTokens: RevokedAt and PurgeAt are set, 1 is added to the Version, and the number is returned",
		f:           revokeSelected,
	},
	{
		name:        "RevokeTokens leaves records that were revoked before as they are",
		explanation: "package store, RevokeTokens: nor does it count them",
		f:           revokeAgain,
	},
	{
		name:        "RevokeTokens of the empty query is ErrInvalid",
		explanation: "package store, TokenQuery: all is never meant by leaving everything out",
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 1)))
			result[int](&f, "RevokeTokens", store.ErrInvalid)(a.RevokeTokens(ctx, store.TokenQuery{}, now, later))
			returned(&f, "Token", tokenAt(fullToken("t", 1), 1))(b.Token(ctx, "t"))
			return f.err()
		},
	},
	{
		name:        "RevokeTokens sets the PurgeAt that it was given, the zero time too",
		explanation: "package store, RevokeTokens and DeleteExpired",
		f:           revokePurgeAt,
	},
}

// crowd stores a pending and an active token for each of three subjects, one of
// them nobody, and two clients, and returns them as stored.
func crowd(ctx context.Context, f *failures, s store.Store) []store.Token {
	var list []store.Token
	for _, subject := range []string{"", "ann", "bob"} {
		for _, client := range []string{"app", "bot"} {
			for state := store.TokenPending; state <= store.TokenActive; state++ {
				t := fullToken(fmt.Sprintf("%s/%s/%d", subject, client, state), len(list))
				t.Subject, t.ClientID, t.State = subject, client, state
				f.ok("CreateToken", s.CreateToken(ctx, t))
				list = append(list, tokenAt(t, 1))
			}
		}
	}
	return list
}

func revokeSelected(ctx context.Context, a, b store.Store) error {
	var f failures
	want := crowd(ctx, &f, a)
	for i, step := range []struct {
		q store.TokenQuery
		n int
	}{
		{store.TokenQuery{ID: "none"}, 0},
		{store.TokenQuery{ID: "ann/app/0", Subject: "bob"}, 0},
		{store.TokenQuery{ID: "ann/app/0", ClientID: "bot"}, 0},
		{store.TokenQuery{Subject: "bob", ClientID: "none"}, 0},
		{store.TokenQuery{ID: "ann/app/0"}, 1},
		{store.TokenQuery{ID: "bob/bot/1", Subject: "bob", ClientID: "bot"}, 1},
		{store.TokenQuery{Subject: "bob", ClientID: "app"}, 2},
		{store.TokenQuery{Subject: "ann"}, 3},
		{store.TokenQuery{ClientID: "bot"}, 3},
		{store.TokenQuery{ID: "/app/0", ClientID: "app"}, 1},
		{store.TokenQuery{ClientID: "app"}, 1},
	} {
		at, purgeAt := now.AddDate(0, 0, i), later.AddDate(0, 0, i)
		what := fmt.Sprintf("RevokeTokens of %+v", step.q)
		returned(&f, what, step.n)(a.RevokeTokens(ctx, step.q, at, purgeAt))
		for j := range want {
			t := &want[j]
			selected := (step.q.ID == "" || step.q.ID == t.ID) && (step.q.Subject == "" || step.q.Subject == t.Subject) && (step.q.ClientID == "" || step.q.ClientID == t.ClientID)
			if selected && t.RevokedAt.IsZero() {
				t.RevokedAt, t.PurgeAt, t.Version = at, purgeAt, t.Version+1
			}
			returned(&f, fmt.Sprintf("Token %s after %s", t.ID, what), *t)(b.Token(ctx, t.ID))
		}
	}
	return f.err()
}

func revokeAgain(ctx context.Context, a, b store.Store) error {
	var f failures
	want := crowd(ctx, &f, a)
	returned(&f, "RevokeTokens", 4)(a.RevokeTokens(ctx, store.TokenQuery{Subject: "ann"}, now, later))
	for _, q := range []store.TokenQuery{{ID: "ann/app/0"}, {Subject: "ann"}, {Subject: "ann", ClientID: "bot"}} {
		returned(&f, fmt.Sprintf("RevokeTokens of %+v again", q), 0)(b.RevokeTokens(ctx, q, later, farFuture))
	}
	returned(&f, "RevokeTokens of the client", 4)(b.RevokeTokens(ctx, store.TokenQuery{ClientID: "app"}, later, farFuture))
	for _, t := range want {
		switch {
		case t.Subject == "ann":
			t.RevokedAt, t.PurgeAt, t.Version = now, later, 2
		case t.ClientID == "app":
			t.RevokedAt, t.PurgeAt, t.Version = later, farFuture, 2
		}
		returned(&f, "Token "+t.ID, t)(a.Token(ctx, t.ID))
	}
	return f.err()
}

func revokePurgeAt(ctx context.Context, a, b store.Store) error {
	var f failures
	t := fullToken("never", 1)
	f.ok("CreateToken", a.CreateToken(ctx, t))
	f.ok("CreateToken", a.CreateToken(ctx, fullToken("sooner", 1)))
	f.ok("CreateToken", a.CreateToken(ctx, fullToken("later", 1)))
	_, err := a.RevokeTokens(ctx, store.TokenQuery{ID: "never"}, now, times[0])
	f.ok("RevokeTokens with the zero purgeAt", err)
	_, err = a.RevokeTokens(ctx, store.TokenQuery{ID: "sooner"}, now, now)
	f.ok("RevokeTokens with an earlier purgeAt", err)
	_, err = a.RevokeTokens(ctx, store.TokenQuery{ID: "later"}, now, farFuture)
	f.ok("RevokeTokens with a later purgeAt", err)

	returned(&f, "DeleteExpired soon", store.Deleted{Tokens: 1})(b.DeleteExpired(ctx, now, 10))
	result[store.Token](&f, "Token with the earlier PurgeAt", store.ErrNotFound)(b.Token(ctx, "sooner"))
	returned(&f, "DeleteExpired later", store.Deleted{})(b.DeleteExpired(ctx, t.PurgeAt.AddDate(1, 0, 0), 10))
	returned(&f, "DeleteExpired at last", store.Deleted{Tokens: 1})(b.DeleteExpired(ctx, farFuture, 10))
	want := tokenAt(t, 2)
	want.RevokedAt, want.PurgeAt = now, times[0]
	returned(&f, "Token that is never purged", want)(b.Token(ctx, "never"))
	return f.err()
}
