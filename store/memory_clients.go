package store

import (
	"context"
)

// Client implements Clients.
func (m *Memory) Client(ctx context.Context, id string) (Client, error) {
	if err := ctx.Err(); err != nil {
		return Client{}, err
	}
	text, err := m.clients.lookup(id)
	if err != nil {
		decodeClient(string(m.nobody)) // so that time does not tell who exists
		return Client{}, err
	}
	return decodeClient(text), nil
}

// nobody is as long as the record of a usual client.
func nobody() record {
	return encodeClient(Client{
		ID: "8b0a1c5e-7b1c-4f0e-9d53-0d1f2f1c7a11", Name: "Client", AuthMethod: "client_secret_basic",
		Secrets: []Secret{{Hash: "$2a$10$abcdefghijklmnopqrstuvabcdefghijklmnopqrstuvwxyzabcde"}}, GrantTypes: []string{"client_credentials"},
		Scopes: []string{"read", "write"}, Trust: TrustRegistered,
	})
}

// CreateClient implements Clients.
func (m *Memory) CreateClient(ctx context.Context, c Client) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	c.Version = 1
	return m.clients.create(encodeClient(c), c.ID)
}

// UpdateClient implements Clients.
func (m *Memory) UpdateClient(ctx context.Context, c Client) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	c.Version++
	return m.clients.swap(encodeClient(c), nil, c.ID)
}

// DeleteClient implements Clients.
func (m *Memory) DeleteClient(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.clients.change(func(s *shard, h uint64, n uint32, exists bool) error {
		if !exists {
			return ErrNotFound
		}
		s.remove(h, n)
		return nil
	}, id)
}

// ListClients implements Clients.
func (m *Memory) ListClients(ctx context.Context, after string, limit int) ([]Client, error) {
	if err := checkPage(ctx, limit); err != nil {
		return nil, err
	}
	return all(m.clients.list(selection{}, after, limit), decodeClient), nil
}
