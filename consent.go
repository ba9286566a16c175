package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// Consent is what a user has agreed to let a client do.
type Consent = store.Consent

// ConsentDetail is a consent as a page of connected apps shows it.
type ConsentDetail struct {
	Consent
	Client   *Client   // nil if the client is gone
	LastUsed time.Time // of its authorizations; zero: never used
}

// consentHash is the digest of what a stranger's client said of itself when the
// user agreed. If that changes, the agreement was to something else. Registered
// clients are the operator's affair: zero.
func consentHash(c *Client) store.Hash {
	if c.Trust == store.TrustRegistered {
		return store.Hash{}
	}
	b, err := json.Marshal([]any{c.Name, c.URI, c.LogoURI, c.RedirectURIs, c.JWKSURI, c.JWKS})
	if err != nil {
		return store.Hash{1} // cannot be: strings and bytes always marshal; matches nothing stored
	}
	return sha256.Sum256(b)
}

// consentCovers reports whether the stored consent is to this client, as it is
// now, and to all that is asked for.
func (p *Provider) consentCovers(ctx context.Context, c *Client, subject string, scopes, resources []string) (bool, error) {
	consent, err := p.cfg.Store.Consent(ctx, subject, c.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, outage("consent", err)
	}
	return consent.ClientHash == consentHash(c) && subset(scopes, consent.Scopes) && subset(resources, consent.Resources), nil
}

func (p *Provider) grantConsent(ctx context.Context, c *Client, subject string, scopes, resources []string) error {
	at := now()
	consent := store.Consent{
		Subject: subject, ClientID: c.ID, Scopes: scopes, Resources: resources,
		ClientHash: consentHash(c), GrantedAt: at, UpdatedAt: at,
	}
	if err := p.forgetMixed(ctx, &consent); err != nil {
		return err
	}
	err := p.cfg.Store.GrantConsent(ctx, consent)
	if errors.Is(err, store.ErrInvalid) {
		return errorf(ErrInvalidRequest, "the consent cannot be stored").because("%w", err)
	}
	if err != nil {
		return outage("grant consent", err)
	}
	p.emit(ctx, Event{Kind: EventConsentGranted, ClientID: c.ID, Subject: subject, Scopes: scopes})
	return nil
}

// forgetMixed deletes the stored consent if the new one cannot be added to it:
// the sum of reading here and writing there would be writing here, which the
// user was never asked for. The user is then asked again for the old one.
func (p *Provider) forgetMixed(ctx context.Context, consent *store.Consent) error {
	old, err := p.cfg.Store.Consent(ctx, consent.Subject, consent.ClientID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return outage("consent", err)
	case !p.reaches(&old, consent) && !p.reaches(consent, &old):
		return nil
	}
	_, err = p.cfg.Store.RevokeConsents(ctx, store.ConsentQuery{Subject: consent.Subject, ClientID: consent.ClientID})
	if err != nil {
		return outage("consent", err)
	}
	return nil
}

// reaches reports whether a scope that only a has means something at a resource
// that only b has.
func (p *Provider) reaches(a, b *store.Consent) bool {
	for _, scope := range a.Scopes {
		if _, ok := p.cfg.Scopes[scope]; !ok || slices.Contains(b.Scopes, scope) {
			continue
		}
		for _, uri := range b.Resources {
			if !slices.Contains(a.Resources, uri) && p.scopeKnown(scope, []string{uri}) {
				return true
			}
		}
	}
	return false
}

// Consent returns what a user has agreed to for a client. An error that wraps
// store.ErrNotFound: nothing.
func (p *Provider) Consent(ctx context.Context, subject, clientID string) (*Consent, error) {
	c, err := p.cfg.Store.Consent(ctx, subject, clientID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errorf(ErrConsentRequired, "the user has agreed to nothing for this client").because("%w", err)
	}
	if err != nil {
		return nil, outage("consent", err)
	}
	return &c, nil
}

// CheckConsent reports whether the user has agreed to all of these scopes and
// resources for the client as it is now. No resources: the client's default.
func (p *Provider) CheckConsent(ctx context.Context, subject, clientID string, scopes, resources []string) (bool, error) {
	c, err := p.Client(ctx, clientID)
	if err != nil {
		return false, err
	}
	resources, e := p.requestResources(c, resources)
	if e != nil {
		return false, e
	}
	return p.consentCovers(ctx, c, subject, scopes, resources)
}

// GrantConsent records that the user has agreed to these scopes and resources,
// in addition to earlier ones; or in their place, where the sum would have a
// scope at a resource that the user did not agree to. No resources: the client's
// default.
func (p *Provider) GrantConsent(ctx context.Context, subject, clientID string, scopes, resources []string) error {
	c, err := p.Client(ctx, clientID)
	if err != nil {
		return err
	}
	resources, e := p.requestResources(c, resources)
	if e != nil {
		return e
	}
	if !subset(scopes, c.Scopes) {
		return errorf(ErrInvalidScope, "a scope is not one of the client's")
	}
	return p.grantConsent(ctx, c, subject, scopes, resources)
}

// RevokeConsent ends what a user has agreed to for a client, and every
// authorization of that user and client, and returns how many of these there
// were. The consent goes first: an approval that runs meanwhile finds it gone
// when its code is redeemed.
func (p *Provider) RevokeConsent(ctx context.Context, subject, clientID string) (int, error) {
	if subject == "" || clientID == "" {
		return 0, errorf(ErrInvalidRequest, "subject and client ID are required")
	}
	if _, err := p.cfg.Store.RevokeConsents(ctx, store.ConsentQuery{Subject: subject, ClientID: clientID}); err != nil {
		return 0, outage("revoke consent", err)
	}
	n, err := p.revoke(ctx, store.TokenQuery{Subject: subject, ClientID: clientID})
	if err != nil {
		return 0, outage("revoke consent: tokens", err)
	}
	p.emit(ctx, Event{Kind: EventConsentRevoked, ClientID: clientID, Subject: subject, Count: n})
	return n, nil
}

// Consents lists what a user has agreed to, with each client and when it was
// last used, for a page of connected apps: up to store.MaxPage of them.
func (p *Provider) Consents(ctx context.Context, subject string) ([]ConsentDetail, error) {
	consents, err := p.cfg.Store.ListConsents(ctx, subject, "", store.MaxPage)
	if err != nil {
		return nil, outage("list consents", err)
	}
	used := map[string]time.Time{}
	for after := ""; len(consents) > 0; {
		page, err := p.cfg.Store.ListTokens(ctx, store.TokenQuery{Subject: subject}, after, store.MaxPage)
		if err != nil {
			return nil, outage("list tokens", err)
		}
		for _, t := range page {
			if t.LastUsedAt.After(used[t.ClientID]) {
				used[t.ClientID] = t.LastUsedAt
			}
		}
		if len(page) < store.MaxPage {
			break
		}
		after = page[len(page)-1].ID
	}
	out := make([]ConsentDetail, 0, len(consents))
	for _, c := range consents {
		d := ConsentDetail{Consent: c, LastUsed: used[c.ClientID]}
		d.Client, err = p.findClient(ctx, c.ClientID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, outage("client", err)
		}
		out = append(out, d)
	}
	return out, nil
}

// scopeLines pairs each scope with the line that explains it.
func (p *Provider) scopeLines(scopes []string) []ScopeLine {
	lines := make([]ScopeLine, 0, len(scopes))
	for _, s := range scopes {
		text, ok := p.cfg.Scopes[s]
		if !ok {
			text = p.reg.scopes[s]
		}
		if text == "" {
			text = s
		}
		lines = append(lines, ScopeLine{Name: s, Description: text})
	}
	return slices.Clip(lines)
}
