package store_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// A model is the contract in the plainest code there is: maps under one lock.
// Memory has to give the same answers.
type model struct {
	mu       sync.Mutex
	clients  map[string]store.Client
	codes    map[codeKey]store.Code
	tokens   map[string]store.Token
	consents map[consentKey]store.Consent
}

type (
	codeKey    struct{ kind, key string }
	consentKey struct{ subject, clientID string }
)

func newModel() *model {
	return &model{
		clients:  map[string]store.Client{},
		codes:    map[codeKey]store.Code{},
		tokens:   map[string]store.Token{},
		consents: map[consentKey]store.Consent{},
	}
}

// enter takes the lock, unless the context has ended.
func (m *model) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	return nil
}

func (m *model) DeleteExpired(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
	var d store.Deleted
	if err := m.enter(ctx); err != nil {
		return d, err
	}
	defer m.mu.Unlock()
	d.Clients = purge(m.clients, limit, func(c store.Client) bool { return due(c.PurgeAt, before) })
	d.Codes = purge(m.codes, limit-d.Total(), func(c store.Code) bool { return due(c.PurgeAt, before) })
	d.Tokens = purge(m.tokens, limit-d.Total(), func(t store.Token) bool { return due(t.PurgeAt, before) })
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
	if limit < 1 || limit > store.MaxPage {
		return nil, store.ErrInvalid
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

func cloneToken(t store.Token) store.Token {
	t.Scopes, t.Resources = slices.Clone(t.Scopes), slices.Clone(t.Resources)
	t.Successor, t.Data = slices.Clone(t.Successor), slices.Clone(t.Data)
	for _, at := range []*time.Time{&t.RotatedAt, &t.CreatedAt, &t.LastUsedAt, &t.ExpiresAt, &t.RevokedAt, &t.PurgeAt} {
		*at = stamp(*at)
	}
	return t
}

func cloneCode(c store.Code) store.Code {
	c.Data = slices.Clone(c.Data)
	c.ExpiresAt, c.ConsumedAt, c.PurgeAt = stamp(c.ExpiresAt), stamp(c.ConsumedAt), stamp(c.PurgeAt)
	return c
}

func cloneConsent(c store.Consent) store.Consent {
	c.Scopes, c.Resources = set(c.Scopes), set(c.Resources)
	c.GrantedAt, c.UpdatedAt = stamp(c.GrantedAt), stamp(c.UpdatedAt)
	return c
}

func cloneClient(c store.Client) store.Client {
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

func (m *model) Client(ctx context.Context, id string) (store.Client, error) {
	if err := m.enter(ctx); err != nil {
		return store.Client{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.clients[id]
	if !ok {
		return store.Client{}, store.ErrNotFound
	}
	return cloneClient(c), nil
}

func (m *model) CreateClient(ctx context.Context, c store.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.clients[c.ID]; ok {
		return store.ErrExists
	}
	c.Version = 1
	m.clients[c.ID] = cloneClient(c)
	return nil
}

func (m *model) UpdateClient(ctx context.Context, c store.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	old, ok := m.clients[c.ID]
	switch {
	case !ok:
		return store.ErrNotFound
	case old.Version != c.Version:
		return store.ErrConflict
	}
	c.Version++
	m.clients[c.ID] = cloneClient(c)
	return nil
}

func (m *model) DeleteClient(ctx context.Context, id string) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.clients[id]; !ok {
		return store.ErrNotFound
	}
	delete(m.clients, id)
	return nil
}

func (m *model) ListClients(ctx context.Context, after string, limit int) ([]store.Client, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list, err := page(m.clients, func(c store.Client) string { return c.ID }, func(store.Client) bool { return true }, after, limit)
	return clonePage(list, err, cloneClient)
}

func (m *model) Code(ctx context.Context, kind, key string) (store.Code, error) {
	if err := m.enter(ctx); err != nil {
		return store.Code{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.codes[codeKey{kind, key}]
	if !ok {
		return store.Code{}, store.ErrNotFound
	}
	return cloneCode(c), nil
}

func (m *model) CreateCode(ctx context.Context, c store.Code) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.codes[codeKey{c.Kind, c.Key}]; ok {
		return store.ErrExists
	}
	c.Version, c.ConsumedAt = 1, time.Time{}
	m.codes[codeKey{c.Kind, c.Key}] = cloneCode(c)
	return nil
}

func (m *model) UpdateCode(ctx context.Context, c store.Code) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	old, ok := m.codes[codeKey{c.Kind, c.Key}]
	switch {
	case !ok:
		return store.ErrNotFound
	case !old.ConsumedAt.IsZero():
		return store.ErrConsumed
	case old.Version != c.Version:
		return store.ErrConflict
	}
	c.Version++
	c.ConsumedAt = time.Time{}
	m.codes[codeKey{c.Kind, c.Key}] = cloneCode(c)
	return nil
}

func (m *model) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
	if at.IsZero() {
		return store.Code{}, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return store.Code{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.codes[codeKey{kind, key}]
	switch {
	case !ok:
		return store.Code{}, store.ErrNotFound
	case !c.ConsumedAt.IsZero():
		return cloneCode(c), store.ErrConsumed
	}
	c.ConsumedAt = stamp(at)
	c.Version++
	m.codes[codeKey{kind, key}] = c
	return cloneCode(c), nil
}

func (m *model) Token(ctx context.Context, id string) (store.Token, error) {
	if err := m.enter(ctx); err != nil {
		return store.Token{}, err
	}
	defer m.mu.Unlock()
	t, ok := m.tokens[id]
	if !ok {
		return store.Token{}, store.ErrNotFound
	}
	return cloneToken(t), nil
}

func (m *model) CreateToken(ctx context.Context, t store.Token) error {
	if err := t.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.tokens[t.ID]; ok {
		return store.ErrExists
	}
	t.Version = 1
	m.tokens[t.ID] = cloneToken(t)
	return nil
}

func (m *model) UpdateToken(ctx context.Context, t store.Token) error {
	if err := t.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	old, ok := m.tokens[t.ID]
	switch {
	case !ok:
		return store.ErrNotFound
	case !old.RevokedAt.IsZero():
		return store.ErrRevoked
	case old.Version != t.Version:
		return store.ErrConflict
	}
	t.Version++
	t.RevokedAt = time.Time{}
	m.tokens[t.ID] = cloneToken(t)
	return nil
}

func (m *model) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
	if q == (store.TokenQuery{}) || at.IsZero() {
		return 0, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for id, t := range m.tokens {
		if selects(q, t) && t.RevokedAt.IsZero() {
			t.RevokedAt, t.PurgeAt = stamp(at), stamp(purgeAt)
			t.Version++
			m.tokens[id] = t
			n++
		}
	}
	return n, nil
}

func (m *model) ListTokens(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
	if q == (store.TokenQuery{}) {
		return nil, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list, err := page(m.tokens, func(t store.Token) string { return t.ID }, func(t store.Token) bool { return selects(q, t) }, after, limit)
	return clonePage(list, err, cloneToken)
}

func selects(q store.TokenQuery, t store.Token) bool {
	return (q.ID == "" || q.ID == t.ID) &&
		(q.Subject == "" || q.Subject == t.Subject) &&
		(q.ClientID == "" || q.ClientID == t.ClientID)
}

func (m *model) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	if err := m.enter(ctx); err != nil {
		return store.Consent{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.consents[consentKey{subject, clientID}]
	if !ok {
		return store.Consent{}, store.ErrNotFound
	}
	return cloneConsent(c), nil
}

func (m *model) GrantConsent(ctx context.Context, c store.Consent) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	old, ok := m.consents[consentKey{c.Subject, c.ClientID}]
	if ok && old.ClientHash == c.ClientHash {
		c.Scopes = set(old.Scopes, c.Scopes)
		c.Resources = set(old.Resources, c.Resources)
		c.GrantedAt = old.GrantedAt
		if err := c.Check(); err != nil {
			return err
		}
	}
	m.consents[consentKey{c.Subject, c.ClientID}] = cloneConsent(c)
	return nil
}

func (m *model) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	if q == (store.ConsentQuery{}) {
		return 0, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for k, c := range m.consents {
		if (q.Subject == "" || q.Subject == c.Subject) && (q.ClientID == "" || q.ClientID == c.ClientID) {
			delete(m.consents, k)
			n++
		}
	}
	return n, nil
}

func (m *model) ListConsents(ctx context.Context, subject, after string, limit int) ([]store.Consent, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list, err := page(m.consents, func(c store.Consent) string { return c.ClientID }, func(c store.Consent) bool { return c.Subject == subject }, after, limit)
	return clonePage(list, err, cloneConsent)
}
