package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// Client implements store.Clients.
func (s *Store) Client(ctx context.Context, id string) (store.Client, error) {
	var c store.Client
	if err := s.enter(ctx, store.ValidKey(id, store.MaxClientID)); err != nil {
		return c, err
	}
	found, err := s.one(ctx, s.sql.client, func(row scanner) error { return scanClient(row, &c) }, id)
	return c, notFound(found, err)
}

// CreateClient implements store.Clients.
func (s *Store) CreateClient(ctx context.Context, c store.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	c.Version = 1
	values, err := clientValues(c)
	if err != nil {
		return err
	}
	args := append([]any{c.ID, c.Version}, values...)
	return s.create(ctx, s.sql.createClient, args)
}

// UpdateClient implements store.Clients.
func (s *Store) UpdateClient(ctx context.Context, c store.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	values, err := clientValues(c)
	if err != nil {
		return err
	}
	return s.swap(ctx, s.sql.updateClient, append(values, c.ID, c.Version), c.Version, func() (version int64, err error) {
		found, err := s.one(ctx, s.sql.explainClient, func(row scanner) error { return row.Scan(&version) }, c.ID)
		return version, notFound(found, err)
	})
}

// DeleteClient implements store.Clients.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	if err := s.enter(ctx, store.ValidKey(id, store.MaxClientID)); err != nil {
		return err
	}
	n, err := s.exec(ctx, s.sql.deleteClient, id)
	return notFound(n > 0, err)
}

// ListClients implements store.Clients.
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]store.Client, error) {
	ok, err := page(ctx, after, limit)
	if err != nil || !ok {
		return nil, err
	}
	return list(ctx, s, s.sql.listClients, scanClient, after, limit)
}

// clientValues are the values of the columns clientUpdated.
func clientValues(c store.Client) ([]any, error) {
	c.PurgeAt = c.PurgeAt.UTC().Truncate(time.Microsecond)
	c.CreatedAt = c.CreatedAt.UTC().Truncate(time.Microsecond)
	c.UpdatedAt = c.UpdatedAt.UTC().Truncate(time.Microsecond)
	secrets := make([]store.Secret, len(c.Secrets))
	for i, secret := range c.Secrets {
		secret.ExpiresAt = secret.ExpiresAt.UTC().Truncate(time.Microsecond)
		secrets[i] = secret
	}
	c.Secrets = secrets
	c.Version = 0 // the column has it
	record, err := encode(c)
	if err != nil {
		return nil, err
	}
	return []any{micros(c.PurgeAt), string(record)}, nil
}

func scanClient(row scanner, c *store.Client) error {
	var (
		id, record []byte
		version    int64
		purgeAt    sql.NullInt64
	)
	if err := row.Scan(&id, &version, &purgeAt, &record); err != nil {
		return err
	}
	*c = store.Client{} // Unmarshal keeps what the text does not mention
	if err := json.Unmarshal(record, c); err != nil {
		return err
	}
	c.ID, c.Version, c.PurgeAt = string(id), version, timeOf(purgeAt)
	return nil
}
