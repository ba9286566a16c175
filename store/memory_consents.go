package store

import "context"

// Consent implements Consents.
func (m *Memory) Consent(ctx context.Context, subject, clientID string) (Consent, error) {
	if err := m.enter(ctx); err != nil {
		return Consent{}, err
	}
	defer m.mu.Unlock()
	c, ok := m.consents[consentKey{subject, clientID}]
	if !ok {
		return Consent{}, ErrNotFound
	}
	return c.clone(), nil
}

// GrantConsent implements Consents.
func (m *Memory) GrantConsent(ctx context.Context, c Consent) error {
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
	m.consents[consentKey{c.Subject, c.ClientID}] = c.clone()
	return nil
}

// RevokeConsents implements Consents.
func (m *Memory) RevokeConsents(ctx context.Context, q ConsentQuery) (int, error) {
	if q == (ConsentQuery{}) {
		return 0, ErrInvalid
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

// ListConsents implements Consents.
func (m *Memory) ListConsents(ctx context.Context, subject, after string, limit int) ([]Consent, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list, err := page(m.consents, func(c Consent) string { return c.ClientID }, func(c Consent) bool { return c.Subject == subject }, after, limit)
	return clonePage(list, err, Consent.clone)
}
