package store

import (
	"context"
	"slices"
)

// Consent implements Consents.
func (m *Memory) Consent(ctx context.Context, subject, clientID string) (Consent, error) {
	if err := ctx.Err(); err != nil {
		return Consent{}, err
	}
	text, err := m.consents.lookup(subject, clientID)
	if err != nil {
		return Consent{}, err
	}
	return decodeConsent(text), nil
}

// GrantConsent implements Consents.
func (m *Memory) GrantConsent(ctx context.Context, c Consent) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	return m.consents.change(func(s *shard, h uint64, n uint32, exists bool) error {
		if !exists {
			s.insert(h, encodeConsent(c.merged(Consent{})))
			return nil
		}
		old := decodeConsent(string(s.record(n)))
		if old.ClientHash != c.ClientHash {
			old = Consent{GrantedAt: c.GrantedAt}
		}
		both := c.merged(old)
		both.GrantedAt = old.GrantedAt
		if err := both.Check(); err != nil {
			return err
		}
		s.replace(n, encodeConsent(both))
		return nil
	}, c.Subject, c.ClientID)
}

// merged returns c with the scopes and resources of another, as sets.
func (c Consent) merged(old Consent) Consent {
	c.Scopes = union(old.Scopes, c.Scopes)
	c.Resources = union(old.Resources, c.Resources)
	return c
}

func union(lists ...[]string) []string {
	list := slices.Concat(lists...)
	slices.Sort(list)
	return slices.Compact(list)
}

// RevokeConsents implements Consents.
func (m *Memory) RevokeConsents(ctx context.Context, q ConsentQuery) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	switch {
	case q == (ConsentQuery{}):
		return 0, ErrInvalid
	case q.ClientID == "":
		return m.consents.sweep(&sweep{selection: selection{order: bySubject, group: q.Subject}, delete: true}), nil
	case q.Subject == "":
		return m.consents.sweep(&sweep{selection: selection{order: byClient, group: q.ClientID}, delete: true}), nil
	}
	deleted := 0
	err := m.consents.change(func(s *shard, h uint64, n uint32, exists bool) error {
		if exists {
			s.remove(h, n)
			deleted = 1
		}
		return nil
	}, q.Subject, q.ClientID)
	return deleted, err
}

// ListConsents implements Consents.
func (m *Memory) ListConsents(ctx context.Context, subject, after string, limit int) ([]Consent, error) {
	if err := checkPage(ctx, limit); err != nil {
		return nil, err
	}
	return all(m.consents.list(selection{order: bySubject, group: subject}, after, limit), decodeConsent), nil
}
