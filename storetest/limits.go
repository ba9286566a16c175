package storetest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/seed-e797c9ce/oauth/store"
)

// badKeys are keys that no record of the limit given can have.
func badKeys(limit int) []string {
	return append([]string{"", long(limit+1, "x")}, broken...)
}

func refused(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 1)))
	f.ok("CreateToken", a.CreateToken(ctx, fullToken("t", 1)))
	f.ok("GrantConsent", a.GrantConsent(ctx, fullConsent("s", "c", 1)))

	for _, c := range badCodes() {
		what := fmt.Sprintf(" of kind %.20q, key %.20q, %d bytes", c.Kind, c.Key, len(c.Data))
		f.is("CreateCode"+what, a.CreateCode(ctx, c), store.ErrInvalid)
		f.is("UpdateCode"+what, a.UpdateCode(ctx, codeAt(c, 1)), store.ErrInvalid)
	}
	for _, t := range badTokens() {
		what := fmt.Sprintf(" %.99q", []any{t.ID, t.ClientID, t.Subject, t.Scopes, t.Resources, t.Device, t.IP})
		f.is("CreateToken"+what, a.CreateToken(ctx, t), store.ErrInvalid)
		f.is("UpdateToken"+what, a.UpdateToken(ctx, tokenAt(t, 1)), store.ErrInvalid)
	}
	for _, c := range badConsents() {
		what := fmt.Sprintf(" %.99q", []any{c.Subject, c.ClientID, c.Scopes, c.Resources})
		f.is("GrantConsent"+what, a.GrantConsent(ctx, c), store.ErrInvalid)
	}
	result[store.Code](&f, "ConsumeCode at the zero time", store.ErrInvalid)(a.ConsumeCode(ctx, "k", "x", times[0]))
	result[int](&f, "RevokeTokens at the zero time", store.ErrInvalid)(a.RevokeTokens(ctx, store.TokenQuery{ID: "t"}, times[0], later))

	returned(&f, "Code afterwards", codeAt(fullCode("k", "x", 1), 1))(b.Code(ctx, "k", "x"))
	returned(&f, "Token afterwards", tokenAt(fullToken("t", 1), 1))(b.Token(ctx, "t"))
	returned(&f, "Consent afterwards", fullConsent("s", "c", 1))(b.Consent(ctx, "s", "c"))
	list, err := b.ListTokens(ctx, store.TokenQuery{ClientID: "c"}, "", store.MaxPage)
	f.ok("ListTokens afterwards", err)
	same(&f, "number of tokens that were refused and are there", len(list), 0)
	return f.err()
}

func badCodes() []store.Code {
	list := []store.Code{{Kind: "k", Key: "x", Data: make([]byte, store.MaxRecord-1)}} // one byte too many
	for _, bad := range badKeys(store.MaxKey) {
		list = append(list, store.Code{Kind: bad, Key: "x"}, store.Code{Kind: "k", Key: bad})
	}
	return list
}

func badTokens() []store.Token {
	list := []store.Token{
		{ID: "t", ClientID: "c", Data: make([]byte, store.MaxRecord-1)},
		{ID: "t", ClientID: "c", Successor: make([]byte, store.MaxRecord-1)},
		{ID: "t", ClientID: "c", Scopes: []string{long(store.MaxRecord/2, ""), long(store.MaxRecord/2, "")}},
		{ID: "t", ClientID: "c", Subject: long(store.MaxSubject+1, "")},
	}
	for _, bad := range badKeys(store.MaxKey) {
		list = append(list, store.Token{ID: bad, ClientID: "c"})
	}
	for _, bad := range badKeys(store.MaxClientID) {
		list = append(list, store.Token{ID: "t", ClientID: bad})
	}
	for _, bad := range broken {
		list = append(list,
			store.Token{ID: "t", ClientID: "c", Subject: bad},
			store.Token{ID: "t", ClientID: "c", Scopes: []string{"ok", bad}},
			store.Token{ID: "t", ClientID: "c", Resources: []string{"ok", bad}},
			store.Token{ID: "t", ClientID: "c", Device: bad},
			store.Token{ID: "t", ClientID: "c", IP: bad})
	}
	return list
}

func badConsents() []store.Consent {
	list := []store.Consent{{Subject: "s", ClientID: "c", Resources: []string{long(store.MaxRecord-1, "")}}}
	for _, bad := range badKeys(store.MaxSubject) {
		list = append(list, store.Consent{Subject: bad, ClientID: "c"})
	}
	for _, bad := range badKeys(store.MaxClientID) {
		list = append(list, store.Consent{Subject: "s", ClientID: bad})
	}
	for _, bad := range broken {
		list = append(list,
			store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"ok", bad}},
			store.Consent{Subject: "s", ClientID: "c", Resources: []string{"ok", bad}})
	}
	return list
}

func refusedClients(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateClient", a.CreateClient(ctx, fullClient("c", 1)))
	list := []store.Client{{ID: "c", Data: make([]byte, store.MaxRecord)}, {ID: "c", JWKS: make([]byte, store.MaxRecord)}}
	for _, bad := range badKeys(store.MaxClientID) {
		list = append(list, store.Client{ID: bad})
	}
	for _, bad := range broken {
		lists := []string{"ok", bad}
		list = append(list,
			store.Client{ID: "c", Name: bad}, store.Client{ID: "c", AuthMethod: bad}, store.Client{ID: "c", ApplicationType: bad},
			store.Client{ID: "c", Trust: store.Trust(bad)}, store.Client{ID: "c", URI: bad}, store.Client{ID: "c", LogoURI: bad},
			store.Client{ID: "c", PolicyURI: bad}, store.Client{ID: "c", TOSURI: bad}, store.Client{ID: "c", JWKSURI: bad},
			store.Client{ID: "c", RedirectURIs: lists}, store.Client{ID: "c", GrantTypes: lists}, store.Client{ID: "c", ResponseTypes: lists},
			store.Client{ID: "c", Scopes: lists}, store.Client{ID: "c", DefaultScopes: lists}, store.Client{ID: "c", Resources: lists},
			store.Client{ID: "c", Contacts: lists}, store.Client{ID: "c", Secrets: []store.Secret{{Hash: bad}}})
	}
	for i, c := range list {
		what := fmt.Sprintf(" number %d, ID %.20q", i, c.ID)
		f.is("CreateClient"+what, a.CreateClient(ctx, c), store.ErrInvalid)
		f.is("UpdateClient"+what, a.UpdateClient(ctx, clientAt(c, 1)), store.ErrInvalid)
	}
	returned(&f, "ListClients afterwards", []store.Client{clientAt(fullClient("c", 1), 1)})(b.ListClients(ctx, "", 10))
	return f.err()
}

// longKeys are two keys of the largest size that differ in their last byte, and
// one that is shorter by that byte.
func longKeys(limit int) []string {
	return []string{long(limit-1, ""), long(limit, "a"), long(limit, "b"), long(limit, "😀")}
}

func largest(ctx context.Context, a, b store.Store) error {
	var f failures
	ids, subjects, clients := longKeys(store.MaxKey), longKeys(store.MaxSubject), longKeys(store.MaxClientID)
	for i := range ids {
		f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: ids[0], Key: ids[i], Data: []byte{byte(i)}}))
		f.ok("CreateToken", a.CreateToken(ctx, token(ids[i], subjects[i], clients[i])))
		f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: subjects[0], ClientID: clients[i], Scopes: []string{fmt.Sprint(i)}}))
	}
	for i := range ids {
		what := fmt.Sprintf(" with key %d", i)
		want := tokenAt(token(ids[i], subjects[i], clients[i]), 1)
		returned(&f, "Code"+what, store.Code{Kind: ids[0], Key: ids[i], Data: []byte{byte(i)}, Version: 1})(b.Code(ctx, ids[0], ids[i]))
		returned(&f, "Token"+what, want)(b.Token(ctx, ids[i]))
		returned(&f, "ListTokens of the subject"+what, []store.Token{want})(b.ListTokens(ctx, store.TokenQuery{Subject: subjects[i]}, "", 10))
		returned(&f, "ListTokens of the client"+what, []store.Token{want})(b.ListTokens(ctx, store.TokenQuery{ClientID: clients[i]}, "", 10))
		returned(&f, "Consent"+what, store.Consent{Subject: subjects[0], ClientID: clients[i], Scopes: []string{fmt.Sprint(i)}})(b.Consent(ctx, subjects[0], clients[i]))
		returned(&f, "RevokeConsents"+what, 1)(b.RevokeConsents(ctx, store.ConsentQuery{ClientID: clients[i]}))
	}
	full := bytes.Repeat([]byte{0xff}, store.MaxRecord-2)
	code := store.Code{Kind: "k", Key: "x", Data: full}
	f.ok("CreateCode of MaxRecord bytes", a.CreateCode(ctx, code))
	returned(&f, "Code of MaxRecord bytes", codeAt(code, 1))(b.Code(ctx, "k", "x"))
	t := store.Token{ID: "t", ClientID: "c", Successor: full[:store.MaxRecord/2], Data: full[:store.MaxRecord/2-2]}
	f.ok("CreateToken of MaxRecord bytes", a.CreateToken(ctx, t))
	returned(&f, "Token of MaxRecord bytes", tokenAt(t, 1))(b.Token(ctx, "t"))
	consent := store.Consent{Subject: "s", ClientID: "c", Scopes: []string{long(store.MaxRecord-2, "😀")}}
	f.ok("GrantConsent of MaxRecord bytes", a.GrantConsent(ctx, consent))
	returned(&f, "Consent of MaxRecord bytes", consent)(b.Consent(ctx, "s", "c"))
	f.is("GrantConsent beyond MaxRecord bytes", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"one more"}}), store.ErrInvalid)
	returned(&f, "Consent afterwards", consent)(b.Consent(ctx, "s", "c"))
	return f.err()
}

func largestClients(ctx context.Context, a, b store.Store) error {
	var f failures
	var want []store.Client
	for i, id := range longKeys(store.MaxClientID) {
		c := store.Client{ID: id, Name: fmt.Sprint(i)}
		f.ok("CreateClient", a.CreateClient(ctx, c))
		returned(&f, "Client", clientAt(c, 1))(b.Client(ctx, id))
		want = append(want, clientAt(c, 1))
	}
	returned(&f, "ListClients", want)(b.ListClients(ctx, "", 10))
	c := store.Client{ID: "c", Data: bytes.Repeat([]byte{0xff}, store.MaxRecord-1)}
	f.ok("CreateClient of MaxRecord bytes", a.CreateClient(ctx, c))
	returned(&f, "Client of MaxRecord bytes", clientAt(c, 1))(b.Client(ctx, "c"))
	return f.err()
}

func impossibleKeys(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: "a", Key: "a"}))
	f.ok("CreateToken", a.CreateToken(ctx, token("a", "a", "a")))
	f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "a", ClientID: "a"}))
	for _, bad := range append(badKeys(store.MaxKey), badKeys(store.MaxClientID)...) {
		what := fmt.Sprintf(" %.20q", bad)
		result[store.Client](&f, "Client"+what, store.ErrNotFound)(b.Client(ctx, bad))
		result[store.Code](&f, "Code"+what, store.ErrNotFound)(b.Code(ctx, "a", bad))
		result[store.Code](&f, "Code of kind"+what, store.ErrNotFound)(b.Code(ctx, bad, "a"))
		result[store.Code](&f, "ConsumeCode"+what, store.ErrNotFound)(b.ConsumeCode(ctx, "a", bad, now))
		result[store.Code](&f, "ConsumeCode of kind"+what, store.ErrNotFound)(b.ConsumeCode(ctx, bad, "a", now))
		result[store.Token](&f, "Token"+what, store.ErrNotFound)(b.Token(ctx, bad))
		result[store.Consent](&f, "Consent of subject"+what, store.ErrNotFound)(b.Consent(ctx, bad, "a"))
		result[store.Consent](&f, "Consent to client"+what, store.ErrNotFound)(b.Consent(ctx, "a", bad))
		returned[[]store.Consent](&f, "ListConsents"+what, nil)(b.ListConsents(ctx, bad, "", 10))
		if bad == "" {
			continue // an empty field of a query selects by the others
		}
		for _, q := range []store.TokenQuery{{ID: bad}, {Subject: bad}, {ClientID: bad}, {Subject: "a", ClientID: bad}, {Subject: bad, ClientID: "a"}, {ID: "a", Subject: bad}, {ID: bad, ClientID: "a"}} {
			returned[[]store.Token](&f, "ListTokens"+what, nil)(b.ListTokens(ctx, q, "", 10))
			returned(&f, "RevokeTokens"+what, 0)(b.RevokeTokens(ctx, q, now, later))
		}
		for _, q := range []store.ConsentQuery{{Subject: bad}, {ClientID: bad}, {Subject: "a", ClientID: bad}, {Subject: bad, ClientID: "a"}} {
			returned(&f, "RevokeConsents"+what, 0)(b.RevokeConsents(ctx, q))
		}
	}
	_, err := b.ConsumeCode(ctx, "a", "a", now)
	f.ok("ConsumeCode of the record that is there", err)
	return f.err()
}
