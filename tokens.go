package oauth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// ExchangeRequest asks for tokens for an authorization code (RFC 6749 §4.1.3).
type ExchangeRequest struct {
	Code         string
	RedirectURI  string
	CodeVerifier string
	Resources    []string // RFC 8707; empty: all that were authorized
	Device       string   // where the client runs, for people: kept with the authorization, at most 255 bytes
	IP           string   // the user's address, likewise
}

// RefreshRequest asks for new tokens for a refresh token (RFC 6749 §6).
type RefreshRequest struct {
	RefreshToken string
	Scopes       []string // empty: all that were granted
	Resources    []string // empty: all that were granted
}

// ClientCredentialsRequest asks for an access token for the client itself (RFC
// 6749 §4.4).
type ClientCredentialsRequest struct {
	Scopes    []string // empty: the client's default
	Resources []string // empty: the default
}

// Exchange redeems an authorization code for an authenticated client. A code is
// redeemed once, however many requests race: a second one that is otherwise
// valid is replay, and ends the authorization (OAuth 2.1 §7.5.2); one that fails
// any check changes nothing and leaves the code redeemable. ErrInvalidGrant,
// ErrInvalidRequest, ErrInvalidTarget, ErrUnauthorizedClient.
func (p *Provider) Exchange(ctx context.Context, c *Client, x ExchangeRequest) (*TokenResponse, error) {
	return p.token(ctx, c, grantAuthorizationCode, func() (*Issuance, error) { return p.exchange(ctx, c, x) })
}

// Refresh redeems a refresh token for an authenticated client and returns its
// successor. A retry within Policy.RefreshGrace gets the same successor; any
// other second use is replay, and ends the authorization. ErrInvalidGrant,
// ErrInvalidScope and ErrInvalidTarget (wider than the grant),
// ErrUnauthorizedClient.
func (p *Provider) Refresh(ctx context.Context, c *Client, x RefreshRequest) (*TokenResponse, error) {
	return p.token(ctx, c, grantRefreshToken, func() (*Issuance, error) { return p.refresh(ctx, c, x) })
}

// ClientCredentials issues an access token to a confidential client for itself.
// ErrInvalidScope, ErrInvalidTarget, ErrUnauthorizedClient.
func (p *Provider) ClientCredentials(ctx context.Context, c *Client, x ClientCredentialsRequest) (*TokenResponse, error) {
	return p.token(ctx, c, grantClientCredentials, func() (*Issuance, error) { return p.clientCredentials(c, x) })
}

// registerGrants puts the core's own grants where extensions put theirs.
func (p *Provider) registerGrants(r *Registry) {
	r.GrantType(grantAuthorizationCode, func(ctx context.Context, q *ClientRequest) (*Issuance, error) {
		return p.exchange(ctx, q.Client, ExchangeRequest{
			Code: q.Form.Get("code"), RedirectURI: q.Form.Get("redirect_uri"),
			CodeVerifier: q.Form.Get("code_verifier"), Resources: q.Form["resource"],
		})
	})
	r.GrantType(grantRefreshToken, func(ctx context.Context, q *ClientRequest) (*Issuance, error) {
		scopes, err := parseScope(q.Form.Get("scope"))
		if err != nil {
			return nil, err
		}
		return p.refresh(ctx, q.Client, RefreshRequest{RefreshToken: q.Form.Get("refresh_token"), Scopes: scopes, Resources: q.Form["resource"]})
	})
	r.GrantType(grantClientCredentials, func(_ context.Context, q *ClientRequest) (*Issuance, error) {
		scopes, err := parseScope(q.Form.Get("scope"))
		if err != nil {
			return nil, err
		}
		return p.clientCredentials(q.Client, ClientCredentialsRequest{Scopes: scopes, Resources: q.Form["resource"]})
	})
}

// tokenEndpoint answers /token.
func (p *Provider) tokenEndpoint(ctx context.Context, q *ClientRequest) (any, error) {
	name := q.Form.Get("grant_type")
	grant, ok := p.reg.grants[name]
	switch {
	case name == "":
		return nil, p.refused(ctx, Event{ClientID: q.Client.ID}, errorf(ErrInvalidRequest, "grant_type is missing"))
	case !ok:
		return nil, p.refused(ctx, Event{ClientID: q.Client.ID}, errorf(ErrUnsupportedGrantType, "grant_type is not supported"))
	}
	return p.token(ctx, q.Client, name, func() (*Issuance, error) { return grant(ctx, q) })
}

// within narrows what an extension's grant decided to what there is and what the
// client may have: a grant that passes on what was asked for must not become a
// way around the client's registration.
func (p *Provider) within(c *Client, is *Issuance) error {
	if len(is.Resources) > 0 {
		resources, e := p.requestResources(c, is.Resources)
		if e != nil {
			return e
		}
		is.Resources = resources
	}
	if len(is.Scopes) > 0 {
		scopes, e := p.requestScopes(c, is.Scopes, is.Resources)
		if e != nil {
			return e
		}
		is.Scopes = scopes
	}
	is.Refresh = is.Refresh && slices.Contains(c.GrantTypes, grantRefreshToken)
	return nil
}

// token lets a grant decide and has the result issued.
func (p *Provider) token(ctx context.Context, c *Client, grant string, decide func() (*Issuance, error)) (*TokenResponse, error) {
	refuse := func(err error) (*TokenResponse, error) {
		return nil, p.refused(ctx, Event{ClientID: c.ID, Detail: grant}, err)
	}
	if c.Disabled {
		return refuse(invalidClient("client is disabled"))
	}
	if !slices.Contains(c.GrantTypes, grant) {
		return refuse(errorf(ErrUnauthorizedClient, "this client may not use this grant type"))
	}
	is, err := decide()
	if err == nil && is == nil {
		err = errors.New("the grant type returned neither an Issuance nor an error")
	}
	if err == nil && is.record == nil && grant != grantClientCredentials {
		err = p.within(c, is)
	}
	if err != nil {
		return refuse(err)
	}
	is.Client, is.GrantType = c, grant
	res, err := p.issue(ctx, is)
	if err != nil {
		return refuse(err)
	}
	return res, nil
}

func (p *Provider) exchange(ctx context.Context, c *Client, x ExchangeRequest) (*Issuance, error) {
	if x.Code == "" {
		return nil, errorf(ErrInvalidRequest, "code is missing")
	}
	code, err := p.loadCode(ctx, x.Code)
	if err != nil {
		return nil, err
	}
	record := code.Token
	switch {
	case record.ClientID != c.ID:
		return nil, errorf(ErrInvalidGrant, "the code is not valid").because("code of another client")
	case x.RedirectURI != code.RedirectURI && (code.RedirectSet || x.RedirectURI != ""):
		return nil, errorf(ErrInvalidGrant, "redirect_uri is not the one of the authorization request")
	}
	if _, ok := matchRedirectURI(c.RedirectURIs, code.RedirectURI); !ok { // whoever is there now
		return nil, errorf(ErrInvalidGrant, "the code is not valid").because("its redirect_uri is not registered any more")
	}
	if err := checkVerifier(code.Challenge, x.CodeVerifier); err != nil {
		return nil, err
	}
	if !now().Before(record.ExpiresAt) {
		return nil, p.expiredCode(ctx, record)
	}
	scopes, resources, e := p.narrow(c, &record, nil, x.Resources)
	if e != nil {
		return nil, e
	}
	if len(x.Device) > 255 || len(x.IP) > 255 {
		return nil, errorf(ErrInvalidRequest, "device and IP must have at most 255 bytes")
	}
	if code.Consented {
		ok, err := p.consentCovers(ctx, c, record.Subject, record.Scopes, record.Resources)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errorf(ErrInvalidGrant, "the code is not valid").because("consent was revoked")
		}
	}
	record.Device, record.IP = x.Device, x.IP
	is, err := p.issuanceOf(&record, scopes, resources)
	if err != nil {
		return nil, err
	}
	is.Refresh = slices.Contains(c.GrantTypes, grantRefreshToken)
	is.record, is.step = &record, stepActivate
	return is, nil
}

// expiredCode tells a code that expired unused from one that was used before.
func (p *Provider) expiredCode(ctx context.Context, record store.Token) error {
	current, err := p.cfg.Store.Token(ctx, record.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return outage("token", err)
	}
	if err == nil && current.State == store.TokenActive {
		return p.replayed(ctx, &record, "code")
	}
	return errorf(ErrInvalidGrant, "the code has expired")
}

// replayed ends an authorization whose code or refresh token came back.
func (p *Provider) replayed(ctx context.Context, r *store.Token, what string) error {
	if _, err := p.revoke(ctx, store.TokenQuery{ID: r.ID}); err != nil {
		return outage("revoke after replay", err)
	}
	p.emit(ctx, Event{Kind: EventReplayDetected, ClientID: r.ClientID, Subject: r.Subject, TokenID: r.ID, Detail: what})
	return errorf(ErrInvalidGrant, "the %s was used before", what)
}

func (p *Provider) refresh(ctx context.Context, c *Client, x RefreshRequest) (*Issuance, error) {
	if x.RefreshToken == "" {
		return nil, errorf(ErrInvalidRequest, "refresh_token is missing")
	}
	token, ok := parseRefreshToken(x.RefreshToken)
	if !ok {
		return nil, errorf(ErrInvalidGrant, "the refresh token is not valid").because("not a refresh token of this provider")
	}
	record, err := p.cfg.Store.Token(ctx, token.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errorf(ErrInvalidGrant, "the refresh token is not valid").because("unknown id")
	}
	if err != nil {
		return nil, outage("token", err)
	}
	return p.refreshFrom(ctx, c, x, token, record)
}

// refreshFrom decides what the token is worth on this state of its record.
func (p *Provider) refreshFrom(ctx context.Context, c *Client, x RefreshRequest, token refreshToken, record store.Token) (*Issuance, error) {
	invalid := func(why string) error {
		return errorf(ErrInvalidGrant, "the refresh token is not valid").because("%s", why)
	}
	gen, grace := token.generation(&record), p.cfg.Policy.RefreshGrace
	switch {
	case gen == genNoise:
		return nil, invalid("family does not match")
	case record.ClientID != c.ID:
		return nil, invalid("token of another client")
	case !record.RevokedAt.IsZero():
		return nil, invalid("authorization was revoked")
	case record.State != store.TokenActive:
		return nil, invalid("authorization is pending")
	case !now().Before(record.ExpiresAt):
		return nil, invalid("token has expired")
	case gen == genOld,
		gen == genPrevious && (grace == 0 || now().Sub(record.RotatedAt) >= grace): // the clock that wrote RotatedAt may be ahead
		return nil, p.replayed(ctx, &record, "refresh token")
	}
	scopes, resources, e := p.narrow(c, &record, x.Scopes, x.Resources)
	if e != nil {
		return nil, e
	}
	is, err := p.issuanceOf(&record, scopes, resources)
	if err != nil {
		return nil, err
	}
	is.Refresh, is.record, is.refresh = true, &record, token
	is.retry = func(current store.Token) (*Issuance, error) { return p.refreshFrom(ctx, c, x, token, current) }
	switch {
	case gen == genPrevious:
		is.step = stepRepeat
	case !c.Public && p.cfg.Policy.NoRotation:
		is.step = stepExtend
	default:
		is.step = stepRotate
	}
	return is, nil
}

func (p *Provider) clientCredentials(c *Client, x ClientCredentialsRequest) (*Issuance, error) {
	if c.Public {
		return nil, errorf(ErrUnauthorizedClient, "client_credentials is for confidential clients")
	}
	resources, e := p.requestResources(c, x.Resources)
	if e != nil {
		return nil, e
	}
	scopes, e := p.requestScopes(c, x.Scopes, resources)
	if e != nil {
		return nil, e
	}
	return &Issuance{Scopes: scopes, Resources: resources}, nil
}

// issuanceOf starts an Issuance from an authorization.
func (p *Provider) issuanceOf(r *store.Token, scopes, resources []string) (*Issuance, error) {
	data, err := decodeGrant(r.Data)
	if err != nil {
		return nil, outage("authorization", err)
	}
	return &Issuance{Subject: r.Subject, Scopes: scopes, Resources: resources, Session: data.session(r.Subject), Nonce: data.Nonce}, nil
}

// narrow returns what a client gets of its authorization: what it asks for (RFC
// 6749 §6; RFC 8707 §2.2), all where it asks for nothing, without what the
// operator has taken from it since, and without scopes that mean nothing at the
// resources that are left.
func (p *Provider) narrow(c *Client, r *store.Token, scopes, resources []string) ([]string, []string, *Error) {
	switch {
	case !subset(scopes, r.Scopes):
		return nil, nil, errorf(ErrInvalidScope, "scope is wider than what was granted")
	case len(scopes) == 0:
		scopes = r.Scopes
	}
	kept := intersect(scopes, c.Scopes)
	if len(kept) == 0 && len(scopes) > 0 {
		return nil, nil, errorf(ErrInvalidScope, "the client may not have these scopes any more")
	}
	if len(resources) > maxResources {
		return nil, nil, errorf(ErrInvalidTarget, "more than %d resources", maxResources)
	}
	asked := len(resources) > 0
	if !asked {
		resources = r.Resources
	}
	out := make([]string, 0, len(resources))
	for _, uri := range resources {
		known, ok := p.knownResource(uri)
		allowed := ok && slices.Contains(r.Resources, known) && (len(c.Resources) == 0 || slices.Contains(c.Resources, known))
		if !allowed && asked {
			return nil, nil, errorf(ErrInvalidTarget, "a resource is not one that was granted")
		}
		if allowed && !slices.Contains(out, known) {
			out = append(out, known)
		}
	}
	if len(out) == 0 && len(resources) > 0 {
		return nil, nil, errorf(ErrInvalidTarget, "the client may not have these resources any more")
	}
	meant := slices.DeleteFunc(kept, func(s string) bool { return !p.scopeKnown(s, out) })
	if len(meant) == 0 && len(scopes) > 0 {
		return nil, nil, errorf(ErrInvalidScope, "none of these scopes means anything at this resource")
	}
	return meant, out, nil
}

// lifetime is the client's own, or the provider's.
func lifetime(own, general time.Duration) time.Duration {
	if own > 0 {
		return own
	}
	return general
}
