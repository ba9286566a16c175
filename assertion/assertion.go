// Package assertion lets clients authenticate with a signed JWT, private_key_jwt
// (RFC 7523 §2.2, OpenID Connect Core §9), as an extension of an oauth.Provider.
//
// A client that is to use it is registered with the AuthMethod private_key_jwt
// and its public keys, as JWKS or JWKSURI. There is no secret then that the
// provider could lose.
package assertion

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/fetch"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

// Config says how assertions are judged. Its zero value is good.
type Config struct {
	// MaxLifetime is how far in the future the exp of an assertion may be, which
	// is also how long its jti is remembered; 1 hour.
	MaxLifetime time.Duration

	// HTTPClient fetches clients' key sets (jwks_uri). Redirects, cookies and more
	// than 5 seconds are not allowed it, but which addresses it connects to is its
	// own affair. Nil: public addresses only, directly, at port 443.
	HTTPClient *http.Client
}

// New makes the extension. What is wrong with the configuration is an error of
// oauth.New.
func New(cfg Config) oauth.Extension {
	if cfg.MaxLifetime == 0 {
		cfg.MaxLifetime = time.Hour
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = fetch.Client(fetch.Options{})
	}
	return func(r *oauth.Registry) error { return extend(r, cfg) }
}

const (
	method        = "private_key_jwt"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	ownType       = "client-authentication+jwt" // RFC 7523bis: the audience is the issuer then
	kind          = "client_assertion"          // of the records of assertions that were used

	leeway  = time.Minute // that clients' clocks may be wrong
	maxSize = 16 << 10
	maxJTI  = 512
)

var algs = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

func extend(r *oauth.Registry, cfg Config) error {
	if cfg.MaxLifetime < 0 {
		return errors.New("assertion: Config.MaxLifetime must not be negative")
	}
	v := &verifier{cfg: cfg, reg: r, keys: newKeyCache(cfg.HTTPClient)}
	r.ClientAuth(method, v.authenticate)
	r.OnMetadata(func(m oauth.Metadata) {
		for _, endpoint := range []string{"token", "revocation", "introspection"} {
			m[endpoint+"_endpoint_auth_signing_alg_values_supported"] = algs
		}
	})
	return nil
}

type verifier struct {
	cfg  Config
	reg  *oauth.Registry
	keys *keyCache
}

// claims are those of RFC 7523 §3. Times are seconds, possibly with a fraction.
type claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	Expires  float64         `json:"exp"`
	Issued   float64         `json:"iat"`
	Before   float64         `json:"nbf"`
	ID       string          `json:"jti"`
}

func badRequest(description string) error {
	return &oauth.Error{Code: oauth.ErrInvalidRequest, Description: description}
}

// refuse is one answer to everything that is wrong with an assertion; what it
// was is for the log.
func refuse(format string, args ...any) error {
	return &oauth.Error{Code: oauth.ErrInvalidClient, Description: "client authentication failed", Err: fmt.Errorf("assertion: "+format, args...)}
}

// authenticate authenticates a client for Registry.ClientAuth. Nothing changes before everything has
// been verified; then the assertion is spent.
func (v *verifier) authenticate(ctx context.Context, c oauth.Credentials) (*oauth.Client, error) {
	if !c.Form.Has("client_assertion") && !c.Form.Has("client_assertion_type") {
		return nil, nil
	}
	switch {
	case c.Secret != "" || c.Basic:
		return nil, badRequest("more than one way of client authentication")
	case c.Form.Get("client_assertion_type") != assertionType:
		return nil, badRequest("client_assertion_type must be " + assertionType)
	case c.Form.Get("client_assertion") == "":
		return nil, badRequest("client_assertion is missing")
	}
	token, err := jose.Parse(c.Form.Get("client_assertion"), maxSize)
	if err != nil {
		return nil, refuse("%w", err)
	}
	var unproven claims
	if err := strictjson.Unmarshal(token.Unverified(), &unproven); err != nil {
		return nil, refuse("claims: %w", err)
	}
	if c.ClientID != "" && c.ClientID != unproven.Subject {
		return nil, refuse("client_id is not its sub")
	}
	client, err := v.reg.Provider().Client(ctx, unproven.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return nil, refuse("client is unknown")
	}
	if err != nil {
		return nil, err
	}
	if client.Disabled || client.Public || client.AuthMethod != method {
		return nil, refuse("client is disabled, or not registered for %s", method)
	}
	if !slices.Contains(algs, token.Alg) {
		return nil, refuse("its alg is not supported")
	}
	body, err := v.keys.verify(ctx, client, token)
	if err != nil {
		return nil, refuse("%w", err)
	}
	var proven claims
	if err := strictjson.Unmarshal(body, &proven); err != nil {
		return nil, refuse("claims: %w", err)
	}
	until, err := v.judge(client, token.Type, &proven, time.Now())
	if err != nil {
		return nil, err
	}
	return client, v.spend(ctx, client.ID, proven.ID, until)
}

// judge checks the claims (RFC 7523 §3) and returns until when the assertion
// could be used.
func (v *verifier) judge(client *oauth.Client, typ string, c *claims, at time.Time) (time.Time, error) {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if typ != "" && typ != "jwt" && typ != ownType {
		return time.Time{}, refuse("it is a token of another type")
	}
	audience, ok := strictjson.String(c.Audience)
	endpoint, _ := v.reg.Provider().Metadata()["token_endpoint"].(string)
	now, slack := float64(at.UnixNano())/1e9, leeway.Seconds()
	switch {
	case c.Issuer != client.ID || c.Subject != client.ID:
		return time.Time{}, refuse("iss and sub must be the client")
	case !ok || audience == "" || audience != v.reg.Config().Issuer && (audience != endpoint || typ == ownType):
		return time.Time{}, refuse("aud must be the issuer or the token endpoint, as one string")
	case c.Expires <= now-slack:
		return time.Time{}, refuse("it has expired, or has no exp")
	case c.Expires > now+v.cfg.MaxLifetime.Seconds()+slack:
		return time.Time{}, refuse("exp is too far in the future")
	case c.Issued > now+slack || c.Before > now+slack:
		return time.Time{}, refuse("iat or nbf is in the future")
	case c.ID == "" || len(c.ID) > maxJTI:
		return time.Time{}, refuse("jti must have 1 to %d bytes", maxJTI)
	}
	return at.Add(time.Duration((c.Expires - now + slack) * float64(time.Second))), nil
}

// spend remembers the assertion for as long as it could come again. Of
// concurrent uses, on all machines, the store lets one through.
func (v *verifier) spend(ctx context.Context, clientID, jti string, until time.Time) error {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(clientID), clientID, jti))
	until = until.UTC().Truncate(time.Microsecond).Add(time.Second)
	err := v.reg.Config().Store.CreateCode(ctx, store.Code{
		Kind: kind, Key: base64.RawURLEncoding.EncodeToString(sum[:]), ExpiresAt: until, PurgeAt: until,
	})
	if errors.Is(err, store.ErrExists) {
		return refuse("it was used before")
	}
	if err != nil {
		return fmt.Errorf("assertion: %w", err)
	}
	return nil
}
