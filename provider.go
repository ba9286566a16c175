package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Provider is an OAuth 2.1 authorization server inside an app. It is an
// http.Handler of all its endpoints, and a set of methods that do the same
// without HTTP. It is safe for concurrent use, starts no goroutine and needs no
// closing.
type Provider struct {
	cfg         Config
	log         *slog.Logger
	reg         *Registry
	secrets     *secretChecker
	keys        *keys
	sealInter   *sealer
	sealLogin   *sealer
	pages       map[string]*template.Template
	crossOrigin *http.CrossOriginProtection
	names       nameBook

	origin     string // scheme and host of the issuer
	base       string // path that the endpoints are below
	paths      paths
	secure     bool // the issuer is https
	issuerJSON []byte
	resources  map[string]Resource // by URI
	canonical  map[string]string   // canonical URI to URI
	metadata   Metadata
	routes     map[string]http.Handler
	order      []string
}

type paths struct{ authorize, consent, token, revoke, introspect, jwks string }

// New checks the configuration and builds a provider. The error names
// everything that is wrong with it, joined.
func New(cfg Config) (*Provider, error) {
	cfg = cfg.clone()
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		cfg: cfg, log: cfg.Logger,
		origin: u.Scheme + "://" + u.Host, secure: u.Scheme == "https", base: u.Path + cfg.Prefix,
		issuerJSON:  appendJSONString(nil, cfg.Issuer),
		crossOrigin: http.NewCrossOriginProtection(),
		resources:   map[string]Resource{}, canonical: map[string]string{},
	}
	p.paths = paths{p.base + "/authorize", p.base + "/consent", p.base + "/token", p.base + "/revoke", p.base + "/introspect", p.base + "/jwks"}
	for _, r := range cfg.Resources {
		canonical, _ := canonicalResource(r.URI)
		p.resources[r.URI], p.canonical[canonical] = r, r.URI
	}
	if p.secrets, err = newSecretChecker(cfg.Policy.BcryptCost); err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	if p.pages, err = loadPages(cfg.Templates); err != nil {
		return nil, err
	}
	if err := p.tryPages(); err != nil {
		return nil, err
	}
	if err := p.crossOrigin.AddTrustedOrigin(p.origin); err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	if err := p.openSeals(); err != nil {
		return nil, err
	}
	if err := p.extend(); err != nil {
		return nil, err
	}
	if _, err := p.keys.ring(context.Background()); err != nil {
		where := "Config.Keys"
		if cfg.Keys == nil {
			where = "Config.Store, which keeps the signing keys"
		}
		return nil, fmt.Errorf("oauth: %s: %w", where, err)
	}
	return p, nil
}

func (c Config) clone() Config {
	c.Scopes = maps.Clone(c.Scopes)
	c.Resources = slices.Clone(c.Resources)
	for i := range c.Resources {
		c.Resources[i].Scopes = slices.Clone(c.Resources[i].Scopes)
		c.Resources[i].Introspectors = slices.Clone(c.Resources[i].Introspectors)
	}
	c.Secret = slices.Clone(c.Secret)
	c.RetiredSecrets = slices.Clone(c.RetiredSecrets)
	c.Extensions = slices.Clone(c.Extensions)
	c.Policy.PrivateUseSchemes = slices.Clone(c.Policy.PrivateUseSchemes)
	return c
}

// openSeals derives the keys that seal things, and chooses the key source.
func (p *Provider) openSeals() error {
	secrets := append([][]byte{p.cfg.Secret}, p.cfg.RetiredSecrets...)
	ownSecret := p.cfg.Secret != nil
	if !ownSecret {
		secrets[0] = make([]byte, 32)
		rand.Read(secrets[0])
		p.log.Warn("oauth: Config.Secret is not set: consent pages, and managed keys with the tokens that they signed, end with this process, and no other takes them: make one with openssl rand -base64 32")
	}
	var err, err2, err3 error
	var sealKeys *sealer
	p.sealInter, err = newSealer("interaction", secrets)
	p.sealLogin, err2 = newSealer("sign-in", secrets)
	sealKeys, err3 = newSealer("signing keys", secrets)
	if err := errors.Join(err, err2, err3); err != nil {
		return fmt.Errorf("oauth: Config.Secret: %w", err)
	}
	source := p.cfg.Keys
	if source == nil {
		m := newManagedKeys(p.cfg.Policy, sealKeys)
		if ownSecret {
			m.store = p.cfg.Store
		}
		source = m
	}
	p.keys = &keys{source: source, failed: func(err error) {
		p.emit(context.Background(), Event{Kind: EventOutage, Detail: "signing keys", Err: err})
	}}
	return nil
}

// extend registers the core's own grants and modes, then the extensions', and
// builds what follows from them.
func (p *Provider) extend() error {
	p.reg = newRegistry(p)
	p.registerGrants(p.reg)
	p.reg.ResponseMode("query", respondQuery)
	p.reg.ResponseMode("form_post", func(w http.ResponseWriter, r *http.Request, to RedirectURI, params url.Values) {
		p.respondFormPost(w, r, to, params)
	})
	for i, e := range p.cfg.Extensions {
		if e == nil {
			p.reg.fail("Config.Extensions[%d] is nil", i)
			continue
		}
		if err := e(p.reg); err != nil {
			p.reg.errs = append(p.reg.errs, err)
		}
	}
	for name := range p.reg.scopes {
		if _, taken := p.cfg.Scopes[name]; taken {
			p.reg.fail("scope %q is an extension's and must not be in Config.Scopes", name)
		}
	}
	if err := errors.Join(p.reg.errs...); err != nil {
		return err
	}
	p.metadata = p.buildMetadata()
	return p.buildRoutes()
}

func (p *Provider) buildRoutes() error {
	metadata, err := p.metadataHandler()
	if err != nil {
		return err
	}
	p.routes = map[string]http.Handler{}
	var errs []error
	route := func(path, name string, h http.Handler) {
		if _, taken := p.routes[path]; taken {
			errs = append(errs, fmt.Errorf("oauth: two endpoints at %s", path))
		}
		p.routes[path] = asWritten(p.observed(name, h))
		p.order = append(p.order, path)
	}
	route(p.paths.authorize, "authorize", http.HandlerFunc(p.authorizeEndpoint))
	route(p.paths.consent, "consent", http.HandlerFunc(p.consentEndpoint))
	route(p.paths.token, "token", p.endpoint(p.tokenEndpoint))
	route(p.paths.revoke, "revoke", p.endpoint(p.revokeEndpoint))
	route(p.paths.introspect, "introspect", p.endpoint(p.introspectEndpoint))
	route(p.paths.jwks, "jwks", p.jwksHandler())
	for _, path := range wellKnown(strings.TrimPrefix(p.cfg.Issuer, p.origin)) {
		route(path, "metadata", metadata)
	}
	for _, e := range p.reg.endpoints {
		route(p.base+e.path, strings.TrimPrefix(e.path, "/"), p.endpoint(e.f))
	}
	for _, h := range p.reg.handlers {
		route(p.handlerPath(h.path), strings.TrimPrefix(h.path, "/"), h.h)
	}
	return errors.Join(errs...)
}

// handlerPath is the path on the host of a handler that an extension brings.
func (p *Provider) handlerPath(path string) string {
	if strings.HasPrefix(path, "/.well-known/") {
		return path
	}
	return p.base + path
}

// ServeHTTP serves every endpoint, and 404 for all other paths. Paths are
// compared exactly, as they are on the public host: do not strip a prefix. A
// path that is spelled with escapes (/oauth%2ftoken) is another one, also where
// Routes are mounted: what stands in front may have rules for the plain one.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := p.routes[r.URL.Path]; ok {
		h.ServeHTTP(w, r)
		return
	}
	notFound(w, r)
}

// asWritten serves h at a path without escapes: a mux decodes paths before it
// compares them.
func asWritten(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not RawPath alone: it is empty for /a%21, as package url escapes that itself,
		// and set for /a!.
		if r.URL.EscapedPath() != r.URL.Path {
			notFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/.well-known/") {
		// Clients in web pages look in several places; one that they may not read
		// would end their search.
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	http.NotFound(w, r)
}

// Routes yields every endpoint with its path on the public host, for mounting
// them one by one beside other routes:
//
//	for path, h := range p.Routes() {
//		mux.Handle(path, h)
//	}
//
// A ServeMux with a catch-all for one method, such as "GET /", panics at them.
// Leave it as it is, and put one around it that has both: it, at "/", and these.
func (p *Provider) Routes() iter.Seq2[string, http.Handler] {
	return func(yield func(string, http.Handler) bool) {
		for _, path := range p.order {
			if !yield(path, p.routes[path]) {
				return
			}
		}
	}
}
