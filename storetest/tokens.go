package storetest

import (
	"context"

	"github.com/seed-e797c9ce/oauth/store"
)

// tokenCases are about the methods of store.Tokens.
var tokenCases = []testCase{
	{
		name:        "CreateToken stores a new record with Version 1",
		explanation: "package store, Versions: whatever the record says",
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			for i, version := range []int64{0, 1, 7, -1} {
				t := fullToken(string(rune('a'+i)), 1)
				f.ok("CreateToken", a.CreateToken(ctx, tokenAt(t, version)))
				returned(&f, "Token", tokenAt(t, 1))(b.Token(ctx, t.ID))
			}
			return f.err()
		},
	},
	{
		name:        "CreateToken of an ID that is taken is ErrExists, and the stored record is unchanged",
		explanation: "package store, CreateToken: a revoked record included",
		f:           createTokenAgain,
	},
	{
		name:        "a token may be created revoked",
		explanation: "package store, CreateToken: it is then revoked like one that RevokeTokens marked",
		f:           createRevoked,
	},
	{
		name:        "UpdateToken replaces the record if its stored Version is the record's, and adds 1",
		explanation: "package store, Versions: otherwise it is ErrConflict, and the stored record is unchanged",
		f:           updateToken,
	},
	{
		name:        "UpdateToken never changes RevokedAt",
		explanation: "package store, UpdateToken: only RevokeTokens revokes",
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 1)))
			t := tokenAt(fullToken("t", 2), 1)
			t.RevokedAt = now
			f.ok("UpdateToken with RevokedAt", a.UpdateToken(ctx, t))
			returned(&f, "Token", tokenAt(fullToken("t", 2), 2))(b.Token(ctx, "t"))
			f.ok("UpdateToken afterwards", b.UpdateToken(ctx, tokenAt(fullToken("t", 3), 2)))
			return f.err()
		},
	},
	{
		name:        "UpdateToken of a revoked record is ErrRevoked, whatever the version",
		explanation: "package store, Errors: ErrRevoked comes before ErrConflict; the record is unchanged",
		f:           updateRevoked,
	},
	{
		name:        "pending, expired and revoked tokens are returned like any other",
		explanation: "package store, Token and ListTokens",
		f:           everyState,
	},
}

func createTokenAgain(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 1)))
	f.is("CreateToken again", b.CreateToken(ctx, fullToken("t", 2)), store.ErrExists)
	elsewhere := fullToken("t", 2)
	elsewhere.Subject, elsewhere.ClientID = "other", "other"
	f.is("CreateToken for another subject and client", b.CreateToken(ctx, elsewhere), store.ErrExists)
	returned(&f, "Token", tokenAt(fullToken("t", 1), 1))(a.Token(ctx, "t"))
	returned[[]store.Token](&f, "ListTokens of the other subject", nil)(b.ListTokens(ctx, store.TokenQuery{Subject: "other"}, "", 10))
	_, err := a.RevokeTokens(ctx, store.TokenQuery{ID: "t"}, now, later)
	f.ok("RevokeTokens", err)
	f.is("CreateToken over a revoked record", b.CreateToken(ctx, fullToken("t", 2)), store.ErrExists)
	want := tokenAt(fullToken("t", 1), 2)
	want.RevokedAt, want.PurgeAt = now, later
	returned(&f, "Token once revoked", want)(a.Token(ctx, "t"))
	return f.err()
}

func createRevoked(ctx context.Context, a, b store.Store) error {
	var f failures
	t := fullToken("t", 1)
	t.RevokedAt = now
	f.ok("CreateToken", a.CreateToken(ctx, t))
	t.Version = 1
	returned(&f, "Token", t)(b.Token(ctx, "t"))
	f.is("UpdateToken", b.UpdateToken(ctx, t), store.ErrRevoked)
	returned(&f, "RevokeTokens", 0)(b.RevokeTokens(ctx, store.TokenQuery{ID: "t"}, later, farFuture))
	returned(&f, "Token afterwards", t)(b.Token(ctx, "t"))
	return f.err()
}

func updateToken(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 1)))
	f.ok("CreateToken of another", a.CreateToken(ctx, fullToken("u", 1)))
	f.ok("UpdateToken", a.UpdateToken(ctx, tokenAt(fullToken("t", 2), 1)))
	want := tokenAt(fullToken("t", 2), 2)
	returned(&f, "Token", want)(b.Token(ctx, "t"))
	for _, version := range []int64{0, 1, 3, -1, 1 << 62} {
		f.is("UpdateToken at another version", b.UpdateToken(ctx, tokenAt(fullToken("t", 3), version)), store.ErrConflict)
	}
	returned(&f, "Token after the conflicts", want)(a.Token(ctx, "t"))
	bare := store.Token{ID: "t", ClientID: want.ClientID, Subject: want.Subject, Version: 2}
	f.ok("UpdateToken at the right version", b.UpdateToken(ctx, bare))
	returned(&f, "Token after all other fields were emptied", tokenAt(bare, 3))(a.Token(ctx, "t"))
	other := tokenAt(fullToken("u", 1), 1)
	returned(&f, "the other Token", other)(a.Token(ctx, "u"))
	returned(&f, "ListTokens", []store.Token{tokenAt(bare, 3), other})(a.ListTokens(ctx, store.TokenQuery{Subject: want.Subject, ClientID: want.ClientID}, "", 10))
	f.is("UpdateToken of none", a.UpdateToken(ctx, tokenAt(fullToken("v", 1), 1)), store.ErrNotFound)
	result[store.Token](&f, "Token of none", store.ErrNotFound)(b.Token(ctx, "v"))
	return f.err()
}

func updateRevoked(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 1)))
	returned(&f, "RevokeTokens", 1)(a.RevokeTokens(ctx, store.TokenQuery{ID: "t"}, now, later))
	want := tokenAt(fullToken("t", 1), 2)
	want.RevokedAt, want.PurgeAt = now, later
	for _, version := range []int64{0, 1, 2, 3} {
		f.is("UpdateToken", b.UpdateToken(ctx, tokenAt(fullToken("t", 2), version)), store.ErrRevoked)
	}
	f.is("UpdateToken with the record as it is", b.UpdateToken(ctx, want), store.ErrRevoked)
	f.is("UpdateToken with a record that cannot be stored", b.UpdateToken(ctx, store.Token{ID: "t", ClientID: "c", Data: make([]byte, store.MaxRecord)}), store.ErrInvalid)
	returned(&f, "Token", want)(b.Token(ctx, "t"))
	return f.err()
}

func everyState(ctx context.Context, a, b store.Store) error {
	var f failures
	pending, active, expired, revoked := token("a", "s", "c"), token("b", "s", "c"), token("c", "s", "c"), token("d", "s", "c")
	pending.State = store.TokenPending
	expired.ExpiresAt, expired.PurgeAt = now.AddDate(-40, 0, 0), now.AddDate(-40, 0, 0)
	revoked.RevokedAt = now.AddDate(-40, 0, 0)
	want := []store.Token{pending, active, expired, revoked}
	for i := range want {
		f.ok("CreateToken", a.CreateToken(ctx, want[i]))
		want[i].Version = 1
		returned(&f, "Token", want[i])(b.Token(ctx, want[i].ID))
	}
	for _, q := range []store.TokenQuery{{Subject: "s"}, {ClientID: "c"}, {Subject: "s", ClientID: "c"}} {
		returned(&f, "ListTokens", want)(b.ListTokens(ctx, q, "", 10))
	}
	return f.err()
}
