package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

// accessToken is what one of the provider's own access tokens says.
type accessToken struct {
	ID, Subject, ClientID          string
	Audience, Scopes               []string
	IssuedAt, NotBefore, ExpiresAt time.Time
	Claims                         map[string]json.RawMessage
}

// errBadToken: not an access token of this provider, or not valid any more.
var errBadToken = errors.New("not a valid access token of this provider")

const maxAccessToken = 16 << 10 // bytes

// parseAccessToken proves that the provider signed the token, whatever has
// become of it since.
func (p *Provider) parseAccessToken(ctx context.Context, token string) (*accessToken, error) {
	parsed, err := jose.Parse(token, maxAccessToken)
	if err != nil || parsed.Type != accessTokenType {
		return nil, errBadToken
	}
	ring, err := p.signingKeys(ctx)
	if err != nil {
		return nil, err
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
	members, err := strictjson.Object(claims, strictjson.MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadToken, err)
	}
	return p.readClaims(members)
}

func (p *Provider) readClaims(members map[string]json.RawMessage) (*accessToken, error) {
	t := &accessToken{Claims: members}
	var iss, scope string
	var iat, nbf, exp int64
	for name, v := range map[string]any{
		"iss": &iss, "sub": &t.Subject, "client_id": &t.ClientID, "jti": &t.ID, "iat": &iat, "nbf": &nbf, "exp": &exp,
	} {
		if json.Unmarshal(members[name], v) != nil {
			return nil, errBadToken
		}
	}
	if raw, ok := members["scope"]; ok && json.Unmarshal(raw, &scope) != nil {
		return nil, errBadToken
	}
	var one string
	if json.Unmarshal(members["aud"], &one) == nil {
		t.Audience = []string{one}
	} else if json.Unmarshal(members["aud"], &t.Audience) != nil {
		return nil, errBadToken
	}
	if iss != p.cfg.Issuer {
		return nil, errBadToken
	}
	t.Scopes = strings.Fields(scope)
	t.IssuedAt, t.NotBefore, t.ExpiresAt = time.Unix(iat, 0).UTC(), time.Unix(nbf, 0).UTC(), time.Unix(exp, 0).UTC()
	return t, nil
}

// verifyAccessToken accepts a token that is valid right now: in its time, and
// its authorization not revoked. That is one look-up by primary key.
func (p *Provider) verifyAccessToken(ctx context.Context, token string) (*accessToken, error) {
	t, err := p.parseAccessToken(ctx, token)
	if err != nil {
		return nil, err
	}
	if at := time.Now(); !at.Before(t.ExpiresAt) || at.Before(t.NotBefore) {
		return nil, fmt.Errorf("%w: expired, or not valid yet", errBadToken)
	}
	id, _, isUser := strings.Cut(t.ID, ".")
	record, err := p.cfg.Store.Token(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound) && !isUser:
		return t, nil // a client for itself has a record only if it was revoked
	case errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("%w: the authorization is gone", errBadToken)
	case err != nil:
		return nil, outage("token", err)
	case !record.RevokedAt.IsZero() || record.State != store.TokenActive:
		return nil, fmt.Errorf("%w: the authorization was revoked", errBadToken)
	}
	return t, nil
}
