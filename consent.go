package oauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// Consent is what a user has agreed to let a client do.
type Consent = store.Consent

// ConsentDetail is a consent as a page of connected apps shows it.
type ConsentDetail struct {
	Consent
	Client   *Client   // nil if the client is gone, or its metadata document cannot be had
	LastUsed time.Time // of its authorizations; zero: never used
}

// consentHash is the digest of what a stranger's client said of itself when the
// user agreed. If that changes, the agreement was to something else. Registered
// clients are the operator's affair: zero.
func consentHash(c *Client) store.Hash {
	if c.Trust == store.TrustRegistered {
		return store.Hash{}
	}
	b := binary.AppendUvarint(make([]byte, 0, 1024), uint64(len(c.RedirectURIs)))
	for _, uri := range c.RedirectURIs {
		b = appendText(b, uri)
	}
	for _, text := range []string{c.Name, c.URI, c.LogoURI, c.JWKSURI, string(c.JWKS)} {
		b = appendText(b, text)
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
	covered := consent.ClientHash == consentHash(c) && subset(resources, consent.Resources)
	p.eachAgreed(scopes, resources, func(scope, resource string) {
		covered = covered && isAgreed(consent.Scopes, scope, resource)
	})
	return covered, nil
}

// eachAgreed calls f for what consent to these scopes and resources is made of:
// each scope at each resource where it means something. Reading here and writing
// there are two things agreed to, and writing here is a third. The resource is
// empty for a scope that has none.
func (p *Provider) eachAgreed(scopes, resources []string, f func(scope, resource string)) {
	for _, scope := range scopes {
		placed := false
		for i := range resources {
			if p.scopeKnown(scope, resources[i:i+1]) {
				placed = true
				f(scope, resources[i])
			}
		}
		if !placed {
			f(scope, "")
		}
	}
}

// agreed is a scope at a resource as the store keeps it: neither contains a
// space (RFC 6749 §3.3, RFC 3986). Stores add to a set of these in one step, so
// that two approvals at once add up to what was approved and to nothing else.
func agreed(scope, resource string) string {
	if resource == "" {
		return scope
	}
	return scope + " " + resource
}

// isAgreed reports whether agreed(scope, resource), which it need not make, is in
// a consent's list. Stores keep that in order, so that a request for much, of a
// client that has been granted much, does not compare all with all.
func isAgreed(list []string, scope, resource string) bool {
	_, found := slices.BinarySearchFunc(list, scope, func(entry, scope string) int {
		name, at, _ := strings.Cut(entry, " ")
		return cmp.Or(strings.Compare(name, scope), strings.Compare(at, resource))
	})
	return found
}

// readable turns what is stored into what apps are told: scopes and resources,
// each a list.
func readable(c *store.Consent) {
	names := make([]string, 0, len(c.Scopes))
	for _, entry := range c.Scopes {
		name, _, _ := strings.Cut(entry, " ")
		names = append(names, name)
	}
	slices.Sort(names)
	c.Scopes = slices.Compact(names)
}

func (p *Provider) grantConsent(ctx context.Context, c *Client, subject string, scopes, resources []string) error {
	at := now()
	consent := store.Consent{
		Subject: subject, ClientID: c.ID, Resources: resources,
		ClientHash: consentHash(c), GrantedAt: at, UpdatedAt: at,
	}
	p.eachAgreed(scopes, resources, func(scope, resource string) { consent.Scopes = append(consent.Scopes, agreed(scope, resource)) })
	err := p.cfg.Store.GrantConsent(ctx, consent)
	if errors.Is(err, store.ErrInvalid) && consent.Check() == nil {
		// Together with what was agreed to before it is more than a record holds.
		// The old makes room, and is asked for again: else there would be no new
		// consent for this user and client ever again.
		_, err = p.cfg.Store.RevokeConsents(ctx, store.ConsentQuery{Subject: subject, ClientID: c.ID})
		if err == nil {
			err = p.cfg.Store.GrantConsent(ctx, consent)
		}
	}
	if errors.Is(err, store.ErrInvalid) {
		return errorf(ErrInvalidRequest, "the consent cannot be stored").because("%w", err)
	}
	if err != nil {
		return outage("grant consent", err)
	}
	p.emit(ctx, Event{Kind: EventConsentGranted, ClientID: c.ID, Subject: subject, Scopes: scopes})
	return nil
}

// Consent returns what a user has agreed to for a client: all scopes and all
// resources, of which not each scope need be agreed to at each resource:
// CheckConsent knows. An error that wraps store.ErrNotFound: nothing.
func (p *Provider) Consent(ctx context.Context, subject, clientID string) (*Consent, error) {
	c, err := p.cfg.Store.Consent(ctx, subject, clientID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errorf(ErrConsentRequired, "the user has agreed to nothing for this client").because("%w", err)
	}
	if err != nil {
		return nil, outage("consent", err)
	}
	readable(&c)
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

// GrantConsent records that the user has agreed to these scopes at these
// resources, in addition to what was agreed to before; in its place, where one
// record cannot hold both (store.MaxRecord). No resources: the client's default.
func (p *Provider) GrantConsent(ctx context.Context, subject, clientID string, scopes, resources []string) error {
	c, err := p.Client(ctx, clientID)
	if err != nil {
		return err
	}
	resources, e := p.requestResources(c, resources)
	if e != nil {
		return e
	}
	if !subset(scopes, c.Scopes) || slices.ContainsFunc(scopes, func(s string) bool { return !validScopeName(s) }) {
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
// last used, for a page of connected apps: up to store.MaxPage of them. A consent
// whose client is gone and that nothing valid rests on is deleted and left out:
// programs that register anew at each connection leave one every time.
func (p *Provider) Consents(ctx context.Context, subject string) ([]ConsentDetail, error) {
	consents, err := p.cfg.Store.ListConsents(ctx, subject, "", store.MaxPage)
	if err != nil {
		return nil, outage("list consents", err)
	}
	used, valid := map[string]time.Time{}, map[string]bool{}
	for after := ""; len(consents) > 0; {
		page, err := p.cfg.Store.ListTokens(ctx, store.TokenQuery{Subject: subject}, after, store.MaxPage)
		if err != nil {
			return nil, outage("list tokens", err)
		}
		for _, t := range page {
			if t.LastUsedAt.After(used[t.ClientID]) {
				used[t.ClientID] = t.LastUsedAt
			}
			if t.RevokedAt.IsZero() && now().Before(t.ExpiresAt) {
				valid[t.ClientID] = true
			}
		}
		if len(page) < store.MaxPage {
			break
		}
		after = page[len(page)-1].ID
	}
	out := make([]ConsentDetail, 0, len(consents))
	for _, c := range consents {
		readable(&c)
		d := ConsentDetail{Consent: c, LastUsed: used[c.ClientID]}
		d.Client, err = p.findClient(ctx, c.ClientID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, outage("client", err)
		}
		if err == store.ErrNotFound && !valid[c.ClientID] { // else a source of clients says why it is not there for now
			if _, err := p.cfg.Store.RevokeConsents(ctx, store.ConsentQuery{Subject: subject, ClientID: c.ClientID}); err != nil {
				return nil, outage("delete consent", err)
			}
			continue
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
