package store

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a Store in the memory of one process. It is safe for use by many
// goroutines; its data ends with it.
type Memory struct {
	mu       sync.Mutex
	clients  map[string]Client
	codes    map[codeKey]Code
	tokens   map[string]Token
	consents map[consentKey]Consent
}

type (
	codeKey    struct{ kind, key string }
	consentKey struct{ subject, clientID string }
)

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		clients:  map[string]Client{},
		codes:    map[codeKey]Code{},
		tokens:   map[string]Token{},
		consents: map[consentKey]Consent{},
	}
}

// enter takes the lock, unless the context has ended.
func (m *Memory) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	return nil
}

// DeleteExpired implements Store.
func (m *Memory) DeleteExpired(ctx context.Context, before time.Time, limit int) (Deleted, error) {
	var d Deleted
	if err := m.enter(ctx); err != nil {
		return d, err
	}
	defer m.mu.Unlock()
	d.Clients = purge(m.clients, limit, func(c Client) bool { return due(c.PurgeAt, before) })
	d.Codes = purge(m.codes, limit-d.Total(), func(c Code) bool { return due(c.PurgeAt, before) })
	d.Tokens = purge(m.tokens, limit-d.Total(), func(t Token) bool { return due(t.PurgeAt, before) })
	return d, nil
}

func due(purgeAt, before time.Time) bool { return !purgeAt.IsZero() && !purgeAt.After(before) }

func purge[K comparable, R any](records map[K]R, limit int, isDue func(R) bool) int {
	n := 0
	for k, r := range records {
		if n >= limit {
			break
		}
		if isDue(r) {
			delete(records, k)
			n++
		}
	}
	return n
}

// page returns the records that match, in the order of their keys, that come
// after the key given.
func page[K comparable, R any](records map[K]R, key func(R) string, match func(R) bool, after string, limit int) ([]R, error) {
	if limit < 1 || limit > MaxPage {
		return nil, ErrInvalid
	}
	var list []R
	for _, r := range records {
		if match(r) && key(r) > after {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b R) int { return cmp.Compare(key(a), key(b)) })
	return list[:min(limit, len(list))], nil
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func set(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

func clonePage[R any](list []R, err error, clone func(R) R) ([]R, error) {
	for i := range list {
		list[i] = clone(list[i])
	}
	return list, err
}

func (t Token) clone() Token {
	t.Scopes, t.Resources = slices.Clone(t.Scopes), slices.Clone(t.Resources)
	t.Successor, t.Data = slices.Clone(t.Successor), slices.Clone(t.Data)
	for _, at := range []*time.Time{&t.RotatedAt, &t.CreatedAt, &t.LastUsedAt, &t.ExpiresAt, &t.RevokedAt, &t.PurgeAt} {
		*at = stamp(*at)
	}
	return t
}

func (c Code) clone() Code {
	c.Data = slices.Clone(c.Data)
	c.ExpiresAt, c.ConsumedAt, c.PurgeAt = stamp(c.ExpiresAt), stamp(c.ConsumedAt), stamp(c.PurgeAt)
	return c
}

func (c Consent) clone() Consent {
	c.Scopes, c.Resources = set(c.Scopes), set(c.Resources)
	c.GrantedAt, c.UpdatedAt = stamp(c.GrantedAt), stamp(c.UpdatedAt)
	return c
}

func (c Client) clone() Client {
	c.Secrets = slices.Clone(c.Secrets)
	for i := range c.Secrets {
		c.Secrets[i].ExpiresAt = stamp(c.Secrets[i].ExpiresAt)
	}
	for _, list := range []*[]string{&c.RedirectURIs, &c.GrantTypes, &c.ResponseTypes, &c.Scopes, &c.DefaultScopes, &c.Resources, &c.Contacts} {
		*list = slices.Clone(*list)
	}
	c.JWKS, c.Data = slices.Clone(c.JWKS), slices.Clone(c.Data)
	c.CreatedAt, c.UpdatedAt, c.PurgeAt = stamp(c.CreatedAt), stamp(c.UpdatedAt), stamp(c.PurgeAt)
	return c
}
