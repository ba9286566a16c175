package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-e797c9ce/oauth/store"
)

// counts is how many records were copied.
type counts struct{ Clients, Tokens, Consents, Keys int }

// copyStore copies from one store to another, which must be empty, what has to
// survive: clients (with their secrets' hashes and registration tokens),
// authorizations (with their refresh tokens' hashes, also revoked ones, which
// must stay so), consents and the provider's signing keys. Versions begin anew.
//
// The interface lists tokens by client or by user, and consents by user, because
// no provider ever asks for all of either. So copyStore begins with the clients
// that are stored and the names it is told, and follows what it finds: a token
// names a user, whose consents name a client (an URL, say, that is stored
// nowhere). What none of these leads to is not found. An app that passes all its
// users misses nothing of theirs. The names may be those of clients, too: what a
// workload gave back (its client is "workload:" and its Subject, and stored
// nowhere) has no user, and would be valid again if it were not found.
//
// It does not copy what lives for minutes and cannot be listed: authorization
// codes that were not redeemed yet, and the identifiers of assertions that must
// not be seen twice. Nothing may write to either store meanwhile.
func copyStore(ctx context.Context, from, to store.Store, names []string) (n counts, err error) {
	c := copier{from: from, to: to, subjects: newQueue(names...), clients: newQueue(names...)}
	if err := c.keys(ctx); err != nil {
		return c.n, fmt.Errorf("signing keys: %w", err)
	}
	if err := c.storedClients(ctx); err != nil {
		return c.n, fmt.Errorf("clients: %w", err)
	}
	for {
		if subject, ok := c.subjects.next(); ok {
			err = c.subject(ctx, subject)
		} else if client, ok := c.clients.next(); ok {
			err = c.tokensOf(ctx, client)
		} else {
			return c.n, nil
		}
		if err != nil {
			return c.n, err
		}
	}
}

type copier struct {
	from, to          store.Store
	subjects, clients *queue
	n                 counts
}

// queue hands each name out once.
type queue struct {
	seen map[string]bool
	todo []string
}

func newQueue(names ...string) *queue {
	q := &queue{seen: map[string]bool{}}
	for _, name := range names {
		q.add(name)
	}
	return q
}

func (q *queue) add(name string) {
	if name != "" && !q.seen[name] { // a client that acts for itself has no subject
		q.seen[name] = true
		q.todo = append(q.todo, name)
	}
}

func (q *queue) next() (name string, ok bool) {
	if len(q.todo) == 0 {
		return "", false
	}
	name, q.todo = q.todo[len(q.todo)-1], q.todo[:len(q.todo)-1]
	return name, true
}

// keys copies the managed signing keys. They are sealed: the provider over the
// new store needs the same Config.Secret to open them.
func (c *copier) keys(ctx context.Context) error {
	const kind, key = "keys", "signing"
	record, err := c.from.Code(ctx, kind, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil // the app has keys of its own, in Config.Keys
	}
	if err == nil {
		err = c.to.CreateCode(ctx, record)
	}
	if err == nil {
		c.n.Keys++
	}
	return err
}

func (c *copier) storedClients(ctx context.Context) error {
	return pages(func(after string) ([]store.Client, error) {
		return c.from.ListClients(ctx, after, store.MaxPage)
	}, func(list []store.Client) (last string, err error) {
		for _, client := range list {
			c.clients.add(client.ID)
			last = client.ID
		}
		c.n.Clients += len(list)
		return last, each(list, func(client store.Client) error { return c.to.CreateClient(ctx, client) })
	})
}

// subject copies a user's consents, and notes the clients that the user's tokens
// are of: tokens are copied client by client, so that each is copied once.
func (c *copier) subject(ctx context.Context, subject string) error {
	err := pages(func(after string) ([]store.Consent, error) {
		return c.from.ListConsents(ctx, subject, after, store.MaxPage)
	}, func(list []store.Consent) (last string, err error) {
		for _, consent := range list {
			c.clients.add(consent.ClientID)
			last = consent.ClientID
		}
		c.n.Consents += len(list)
		return last, each(list, func(consent store.Consent) error { return c.to.GrantConsent(ctx, consent) })
	})
	if err != nil {
		return fmt.Errorf("consents: %w", err)
	}
	err = pages(func(after string) ([]store.Token, error) {
		return c.from.ListTokens(ctx, store.TokenQuery{Subject: subject}, after, store.MaxPage)
	}, func(list []store.Token) (last string, err error) {
		for _, t := range list {
			c.clients.add(t.ClientID)
			last = t.ID
		}
		return last, nil
	})
	if err != nil {
		return fmt.Errorf("a user's authorizations: %w", err)
	}
	return nil
}

func (c *copier) tokensOf(ctx context.Context, client string) error {
	err := pages(func(after string) ([]store.Token, error) {
		return c.from.ListTokens(ctx, store.TokenQuery{ClientID: client}, after, store.MaxPage)
	}, func(list []store.Token) (last string, err error) {
		for _, t := range list {
			c.subjects.add(t.Subject)
			last = t.ID
		}
		c.n.Tokens += len(list)
		return last, each(list, func(t store.Token) error { return c.to.CreateToken(ctx, t) })
	})
	if err != nil {
		return fmt.Errorf("a client's authorizations: %w", err)
	}
	return nil
}

// pages hands what list returns to take, page by page. A page that is not full
// is the last.
func pages[R any](list func(after string) ([]R, error), take func([]R) (last string, err error)) error {
	for after := ""; ; {
		page, err := list(after)
		if err != nil {
			return err
		}
		if after, err = take(page); err != nil || len(page) < store.MaxPage {
			return err
		}
	}
}

// each calls f with each record, some at a time: a database that waits for its
// disk takes many writes in the time of one.
func each[R any](list []R, f func(R) error) error {
	const workers = 16
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(list) && errs[w] == nil; i += workers {
				errs[w] = f(list[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
