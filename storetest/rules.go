package storetest

import (
	"context"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// ruleCases are about the rules that hold for every method.
var ruleCases = []testCase{
	{
		name:        "an empty store answers like one that holds nothing",
		explanation: "package store, Errors: ErrNotFound, an empty list, false or zero; none of it is an outage",
		f:           emptyStore,
	},
	{
		name:        "once a method has returned every handle sees its effect",
		explanation: "package store, Atomic and visible: there is no replica that lags, and no cache that has to expire",
		f:           visible,
	},
	{
		name:        "once a change to a client has returned every handle sees its effect",
		explanation: "package store, Atomic and visible: there is no replica that lags, and no cache that has to expire",
		clients:     true,
		f:           visibleClients,
	},
	{
		name:        "a method called with a context that has ended returns the context's error and does nothing",
		explanation: "package store, Errors",
		f:           endedContext,
	},
	{
		name:        "a method of Clients called with a context that has ended returns the context's error and does nothing",
		explanation: "package store, Errors",
		clients:     true,
		f:           endedContextClients,
	},
	{
		name:        "a store returns expired records like any other",
		explanation: "package store, Reads no clock: a store removes a record only in a Delete method",
		f:           readsNoClock,
	},
}

func emptyStore(ctx context.Context, a, b store.Store) error {
	var f failures
	for _, s := range []store.Store{a, b} {
		result[store.Client](&f, "Client", store.ErrNotFound)(s.Client(ctx, "c"))
		result[store.Code](&f, "Code", store.ErrNotFound)(s.Code(ctx, "k", "x"))
		result[store.Token](&f, "Token", store.ErrNotFound)(s.Token(ctx, "t"))
		result[store.Consent](&f, "Consent", store.ErrNotFound)(s.Consent(ctx, "s", "c"))
		f.is("UpdateCode", s.UpdateCode(ctx, store.Code{Kind: "k", Key: "x", Version: 1}), store.ErrNotFound)
		result[store.Code](&f, "ConsumeCode", store.ErrNotFound)(s.ConsumeCode(ctx, "k", "x", now))
		f.is("UpdateToken", s.UpdateToken(ctx, token("t", "s", "c")), store.ErrNotFound)
		returned[[]store.Client](&f, "ListClients", nil)(s.ListClients(ctx, "", 10))
		returned[[]store.Token](&f, "ListTokens", nil)(s.ListTokens(ctx, store.TokenQuery{Subject: "s"}, "", 10))
		returned[[]store.Consent](&f, "ListConsents", nil)(s.ListConsents(ctx, "s", "", 10))
		returned(&f, "RevokeTokens", 0)(s.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, now, later))
		returned(&f, "RevokeConsents", 0)(s.RevokeConsents(ctx, store.ConsentQuery{Subject: "s"}))
		returned(&f, "DeleteExpired", store.Deleted{})(s.DeleteExpired(ctx, now, 10))
	}
	return f.err()
}

// visible reads everything through one handle, so that a cache has something to
// keep, changes it through the other, and reads it again, both ways round.
func visible(ctx context.Context, a, b store.Store) error {
	var f failures
	visibleCodes(ctx, &f, a, b, "1")
	visibleCodes(ctx, &f, b, a, "2")
	visibleTokens(ctx, &f, a, b, "1")
	visibleTokens(ctx, &f, b, a, "2")
	visibleConsents(ctx, &f, a, b, "1")
	visibleConsents(ctx, &f, b, a, "2")
	return f.err()
}

func visibleCodes(ctx context.Context, f *failures, writer, reader store.Store, key string) {
	result[store.Code](f, "Code before CreateCode", store.ErrNotFound)(reader.Code(ctx, "k", key))
	code := fullCode("k", key, 1)
	f.ok("CreateCode", writer.CreateCode(ctx, code))
	returned(f, "Code after CreateCode on the other handle", codeAt(code, 1))(reader.Code(ctx, "k", key))
	code = codeAt(fullCode("k", key, 2), 1)
	f.ok("UpdateCode", writer.UpdateCode(ctx, code))
	returned(f, "Code after UpdateCode on the other handle", codeAt(code, 2))(reader.Code(ctx, "k", key))
	consumed, err := writer.ConsumeCode(ctx, "k", key, now)
	f.ok("ConsumeCode", err)
	returned(f, "Code after ConsumeCode on the other handle", consumed)(reader.Code(ctx, "k", key))
	result[store.Code](f, "ConsumeCode after ConsumeCode on the other handle", store.ErrConsumed)(reader.ConsumeCode(ctx, "k", key, later))
	returned(f, "DeleteExpired", store.Deleted{Codes: 1})(writer.DeleteExpired(ctx, code.PurgeAt, 10))
	result[store.Code](f, "Code after DeleteExpired on the other handle", store.ErrNotFound)(reader.Code(ctx, "k", key))
}

func visibleTokens(ctx context.Context, f *failures, writer, reader store.Store, id string) {
	q := store.TokenQuery{Subject: "s", ClientID: "c"}
	returned[[]store.Token](f, "ListTokens before CreateToken", nil)(reader.ListTokens(ctx, q, "", 10))
	result[store.Token](f, "Token before CreateToken", store.ErrNotFound)(reader.Token(ctx, id))
	t := token(id, "s", "c")
	f.ok("CreateToken", writer.CreateToken(ctx, t))
	t.Version = 1
	returned(f, "Token after CreateToken on the other handle", t)(reader.Token(ctx, id))
	returned(f, "ListTokens after CreateToken on the other handle", []store.Token{t})(reader.ListTokens(ctx, q, "", 10))
	t.Device = "elsewhere"
	f.ok("UpdateToken", writer.UpdateToken(ctx, t))
	t.Version = 2
	returned(f, "Token after UpdateToken on the other handle", t)(reader.Token(ctx, id))
	returned(f, "ListTokens after UpdateToken on the other handle", []store.Token{t})(reader.ListTokens(ctx, q, "", 10))
	returned(f, "RevokeTokens", 1)(writer.RevokeTokens(ctx, q, now, later))
	t.Version, t.RevokedAt, t.PurgeAt = 3, now, later
	returned(f, "Token after RevokeTokens on the other handle", t)(reader.Token(ctx, id))
	returned(f, "ListTokens after RevokeTokens on the other handle", []store.Token{t})(reader.ListTokens(ctx, q, "", 10))
	f.is("UpdateToken after RevokeTokens on the other handle", reader.UpdateToken(ctx, t), store.ErrRevoked)
	returned(f, "DeleteExpired", store.Deleted{Tokens: 1})(writer.DeleteExpired(ctx, later, 10))
	result[store.Token](f, "Token after DeleteExpired on the other handle", store.ErrNotFound)(reader.Token(ctx, id))
	returned[[]store.Token](f, "ListTokens after DeleteExpired on the other handle", nil)(reader.ListTokens(ctx, q, "", 10))
}

func visibleConsents(ctx context.Context, f *failures, writer, reader store.Store, subject string) {
	result[store.Consent](f, "Consent before GrantConsent", store.ErrNotFound)(reader.Consent(ctx, subject, "c"))
	c := store.Consent{Subject: subject, ClientID: "c", Scopes: []string{"read"}, GrantedAt: now, UpdatedAt: now}
	f.ok("GrantConsent", writer.GrantConsent(ctx, c))
	returned(f, "Consent after GrantConsent on the other handle", c)(reader.Consent(ctx, subject, "c"))
	returned(f, "ListConsents after GrantConsent on the other handle", []store.Consent{c})(reader.ListConsents(ctx, subject, "", 10))
	c.UpdatedAt = later
	f.ok("GrantConsent again", writer.GrantConsent(ctx, c))
	returned(f, "Consent after a second GrantConsent on the other handle", c)(reader.Consent(ctx, subject, "c"))
	returned(f, "RevokeConsents", 1)(writer.RevokeConsents(ctx, store.ConsentQuery{Subject: subject}))
	result[store.Consent](f, "Consent after RevokeConsents on the other handle", store.ErrNotFound)(reader.Consent(ctx, subject, "c"))
	returned[[]store.Consent](f, "ListConsents after RevokeConsents on the other handle", nil)(reader.ListConsents(ctx, subject, "", 10))
}

func visibleClients(ctx context.Context, a, b store.Store) error {
	var f failures
	for i, s := range [][2]store.Store{{a, b}, {b, a}} {
		writer, reader, id := s[0], s[1], string(rune('a'+i))
		result[store.Client](&f, "Client before CreateClient", store.ErrNotFound)(reader.Client(ctx, id))
		returned[[]store.Client](&f, "ListClients before CreateClient", nil)(reader.ListClients(ctx, "", 10))
		f.ok("CreateClient", writer.CreateClient(ctx, fullClient(id, 1)))
		returned(&f, "Client after CreateClient on the other handle", clientAt(fullClient(id, 1), 1))(reader.Client(ctx, id))
		f.ok("UpdateClient", writer.UpdateClient(ctx, clientAt(fullClient(id, 2), 1)))
		want := clientAt(fullClient(id, 2), 2)
		returned(&f, "Client after UpdateClient on the other handle", want)(reader.Client(ctx, id))
		returned(&f, "ListClients after UpdateClient on the other handle", []store.Client{want})(reader.ListClients(ctx, "", 10))
		f.ok("DeleteClient", writer.DeleteClient(ctx, id))
		result[store.Client](&f, "Client after DeleteClient on the other handle", store.ErrNotFound)(reader.Client(ctx, id))
		returned[[]store.Client](&f, "ListClients after DeleteClient on the other handle", nil)(reader.ListClients(ctx, "", 10))
	}
	return f.err()
}

// endedContexts are a cancelled context and one whose deadline has passed, with
// the errors that they return.
func endedContexts(ctx context.Context) map[error]context.Context {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	expired, cancel := context.WithDeadline(ctx, time.Unix(1, 0))
	cancel()
	return map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: expired}
}

func endedContext(ctx context.Context, a, b store.Store) error {
	var f failures
	code, t := fullCode("k", "x", 1), fullToken("t", 1)
	consent := fullConsent("s", "c", 1)
	f.ok("CreateCode", a.CreateCode(ctx, code))
	f.ok("CreateToken", a.CreateToken(ctx, t))
	f.ok("GrantConsent", a.GrantConsent(ctx, consent))
	for want, ended := range endedContexts(ctx) {
		result[store.Code](&f, "Code", want)(a.Code(ended, "k", "x"))
		f.is("CreateCode", a.CreateCode(ended, fullCode("k", "y", 1)), want)
		f.is("UpdateCode", a.UpdateCode(ended, codeAt(fullCode("k", "x", 2), 1)), want)
		result[store.Code](&f, "ConsumeCode", want)(a.ConsumeCode(ended, "k", "x", now))
		result[store.Token](&f, "Token", want)(a.Token(ended, "t"))
		f.is("CreateToken", a.CreateToken(ended, fullToken("u", 1)), want)
		f.is("UpdateToken", a.UpdateToken(ended, tokenAt(fullToken("t", 2), 1)), want)
		result[int](&f, "RevokeTokens", want)(a.RevokeTokens(ended, store.TokenQuery{ID: "t"}, now, later))
		result[int](&f, "RevokeTokens of a client", want)(a.RevokeTokens(ended, store.TokenQuery{ClientID: t.ClientID}, now, later))
		result[[]store.Token](&f, "ListTokens", want)(a.ListTokens(ended, store.TokenQuery{ID: "t"}, "", 10))
		result[store.Consent](&f, "Consent", want)(a.Consent(ended, "s", "c"))
		f.is("GrantConsent", a.GrantConsent(ended, fullConsent("s", "c", 1)), want)
		result[int](&f, "RevokeConsents", want)(a.RevokeConsents(ended, store.ConsentQuery{Subject: "s"}))
		result[[]store.Consent](&f, "ListConsents", want)(a.ListConsents(ended, "s", "", 10))
		result[store.Deleted](&f, "DeleteExpired", want)(a.DeleteExpired(ended, farFuture, 10))
		result[store.Client](&f, "Client", want)(a.Client(ended, "c"))
		result[[]store.Client](&f, "ListClients", want)(a.ListClients(ended, "", 10))
	}
	returned(&f, "Code afterwards", codeAt(code, 1))(b.Code(ctx, "k", "x"))
	result[store.Code](&f, "the Code that was not created", store.ErrNotFound)(b.Code(ctx, "k", "y"))
	returned(&f, "Token afterwards", tokenAt(t, 1))(b.Token(ctx, "t"))
	result[store.Token](&f, "the Token that was not created", store.ErrNotFound)(b.Token(ctx, "u"))
	returned(&f, "Consent afterwards", consent)(b.Consent(ctx, "s", "c"))
	return f.err()
}

func endedContextClients(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateClient", a.CreateClient(ctx, fullClient("c", 1)))
	for want, ended := range endedContexts(ctx) {
		f.is("CreateClient", a.CreateClient(ended, fullClient("d", 1)), want)
		f.is("UpdateClient", a.UpdateClient(ended, clientAt(fullClient("c", 2), 1)), want)
		f.is("DeleteClient", a.DeleteClient(ended, "c"), want)
		result[store.Client](&f, "Client", want)(a.Client(ended, "c"))
		result[[]store.Client](&f, "ListClients", want)(a.ListClients(ended, "", 10))
		result[store.Deleted](&f, "DeleteExpired", want)(a.DeleteExpired(ended, farFuture, 10))
	}
	returned(&f, "Client afterwards", clientAt(fullClient("c", 1), 1))(b.Client(ctx, "c"))
	result[store.Client](&f, "the Client that was not created", store.ErrNotFound)(b.Client(ctx, "d"))
	return f.err()
}

// readsNoClock stores records whose times have passed on every clock there is.
func readsNoClock(ctx context.Context, a, b store.Store) error {
	var f failures
	past := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	code := store.Code{Kind: "k", Key: "x", ExpiresAt: past, PurgeAt: past}
	f.ok("CreateCode of an expired record", a.CreateCode(ctx, code))
	returned(&f, "Code", codeAt(code, 1))(b.Code(ctx, "k", "x"))
	f.is("CreateCode over an expired record", b.CreateCode(ctx, code), store.ErrExists)
	f.ok("UpdateCode of an expired record", b.UpdateCode(ctx, codeAt(code, 1)))
	_, err := b.ConsumeCode(ctx, "k", "x", now)
	f.ok("ConsumeCode of an expired record", err)

	t := store.Token{ID: "t", ClientID: "c", Subject: "s", CreatedAt: past, ExpiresAt: past, PurgeAt: past}
	f.ok("CreateToken of an expired record", a.CreateToken(ctx, t))
	returned(&f, "Token", tokenAt(t, 1))(b.Token(ctx, "t"))
	f.is("CreateToken over an expired record", b.CreateToken(ctx, t), store.ErrExists)
	f.ok("UpdateToken of an expired record", b.UpdateToken(ctx, tokenAt(t, 1)))
	returned(&f, "ListTokens", []store.Token{tokenAt(t, 2)})(b.ListTokens(ctx, store.TokenQuery{ClientID: "c"}, "", 10))
	returned(&f, "RevokeTokens of an expired record", 1)(b.RevokeTokens(ctx, store.TokenQuery{ClientID: "c"}, past, past))
	_, err = b.Token(ctx, "t")
	f.ok("Token after its PurgeAt", err)
	return f.err()
}

// farFuture is after every PurgeAt.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
