package storetest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/seed-e797c9ce/oauth/store"
)

// listCases are about the methods that return pages.
var listCases = []testCase{
	{
		name:        "lists of tokens and consents are in ascending byte order",
		explanation: "package store, Strings and limits: page by page, each record once, whatever the order they were stored in",
		f:           order,
	},
	{
		name:        "lists of clients are in ascending byte order",
		explanation: "package store, Strings and limits: page by page, each record once, whatever the order they were stored in",
		clients:     true,
		f:           orderClients,
	},
	{
		name:        "a page goes on after a key that is no longer there",
		explanation: "package store, ListTokens: from the first whose ID is greater than after, and not from after itself",
		f:           afterGap,
	},
	{
		name:        "limit is between 1 and MaxPage, anything else is ErrInvalid",
		explanation: "package store, Strings and limits",
		f:           limits,
	},
	{
		name:        "a page holds as many as MaxPage records",
		explanation: "package store, MaxPage",
		f:           fullPage,
	},
}

// pages reads a list to its end, limit records at a time.
func pages[R any](f *failures, what string, limit int, key func(R) string, next func(after string, limit int) ([]R, error)) []R {
	var all []R
	after := ""
	for range 10_000 {
		page, err := next(after, limit)
		if !f.ok(what, err) {
			return all
		}
		if len(page) > limit {
			f.addf("%s: %d records, more than the limit of %d", what, len(page), limit)
		}
		all = append(all, page...)
		if len(page) < limit {
			return all
		}
		after = key(page[len(page)-1])
	}
	f.addf("%s: has no end", what)
	return all
}

// shuffled returns the keys in an order that is not theirs, and always the same.
func shuffled(list []string) []string {
	list = slices.Clone(list)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func order(ctx context.Context, a, b store.Store) error {
	var f failures
	for _, id := range shuffled(nasty) {
		f.ok("CreateToken", a.CreateToken(ctx, token(id, "s", "c")))
		f.ok("CreateToken of another subject", a.CreateToken(ctx, token("other "+id, "t", "c")))
		f.ok("CreateToken of another client", a.CreateToken(ctx, token("another "+id, "s", "d")))
		f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: id}))
		f.ok("GrantConsent of another subject", a.GrantConsent(ctx, store.Consent{Subject: "t", ClientID: id}))
	}
	var others, another []string
	for _, id := range nasty {
		others, another = append(others, "other "+id), append(another, "another "+id)
	}
	queries := map[store.TokenQuery][]string{
		{Subject: "s", ClientID: "c"}: sorted(nasty...),
		{Subject: "s"}:                sorted(append(another, nasty...)...),
		{ClientID: "c"}:               sorted(append(others, nasty...)...),
		{Subject: "t", ClientID: "d"}: nil,
		{ID: "a"}:                     {"a"},
		{ID: "a", Subject: "s"}:       {"a"},
		{ID: "a", ClientID: "d"}:      nil,
	}
	for q, want := range queries {
		for _, limit := range []int{1, 2, 7, len(want), len(want) + 1, store.MaxPage} {
			if limit < 1 {
				continue
			}
			what := fmt.Sprintf("ListTokens of %+v, %d at a time", q, limit)
			list := pages(&f, what, limit, tokenID, func(after string, limit int) ([]store.Token, error) {
				return b.ListTokens(ctx, q, after, limit)
			})
			same(&f, what, keys(list, tokenID), want)
		}
	}
	for _, limit := range []int{1, 2, 7, len(nasty), len(nasty) + 1, store.MaxPage} {
		what := fmt.Sprintf("ListConsents, %d at a time", limit)
		list := pages(&f, what, limit, consentClient, func(after string, limit int) ([]store.Consent, error) {
			return b.ListConsents(ctx, "s", after, limit)
		})
		same(&f, what, keys(list, consentClient), sorted(nasty...))
	}
	return f.err()
}

func orderClients(ctx context.Context, a, b store.Store) error {
	var f failures
	for _, id := range shuffled(nasty) {
		f.ok("CreateClient", a.CreateClient(ctx, store.Client{ID: id}))
	}
	for _, limit := range []int{1, 2, 7, len(nasty), len(nasty) + 1, store.MaxPage} {
		what := fmt.Sprintf("ListClients, %d at a time", limit)
		list := pages(&f, what, limit, clientID, func(after string, limit int) ([]store.Client, error) {
			return b.ListClients(ctx, after, limit)
		})
		same(&f, what, keys(list, clientID), sorted(nasty...))
	}
	returned[[]store.Client](&f, "ListClients after the last", nil)(b.ListClients(ctx, sorted(nasty...)[len(nasty)-1], 10))
	result[[]store.Client](&f, "ListClients with limit 0", store.ErrInvalid)(b.ListClients(ctx, "", 0))
	result[[]store.Client](&f, "ListClients with limit -1", store.ErrInvalid)(b.ListClients(ctx, "", -1))
	result[[]store.Client](&f, "ListClients with limit MaxPage+1", store.ErrInvalid)(b.ListClients(ctx, "", store.MaxPage+1))
	return f.err()
}

func afterGap(ctx context.Context, a, b store.Store) error {
	var f failures
	for _, id := range []string{"b", "d", "f", "B", "b ", "bb"} {
		f.ok("CreateToken", a.CreateToken(ctx, token(id, "s", "c")))
		f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: id}))
	}
	for after, want := range map[string][]string{
		"":   {"B", "b", "b ", "bb", "d", "f"},
		"A":  {"B", "b", "b ", "bb", "d", "f"},
		"B":  {"b", "b ", "bb", "d", "f"},
		"a":  {"b", "b ", "bb", "d", "f"},
		"b":  {"b ", "bb", "d", "f"},
		"ba": {"bb", "d", "f"},
		"c":  {"d", "f"},
		"e":  {"f"},
		"f":  nil,
		"😀":  nil,
	} {
		for _, q := range []store.TokenQuery{{Subject: "s"}, {ClientID: "c"}, {Subject: "s", ClientID: "c"}} {
			list, err := b.ListTokens(ctx, q, after, 10)
			what := fmt.Sprintf("ListTokens of %+v after %q", q, after)
			f.ok(what, err)
			same(&f, what, keys(list, tokenID), want)
		}
		list, err := b.ListConsents(ctx, "s", after, 10)
		f.ok("ListConsents", err)
		same(&f, fmt.Sprintf("ListConsents after %q", after), keys(list, consentClient), want)
	}
	returned[[]store.Token](&f, "ListTokens of an ID after it", nil)(b.ListTokens(ctx, store.TokenQuery{ID: "b"}, "b", 10))
	returned[[]store.Token](&f, "ListTokens of an ID after a greater one", nil)(b.ListTokens(ctx, store.TokenQuery{ID: "b"}, "c", 10))
	return f.err()
}

func limits(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateToken", a.CreateToken(ctx, token("t", "s", "c")))
	f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c"}))
	for _, limit := range []int{0, -1, math.MinInt, store.MaxPage + 1, math.MaxInt} {
		for _, q := range []store.TokenQuery{{ID: "t"}, {ID: "none"}, {Subject: "s"}, {ClientID: "c"}, {Subject: "none"}} {
			result[[]store.Token](&f, fmt.Sprintf("ListTokens of %+v with limit %d", q, limit), store.ErrInvalid)(b.ListTokens(ctx, q, "", limit))
		}
		for _, subject := range []string{"s", "none"} {
			result[[]store.Consent](&f, fmt.Sprintf("ListConsents of %q with limit %d", subject, limit), store.ErrInvalid)(b.ListConsents(ctx, subject, "", limit))
		}
	}
	result[[]store.Token](&f, "ListTokens of the empty query", store.ErrInvalid)(b.ListTokens(ctx, store.TokenQuery{}, "", 10))
	return f.err()
}

// fullPage stores one record more than a page can hold.
func fullPage(ctx context.Context, a, b store.Store) error {
	var f failures
	id := func(i int) string { return fmt.Sprintf("%05d", i) }
	err := inParallel(store.MaxPage+1, func(i int) error {
		if err := a.CreateToken(ctx, token(id(i), "s", "c")); err != nil {
			return err
		}
		return a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: id(i)})
	})
	f.ok("storing", err)
	var want []string
	for i := range store.MaxPage {
		want = append(want, id(i))
	}
	tokens, err := b.ListTokens(ctx, store.TokenQuery{ClientID: "c"}, "", store.MaxPage)
	f.ok("ListTokens", err)
	same(&f, "ListTokens", keys(tokens, tokenID), want)
	consents, err := b.ListConsents(ctx, "s", "", store.MaxPage)
	f.ok("ListConsents", err)
	same(&f, "ListConsents", keys(consents, consentClient), want)
	returned(&f, "RevokeTokens of more than a page", store.MaxPage+1)(b.RevokeTokens(ctx, store.TokenQuery{ClientID: "c"}, now, later))
	returned(&f, "RevokeConsents of more than a page", store.MaxPage+1)(b.RevokeConsents(ctx, store.ConsentQuery{Subject: "s"}))
	return f.err()
}

func racePages(ctx context.Context, a, b store.Store) error {
	var f failures
	const stay = 60
	var want []string
	for i := range stay {
		id := fmt.Sprintf("%03d", 3*i)
		want = append(want, id)
		f.ok("CreateToken", a.CreateToken(ctx, token(id, "s", "c")))
	}
	come := func(id string) error {
		t := token(id, "s", "c")
		t.PurgeAt = now
		return a.CreateToken(ctx, t)
	}
	leave := func(limit int) error {
		_, err := b.DeleteExpired(ctx, now, limit)
		return err
	}
	// One comes before every page, and leaves before every other.
	n := 0
	stayed(&f, want, func(after string, limit int) ([]store.Token, error) {
		n++
		f.ok("CreateToken", come(fmt.Sprintf("000 %d", n)))
		if n%2 == 0 {
			f.ok("DeleteExpired", leave(2))
		}
		return b.ListTokens(ctx, store.TokenQuery{Subject: "s"}, after, limit)
	})
	for _, err := range race(racers, func(i int) error {
		if i%4 == 0 {
			var seen failures
			stayed(&seen, want, func(after string, limit int) ([]store.Token, error) {
				return either(a, b, i/4).ListTokens(ctx, store.TokenQuery{Subject: "s"}, after, limit)
			})
			return seen.err()
		}
		for j := range stay / 3 {
			if err := come(fmt.Sprintf("%03d %d", (7*j+i)%(3*stay), i)); err != nil {
				return err
			}
			if err := leave(2); err != nil {
				return err
			}
		}
		return nil
	}) {
		f.ok("pages", err)
	}
	return f.err()
}

// stayed reads all pages and looks for those that were there all the time.
func stayed(f *failures, want []string, next func(after string, limit int) ([]store.Token, error)) {
	ids := keys(pages(f, "ListTokens", 7, tokenID, next), tokenID)
	if !slices.IsSorted(ids) {
		f.addf("ListTokens is not in order: %q", ids)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(want, id) })
	same(f, "the records that were there all the time", ids, want)
}
