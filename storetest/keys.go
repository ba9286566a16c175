package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-e797c9ce/oauth/store"
)

// keyCases are about what a key is, and what is refused.
var keyCases = []testCase{
	{
		name:        "keys are compared byte by byte",
		explanation: "package store, Strings and limits: no case folding, no Unicode normalisation, no trimming, no patterns",
		f:           keysAreBytes,
	},
	{
		name:        "keys of clients are compared byte by byte",
		explanation: "package store, Strings and limits: no case folding, no Unicode normalisation, no trimming, no patterns",
		clients:     true,
		f:           clientKeysAreBytes,
	},
	{
		name:        "a look-up by one key never finds the record of another",
		explanation: "package store, Strings and limits: keys are compared byte by byte",
		f:           nearMisses,
	},
	{
		name:        "keys of several parts never run together",
		explanation: "package store, Kind and Key, Subject and ClientID: two parts are two parts, whatever characters are in them",
		f:           partsStayApart,
	},
	{
		name:        "records that cannot be stored are refused with ErrInvalid",
		explanation: "package store, Strings and limits: a store calls Check first in every Create, Update and Grant; nothing is stored",
		f:           refused,
	},
	{
		name:        "clients that cannot be stored are refused with ErrInvalid",
		explanation: "package store, Strings and limits: a store calls Check first in every Create, Update and Grant; nothing is stored",
		clients:     true,
		f:           refusedClients,
	},
	{
		name:        "records of the largest sizes are kept",
		explanation: "package store, Strings and limits: in the sizes that their Check methods say",
		f:           largest,
	},
	{
		name:        "clients of the largest sizes are kept",
		explanation: "package store, Strings and limits: in the sizes that their Check methods say",
		clients:     true,
		f:           largestClients,
	},
	{
		name:        "a look-up by a key that no record can have finds nothing",
		explanation: "package store, Strings and limits: ErrNotFound, an empty list, false or zero, like any other key that is not there",
		f:           impossibleKeys,
	},
}

// eachNasty calls f for every nasty key, with a number for its record.
func eachNasty(f func(n int, key string)) {
	for n, key := range nasty {
		f(n, key)
	}
}

func keysAreBytes(ctx context.Context, a, b store.Store) error {
	var f failures
	code := func(n int, kind, key string) store.Code {
		return store.Code{Kind: kind, Key: key, Data: []byte{byte(n)}}
	}
	tok := func(n int, id string) store.Token {
		return store.Token{ID: id, Subject: id, ClientID: id, Device: fmt.Sprint(n)}
	}
	consent := func(n int, subject, client string) store.Consent {
		return store.Consent{Subject: subject, ClientID: client, Scopes: []string{fmt.Sprint(n)}}
	}
	eachNasty(func(n int, key string) {
		f.ok(fmt.Sprintf("CreateCode %q", key), a.CreateCode(ctx, code(n, "k", key)))
		f.ok(fmt.Sprintf("CreateCode of kind %q", key), a.CreateCode(ctx, code(n, key, "key")))
		f.ok(fmt.Sprintf("CreateToken %q", key), a.CreateToken(ctx, tok(n, key)))
		f.ok(fmt.Sprintf("GrantConsent to client %q", key), a.GrantConsent(ctx, consent(n, "subject", key)))
		f.ok(fmt.Sprintf("GrantConsent of subject %q", key), a.GrantConsent(ctx, consent(n, key, "client")))
	})
	eachNasty(func(n int, key string) {
		what := fmt.Sprintf("key %q", key)
		returned(&f, "Code "+what, codeAt(code(n, "k", key), 1))(b.Code(ctx, "k", key))
		returned(&f, "Code kind "+what, codeAt(code(n, key, "key"), 1))(b.Code(ctx, key, "key"))
		want := tokenAt(tok(n, key), 1)
		returned(&f, "Token "+what, want)(b.Token(ctx, key))
		for _, q := range []store.TokenQuery{{ID: key}, {Subject: key}, {ClientID: key}, {Subject: key, ClientID: key}, {ID: key, Subject: key, ClientID: key}} {
			returned(&f, fmt.Sprintf("ListTokens %+q", q), []store.Token{want})(b.ListTokens(ctx, q, "", 10))
		}
		returned(&f, "Consent client "+what, consent(n, "subject", key))(b.Consent(ctx, "subject", key))
		returned(&f, "Consent subject "+what, consent(n, key, "client"))(b.Consent(ctx, key, "client"))
		returned(&f, "ListConsents "+what, []store.Consent{consent(n, key, "client")})(b.ListConsents(ctx, key, "", 10))
	})
	if len(f.errs) > 0 {
		return f.err()
	}
	eachNasty(func(n int, key string) { // each change finds just its own record
		result[store.Code](&f, fmt.Sprintf("ConsumeCode %q", key), nil)(a.ConsumeCode(ctx, "k", key, now))
		q := []store.TokenQuery{{Subject: key}, {ClientID: key}, {ID: key}, {Subject: key, ClientID: key}}[n%4]
		returned(&f, fmt.Sprintf("RevokeTokens %+q", q), 1)(a.RevokeTokens(ctx, q, now, later))
		returned(&f, fmt.Sprintf("RevokeConsents of subject %q", key), 1)(a.RevokeConsents(ctx, store.ConsentQuery{Subject: key}))
		returned(&f, fmt.Sprintf("RevokeConsents of client %q", key), 1)(a.RevokeConsents(ctx, store.ConsentQuery{ClientID: key}))
	})
	return f.err()
}

func clientKeysAreBytes(ctx context.Context, a, b store.Store) error {
	var f failures
	client := func(n int, id string) store.Client { return store.Client{ID: id, Name: fmt.Sprint(n)} }
	eachNasty(func(n int, id string) {
		f.ok(fmt.Sprintf("CreateClient %q", id), a.CreateClient(ctx, client(n, id)))
	})
	eachNasty(func(n int, id string) {
		returned(&f, fmt.Sprintf("Client %q", id), clientAt(client(n, id), 1))(b.Client(ctx, id))
	})
	if len(f.errs) > 0 {
		return f.err()
	}
	eachNasty(func(_ int, id string) {
		f.ok(fmt.Sprintf("DeleteClient %q", id), a.DeleteClient(ctx, id))
		result[store.Client](&f, fmt.Sprintf("Client %q once deleted", id), store.ErrNotFound)(b.Client(ctx, id))
	})
	returned[[]store.Client](&f, "ListClients once all are deleted", nil)(b.ListClients(ctx, "", 10))
	return f.err()
}

// nearMisses stores one record and looks for it by other keys.
func nearMisses(ctx context.Context, a, b store.Store) error {
	var f failures
	const key = "Straße 1" // it has a case, a width, a digit, and letters that fold
	f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: key, Key: key}))
	f.ok("CreateToken", a.CreateToken(ctx, token(key, key, key)))
	f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: key, ClientID: key}))
	others := []string{
		strings.ToLower(key), strings.ToUpper(key), "Strasse 1", key + " ", " " + key, key + "\n", key[:len(key)-1], key + "1",
		"Straße\u00a01", "traße 1", "Ｓtraße 1", "%", "_traße 1", "Straße _", "Straße*", "*", "Straße ?", "Straße [0-9]", `Straße\ 1`, "Straße+1", "Straße%201",
	}
	for _, other := range others {
		what := fmt.Sprintf(" %q beside %q", other, key)
		result[store.Code](&f, "Code"+what, store.ErrNotFound)(b.Code(ctx, key, other))
		result[store.Code](&f, "Code of kind"+what, store.ErrNotFound)(b.Code(ctx, other, key))
		result[store.Code](&f, "ConsumeCode"+what, store.ErrNotFound)(b.ConsumeCode(ctx, key, other, now))
		f.is("UpdateCode"+what, b.UpdateCode(ctx, store.Code{Kind: key, Key: other, Version: 1}), store.ErrNotFound)
		result[store.Token](&f, "Token"+what, store.ErrNotFound)(b.Token(ctx, other))
		f.is("UpdateToken"+what, b.UpdateToken(ctx, tokenAt(token(other, key, key), 1)), store.ErrNotFound)
		result[store.Consent](&f, "Consent of subject"+what, store.ErrNotFound)(b.Consent(ctx, other, key))
		result[store.Consent](&f, "Consent to client"+what, store.ErrNotFound)(b.Consent(ctx, key, other))
		returned[[]store.Consent](&f, "ListConsents"+what, nil)(b.ListConsents(ctx, other, "", 10))
		for _, q := range []store.TokenQuery{{ID: other}, {Subject: other}, {ClientID: other}, {Subject: key, ClientID: other}, {ID: other, Subject: key}, {ID: key, ClientID: other}} {
			returned[[]store.Token](&f, "ListTokens"+what, nil)(b.ListTokens(ctx, q, "", 10))
			returned(&f, "RevokeTokens"+what, 0)(b.RevokeTokens(ctx, q, now, later))
		}
		for _, q := range []store.ConsentQuery{{Subject: other}, {ClientID: other}, {Subject: key, ClientID: other}} {
			returned(&f, "RevokeConsents"+what, 0)(b.RevokeConsents(ctx, q))
		}
	}
	return f.err()
}

// pairs would be the same if their parts were put one after the other, with or
// without one of the usual separators between them.
var pairs = [][2]string{
	{"a", "bc"}, {"ab", "c"}, {"a:b", "c"}, {"a", "b:c"}, {"a:", "c"}, {"a", ":c"}, {"a::b", "c"}, {"a", ":b:c"},
	{"a/b", "c"}, {"a", "b/c"}, {"a|b", "c"}, {"a", "b|c"}, {"a,b", "c"}, {"a", "b,c"}, {"a.b", "c"}, {"a", "b.c"},
	{"a b", "c"}, {"a", "b c"}, {"a\nb", "c"}, {"a", "b\nc"}, {"a\x1fb", "c"}, {"a", "b\x1fc"}, {"a\x01b", "c"}, {"a", "b\x01c"},
	{"{a}", "c"}, {"{a", "}c"}, {"1", "1a"}, {"11", "a"}, {"a\\", "c"}, {"a", "\\c"}, {"a\\:b", "c"}, {"a\\", "b:c"}, {"a%3Ab", "c"}, {"c", "a"},
}

func partsStayApart(ctx context.Context, a, b store.Store) error {
	var f failures
	tok := func(n int) store.Token { return token(fmt.Sprintf("%02d", n), pairs[n][0], pairs[n][1]) }
	for n, p := range pairs {
		f.ok(fmt.Sprintf("CreateCode %q", p), a.CreateCode(ctx, store.Code{Kind: p[0], Key: p[1], Data: []byte{byte(n)}}))
		f.ok(fmt.Sprintf("GrantConsent %q", p), a.GrantConsent(ctx, store.Consent{Subject: p[0], ClientID: p[1], Scopes: []string{fmt.Sprint(n)}}))
		f.ok(fmt.Sprintf("CreateToken %q", p), a.CreateToken(ctx, tok(n)))
	}
	for n, p := range pairs {
		returned(&f, fmt.Sprintf("Code %q", p), store.Code{Kind: p[0], Key: p[1], Data: []byte{byte(n)}, Version: 1})(b.Code(ctx, p[0], p[1]))
		returned(&f, fmt.Sprintf("Consent %q", p), store.Consent{Subject: p[0], ClientID: p[1], Scopes: []string{fmt.Sprint(n)}})(b.Consent(ctx, p[0], p[1]))
		returned(&f, fmt.Sprintf("ListTokens %q", p), []store.Token{tokenAt(tok(n), 1)})(b.ListTokens(ctx, store.TokenQuery{Subject: p[0], ClientID: p[1]}, "", 10))
	}
	for _, p := range pairs {
		returned(&f, fmt.Sprintf("RevokeTokens %q", p), 1)(b.RevokeTokens(ctx, store.TokenQuery{Subject: p[0], ClientID: p[1]}, now, later))
		returned(&f, fmt.Sprintf("RevokeConsents %q", p), 1)(b.RevokeConsents(ctx, store.ConsentQuery{Subject: p[0], ClientID: p[1]}))
	}
	return f.err()
}
