package store

import "context"

// Client implements Clients.
func (m *Memory) Client(ctx context.Context, id string) (Client, error) {
	if err := m.enter(ctx); err != nil {
		return Client{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.clients[id]
	if !ok {
		return Client{}, ErrNotFound
	}
	return c.clone(), nil
}

// CreateClient implements Clients.
func (m *Memory) CreateClient(ctx context.Context, c Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.clients[c.ID]; ok {
		return ErrExists
	}
	c.Version = 1
	m.clients[c.ID] = c.clone()
	return nil
}

// UpdateClient implements Clients.
func (m *Memory) UpdateClient(ctx context.Context, c Client) error {
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
		return ErrNotFound
	case old.Version != c.Version:
		return ErrConflict
	}
	c.Version++
	m.clients[c.ID] = c.clone()
	return nil
}

// DeleteClient implements Clients.
func (m *Memory) DeleteClient(ctx context.Context, id string) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.clients[id]; !ok {
		return ErrNotFound
	}
	delete(m.clients, id)
	return nil
}

// ListClients implements Clients.
func (m *Memory) ListClients(ctx context.Context, after string, limit int) ([]Client, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list, err := page(m.clients, func(c Client) string { return c.ID }, func(Client) bool { return true }, after, limit)
	return clonePage(list, err, Client.clone)
}
