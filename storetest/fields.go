package storetest

import (
	"bytes"
	"context"
	"math"

	"github.com/seed-e797c9ce/oauth/store"
)

// recordCases are about what is kept of a record.
var recordCases = []testCase{
	{
		name:        "every field of a code, a token and a consent comes back as it went in",
		explanation: "package store, the records: text in any language, bytes with any value, digests, empty fields",
		f:           roundTrip,
	},
	{
		name:        "every field of a client comes back as it went in",
		explanation: "package store, Client: text in any language, bytes with any value, lifetimes to the nanosecond, empty fields",
		clients:     true,
		f:           roundTripClients,
	},
	{
		name:        "every time comes out as the same instant in UTC",
		explanation: "package store, Reads no clock: to the microsecond, whatever zone it came in with; the zero time stays zero",
		f:           instants,
	},
	{
		name:        "what goes in is copied",
		explanation: "package store, Values, not pointers: no caller can change a stored record by changing a slice it still holds",
		f:           copiedIn,
	},
	{
		name:        "what comes out is copied",
		explanation: "package store, Values, not pointers: no caller can change a stored record by changing a slice it was given",
		f:           copiedOut,
	},
	{
		name:        "a client is copied when it goes in and when it comes out",
		explanation: "package store, Values, not pointers",
		clients:     true,
		f:           copiedClients,
	},
}

func roundTrip(ctx context.Context, a, b store.Store) error {
	var f failures
	code := fullCode("k", "full", 7)
	f.ok("CreateCode", a.CreateCode(ctx, code))
	returned(&f, "Code", codeAt(code, 1))(b.Code(ctx, "k", "full"))
	f.ok("CreateCode of a bare record", a.CreateCode(ctx, store.Code{Kind: "k", Key: "bare"}))
	returned(&f, "bare Code", store.Code{Kind: "k", Key: "bare", Version: 1})(b.Code(ctx, "k", "bare"))

	t := fullToken("full", 7)
	f.ok("CreateToken", a.CreateToken(ctx, t))
	returned(&f, "Token", tokenAt(t, 1))(b.Token(ctx, "full"))
	returned(&f, "ListTokens", []store.Token{tokenAt(t, 1)})(b.ListTokens(ctx, store.TokenQuery{Subject: t.Subject}, "", 10))
	revoked := fullToken("revoked", 8)
	revoked.RevokedAt = later
	f.ok("CreateToken of a revoked record", a.CreateToken(ctx, revoked))
	returned(&f, "Token created revoked", tokenAt(revoked, 1))(b.Token(ctx, "revoked"))
	f.ok("CreateToken of a bare record", a.CreateToken(ctx, store.Token{ID: "bare", ClientID: "c"}))
	returned(&f, "bare Token", store.Token{ID: "bare", ClientID: "c", Version: 1})(b.Token(ctx, "bare"))
	t.State = 255
	t.Version = 1
	f.ok("UpdateToken to a state of an extension", a.UpdateToken(ctx, t))
	returned(&f, "Token with that state", tokenAt(t, 2))(b.Token(ctx, "full"))

	consent := fullConsent("s", "full", 7)
	f.ok("GrantConsent", a.GrantConsent(ctx, consent))
	returned(&f, "Consent", consent)(b.Consent(ctx, "s", "full"))
	f.ok("GrantConsent of a bare record", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "bare"}))
	bare := store.Consent{Subject: "s", ClientID: "bare"}
	returned(&f, "bare Consent", bare)(b.Consent(ctx, "s", "bare"))
	returned(&f, "ListConsents", []store.Consent{bare, consent})(b.ListConsents(ctx, "s", "", 10))
	return f.err()
}

func roundTripClients(ctx context.Context, a, b store.Store) error {
	var f failures
	full := []store.Client{fullClient("1", 1), fullClient("2", 2)} // every bool both ways
	bare := store.Client{ID: "bare"}
	slowest := store.Client{ID: "slowest", AccessTokenLifetime: math.MaxInt64, RefreshTokenLifetime: math.MinInt64}
	for _, c := range append(full, bare, slowest) {
		f.ok("CreateClient", a.CreateClient(ctx, c))
		returned(&f, "Client", clientAt(c, 1))(b.Client(ctx, c.ID))
	}
	want := []store.Client{clientAt(full[0], 1), clientAt(full[1], 1), clientAt(bare, 1), clientAt(slowest, 1)}
	returned(&f, "ListClients", want)(b.ListClients(ctx, "", 10))
	return f.err()
}

func instants(ctx context.Context, a, b store.Store) error {
	var f failures
	for i, at := range times {
		id := string(rune('a' + i))
		t := store.Token{ID: id, ClientID: "c", RotatedAt: at, CreatedAt: at, LastUsedAt: at, ExpiresAt: at, RevokedAt: at, PurgeAt: at}
		f.ok("CreateToken", a.CreateToken(ctx, t))
		returned(&f, "Token", tokenAt(t, 1))(b.Token(ctx, id))
		code := store.Code{Kind: "k", Key: id, ExpiresAt: at, PurgeAt: at}
		f.ok("CreateCode", a.CreateCode(ctx, code))
		returned(&f, "Code", codeAt(code, 1))(b.Code(ctx, "k", id))
		consent := store.Consent{Subject: "s", ClientID: id, GrantedAt: at, UpdatedAt: at}
		f.ok("GrantConsent", a.GrantConsent(ctx, consent))
		returned(&f, "Consent", consent)(b.Consent(ctx, "s", id))
		if at.IsZero() {
			continue
		}
		code.Version, code.ConsumedAt = 2, at
		returned(&f, "ConsumeCode", code)(a.ConsumeCode(ctx, "k", id, at))
		returned(&f, "Code once consumed", code)(b.Code(ctx, "k", id))
		t = store.Token{ID: "r" + id, ClientID: "c", Version: 2, RevokedAt: at, PurgeAt: at}
		f.ok("CreateToken", a.CreateToken(ctx, store.Token{ID: t.ID, ClientID: "c"}))
		returned(&f, "RevokeTokens", 1)(a.RevokeTokens(ctx, store.TokenQuery{ID: t.ID}, at, at))
		returned(&f, "Token once revoked", t)(b.Token(ctx, t.ID))
	}
	return f.err()
}

// scribble overwrites what a caller still holds of a record.
func scribble(texts [][]string, data ...[]byte) {
	for _, list := range texts {
		_ = append(list, "appended")
		for i := range list {
			list[i] = "scribbled"
		}
	}
	for _, d := range data {
		_ = append(d, "appended"...)
		copy(d, bytes.Repeat([]byte("!"), len(d)))
	}
}

func scribbleToken(t store.Token) {
	scribble([][]string{t.Scopes, t.Resources}, t.Successor, t.Data)
}

func copiedIn(ctx context.Context, a, b store.Store) error {
	var f failures
	code := fullCode("k", "x", 1)
	f.ok("CreateCode", a.CreateCode(ctx, code))
	scribble(nil, code.Data)
	returned(&f, "Code", codeAt(fullCode("k", "x", 1), 1))(a.Code(ctx, "k", "x"))
	code = codeAt(fullCode("k", "x", 2), 1)
	f.ok("UpdateCode", a.UpdateCode(ctx, code))
	scribble(nil, code.Data)
	returned(&f, "Code after UpdateCode", codeAt(fullCode("k", "x", 2), 2))(b.Code(ctx, "k", "x"))

	t := fullToken("t", 1)
	f.ok("CreateToken", a.CreateToken(ctx, t))
	scribbleToken(t)
	returned(&f, "Token", tokenAt(fullToken("t", 1), 1))(a.Token(ctx, "t"))
	t = tokenAt(fullToken("t", 2), 1)
	f.ok("UpdateToken", a.UpdateToken(ctx, t))
	scribbleToken(t)
	returned(&f, "Token after UpdateToken", tokenAt(fullToken("t", 2), 2))(b.Token(ctx, "t"))

	consent := fullConsent("s", "c", 1)
	f.ok("GrantConsent", a.GrantConsent(ctx, consent))
	scribble([][]string{consent.Scopes, consent.Resources})
	returned(&f, "Consent", fullConsent("s", "c", 1))(a.Consent(ctx, "s", "c"))
	unordered := fullConsent("s", "d", 1)
	unordered.Scopes = []string{"b", "a", "b"}
	f.ok("GrantConsent", a.GrantConsent(ctx, unordered))
	same(&f, "the argument of GrantConsent afterwards", unordered.Scopes, []string{"b", "a", "b"})
	return f.err()
}

func copiedOut(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 1)))
	want := codeAt(fullCode("k", "x", 1), 1)
	got, _ := a.Code(ctx, "k", "x")
	scribble(nil, got.Data)
	returned(&f, "Code", want)(a.Code(ctx, "k", "x"))
	got, err := a.ConsumeCode(ctx, "k", "x", now)
	f.ok("ConsumeCode", err)
	scribble(nil, got.Data)
	got, err = a.ConsumeCode(ctx, "k", "x", now)
	f.is("ConsumeCode again", err, store.ErrConsumed)
	scribble(nil, got.Data)
	want.Version, want.ConsumedAt = 2, now
	returned(&f, "Code after ConsumeCode", want)(b.Code(ctx, "k", "x"))

	f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 1)))
	t, _ := a.Token(ctx, "t")
	scribbleToken(t)
	returned(&f, "Token", tokenAt(fullToken("t", 1), 1))(a.Token(ctx, "t"))
	list, _ := a.ListTokens(ctx, store.TokenQuery{ID: "t"}, "", 1)
	for _, t := range list {
		scribbleToken(t)
	}
	returned(&f, "Token after ListTokens", tokenAt(fullToken("t", 1), 1))(b.Token(ctx, "t"))

	f.ok("GrantConsent", a.GrantConsent(ctx, fullConsent("s", "c", 1)))
	consent, _ := a.Consent(ctx, "s", "c")
	scribble([][]string{consent.Scopes, consent.Resources})
	returned(&f, "Consent", fullConsent("s", "c", 1))(a.Consent(ctx, "s", "c"))
	consents, _ := a.ListConsents(ctx, "s", "", 1)
	for _, c := range consents {
		scribble([][]string{c.Scopes, c.Resources})
	}
	returned(&f, "Consent after ListConsents", fullConsent("s", "c", 1))(b.Consent(ctx, "s", "c"))
	return f.err()
}

func scribbleClient(c store.Client) {
	scribble([][]string{c.RedirectURIs, c.GrantTypes, c.ResponseTypes, c.Scopes, c.DefaultScopes, c.Resources, c.Contacts}, c.JWKS, c.Data)
	for i := range c.Secrets {
		c.Secrets[i].Hash = "scribbled"
	}
}

func copiedClients(ctx context.Context, a, b store.Store) error {
	var f failures
	c := fullClient("c", 1)
	f.ok("CreateClient", a.CreateClient(ctx, c))
	scribbleClient(c)
	c, err := a.Client(ctx, "c")
	f.ok("Client", err)
	same(&f, "Client", c, clientAt(fullClient("c", 1), 1))
	scribbleClient(c)
	list, err := a.ListClients(ctx, "", 1)
	f.ok("ListClients", err)
	same(&f, "ListClients", list, []store.Client{clientAt(fullClient("c", 1), 1)})
	for _, c := range list {
		scribbleClient(c)
	}
	returned(&f, "Client after ListClients", clientAt(fullClient("c", 1), 1))(b.Client(ctx, "c"))
	c = clientAt(fullClient("c", 2), 1)
	f.ok("UpdateClient", a.UpdateClient(ctx, c))
	scribbleClient(c)
	returned(&f, "Client after UpdateClient", clientAt(fullClient("c", 2), 2))(b.Client(ctx, "c"))
	return f.err()
}
