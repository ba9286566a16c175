package redisstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// clientDocument is a client as it is kept: the JSON that package store gives
// it, with times that keep every instant. PurgeAt and Version are left out of
// it: they have fields of their own.
type clientDocument struct {
	store.Client
	CreatedAt micros           `json:"created_at"`
	UpdatedAt micros           `json:"updated_at"`
	Secrets   []secretDocument `json:"secrets,omitempty"`
}

type secretDocument struct {
	Hash      string `json:"hash"`
	ExpiresAt micros `json:"expires_at"`
}

func encodeClient(c store.Client) ([]byte, error) {
	d := clientDocument{Client: c, CreatedAt: micros{c.CreatedAt}, UpdatedAt: micros{c.UpdatedAt}}
	for _, s := range c.Secrets {
		d.Secrets = append(d.Secrets, secretDocument{s.Hash, micros{s.ExpiresAt}})
	}
	d.Version, d.PurgeAt = 0, time.Time{}
	return json.Marshal(d)
}

func decodeClient(version, document, purgeAt any) (store.Client, error) {
	var f fields
	var d clientDocument
	f.json(document, &d)
	c := d.Client
	c.Version, c.PurgeAt = f.number(version), f.sortable(purgeAt)
	c.CreatedAt, c.UpdatedAt = d.CreatedAt.Time, d.UpdatedAt.Time
	for _, s := range d.Secrets {
		c.Secrets = append(c.Secrets, store.Secret{Hash: s.Hash, ExpiresAt: s.ExpiresAt.Time})
	}
	return c, f.err
}

// Client implements [store.Clients].
func (s *Store) Client(ctx context.Context, id string) (store.Client, error) {
	if !store.ValidKey(id, store.MaxClientID) {
		return store.Client{}, nothing(ctx)
	}
	v, err := s.read(ctx, s.clientPlace(id).key, "v", "d", "p")
	if err != nil {
		return store.Client{}, wrap("read client", err)
	}
	c, err := decodeClient(v[0], v[1], v[2])
	return c, wrap("read client", err)
}

// CreateClient implements [store.Clients].
func (s *Store) CreateClient(ctx context.Context, c store.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	document, err := encodeClient(c)
	if err != nil {
		return wrap("create client", err)
	}
	return wrap("create client", s.create(ctx, s.clientPlace(c.ID), c.ID, c.PurgeAt, "d", document))
}

// UpdateClient implements [store.Clients].
func (s *Store) UpdateClient(ctx context.Context, c store.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	document, err := encodeClient(c)
	if err != nil {
		return wrap("update client", err)
	}
	return wrap("update client", s.update(ctx, s.clientPlace(c.ID), c.Version, never, nil, c.PurgeAt, "d", document))
}

// DeleteClient implements [store.Clients].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	if !store.ValidKey(id, store.MaxClientID) {
		return nothing(ctx)
	}
	p := s.clientPlace(id)
	n, err := s.number(ctx, deleteClient, call{keys: append([]string{p.key, purgeKey(p.tag)}, p.indexes...), args: []any{id}})
	if err == nil && n == isMissing {
		err = store.ErrNotFound
	}
	return wrap("delete client", err)
}

// ListClients implements [store.Clients].
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]store.Client, error) {
	if err := checkPage(limit); err != nil {
		return nil, err
	}
	rows, err := s.list(ctx, ":clients", ":client:", store.TokenQuery{}, after, limit)
	if err != nil {
		return nil, wrap("list clients", err)
	}
	clients := make([]store.Client, len(rows))
	for i, r := range rows {
		if clients[i], err = decodeClient(r.version, r.document, r.purgeAt); err != nil {
			return nil, wrap("list clients", err)
		}
	}
	return clients, nil
}
