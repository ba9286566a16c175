package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// Issuance is who gets what: the decision of a grant, before anything is made
// of it. Hooks may narrow it.
type Issuance struct {
	Subject   string // the user; empty: the client acts for itself
	Scopes    []string
	Resources []string       // the audience; empty: the issuer
	Refresh   bool           // with a refresh token; only with a Subject
	Claims    map[string]any // for the access token; registered claims cannot be overridden
	Session   Session        // the user's sign-in, as far as it is known
	Nonce     string         // of the authorization request (OpenID Connect)

	// Client and GrantType are set by the provider, for hooks to read.
	Client    *Client
	GrantType string

	step    step
	record  *store.Token // the authorization; nil until there is one
	refresh refreshToken // what the client presented
	retry   func(current store.Token) (*Issuance, error)
}

// step is the one change that makes an Issuance true.
type step int

const (
	stepCreate   step = iota // a new authorization, or none for a client that acts for itself
	stepActivate             // pending becomes active: the code is redeemed
	stepRotate               // the refresh token is replaced
	stepExtend               // the refresh token stays, its life is prolonged
	stepRepeat               // a retry: the answer that was given before
	stepKeep                 // the refresh token stays, somebody else has just prolonged it
)

// TokenResponse is a successful answer of the token endpoint (RFC 6749 §5.1).
type TokenResponse struct {
	AccessToken  string
	TokenType    string // Bearer
	ExpiresIn    int64  // seconds
	RefreshToken string // empty: none
	Scope        string // what was granted, which may be less than what was asked for

	Extra map[string]any // members that extensions add, such as id_token
}

// MarshalJSON writes the members of RFC 6749 §5.1 and Extra, which cannot
// override them.
func (t TokenResponse) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 1024), `{"access_token":`...)
	b = appendJSONString(b, t.AccessToken)
	b = appendStringMember(b, "token_type", t.TokenType)
	b = appendIntMember(b, "expires_in", t.ExpiresIn)
	if t.RefreshToken != "" {
		b = appendStringMember(b, "refresh_token", t.RefreshToken)
	}
	if t.Scope != "" {
		b = appendStringMember(b, "scope", t.Scope)
	}
	if len(t.Extra) == 0 {
		return append(b, '}'), nil
	}
	reserved := []string{"access_token", "token_type", "expires_in", "refresh_token", "scope"}
	for _, name := range slices.Sorted(maps.Keys(t.Extra)) {
		if slices.Contains(reserved, name) {
			continue
		}
		value, err := json.Marshal(t.Extra[name])
		if err != nil {
			return nil, err
		}
		b = append(b, ',')
		b = appendJSONString(b, name)
		b = append(append(b, ':'), value...)
	}
	return append(b, '}'), nil
}

// issue is the only place where tokens are made. Everything that can fail comes
// first, the signature included; the one atomic change to the store comes last,
// so that a failure leaves the code or refresh token as it was.
func (p *Provider) issue(ctx context.Context, is *Issuance) (*TokenResponse, error) {
	for range 4 {
		res, record, err := p.prepare(ctx, is)
		if err != nil {
			return nil, err
		}
		again, err := p.commit(ctx, is, record)
		if err != nil {
			return nil, err
		}
		if again == nil {
			p.issued(ctx, is, record)
			return res, nil
		}
		again.Client, again.GrantType = is.Client, is.GrantType
		is = again
	}
	return nil, outage("refresh", errors.New("the authorization keeps changing"))
}

// prepare makes the response, and the record as it has to become.
func (p *Provider) prepare(ctx context.Context, is *Issuance) (*TokenResponse, *store.Token, error) {
	user, err := p.activeUser(ctx, is.Subject)
	if err != nil {
		return nil, nil, err
	}
	for _, hook := range p.reg.onIssue {
		if err := hook(ctx, is); err != nil {
			return nil, nil, err
		}
	}
	if is.Subject == is.Client.ID {
		return nil, nil, subjectIsClient(is.Client)
	}
	at := now()
	life := lifetime(is.Client.AccessTokenLifetime, p.cfg.Policy.AccessTokenLifetime)
	if limit := p.cfg.Policy.MaxLifetime; limit > 0 && is.Subject != "" { // the authorization ends, and with it what rests on it
		if is.record != nil {
			limit = is.record.CreatedAt.Add(limit).Sub(at)
		}
		if life = min(life, limit); life < time.Second {
			return nil, nil, errorf(ErrInvalidGrant, "the authorization has ended")
		}
	}
	res := &TokenResponse{TokenType: "Bearer", ExpiresIn: int64(life / time.Second), Scope: strings.Join(is.Scopes, " ")}
	record, jti, err := p.nextRecord(is, res, at, at.Add(life))
	if err != nil {
		return nil, nil, err
	}
	ring, err := p.signingKeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	claims, err := p.accessClaims(is, user, jti, at, at.Add(life))
	if err != nil {
		return nil, nil, err
	}
	if res.AccessToken, err = ring.signer.Sign(ctx, accessTokenType, claims); err != nil {
		return nil, nil, outage("sign", err)
	}
	for _, hook := range p.reg.onResponse {
		if err := hook(ctx, is, res); err != nil {
			return nil, nil, err
		}
	}
	return res, record, nil
}

// activeUser asks the app whether the user may still have tokens.
func (p *Provider) activeUser(ctx context.Context, subject string) (User, error) {
	if subject == "" || p.cfg.Users == nil {
		return User{Active: true}, nil
	}
	user, err := p.cfg.Users(ctx, subject)
	if err != nil {
		return User{}, outage("Users", err)
	}
	if !user.Active {
		return User{}, errorf(ErrInvalidGrant, "the user is not active")
	}
	return user, nil
}

// nextRecord makes the state that the authorization will be in, with its new
// refresh token in the response, and the identifier of the access token: the
// record's ID and a random part, so that a token leads to its authorization.
func (p *Provider) nextRecord(is *Issuance, res *TokenResponse, at, accessEnd time.Time) (*store.Token, string, error) {
	if is.Subject == "" {
		return nil, randomText(32), nil
	}
	var r store.Token
	switch is.step {
	case stepCreate:
		grant := grantData{AuthTime: unixTime(is.Session.AuthTime), ACR: is.Session.ACR, AMR: is.Session.AMR, SID: is.Session.ID}
		r = store.Token{
			ID: newTokenID(), ClientID: is.Client.ID, Subject: is.Subject,
			Scopes: is.Scopes, Resources: is.Resources, CreatedAt: at, Data: grant.encode(),
		}
	default:
		r = *is.record
	}
	jti := r.ID + "." + randomText(32)
	if is.step == stepRepeat {
		next, err := is.refresh.reopen(&r)
		if err != nil {
			return nil, "", outage("refresh", err)
		}
		res.RefreshToken = next.String()
		return &r, jti, nil
	}
	r.State, r.LastUsedAt = store.TokenActive, at
	r.ExpiresAt = accessEnd
	if is.Refresh {
		p.nextRefreshToken(is, &r, res, at)
	}
	r.PurgeAt = r.ExpiresAt.Add(p.cfg.Policy.Keep)
	return &r, jti, nil
}

func (p *Provider) nextRefreshToken(is *Issuance, r *store.Token, res *TokenResponse, at time.Time) {
	r.ExpiresAt = at.Add(lifetime(is.Client.RefreshTokenLifetime, p.cfg.Policy.RefreshTokenLifetime))
	if limit := p.cfg.Policy.MaxLifetime; limit > 0 && r.CreatedAt.Add(limit).Before(r.ExpiresAt) {
		r.ExpiresAt = r.CreatedAt.Add(limit)
	}
	switch is.step {
	case stepCreate, stepActivate:
		first := refreshToken{id: r.ID, family: randomText(familyBytes), secret: randomText(refreshSecret)}
		r.FamilyHash, r.SecretHash, r.RotatedAt = hashText(first.family), hashText(first.secret), at
		res.RefreshToken = first.String()
	case stepRotate:
		r.RotatedAt = at
		res.RefreshToken = is.refresh.successor(r).String()
	case stepExtend, stepKeep:
		res.RefreshToken = is.refresh.String()
	}
}

// commit makes the change. It returns another Issuance if the record was changed
// meanwhile and the client's token must be judged again.
func (p *Provider) commit(ctx context.Context, is *Issuance, record *store.Token) (*Issuance, error) {
	var err error
	switch {
	case record == nil || is.step == stepRepeat || is.step == stepKeep:
		return nil, nil
	case is.step == stepCreate:
		err = p.cfg.Store.CreateToken(ctx, *record)
	default:
		err = p.cfg.Store.UpdateToken(ctx, *record)
	}
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, store.ErrRevoked):
		return nil, errorf(ErrInvalidGrant, "the authorization was revoked")
	case errors.Is(err, store.ErrNotFound):
		return nil, errorf(ErrInvalidGrant, "the authorization has ended")
	case !errors.Is(err, store.ErrConflict):
		return nil, outage("store authorization", err)
	case is.step == stepActivate: // somebody redeemed this code first
		return nil, p.replayed(ctx, record, "code")
	}
	current, err := p.cfg.Store.Token(ctx, record.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errorf(ErrInvalidGrant, "the authorization has ended")
	}
	if err != nil {
		return nil, outage("token", err)
	}
	again, err := is.retry(current)
	if err == nil && again.step == stepExtend {
		again.step = stepKeep
	}
	return again, err
}

func (p *Provider) issued(ctx context.Context, is *Issuance, record *store.Token) {
	e := Event{Kind: EventTokenIssued, ClientID: is.Client.ID, Subject: is.Subject, Scopes: is.Scopes, Detail: is.GrantType}
	if record != nil {
		e.TokenID = record.ID
	}
	if is.step != stepCreate && is.step != stepActivate {
		e.Kind = EventTokenRefreshed
	}
	p.emit(ctx, e)
}
