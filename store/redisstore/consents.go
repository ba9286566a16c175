package redisstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed-e797c9ce/oauth/store"
)

// Of a consent's hash, h, g and u are ClientHash, GrantedAt and UpdatedAt; every
// other field is a scope or a resource after these.
const (
	scopeField    = "s:"
	resourceField = "r:"
)

// decodeConsent reads fields and values in turn.
func decodeConsent(subject, client string, v []any) (store.Consent, error) {
	var f fields
	c := store.Consent{Subject: subject, ClientID: client}
	for i := 0; i+1 < len(v); i += 2 {
		name, value := f.text(v[i]), v[i+1]
		switch {
		case name == "h":
			c.ClientHash = f.hash(f.bytes(value))
		case name == "g":
			c.GrantedAt = f.time(value)
		case name == "u":
			c.UpdatedAt = f.time(value)
		case len(name) >= 2 && name[:2] == scopeField:
			c.Scopes = append(c.Scopes, name[2:])
		case len(name) >= 2 && name[:2] == resourceField:
			c.Resources = append(c.Resources, name[2:])
		}
	}
	slices.Sort(c.Scopes)
	slices.Sort(c.Resources)
	return c, f.err
}

func validConsent(subject, client string) bool {
	return store.ValidKey(subject, store.MaxSubject) && store.ValidKey(client, store.MaxClientID)
}

// Consent implements [store.Consents].
func (s *Store) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	if !validConsent(subject, clientID) {
		return store.Consent{}, nothing(ctx)
	}
	if err := ctx.Err(); err != nil {
		return store.Consent{}, wrap("read consent", err)
	}
	hash, err := s.client.HGetAll(ctx, s.consentPlace(subject, clientID).key).Result()
	if err != nil {
		return store.Consent{}, wrap("read consent", err)
	}
	if len(hash) == 0 {
		return store.Consent{}, store.ErrNotFound
	}
	v := make([]any, 0, 2*len(hash))
	for name, value := range hash {
		v = append(v, name, value)
	}
	c, err := decodeConsent(subject, clientID, v)
	return c, wrap("read consent", err)
}

// GrantConsent implements [store.Consents].
func (s *Store) GrantConsent(ctx context.Context, c store.Consent) error {
	if err := c.Check(); err != nil {
		return err
	}
	p := s.consentPlace(c.Subject, c.ClientID)
	room := store.MaxRecord - len(c.Subject) - len(c.ClientID)
	args := []any{c.Subject, c.ClientID, hashBytes(c.ClientHash), text(c.GrantedAt), text(c.UpdatedAt), room}
	for _, field := range setFields(c) {
		args = append(args, field)
	}
	n, err := s.number(ctx, grant, call{keys: append([]string{p.key}, p.indexes...), args: args})
	if err == nil && n == isTooLarge {
		err = fmt.Errorf("%w: with what was granted before, the consent is over the limit of %d bytes", store.ErrInvalid, store.MaxRecord)
	}
	return wrap("grant consent", err)
}

// setFields are the fields of scopes and resources, each once.
func setFields(c store.Consent) []string {
	names := make([]string, 0, len(c.Scopes)+len(c.Resources))
	for _, scope := range c.Scopes {
		names = append(names, scopeField+scope)
	}
	for _, resource := range c.Resources {
		names = append(names, resourceField+resource)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// RevokeConsents implements [store.Consents]. See the package comment for what
// happens when it concerns many records.
func (s *Store) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	if q == (store.ConsentQuery{}) {
		return 0, errQuery
	}
	if (q.Subject != "" && !store.ValidKey(q.Subject, store.MaxSubject)) ||
		(q.ClientID != "" && !store.ValidKey(q.ClientID, store.MaxClientID)) {
		return 0, ctx.Err()
	}
	p := s.consentPlace(q.Subject, q.ClientID)
	if q.Subject != "" && q.ClientID != "" {
		n, err := s.number(ctx, revokeConsent, call{keys: append([]string{p.key}, p.indexes...), args: []any{q.Subject, q.ClientID}})
		return int(n), wrap("revoke consent", err)
	}
	index, tags := ":consenters:"+q.ClientID, s.everywhere()
	if q.Subject != "" {
		index, tags = ":consents:"+q.Subject, []string{p.tag}
	}
	n, err := s.stepwise(ctx, revokeConsents, tags, func(tag, from string) call {
		return call{keys: []string{tag + index}, args: []any{tag, from, step, q.Subject, q.ClientID}}
	})
	return n, wrap("revoke consents", err)
}

// ListConsents implements [store.Consents].
func (s *Store) ListConsents(ctx context.Context, subject, after string, limit int) ([]store.Consent, error) {
	if err := checkPage(limit); err != nil {
		return nil, err
	}
	if !store.ValidKey(subject, store.MaxSubject) {
		return nil, ctx.Err()
	}
	p := s.consentPlace(subject, "")
	index := p.tag + ":consents:" + subject
	var page []store.Consent
	for next := from(after); next != "" && len(page) < limit; {
		reply, err := s.array(ctx, consents, call{keys: []string{index}, args: []any{p.key, next, limit - len(page), listBytes}})
		if err == nil && len(reply)%2 != 1 {
			err = errReply
		}
		if err != nil {
			return nil, wrap("list consents", err)
		}
		var f fields
		next = f.text(reply[0])
		for i := 1; i < len(reply); i += 2 {
			values, _ := reply[i+1].([]any)
			c, err := decodeConsent(subject, f.text(reply[i]), values)
			if err != nil || f.err != nil {
				return nil, wrap("list consents", errRecord)
			}
			page = append(page, c)
		}
	}
	return page, nil
}
