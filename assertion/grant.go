package assertion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// Claims are what an assertion says, its signature and all else about it having
// been verified. None but Issuer and Subject need be there.
type Claims struct {
	Issuer  string
	Subject string // unique at the Issuer only, and in a Tenant of it where it has tenants

	Tenant        string // of an issuer with tenants
	Email         string // an address can change hands: see Enterprise.User
	EmailVerified bool
	ClientID      string // who may use an ID-JAG; empty in other assertions

	JSON []byte // all claims, as one JSON object
}

const (
	grantType    = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantProfile = "urn:ietf:params:oauth:grant-profile:id-jag"
	idJAG        = "oauth-id-jag+jwt"
	grantKind    = "assertion" // of the records of assertions that were used
)

// grants is the JWT bearer grant (RFC 7523 §2.1). What an assertion is, its typ
// says: an ID-JAG is an enterprise's word for one of its users, every other one
// a workload's own credential.
type grants struct {
	reg         *oauth.Registry
	enterprises map[string]*enterprise // by the URL of the issuer
	platforms   map[string]*platform
	dynamic     bool // a platform decides by a function
	targets     *targets
}

// refuseGrant is one answer to everything that is wrong with an assertion; what
// it was is for the log.
func refuseGrant(format string, args ...any) error {
	return &oauth.Error{Code: oauth.ErrInvalidGrant, Description: "the assertion is not acceptable", Err: fmt.Errorf("assertion: "+format, args...)}
}

// grantClaims are the claims that decide. What need not be there is read in
// whatever form it comes.
type grantClaims struct {
	claims
	ClientID      json.RawMessage `json:"client_id"`
	Scope         json.RawMessage `json:"scope"`
	Resource      json.RawMessage `json:"resource"`
	Tenant        json.RawMessage `json:"tenant"`
	Email         json.RawMessage `json:"email"`
	EmailVerified json.RawMessage `json:"email_verified"`
	Confirmation  json.RawMessage `json:"cnf"`
	Details       json.RawMessage `json:"authorization_details"`
}

// text returns the string of a claim, or nothing.
func text(raw json.RawMessage) string {
	s, _ := strictjson.String(raw)
	return s
}

// public is what hooks are given.
func (c *grantClaims) public(body []byte) Claims {
	return Claims{
		Issuer: c.Issuer, Subject: c.Subject, Tenant: text(c.Tenant), Email: text(c.Email),
		EmailVerified: string(c.EmailVerified) == "true", ClientID: text(c.ClientID), JSON: body,
	}
}

// parsed is an assertion before anything about it is proven.
type parsed struct {
	token  *jose.Token
	typ    string // in lower case, without application/
	issuer string
}

func parse(assertion string) (*parsed, error) {
	token, err := jose.Parse(assertion, maxSize)
	if err != nil {
		return nil, refuseGrant("%w", err)
	}
	var unproven struct {
		Issuer string `json:"iss"`
	}
	if err := strictjson.Unmarshal(token.Unverified(), &unproven); err != nil {
		return nil, refuseGrant("claims: %w", err)
	}
	return &parsed{token: token, typ: tokenType(token), issuer: unproven.Issuer}, nil
}

// tokenType is the typ of a token, as media types are compared (RFC 7515 §4.1.9).
func tokenType(t *jose.Token) string {
	return strings.TrimPrefix(strings.ToLower(t.Type), "application/")
}

// judge proves an assertion and checks what every one must be (RFC 7523 §3). by
// is who its iss says. It returns the claims, as text too, and until when the
// assertion could be used.
func (p *parsed) judge(ctx context.Context, by *issuer, audiences []string) (c *grantClaims, body []byte, until time.Time, err error) {
	if body, err = by.verify(ctx, p.token); err != nil {
		return nil, nil, until, err
	}
	c = new(grantClaims)
	if err := strictjson.Unmarshal(body, c); err != nil {
		return nil, nil, until, refuseGrant("claims: %w", err)
	}
	until, err = c.inTime(by.MaxLifetime, time.Now())
	switch {
	case err != nil:
		return nil, nil, until, refuseGrant("%w", err)
	case c.Issued >= c.Expires || c.Expires-c.Issued > (by.MaxLifetime+leeway).Seconds():
		return nil, nil, until, refuseGrant("it has no iat, or one not before its exp, or too long before it")
	case c.Subject == "":
		return nil, nil, until, refuseGrant("it has no sub")
	case len(c.Confirmation) > 0 || len(c.Details) > 0:
		// Who is bound to a key, or to details, must not get a token that is not.
		return nil, nil, until, refuseGrant("it has cnf or authorization_details, which are not supported")
	}
	named := audience(c.Audience)
	for _, a := range audiences {
		if named == a {
			return c, body, until, nil
		}
	}
	return nil, nil, until, refuseGrant("its aud is not this server alone")
}

// grant answers a token request of a client that is known: a workload is since
// its assertion was judged, everybody else has authenticated.
func (g *grants) grant(ctx context.Context, q *oauth.ClientRequest) (*oauth.Issuance, error) {
	if q.Client.AuthMethod == workloadMethod {
		return g.workloadGrant(ctx, q)
	}
	if !q.Form.Has("assertion") {
		return nil, badRequest("assertion is missing")
	}
	p, err := parse(q.Form.Get("assertion"))
	if err != nil {
		return nil, err
	}
	if p.typ != idJAG {
		return nil, refuseGrant("it is no ID-JAG, and a workload is no client")
	}
	return g.enterpriseGrant(ctx, q, p)
}

// onResponse tells a client what its token is for.
func onResponse(_ context.Context, is *oauth.Issuance, res *oauth.TokenResponse) error {
	if is.GrantType != grantType || len(is.Resources) == 0 {
		return nil
	}
	if res.Extra == nil {
		res.Extra = map[string]any{}
	}
	if res.Extra["resource"] = is.Resources; len(is.Resources) == 1 {
		res.Extra["resource"] = is.Resources[0]
	}
	return nil
}

// spendGrant spends an assertion under the name of its issuer.
func (g *grants) spend(ctx context.Context, issuer, jti string, until time.Time) error {
	err := spend(ctx, g.reg.Config().Store, grantKind, issuer, jti, until)
	if errors.Is(err, errSpent) {
		return refuseGrant("%w", err)
	}
	return err
}
