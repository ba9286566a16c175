package resource

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/jose"
)

// DefaultMaxLifetime is how long a token may be valid, from iat to exp, where
// JWTConfig says nothing else.
const DefaultMaxLifetime = 24 * time.Hour

// rememberedTokens is how many verified tokens a JWT verifier remembers.
const rememberedTokens = 2048

// JWTConfig says whose JWT access tokens are verified, and how. Only Issuer is
// required.
type JWTConfig struct {
	// Issuer is the authorization server, byte for byte as in its metadata and in
	// iss. It must be one of Config.Issuers.
	Issuer string

	// JWKS is the URL of the issuer's keys. Empty: the jwks_uri of its metadata
	// (RFC 8414).
	JWKS string

	// MaxLifetime bounds exp - iat. Zero: DefaultMaxLifetime.
	MaxLifetime time.Duration

	// Client fetches metadata and keys. Nil: http.DefaultTransport. Redirects are
	// not followed, and each answer has 5 seconds and 256 KiB.
	Client *http.Client
}

// JWT verifies the JWT access tokens (RFC 9068) of an issuer elsewhere with the
// keys that it publishes; c may be nil. See NewJWT.
func JWT(issuer string, c *http.Client) Verifier {
	return NewJWT(JWTConfig{Issuer: issuer, Client: c})
}

// NewJWT verifies JWT access tokens (RFC 9068) with keys that their issuer
// publishes. What is wrong with the configuration is reported by New.
//
// A token is accepted if its typ is at+jwt, ParseClaims accepts its claims, its
// lifetime is within bounds, and its signature is that of a key of the issuer;
// the key decides the algorithm: ES256, ES384, RS256, PS256 or EdDSA.
//
// Nothing is fetched before the first token comes. Keys are fetched again every
// 5 minutes while tokens come, and when a token names an unknown one, but at most
// once a minute. A key that the issuer has withdrawn is therefore accepted for at
// most 10 minutes; if the issuer cannot be reached, the keys last fetched are used
// for at most 24 hours, and then, or if there are none yet, the error is one of
// outage. Verified tokens are remembered, up to 2048, so that seeing one again
// costs no signature; they are forgotten with their key.
//
// Caches in between are told to ask the issuer (Cache-Control: no-cache). One that
// does not heed this adds the time for which it keeps the key set: so much longer
// a withdrawn key is accepted, and tokens of a new one are refused.
//
// A revoked token is accepted until it expires: nothing in it says so. Where that
// is too long, use short lifetimes or Introspection.
func NewJWT(cfg JWTConfig) Verifier {
	if cfg.MaxLifetime == 0 {
		cfg.MaxLifetime = DefaultMaxLifetime
	}
	return &jwtVerifier{
		cfg:  cfg,
		keys: &remoteKeys{remote: newRemote(cfg.Client), issuer: cfg.Issuer, uri: cfg.JWKS},
		seen: jose.NewCache[verified](rememberedTokens),
	}
}

type jwtVerifier struct {
	cfg  JWTConfig
	keys *remoteKeys
	seen *jose.Cache[verified]
}

// verified is a token whose signature was verified with a key of the set.
type verified struct {
	token *Token // never given out, only copies
	set   *jose.KeySet
}

func (v *jwtVerifier) check(issuers []string, wrong func(string, ...any)) {
	if !slices.Contains(issuers, v.cfg.Issuer) {
		wrong("JWT: the issuer %q is not one of Config.Issuers, which are compared byte for byte", v.cfg.Issuer)
	}
	if v.cfg.JWKS != "" {
		if _, err := parseURL(v.cfg.JWKS); err != nil {
			wrong("JWTConfig.JWKS %s", err)
		}
	}
	if v.cfg.MaxLifetime < 0 {
		wrong("JWTConfig.MaxLifetime must not be negative")
	}
}

// VerifyToken implements Verifier. What can be refused without a key is refused
// first: no token that is expired, or somebody else's, makes us ask the issuer.
func (v *jwtVerifier) VerifyToken(ctx context.Context, token string) (*Token, error) {
	if known, ok := v.seen.Get(token); ok {
		if set, err := v.keys.current(ctx); err == nil && set == known.set {
			if err := known.token.checkTimes(time.Now()); err != nil {
				return nil, err
			}
			return known.token.Clone(), nil
		}
	}
	parsed, err := jose.Parse(token, MaxToken)
	if err != nil {
		return nil, invalid(err.Error())
	}
	if !accessTokenType(parsed.Type) {
		return nil, invalid("typ is not at+jwt")
	}
	t, err := ParseClaims(parsed.Unverified(), v.cfg.Issuer, time.Now())
	if err != nil {
		return nil, err
	}
	if t.ExpiresAt.Sub(t.IssuedAt) > v.cfg.MaxLifetime {
		return nil, invalid("valid for longer than is accepted")
	}
	set, err := v.verify(ctx, parsed)
	if err != nil {
		return nil, err
	}
	v.seen.Put(token, verified{t.Clone(), set})
	return t, nil
}

// verify checks the signature, and returns the keys that it was checked with.
func (v *jwtVerifier) verify(ctx context.Context, parsed *jose.Token) (*jose.KeySet, error) {
	set, err := v.keys.current(ctx)
	if err != nil {
		return nil, err
	}
	_, _, err = set.Verify(parsed)
	if errors.Is(err, jose.ErrUnknownKey) {
		newer, outage := v.keys.newer(ctx, set)
		if outage != nil {
			return nil, outage
		}
		if newer != nil {
			set = newer
			_, _, err = set.Verify(parsed)
		}
	}
	if err != nil {
		return nil, invalid(err.Error())
	}
	return set, nil
}

// accessTokenType: RFC 9068 §4; typ is a media type, "application/" may be left
// out (RFC 7515 §4.1.9).
func accessTokenType(typ string) bool {
	return strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt")
}
