package assertion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

// Enterprise is an identity provider that may let clients act for its users,
// without asking them: enterprise-managed authorization. A client shows an
// identity assertion of it, an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant),
// that names this provider, the client, and a user, and gets an access token.
// There is no refresh token: the client asks its enterprise again.
type Enterprise struct {
	Issuer

	// User links the user of an assertion to one of the app's, and returns that
	// one's ID; empty: there is none. An error is an outage, and an *oauth.Error is
	// answered as it is. Required. Look for Claims.Issuer and Claims.Subject first,
	// with Claims.Tenant where the issuer has tenants: they do not change hands. An
	// e-mail address does: link by it only for the domains that are the
	// enterprise's, only if Claims.EmailVerified, and remember the subject then. It
	// may be called more than once for one assertion.
	User func(ctx context.Context, c Claims) (subject string, err error)

	// Clients says whether a client may use assertions. Nil: those that
	// authenticate and that did not register themselves, which are clients of the
	// operator and those with a metadata document. Either way the client's
	// GrantTypes must have the grant.
	Clients func(ctx context.Context, c *oauth.Client) (bool, error)

	// Scopes is the most that an assertion is worth. Empty: whatever it says, of
	// what the client may have.
	Scopes []string
}

// enterprise is an Enterprise at work.
type enterprise struct {
	Enterprise
	issuer *issuer
}

func (e *Enterprise) check(own oauth.Config) error {
	if e.User == nil {
		return errors.New("there is no User: it says whom of the app's users an assertion is about")
	}
	if s, ok := unknown(e.Scopes, own.Scopes); ok {
		return fmt.Errorf("scope %q is not in oauth.Config.Scopes", s)
	}
	return e.Issuer.check(own.Issuer)
}

// unknown returns a scope that there is not.
func unknown(list []string, scopes map[string]string) (string, bool) {
	i := slices.IndexFunc(list, func(s string) bool { _, ok := scopes[s]; return !ok })
	if i < 0 {
		return "", false
	}
	return list[i], true
}

// confidential is who may use assertions if the app does not say (§8.1 of the
// draft).
func confidential(_ context.Context, c *oauth.Client) (bool, error) {
	return !c.Public && (c.Trust == store.TrustRegistered || c.Trust == store.TrustDocument), nil
}

// enterpriseGrant gives a client a token for the user whom an ID-JAG is about.
// The assertion is spent last, so that what is refused can be put right.
func (g *grants) enterpriseGrant(ctx context.Context, q *oauth.ClientRequest, p *parsed) (*oauth.Issuance, error) {
	e := g.enterprises[p.issuer]
	if e == nil {
		return nil, refuseGrant("its issuer is not trusted")
	}
	c, body, until, err := p.judge(ctx, e.issuer, []string{g.reg.Config().Issuer})
	if err != nil {
		return nil, err
	}
	if id := text(c.ClientID); id != q.Client.ID {
		return nil, refuseGrant("its client_id is another client")
	}
	if err := checkJTI(c.ID); err != nil {
		return nil, refuseGrant("%w", err)
	}
	allowed, err := e.Clients(ctx, q.Client)
	if err != nil {
		return nil, fmt.Errorf("assertion: Enterprise.Clients: %w", err)
	}
	if !allowed {
		return nil, &oauth.Error{Code: oauth.ErrUnauthorizedClient, Description: "this client may not use identity assertions"}
	}
	resources, scopes, err := g.enterpriseRights(e, q, c)
	if err != nil {
		return nil, err
	}
	subject, err := e.User(ctx, c.public(body))
	if err != nil {
		return nil, fmt.Errorf("assertion: Enterprise.User: %w", err)
	}
	if subject == "" {
		return nil, refuseGrant("its user is unknown")
	}
	if err := g.spend(ctx, c.Issuer, c.ID, until); err != nil {
		return nil, err
	}
	return &oauth.Issuance{Subject: subject, Scopes: scopes, Resources: resources}, nil
}

// enterpriseRights is what the request, the assertion, the client and the
// enterprise have in common.
func (g *grants) enterpriseRights(e *enterprise, q *oauth.ClientRequest, c *grantClaims) (resources, scopes []string, err error) {
	asserted, ok := stringOrList(c.Resource)
	if !ok {
		return nil, nil, refuseGrant("its resource is neither an URI nor a list of them")
	}
	if resources, err = g.targets.audience(q.Client, asserted, q.Form["resource"]); err != nil {
		return nil, nil, err
	}
	wanted, limits := q.Client.Scopes, [][]string{q.Client.Scopes}
	if len(q.Client.DefaultScopes) > 0 {
		wanted = q.Client.DefaultScopes
	}
	if len(e.Scopes) > 0 {
		limits = append(limits, e.Scopes)
	}
	if len(c.Scope) > 0 {
		scope, ok := strictjson.String(c.Scope)
		if wanted = strings.Fields(scope); !ok || len(wanted) == 0 {
			return nil, nil, refuseGrant("its scope is not a list of names")
		}
		limits = append(limits, wanted)
	}
	if requested := strings.Fields(q.Form.Get("scope")); len(requested) > 0 {
		wanted = requested
	}
	scopes, err = g.targets.granted(wanted, resources, limits...)
	return resources, scopes, err
}
