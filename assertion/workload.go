package assertion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

// Platform is where workloads run that get access tokens for themselves by the
// JWT that the platform gives them: workload identity federation. Such a
// workload is registered nowhere and has no secret; it is a client by this
// configuration alone. It gets what the first Rule that its claims match says,
// and nothing if there is none.
//
// Its tokens carry "workload:" and its Subject as client_id and sub. There is no
// refresh token. [oauth.Provider.Revoke] ends one of its tokens, for the client
// that [oauth.Provider.Client] returns for that ID; leaving out its rule ends
// them all, where tokens are verified by the provider.
type Platform struct {
	Issuer

	// Audiences are the aud that a JWT may have, one alone of them. Nil: the
	// provider's issuer and its token endpoint. A JWT for an audience that other
	// servers accept as well can be used here by them.
	Audiences []string

	// Rules say which workloads get what; the first that matches counts.
	Rules []Rule

	// Decide is asked where no rule matches. A Workload without Subject gets
	// nothing; one must not be called like that of a rule. An error is an outage,
	// and an *oauth.Error is answered as it is. It may be called more than once for
	// one assertion. Nil: nothing for anybody else.
	Decide func(ctx context.Context, c Claims) (Workload, error)

	// Reusable lets a JWT be used until it expires, and without jti: some platforms
	// give a workload the same one for an hour. Who steals it can use it as well.
	// Default: each JWT is used once.
	Reusable bool
}

// Rule is what the workloads of a platform get whose claims are as it says.
type Rule struct {
	Claims map[string]string // by name: strings that must be equal; at least one
	Workload
}

// Workload is a client that nobody has registered, and what it may have.
type Workload struct {
	// Subject is its name: visible ASCII characters, 200 at most. Two rules that
	// give one Subject speak of one workload, also those of two platforms.
	Subject string

	Scopes    []string // what it gets, or less if it asks for less
	Resources []string // what for; the first is its default. Empty: the first of oauth.Config.Resources
}

const (
	workloadPrefix = "workload:"
	workloadMethod = grantType // an AuthMethod that no stored client can use
	maxWorkload    = 200
)

// workloadTypes are the typ of JWTs that are credentials of workloads: none, the
// general ones, and that of draft-ietf-oauth-rfc7523bis. A token that says to be
// something else, such as an access token, is not used as one.
var workloadTypes = []string{"", "jwt", "jose", "authorization-grant+jwt"}

// platform is a Platform at work.
type platform struct {
	Platform
	issuer *issuer
}

func (p *Platform) check(own oauth.Config, t *targets) error {
	if len(p.Rules) == 0 && p.Decide == nil {
		return errors.New("there are no Rules and no Decide: they say which workloads get what")
	}
	for i, r := range p.Rules {
		if len(r.Claims) == 0 {
			return fmt.Errorf("its Rules[%d] has no Claims: every workload of the platform would match", i)
		}
		if err := r.check(own, t); err != nil {
			return fmt.Errorf("its Rules[%d]: %w", i, err)
		}
	}
	if p.Audiences != nil && (len(p.Audiences) == 0 || slices.Contains(p.Audiences, "")) {
		return errors.New("its Audiences has none, or an empty one")
	}
	return p.Issuer.check(own.Issuer)
}

func (w *Workload) check(own oauth.Config, t *targets) error {
	if w.Subject == "" || len(w.Subject) > maxWorkload || strings.ContainsFunc(w.Subject, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("the Subject must be 1 to %d visible ASCII characters", maxWorkload)
	}
	if s, ok := unknown(w.Scopes, own.Scopes); ok {
		return fmt.Errorf("scope %q is not in oauth.Config.Scopes", s)
	}
	if _, err := t.find(w.Resources); err != nil {
		return errors.New("a resource is not in oauth.Config.Resources")
	}
	return nil
}

// matches reports whether all claims of the rule are there.
func (r *Rule) matches(claims map[string]json.RawMessage) bool {
	for name, want := range r.Claims {
		if got, ok := strictjson.String(claims[name]); !ok || got != want {
			return false
		}
	}
	return true
}

// spending is what is needed to spend a workload's assertion, once all else
// about the request has been found good.
type spending struct {
	Issuer, ID string
	Until      time.Time
}

// client is who a workload is. That is all there is of it: it has no secret and
// no keys, so that nothing but an assertion can make a request its own.
func (t *targets) client(w Workload) *oauth.Client {
	resources, err := t.find(w.Resources)
	if err != nil || len(resources) == 0 {
		resources = t.first
	}
	return &oauth.Client{
		ID: workloadPrefix + w.Subject, Name: w.Subject, Version: 1, Trust: store.TrustRegistered,
		AuthMethod: workloadMethod, GrantTypes: []string{grantType}, Scopes: w.Scopes, Resources: resources,
	}
}

// known is the oauth.Registry's client source: workloads stand as long as the
// configuration names them, or could.
func (g *grants) known(_ context.Context, id string) (*oauth.Client, error) {
	subject, ok := strings.CutPrefix(id, workloadPrefix)
	if !ok {
		return nil, store.ErrNotFound
	}
	if w, ok := g.named(subject); ok {
		return g.targets.client(w), nil
	}
	if g.dynamic {
		return g.targets.client(Workload{Subject: subject}), nil
	}
	return nil, store.ErrNotFound
}

// named finds the workload that a rule speaks of.
func (g *grants) named(subject string) (Workload, bool) {
	for _, p := range g.platforms {
		for _, r := range p.Rules {
			if r.Subject == subject {
				return r.Workload, true
			}
		}
	}
	return Workload{}, false
}

// authenticate recognises a workload for oauth.Registry.ClientAuth: by its
// assertion, which is all that it shows. It comes after the other methods, so
// that who has a client_assertion is that client. At endpoints that are about a
// token a workload is nobody, since an assertion is not spent there.
func (g *grants) authenticate(ctx context.Context, c oauth.Credentials) (*oauth.Client, error) {
	if c.Form.Get("grant_type") != grantType || !c.Form.Has("assertion") || c.Form.Has("token") ||
		c.ClientID != "" || c.Secret != "" {
		return nil, nil
	}
	parsed, err := parse(c.Form.Get("assertion"))
	if err != nil {
		return nil, err
	}
	if parsed.typ == idJAG {
		return nil, nil // it is its client who has to authenticate
	}
	p := g.platforms[parsed.issuer]
	switch {
	case !slices.Contains(workloadTypes, parsed.typ):
		return nil, refuseGrant("it is a token of another type")
	case p == nil:
		return nil, refuseGrant("its issuer is not trusted")
	}
	claims, body, until, err := parsed.judge(ctx, p.issuer, g.audiences(p))
	if err != nil {
		return nil, err
	}
	if err := checkJTI(claims.ID); err != nil && !p.Reusable {
		return nil, refuseGrant("%w", err)
	}
	w, err := g.decide(ctx, p, claims, body)
	if err != nil {
		return nil, err
	}
	client := g.targets.client(w)
	if !p.Reusable {
		if client.Data, err = json.Marshal(spending{claims.Issuer, claims.ID, until}); err != nil {
			return nil, fmt.Errorf("assertion: %w", err)
		}
	}
	return client, nil
}

func (g *grants) audiences(p *platform) []string {
	if p.Audiences != nil {
		return p.Audiences
	}
	endpoint, _ := g.reg.Provider().Metadata()["token_endpoint"].(string)
	return []string{g.reg.Config().Issuer, endpoint}
}

func (g *grants) decide(ctx context.Context, p *platform, c *grantClaims, body []byte) (Workload, error) {
	members, err := strictjson.Object(body, strictjson.MaxDepth)
	if err != nil {
		return Workload{}, refuseGrant("claims: %w", err)
	}
	for _, r := range p.Rules {
		if r.matches(members) {
			return r.Workload, nil
		}
	}
	if p.Decide == nil {
		return Workload{}, refuseGrant("no rule matches")
	}
	w, err := p.Decide(ctx, c.public(body))
	if err != nil {
		return Workload{}, fmt.Errorf("assertion: Platform.Decide: %w", err)
	}
	if w.Subject == "" {
		return Workload{}, refuseGrant("the app wants no such workload")
	}
	if err := w.check(g.reg.Config(), g.targets); err != nil {
		return Workload{}, fmt.Errorf("assertion: Platform.Decide: %w", err)
	}
	if _, taken := g.named(w.Subject); taken {
		return Workload{}, errors.New("assertion: Platform.Decide: its Subject is that of a rule")
	}
	return w, nil
}

// workloadGrant gives a workload a token for itself.
func (g *grants) workloadGrant(ctx context.Context, q *oauth.ClientRequest) (*oauth.Issuance, error) {
	resources, err := g.targets.audience(q.Client, nil, q.Form["resource"])
	if err != nil {
		return nil, err
	}
	wanted := strings.Fields(q.Form.Get("scope"))
	if len(wanted) == 0 {
		wanted = q.Client.Scopes
	}
	scopes, err := g.targets.granted(wanted, resources, q.Client.Scopes)
	if err != nil {
		return nil, err
	}
	if len(q.Client.Data) > 0 {
		var s spending
		if err := json.Unmarshal(q.Client.Data, &s); err != nil {
			return nil, fmt.Errorf("assertion: %w", err)
		}
		if err := g.spend(ctx, s.Issuer, s.ID, s.Until); err != nil {
			return nil, err
		}
	}
	return &oauth.Issuance{Scopes: scopes, Resources: resources}, nil
}
