package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// consentCases are about the methods of store.Consents.
var consentCases = []testCase{
	{
		name:        "GrantConsent adds scopes and resources to those of the stored record",
		explanation: "package store, GrantConsent: it keeps the record's GrantedAt and takes the new UpdatedAt",
		f:           grantMerges,
	},
	{
		name:        "scopes and resources of a consent are sets, in ascending byte order",
		explanation: "package store, GrantConsent: each is kept once",
		f:           grantSets,
	},
	{
		name:        "GrantConsent with another ClientHash replaces the stored record",
		explanation: "package store, GrantConsent: the client is not what the user agreed to, so nothing of the old record counts",
		f:           grantReplaces,
	},
	{
		name:        "RevokeConsents deletes the records that the query selects, and no other",
		explanation: "package store, RevokeConsents and ConsentQuery: it returns how many there were; a later grant starts anew",
		f:           revokeConsents,
	},
	{
		name:        "RevokeConsents does not touch tokens",
		explanation: "package store, RevokeConsents",
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			t := token("t", "s", "c")
			f.ok("CreateToken", a.CreateToken(ctx, t))
			f.ok("GrantConsent", a.GrantConsent(ctx, fullConsent("s", "c", 1)))
			returned(&f, "RevokeConsents", 1)(a.RevokeConsents(ctx, store.ConsentQuery{Subject: "s", ClientID: "c"}))
			returned(&f, "Token", tokenAt(t, 1))(b.Token(ctx, "t"))
			return f.err()
		},
	},
	{
		name:        "RevokeConsents of the empty query is ErrInvalid",
		explanation: "package store, ConsentQuery: the zero ConsentQuery is refused",
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			f.ok("GrantConsent", a.GrantConsent(ctx, fullConsent("s", "c", 1)))
			result[int](&f, "RevokeConsents", store.ErrInvalid)(a.RevokeConsents(ctx, store.ConsentQuery{}))
			returned(&f, "Consent", fullConsent("s", "c", 1))(b.Consent(ctx, "s", "c"))
			return f.err()
		},
	},
}

func grantMerges(ctx context.Context, a, b store.Store) error {
	var f failures
	for i, h := range []store.Hash{{}, hash(1)} { // a registered client, a stranger
		client := fmt.Sprint(i)
		grant := func(s store.Store, scope, resource string, at time.Time) {
			c := store.Consent{Subject: "s", ClientID: client, Scopes: []string{scope}, Resources: []string{resource}, ClientHash: h, GrantedAt: at, UpdatedAt: at}
			f.ok("GrantConsent", s.GrantConsent(ctx, c))
		}
		want := store.Consent{Subject: "s", ClientID: client, ClientHash: h, GrantedAt: later}
		grant(a, "b", "urn:b", later)
		want.Scopes, want.Resources, want.UpdatedAt = []string{"b"}, []string{"urn:b"}, later
		returned(&f, "Consent after the first grant", want)(b.Consent(ctx, "s", client))
		grant(b, "a", "urn:c", later.Add(time.Second))
		want.Scopes, want.Resources, want.UpdatedAt = []string{"a", "b"}, []string{"urn:b", "urn:c"}, later.Add(time.Second)
		returned(&f, "Consent after a second grant", want)(a.Consent(ctx, "s", client))
		grant(a, "b", "urn:a", now)
		want.Resources, want.UpdatedAt = []string{"urn:a", "urn:b", "urn:c"}, now
		returned(&f, "Consent after a grant of what it has, with an earlier UpdatedAt", want)(b.Consent(ctx, "s", client))
		f.ok("GrantConsent of nothing", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: client, ClientHash: h, UpdatedAt: later}))
		want.UpdatedAt = later
		returned(&f, "Consent after a grant of nothing", want)(b.Consent(ctx, "s", client))
	}
	return f.err()
}

func grantSets(ctx context.Context, a, b store.Store) error {
	var f failures
	twice := append(shuffled(nasty), shuffled(nasty)...)
	c := store.Consent{Subject: "s", ClientID: "c", Scopes: twice, Resources: twice, GrantedAt: now, UpdatedAt: now}
	f.ok("GrantConsent", a.GrantConsent(ctx, c))
	c.Scopes, c.Resources = sorted(nasty...), sorted(nasty...)
	returned(&f, "Consent", c)(b.Consent(ctx, "s", "c"))
	returned(&f, "ListConsents", []store.Consent{c})(b.ListConsents(ctx, "s", "", 10))
	more := store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"zz", "a", "0a", "zz"}, Resources: []string{"A", ""}, UpdatedAt: now}
	f.ok("GrantConsent of more", a.GrantConsent(ctx, more))
	c.Scopes, c.Resources = sorted(append(c.Scopes, "zz", "0a")...), sorted(append(c.Resources, "")...)
	returned(&f, "Consent after a second grant", c)(b.Consent(ctx, "s", "c"))
	return f.err()
}

func grantReplaces(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("GrantConsent to another client", a.GrantConsent(ctx, fullConsent("s", "d", 1)))
	hashes := []store.Hash{hash(1), hash(2), {}, hash(1)}
	for i, h := range hashes {
		at := now.Add(time.Duration(-i) * time.Hour)
		c := store.Consent{Subject: "s", ClientID: "c", Scopes: []string{fmt.Sprint("scope ", i)}, Resources: []string{fmt.Sprint("urn:", i)}, ClientHash: h, GrantedAt: at, UpdatedAt: at}
		f.ok("GrantConsent", a.GrantConsent(ctx, c))
		returned(&f, fmt.Sprintf("Consent with hash number %d", i), c)(b.Consent(ctx, "s", "c"))
	}
	returned(&f, "Consent to the other client", fullConsent("s", "d", 1))(b.Consent(ctx, "s", "d"))
	return f.err()
}

func revokeConsents(ctx context.Context, a, b store.Store) error {
	var f failures
	there := map[[2]string]bool{}
	for i, subject := range []string{"ann", "bob", "cyd"} {
		for j, client := range []string{"app", "bot", "cat"} {
			f.ok("GrantConsent", a.GrantConsent(ctx, fullConsent(subject, client, 10*i+j)))
			there[[2]string{subject, client}] = true
		}
	}
	for _, step := range []struct {
		q store.ConsentQuery
		n int
	}{
		{store.ConsentQuery{Subject: "dan"}, 0},
		{store.ConsentQuery{ClientID: "dog"}, 0},
		{store.ConsentQuery{Subject: "app", ClientID: "ann"}, 0},
		{store.ConsentQuery{Subject: "ann", ClientID: "dog"}, 0},
		{store.ConsentQuery{Subject: "ann", ClientID: "bot"}, 1},
		{store.ConsentQuery{Subject: "ann", ClientID: "bot"}, 0},
		{store.ConsentQuery{Subject: "bob"}, 3},
		{store.ConsentQuery{ClientID: "bot"}, 1},
		{store.ConsentQuery{ClientID: "app"}, 2},
	} {
		what := fmt.Sprintf("RevokeConsents of %+v", step.q)
		returned(&f, what, step.n)(a.RevokeConsents(ctx, step.q))
		for key := range there {
			if (step.q.Subject == "" || step.q.Subject == key[0]) && (step.q.ClientID == "" || step.q.ClientID == key[1]) {
				there[key] = false
			}
		}
		for key, is := range there {
			_, err := b.Consent(ctx, key[0], key[1])
			if is {
				f.ok(fmt.Sprintf("Consent %q after %s", key, what), err)
			} else {
				f.is(fmt.Sprintf("Consent %q after %s", key, what), err, store.ErrNotFound)
			}
		}
	}
	anew := store.Consent{Subject: "bob", ClientID: "app", Scopes: []string{"new"}, ClientHash: hash(10), GrantedAt: later, UpdatedAt: later}
	f.ok("GrantConsent after RevokeConsents", a.GrantConsent(ctx, anew))
	returned(&f, "Consent that was granted anew", anew)(b.Consent(ctx, "bob", "app"))
	returned(&f, "ListConsents", []store.Consent{anew})(b.ListConsents(ctx, "bob", "", 10))
	return f.err()
}
