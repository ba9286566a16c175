// Package assertion is what signed JWTs are good for at a token endpoint (RFC
// 7523), as an extension of an oauth.Provider.
//
// Clients authenticate with one, private_key_jwt (§2.2; OpenID Connect Core §9).
// A client that is to use it is registered with that AuthMethod and its public
// keys, as JWKS or JWKSURI. There is no secret then that the provider could lose.
//
// And access tokens are given for one, the JWT bearer grant (§2.1; grant_type
// urn:ietf:params:oauth:grant-type:jwt-bearer), if somebody else is named whose
// word counts: an [Enterprise], for its users, or a [Platform], for the workloads
// that run there.
package assertion

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/fetch"
)

// Config says which assertions are believed, and how they are judged. Its zero
// value is good: clients may use private_key_jwt, and the grant is off.
//
// The assertion of a client names as aud the provider's issuer or its token
// endpoint, as one string: a list is refused, even of one, since what is good at
// several servers could come from another one.
type Config struct {
	// MaxLifetime is how far in the future the exp of a client's assertion may be,
	// which is also how long its jti is remembered; 1 hour.
	MaxLifetime time.Duration

	// HTTPClient fetches key sets, of clients (jwks_uri) and of issuers. Redirects,
	// cookies and more than 5 seconds are not allowed it, but which addresses it
	// connects to is its own affair. Nil: public addresses only, directly, at port
	// 443.
	HTTPClient *http.Client

	// Enterprises are the identity providers whose ID-JAGs are good for tokens.
	Enterprises []Enterprise

	// Platforms are where workloads run that get tokens without being registered.
	Platforms []Platform
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
	cfg.Enterprises, cfg.Platforms = slices.Clone(cfg.Enterprises), slices.Clone(cfg.Platforms)
	return func(r *oauth.Registry) error { return extend(r, cfg) }
}

func extend(r *oauth.Registry, cfg Config) error {
	if cfg.MaxLifetime < 0 || cfg.MaxLifetime > longest {
		return fmt.Errorf("assertion: Config.MaxLifetime must not be negative, nor over %s", longest)
	}
	v := &verifier{cfg: cfg, reg: r, keys: newKeyCache(cfg.HTTPClient), strangersKeys: newKeyCache(cfg.HTTPClient)}
	r.ClientAuth(method, v.authenticate)
	r.OnMetadata(func(m oauth.Metadata) {
		for _, endpoint := range []string{"token", "revocation", "introspection"} {
			m[endpoint+"_endpoint_auth_signing_alg_values_supported"] = algs
		}
	})
	if len(cfg.Enterprises)+len(cfg.Platforms) == 0 {
		return nil
	}
	return extendGrants(r, cfg)
}

// extendGrants adds the grant.
func extendGrants(r *oauth.Registry, cfg Config) error {
	g := &grants{reg: r, enterprises: map[string]*enterprise{}, platforms: map[string]*platform{}, targets: newTargets(r.Config())}
	var errs []error
	for i, e := range cfg.Enterprises {
		if err := g.addEnterprise(e, cfg.HTTPClient); err != nil {
			errs = append(errs, fmt.Errorf("assertion: Config.Enterprises[%d]: %w", i, err))
		}
	}
	for i, p := range cfg.Platforms {
		if err := g.addPlatform(p, cfg.HTTPClient); err != nil {
			errs = append(errs, fmt.Errorf("assertion: Config.Platforms[%d]: %w", i, err))
		}
	}
	r.GrantType(grantType, g.grant)
	r.OnResponse(onResponse)
	r.OnMetadata(g.onMetadata)
	if len(g.platforms) > 0 {
		r.ClientAuth(workloadMethod, g.authenticate)
		r.ClientSource(g.known)
	}
	return errors.Join(errs...)
}

var errTwice = errors.New("its issuer stands there twice")

func (g *grants) addEnterprise(e Enterprise, general *http.Client) error {
	e.Issuer, e.Scopes = e.Issuer.withDefaults(general), slices.Clone(e.Scopes)
	if e.Clients == nil {
		e.Clients = confidential
	}
	if _, taken := g.enterprises[e.URL]; taken {
		return errTwice
	}
	if err := e.check(g.reg.Config()); err != nil {
		return err
	}
	by, err := newIssuer(e.Issuer)
	g.enterprises[e.URL] = &enterprise{e, by}
	return err
}

func (g *grants) addPlatform(p Platform, general *http.Client) error {
	p.Issuer, p.Audiences, p.Rules = p.Issuer.withDefaults(general), slices.Clone(p.Audiences), slices.Clone(p.Rules)
	for i, r := range p.Rules {
		p.Rules[i].Claims = maps.Clone(r.Claims)
		p.Rules[i].Scopes, p.Rules[i].Resources = slices.Clone(r.Scopes), slices.Clone(r.Resources)
	}
	if _, taken := g.platforms[p.URL]; taken {
		return errTwice
	}
	if err := p.check(g.reg.Config(), g.targets); err != nil {
		return err
	}
	by, err := newIssuer(p.Issuer)
	g.platforms[p.URL] = &platform{p, by}
	g.dynamic = g.dynamic || p.Decide != nil
	return err
}

// onMetadata advertises the grant (§7.2 of the draft), and takes back that it is
// a way for clients to authenticate, which it is only for those who are none.
func (g *grants) onMetadata(m oauth.Metadata) {
	if len(g.enterprises) > 0 {
		m["authorization_grant_profiles_supported"] = []string{grantProfile}
	}
	for _, endpoint := range []string{"token", "revocation", "introspection"} {
		name := endpoint + "_endpoint_auth_methods_supported"
		if list, ok := m[name].([]string); ok {
			m[name] = slices.DeleteFunc(slices.Clone(list), func(method string) bool { return method == workloadMethod })
		}
	}
}
