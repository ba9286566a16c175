package oauth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

// errBadToken: not an access token of this provider, or not valid any more.
var errBadToken = resource.ErrInvalidToken

// Verifier checks the provider's own access tokens for a resource.Server in the
// same process: signature, issuer, time, and that neither the authorization nor
// the token was revoked, which it asks the store at every call.
func (p *Provider) Verifier() resource.Verifier { return verifier{p} }

type verifier struct{ p *Provider }

func (v verifier) VerifyToken(ctx context.Context, token string) (*resource.Token, error) {
	t, err := v.p.verifyAccessToken(ctx, token)
	if err != nil && !errors.Is(err, errBadToken) {
		v.p.emit(ctx, Event{Kind: EventOutage, Detail: "verify access token", Err: err})
	}
	if err != nil {
		return nil, err
	}
	return t.Clone(), nil
}

// parseAccessToken proves that the provider signed the token, whatever has
// become of it since: it says nothing of time and revocation. The signature of a
// token seen before is not verified again while the keys are the same. Others
// get the same result: nothing in it may be changed.
func (p *Provider) parseAccessToken(ctx context.Context, token string) (*resource.Token, error) {
	ring, err := p.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	if t, ok := ring.seen.Get(token); ok {
		return t, nil
	}
	parsed, err := jose.Parse(token, resource.MaxToken)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadToken, err)
	}
	if parsed.Type != accessTokenType {
		return nil, fmt.Errorf("%w: not an access token", errBadToken)
	}
	claims, _, err := ring.verify.Verify(parsed)
	if errors.Is(err, jose.ErrUnknownKey) {
		if ring, err = p.keys.forUnknown(ctx); err != nil {
			return nil, outage("signing keys", err)
		}
		claims, _, err = ring.verify.Verify(parsed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadToken, err)
	}
	// Judged at the moment of its issue: that it has expired does not make it
	// somebody else's.
	issued, err := issuedAt(claims)
	if err != nil {
		return nil, err
	}
	t, err := resource.ParseClaims(claims, p.cfg.Issuer, issued)
	if err != nil {
		return nil, err
	}
	ring.seen.Put(token, t)
	return t, nil
}

// issuedAt reads iat from the claims of a token of ours.
func issuedAt(claims []byte) (at time.Time, err error) {
	err = strictjson.Each(claims, claimsDepth, func(name, value []byte) error {
		if string(name) != "iat" {
			return nil
		}
		seconds, err := strconv.ParseInt(string(value), 10, 64)
		at = time.Unix(seconds, 0)
		return err
	})
	if err != nil || at.IsZero() {
		return at, fmt.Errorf("%w: iat cannot be read", errBadToken)
	}
	return at, nil
}

// claimsDepth is how deep claims may be nested: as resource.ParseClaims has it.
const claimsDepth = 16

// clockSkew is how far the clock of another instance may be ahead.
const clockSkew = time.Minute

// verifyAccessToken accepts a token that is valid right now: in its time, and
// its authorization not revoked. The store is asked every time, by primary key.
func (p *Provider) verifyAccessToken(ctx context.Context, token string) (*resource.Token, error) {
	t, err := p.parseAccessToken(ctx, token)
	if err != nil {
		return nil, err
	}
	if at := time.Now(); !at.Before(t.ExpiresAt) || at.Add(clockSkew).Before(t.NotBefore) {
		return nil, fmt.Errorf("%w: expired, or not valid yet", errBadToken)
	}
	id, _, isUser := strings.Cut(t.ID, ".")
	record, err := p.cfg.Store.Token(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound) && isUser:
		return nil, fmt.Errorf("%w: the authorization is gone", errBadToken)
	case errors.Is(err, store.ErrNotFound):
		// a client for itself has a record only if it was revoked
	case err != nil:
		return nil, outage("token", err)
	case !record.RevokedAt.IsZero() || record.State != store.TokenActive:
		return nil, fmt.Errorf("%w: the authorization was revoked", errBadToken)
	}
	if err := p.clientStands(ctx, t, isUser); err != nil {
		return nil, err
	}
	return t, nil
}

// clientStands refuses the tokens of a client that was disabled, and what a
// client got for itself if it was deleted, also if another one has its ID since;
// deleting it has revoked the rest. For a user's token it asks the store alone:
// whether a client's metadata document can be fetched right now is nothing to a
// token that was issued. A client that acts for itself may be one that only an
// extension knows.
func (p *Provider) clientStands(ctx context.Context, t *resource.Token, isUser bool) error {
	c, err := p.cfg.Store.Client(ctx, t.ClientID)
	if errors.Is(err, store.ErrNotFound) && !isUser {
		var other *Client
		if other, err = p.findClient(ctx, t.ClientID); err == nil {
			c = *other
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound) && isUser:
		return nil
	case errors.Is(err, store.ErrNotFound),
		err == nil && !isUser && c.CreatedAt.After(t.IssuedAt.Add(clockSkew)):
		return fmt.Errorf("%w: the client is gone", errBadToken)
	case err != nil:
		return outage("client", err)
	case c.Disabled:
		return fmt.Errorf("%w: the client is disabled", errBadToken)
	}
	return nil
}
