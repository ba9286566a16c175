package oauth

import (
	"context"
	"errors"
	"strings"

	"github.com/seed-e797c9ce/oauth/store"
)

// Revoke ends the authorization behind a refresh or access token of the client
// (RFC 7009), also when the token has expired, and reports whether it was one. A
// token that is unknown or another client's changes nothing and is false, not an
// error: who asks learns nothing. No token_type_hint is needed: a token says
// what it is. ErrTemporarilyUnavailable if the store failed: nothing is known to
// be revoked then.
func (p *Provider) Revoke(ctx context.Context, c *Client, token string) (bool, error) {
	if t, ok := parseRefreshToken(token); ok {
		return p.revokeRefresh(ctx, c, t)
	}
	claims, err := p.parseAccessToken(ctx, token)
	if errors.Is(err, errBadToken) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if claims.ClientID != c.ID {
		return false, nil
	}
	id, _, isUser := strings.Cut(claims.ID, ".")
	if isUser {
		return p.revokeRecord(ctx, id, c)
	}
	// A client that acts for itself has no record. It gets a revoked one.
	record := store.Token{
		ID: claims.ID, ClientID: c.ID, State: store.TokenActive, Scopes: claims.Scopes,
		CreatedAt: claims.IssuedAt, ExpiresAt: claims.ExpiresAt, RevokedAt: now(), PurgeAt: claims.ExpiresAt.Add(keySkew),
	}
	if err := p.cfg.Store.CreateToken(ctx, record); err != nil && !errors.Is(err, store.ErrExists) {
		return false, outage("revoke", err)
	}
	p.emit(ctx, Event{Kind: EventTokenRevoked, ClientID: c.ID, TokenID: record.ID, Count: 1})
	return true, nil
}

func (p *Provider) revokeRefresh(ctx context.Context, c *Client, t refreshToken) (bool, error) {
	record, err := p.cfg.Store.Token(ctx, t.id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, outage("token", err)
	}
	if t.generation(&record) == genNoise || record.ClientID != c.ID {
		return false, nil
	}
	return p.revokeRecord(ctx, t.id, c)
}

func (p *Provider) revokeRecord(ctx context.Context, id string, c *Client) (bool, error) {
	n, err := p.revoke(ctx, store.TokenQuery{ID: id, ClientID: c.ID})
	if err != nil {
		return false, outage("revoke", err)
	}
	if n > 0 {
		p.emit(ctx, Event{Kind: EventTokenRevoked, ClientID: c.ID, TokenID: id, Count: n})
	}
	return true, nil
}

// revoke marks records; they are kept as long as the policy says, so that a
// replay is still recognised.
func (p *Provider) revoke(ctx context.Context, q store.TokenQuery) (int, error) {
	at := now()
	return p.cfg.Store.RevokeTokens(ctx, q, at, at.Add(p.cfg.Policy.Keep))
}

// RevokeUser ends every authorization of a user, pending ones included, or with
// a client ID those of the user and that client, and returns how many there
// were. Call it when a password changes, or for "sign out everywhere". Consents
// stay: see [Provider.RevokeConsent].
func (p *Provider) RevokeUser(ctx context.Context, subject, clientID string) (int, error) {
	if subject == "" {
		return 0, errorf(ErrInvalidRequest, "subject is required")
	}
	n, err := p.revoke(ctx, store.TokenQuery{Subject: subject, ClientID: clientID})
	if err != nil {
		return 0, outage("revoke", err)
	}
	p.emit(ctx, Event{Kind: EventTokenRevoked, Subject: subject, ClientID: clientID, Count: n})
	return n, nil
}

// revokeEndpoint answers /revoke (RFC 7009 §2).
func (p *Provider) revokeEndpoint(ctx context.Context, q *ClientRequest) (any, error) {
	token := q.Form.Get("token")
	if token == "" {
		return nil, p.refused(ctx, Event{ClientID: q.Client.ID, Detail: "revoke"}, errorf(ErrInvalidRequest, "token is missing"))
	}
	_, err := p.Revoke(ctx, q.Client, token)
	if err != nil {
		return nil, p.refused(ctx, Event{ClientID: q.Client.ID, Detail: "revoke"}, err)
	}
	return nil, nil
}
