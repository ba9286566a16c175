package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth/store"
)

// Client is an application that may ask for tokens: see store.Client for its
// fields.
type Client = store.Client

// The grant types of the core.
const (
	grantAuthorizationCode = "authorization_code"
	grantRefreshToken      = "refresh_token"
	grantClientCredentials = "client_credentials"
)

// findClient returns an enabled or disabled client, or store.ErrNotFound.
func (p *Provider) findClient(ctx context.Context, id string) (*Client, error) {
	if !store.ValidKey(id, store.MaxClientID) {
		return nil, store.ErrNotFound
	}
	return p.reg.find(ctx, id)
}

// RegisterClient stores a new client and returns it as stored. What is empty is
// filled in: ID (random), GrantTypes (authorization_code and refresh_token),
// ResponseTypes (code, with that grant), AuthMethod (none, if Public), Trust
// (TrustRegistered). A confidential client gets a secret unless it brings JWKS,
// JWKSURI or its own hashes; the secret is returned here and never again: only
// its hash is kept. ErrInvalidClientMetadata and ErrInvalidRedirectURI say what
// to change; ErrInvalidRequest that wraps store.ErrExists: the ID is taken, as it
// is when a program that registers its clients starts again on a durable store.
// Scopes that Config does not have are stored, never granted, and logged as a
// warning.
func (p *Provider) RegisterClient(ctx context.Context, c Client) (created *Client, secret string, err error) {
	if c.ID == "" {
		c.ID = uuid.NewString()
	}
	if c.GrantTypes == nil {
		c.GrantTypes = []string{grantAuthorizationCode, grantRefreshToken}
	}
	if c.ResponseTypes == nil && slices.Contains(c.GrantTypes, grantAuthorizationCode) {
		c.ResponseTypes = []string{"code"}
	}
	if c.AuthMethod == "" && c.Public {
		c.AuthMethod = authNone
	}
	if c.Trust == "" {
		c.Trust = store.TrustRegistered
	}
	if e := p.checkClient(&c); e != nil {
		return nil, "", e
	}
	if !c.Public && len(c.Secrets) == 0 && len(c.JWKS) == 0 && c.JWKSURI == "" {
		secret = randomText(32)
		hash, err := hashSecret(secret, p.cfg.Policy.BcryptCost)
		if err != nil {
			return nil, "", err
		}
		c.Secrets = []store.Secret{{Hash: hash}}
	}
	c.CreatedAt, c.UpdatedAt, c.Version = now(), now(), 1
	switch err := p.cfg.Store.CreateClient(ctx, c); {
	case errors.Is(err, store.ErrExists):
		return nil, "", errorf(ErrInvalidRequest, "a client with this ID exists").because("%w", err)
	case errors.Is(err, store.ErrInvalid):
		return nil, "", errorf(ErrInvalidClientMetadata, "the client cannot be stored").because("%w", err)
	case err != nil:
		return nil, "", outage("create client", err)
	}
	p.warnOfScopes(&c)
	p.emit(ctx, Event{Kind: EventClientChanged, ClientID: c.ID, Detail: "registered"})
	return &c, secret, nil
}

// warnOfScopes tells the operator which scopes of a registered client nobody gets:
// names that are not spelled right, most of the time. What strangers say of
// themselves is not worth a line each.
func (p *Provider) warnOfScopes(c *Client) {
	if c.Trust != store.TrustRegistered {
		return
	}
	unknown := slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return p.scopeKnown(s, nil) })
	if len(unknown) > 0 {
		p.log.Warn("oauth: a client has scopes that are neither in Config.Scopes nor an extension's: they are never granted", "client_id", c.ID, "scopes", unknown)
	}
}

// Client returns a client, or an error that wraps store.ErrNotFound.
func (p *Provider) Client(ctx context.Context, id string) (*Client, error) {
	c, err := p.findClient(ctx, id)
	if err != nil {
		return nil, p.clientError(err)
	}
	return c, nil
}

// Clients returns up to limit (1 to store.MaxPage) registered clients, in the
// order of their IDs, from the first whose ID is greater than after.
func (p *Provider) Clients(ctx context.Context, after string, limit int) ([]Client, error) {
	list, err := p.cfg.Store.ListClients(ctx, after, limit)
	if errors.Is(err, store.ErrInvalid) {
		return nil, errorf(ErrInvalidRequest, "limit must be 1 to %d", store.MaxPage).because("%w", err)
	}
	if err != nil {
		return nil, outage("list clients", err)
	}
	return list, nil
}

// UpdateClient replaces a client that was read before: c.Version says which
// version it was. ErrInvalidRequest that wraps store.ErrConflict: someone else
// changed it meanwhile; read it again. Otherwise as [Provider.RegisterClient]. To
// adopt a client that registered itself, set Trust to store.TrustRegistered and
// PurgeAt to the zero time, or it is still deleted when it expires.
func (p *Provider) UpdateClient(ctx context.Context, c Client) error {
	if e := p.checkClient(&c); e != nil {
		return e
	}
	c.UpdatedAt = now()
	if err := p.cfg.Store.UpdateClient(ctx, c); err != nil {
		return p.clientError(err)
	}
	p.warnOfScopes(&c)
	p.emit(ctx, Event{Kind: EventClientChanged, ClientID: c.ID, Detail: "updated"})
	return nil
}

// RotateClientSecret gives a confidential client a new secret and returns it.
// The secrets it had stay valid for overlap, so that the client can be changed
// over without a gap; with zero they end at once, as they must after a leak.
func (p *Provider) RotateClientSecret(ctx context.Context, id string, overlap time.Duration) (secret string, err error) {
	c, err := p.cfg.Store.Client(ctx, id)
	if err != nil {
		return "", p.clientError(err)
	}
	if c.Public {
		return "", errorf(ErrInvalidClientMetadata, "a public client has no secret")
	}
	secret = randomText(32)
	hash, err := hashSecret(secret, p.cfg.Policy.BcryptCost)
	if err != nil {
		return "", err
	}
	secrets := []store.Secret{{Hash: hash}}
	until := now().Add(overlap)
	for _, old := range c.Secrets {
		if overlap > 0 && len(secrets) < maxSecrets && (old.ExpiresAt.IsZero() || old.ExpiresAt.After(now())) {
			if old.ExpiresAt.IsZero() || old.ExpiresAt.After(until) {
				old.ExpiresAt = until
			}
			secrets = append(secrets, old)
		}
	}
	c.Secrets, c.UpdatedAt = secrets, now()
	if err := p.cfg.Store.UpdateClient(ctx, c); err != nil {
		return "", p.clientError(err)
	}
	p.emit(ctx, Event{Kind: EventClientChanged, ClientID: id, Detail: "secret rotated"})
	return secret, nil
}

// DeleteClient deletes a client and ends what it was granted: its tokens and
// pending codes are revoked, its consents deleted. If it fails, call it again: a
// client that is gone already is an error then, and nothing of it is left.
func (p *Provider) DeleteClient(ctx context.Context, id string) error {
	if !store.ValidKey(id, store.MaxClientID) {
		return p.clientError(p.cfg.Store.DeleteClient(ctx, id))
	}
	// What it was granted ends before the client does: one that deletes itself
	// (RFC 7592 §2.3) could not repeat what was cut off. And once more when the
	// client is gone and nothing new can begin.
	before, err := p.revokeClient(ctx, id)
	if err != nil {
		return err
	}
	missing := p.cfg.Store.DeleteClient(ctx, id)
	if missing != nil && !errors.Is(missing, store.ErrNotFound) {
		return p.clientError(missing)
	}
	after, err := p.revokeClient(ctx, id)
	if err != nil {
		return err
	}
	if missing != nil {
		return p.clientError(missing)
	}
	p.emit(ctx, Event{Kind: EventClientChanged, ClientID: id, Detail: "deleted", Count: before + after})
	return nil
}

// revokeClient ends all that a client was granted. Consents go first: an
// exchange that comes between finds that its own is gone.
func (p *Provider) revokeClient(ctx context.Context, id string) (int, error) {
	if _, err := p.cfg.Store.RevokeConsents(ctx, store.ConsentQuery{ClientID: id}); err != nil {
		return 0, outage("delete client: consents", err)
	}
	n, err := p.revoke(ctx, store.TokenQuery{ClientID: id})
	if err != nil {
		return 0, outage("delete client: tokens", err)
	}
	return n, nil
}

func (p *Provider) clientError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errorf(ErrInvalidRequest, "no such client").because("%w", err)
	case errors.Is(err, store.ErrConflict):
		return errorf(ErrInvalidRequest, "the client was changed by someone else").because("%w", err)
	case errors.Is(err, store.ErrInvalid):
		return errorf(ErrInvalidClientMetadata, "the client cannot be stored").because("%w", err)
	case errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("oauth: this store's clients are managed elsewhere: %w", err)
	}
	return outage("client", err)
}

const (
	maxSecrets      = 3
	maxRedirectURIs = 50
	maxClientName   = 200
)

// checkClient judges a client as it is registered or updated.
func (p *Provider) checkClient(c *Client) *Error {
	bad := func(format string, args ...any) *Error { return errorf(ErrInvalidClientMetadata, format, args...) }
	if !isVisible(c.ID) || len(c.ID) > store.MaxClientID {
		return bad("client_id must be 1 to %d visible ASCII characters", store.MaxClientID)
	}
	if len(c.Name) > maxClientName {
		return bad("client_name must have at most %d bytes", maxClientName)
	}
	if !slices.Contains([]string{"", applicationNative, applicationWeb}, c.ApplicationType) {
		return bad("application_type must be native or web")
	}
	if !slices.Contains([]store.Trust{store.TrustRegistered, store.TrustDocument, store.TrustSelf}, c.Trust) {
		return bad("trust must be registered, document or self")
	}
	if c.FirstParty && c.Trust != store.TrustRegistered {
		return bad("a client that was not registered by the operator cannot be first_party")
	}
	if err := p.checkClientGrants(c); err != nil {
		return err
	}
	if err := p.checkClientAuth(c); err != nil {
		return err
	}
	for _, s := range append(slices.Clone(c.Scopes), c.DefaultScopes...) {
		if !validScopeName(s) {
			return bad("scopes has what is not a scope name")
		}
	}
	if !subset(c.DefaultScopes, c.Scopes) {
		return bad("default_scopes must be among scopes")
	}
	for _, uri := range c.Resources {
		if _, ok := p.knownResource(uri); !ok {
			return bad("resources has one that the provider does not have").because("it is not in Config.Resources")
		}
	}
	for _, link := range []string{c.URI, c.LogoURI, c.PolicyURI, c.TOSURI, c.JWKSURI} {
		if u, err := url.Parse(link); link != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(link) > maxRedirectURI) {
			return bad("client_uri, logo_uri, policy_uri, tos_uri and jwks_uri must be https URLs")
		}
	}
	if c.AccessTokenLifetime < 0 || c.AccessTokenLifetime > maxAccessTokenLifetime || c.RefreshTokenLifetime < 0 {
		return bad("access_token_lifetime must be at most %v, and no lifetime negative", maxAccessTokenLifetime)
	}
	return nil
}

func (p *Provider) checkClientGrants(c *Client) *Error {
	for _, g := range c.GrantTypes {
		if _, ok := p.reg.grants[g]; !ok {
			return errorf(ErrInvalidClientMetadata, "grant_types has one that the provider does not support").because("it has %q", slices.Sorted(maps.Keys(p.reg.grants)))
		}
	}
	code := slices.Contains(c.GrantTypes, grantAuthorizationCode)
	for _, t := range c.ResponseTypes {
		if t != "code" || !code {
			return errorf(ErrInvalidClientMetadata, "response_types can only be code, with the grant authorization_code")
		}
	}
	if code && len(c.RedirectURIs) == 0 {
		return errorf(ErrInvalidRedirectURI, "a client of the authorization_code grant needs a redirect URI")
	}
	if c.Public && slices.Contains(c.GrantTypes, grantClientCredentials) {
		return errorf(ErrInvalidClientMetadata, "client_credentials is for confidential clients (RFC 6749, section 4.4)")
	}
	if len(c.RedirectURIs) > maxRedirectURIs {
		return errorf(ErrInvalidRedirectURI, "more than %d redirect URIs", maxRedirectURIs)
	}
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri, c.ApplicationType, p.cfg.Policy.PrivateUseSchemes); err != nil {
			return err
		}
	}
	return nil
}

func (p *Provider) checkClientAuth(c *Client) *Error {
	switch c.AuthMethod {
	case authNone:
		if !c.Public {
			return errorf(ErrInvalidClientMetadata, "a confidential client cannot have token_endpoint_auth_method none")
		}
	case "", authBasic, authPost:
		if c.Public {
			return errorf(ErrInvalidClientMetadata, "a public client has token_endpoint_auth_method none")
		}
	default:
		// Not every method of an extension is for clients to choose.
		advertised, _ := p.metadata["token_endpoint_auth_methods_supported"].([]string)
		if !slices.Contains(advertised, c.AuthMethod) || c.Public {
			return errorf(ErrInvalidClientMetadata, "token_endpoint_auth_method is not supported")
		}
	}
	if c.Public && len(c.Secrets) > 0 {
		return errorf(ErrInvalidClientMetadata, "a public client has no secret")
	}
	if len(c.Secrets) > maxSecrets {
		return errorf(ErrInvalidClientMetadata, "more than %d secrets", maxSecrets)
	}
	for _, s := range c.Secrets {
		if cost, err := bcrypt.Cost([]byte(s.Hash)); err != nil || len(s.Hash) != 60 {
			return errorf(ErrInvalidClientMetadata, "%s", errNotBcrypt.Error())
		} else if cost > maxBcryptCost {
			return errorf(ErrInvalidClientMetadata, "a secret's hash has a bcrypt cost above %d", maxBcryptCost)
		}
	}
	return nil
}

// isVisible: VSCHAR of RFC 6749 appendix A, without the space.
func isVisible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
