package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth/store"
)

// Extension adds a specification to the provider: a grant type, an endpoint, a
// source of clients, a hook. It is called once, by New, and registers what it
// brings; New returns its error.
type Extension func(r *Registry) error

// The functions that extensions register; Registry's methods say what each does.
type (
	grantFunc        = func(ctx context.Context, r *ClientRequest) (*Issuance, error)
	endpointFunc     = func(ctx context.Context, r *ClientRequest) (any, error)
	clientAuthFunc   = func(ctx context.Context, c Credentials) (*Client, error)
	responseModeFunc = func(w http.ResponseWriter, r *http.Request, to RedirectURI, params url.Values)
)

// ClientRequest is a back-channel request whose client is known.
type ClientRequest struct {
	Client *Client
	Form   url.Values           // one value per parameter, but for resource; none is empty
	TLS    *tls.ConnectionState // nil without TLS, or without HTTP
}

// Registry is where extensions plug in. Registering what is there already is an
// error that New returns. After New has returned, only Provider, Config, Sign,
// CheckRedirectURI, DefaultScopes and Emit may be called.
type Registry struct {
	p    *Provider
	errs []error

	grants      map[string]grantFunc
	endpoints   []clientEndpoint
	handlers    []publicHandler
	modes       map[string]responseModeFunc
	auth        map[string]clientAuthFunc
	authOrder   []string
	scopes      map[string]string
	sources     []func(context.Context, string) (*Client, error)
	onRequest   []func(context.Context, url.Values) (url.Values, error)
	onAuthorize []func(context.Context, *AuthorizationRequest) error
	onIssue     []func(context.Context, *Issuance) error
	onResponse  []func(context.Context, *Issuance, *TokenResponse) error
	onMetadata  []func(Metadata)
}

type clientEndpoint struct {
	path, name string
	f          endpointFunc
}

type publicHandler struct {
	path, name string
	h          http.Handler
}

func newRegistry(p *Provider) *Registry {
	return &Registry{
		p:      p,
		grants: map[string]grantFunc{},
		modes:  map[string]responseModeFunc{},
		auth:   map[string]clientAuthFunc{},
		scopes: map[string]string{},
	}
}

func (r *Registry) fail(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("oauth: "+format, args...))
}

func add[V any](r *Registry, what, name string, m map[string]V, v V) {
	if _, taken := m[name]; taken || name == "" {
		r.fail("%s %q is registered twice, or has no name", what, name)
		return
	}
	m[name] = v
}

// Provider is the provider that is being built. Its methods may be called once
// New has returned.
func (r *Registry) Provider() *Provider { return r.p }

// Config is the provider's configuration, defaults filled in.
func (r *Registry) Config() Config { return r.p.cfg }

// GrantType registers what the token endpoint does for a grant_type, for clients
// whose GrantTypes name it. f reads and verifies; who gets what is its result. It
// issues nothing: the provider does, once OnIssue hooks have agreed.
//
// What f says is narrowed to what there is and what r.Client may have: scopes of
// the client (ErrInvalidScope if none is left), resources of Config and the
// client (ErrInvalidTarget), and Refresh only for clients with the grant type
// refresh_token. An error that is no [*Error] is reported as an outage.
func (r *Registry) GrantType(name string, f func(ctx context.Context, r *ClientRequest) (*Issuance, error)) {
	add(r, "grant type", name, r.grants, f)
}

// Endpoint registers an endpoint for authenticated clients at a path below
// Config.Prefix, such as "/par". name is its metadata member, such as
// "pushed_authorization_request_endpoint". What f returns becomes JSON; nil is an
// empty 200.
func (r *Registry) Endpoint(path, name string, f func(ctx context.Context, r *ClientRequest) (any, error)) {
	if r.checkPath(path, name) {
		r.endpoints = append(r.endpoints, clientEndpoint{path, name, f})
	}
}

// Handle registers a handler for browsers or the public at a path below
// Config.Prefix, or below "/.well-known/" of the host. name is its metadata
// member; empty: it is not advertised.
func (r *Registry) Handle(path, name string, h http.Handler) {
	if r.checkPath(path, name) {
		r.handlers = append(r.handlers, publicHandler{path, name, h})
	}
}

func (r *Registry) checkPath(path, name string) bool {
	if !plainPath(path) {
		r.fail("endpoint %q: the path must be plain and begin with a slash", path)
		return false
	}
	for _, e := range r.endpoints {
		if e.path == path || e.name == name && name != "" {
			r.fail("endpoint %q is registered twice", path)
			return false
		}
	}
	for _, e := range r.handlers {
		if e.path == path || e.name == name && name != "" {
			r.fail("endpoint %q is registered twice", path)
			return false
		}
	}
	return true
}

// Scope adds a scope that belongs to no resource, such as offline_access, with
// a line for the consent page.
func (r *Registry) Scope(name, description string) {
	if !validScopeName(name) {
		r.fail("scope %q is not a scope name", name)
		return
	}
	add(r, "scope", name, r.scopes, description)
}

// ResponseMode registers a response_mode: f writes the authorization response.
func (r *Registry) ResponseMode(name string, f func(w http.ResponseWriter, r *http.Request, to RedirectURI, params url.Values)) {
	add(r, "response mode", name, r.modes, f)
}

// ClientAuth registers a token_endpoint_auth_method. f returns nil and no error
// for a request that does not carry what it looks for.
func (r *Registry) ClientAuth(method string, f func(ctx context.Context, c Credentials) (*Client, error)) {
	add(r, "client authentication method", method, r.auth, f)
	r.authOrder = append(r.authOrder, method)
}

// ClientSource registers a place that is asked for a client before the store
// is. It answers store.ErrNotFound for an ID that is not its own, or an error that
// wraps it and says, for the log, why the client of this ID cannot be had for now;
// what users have agreed to is kept then.
func (r *Registry) ClientSource(f func(ctx context.Context, id string) (*Client, error)) {
	r.sources = append(r.sources, f)
}

// OnRequest registers a rewrite of the parameters of an authorization request,
// before anything is read from them.
func (r *Registry) OnRequest(f func(ctx context.Context, params url.Values) (url.Values, error)) {
	r.onRequest = append(r.onRequest, f)
}

// OnAuthorize registers a veto: an error refuses a valid authorization request.
func (r *Registry) OnAuthorize(f func(ctx context.Context, req *AuthorizationRequest) error) {
	r.onAuthorize = append(r.onAuthorize, f)
}

// OnIssue registers a hook that may narrow what is about to be issued, add
// claims to it, or refuse it by an error.
func (r *Registry) OnIssue(f func(ctx context.Context, is *Issuance) error) {
	r.onIssue = append(r.onIssue, f)
}

// OnResponse registers a hook that may add members to a token response, such as
// an id_token. Nothing has been spent yet: an error refuses the request.
func (r *Registry) OnResponse(f func(ctx context.Context, is *Issuance, res *TokenResponse) error) {
	r.onResponse = append(r.onResponse, f)
}

// OnMetadata registers a change to the metadata document, made once, by New.
func (r *Registry) OnMetadata(f func(m Metadata)) { r.onMetadata = append(r.onMetadata, f) }

// Sign returns a JWT of this type (the typ header), signed with the provider's
// current key. "at+jwt" is refused: access tokens are made by the provider.
func (r *Registry) Sign(ctx context.Context, typ string, claims map[string]any) (string, error) {
	if strings.EqualFold(strings.TrimPrefix(strings.ToLower(typ), "application/"), accessTokenType) {
		return "", errors.New("oauth: access tokens are not signed by extensions")
	}
	body, err := marshalClaims(claims)
	if err != nil {
		return "", err
	}
	keys, err := r.p.signingKeys(ctx)
	if err != nil {
		return "", err
	}
	return keys.signer.Sign(ctx, typ, body)
}

// CheckRedirectURI judges an address as [Provider.RegisterClient] does for a
// client of this application_type, for sources of clients that keep the good
// ones of a list. ErrInvalidRedirectURI.
func (r *Registry) CheckRedirectURI(uri, applicationType string) error {
	if e := checkRedirectURI(uri, applicationType, r.p.cfg.Policy.PrivateUseSchemes); e != nil {
		return e
	}
	return nil
}

// DefaultScopes are those that a client asks for where it describes itself (RFC
// 7591 §2), of the ones allowed to it, for [Client.DefaultScopes]. If nothing of
// that is a scope of Config, and only one of an extension such as
// offline_access, they are none: a token that allows nothing else is of no use.
func (r *Registry) DefaultScopes(requested string, allowed []string) []string {
	var out []string
	useful := false
	for _, name := range strings.Fields(requested) {
		if slices.Contains(allowed, name) && !slices.Contains(out, name) {
			_, own := r.p.cfg.Scopes[name]
			out, useful = append(out, name), useful || own
		}
	}
	if !useful {
		return nil
	}
	return out
}

// Emit reports an event of the extension's own to Config.OnEvent.
func (r *Registry) Emit(ctx context.Context, e Event) { r.p.emit(ctx, e) }

// find asks the sources, then the store.
func (r *Registry) find(ctx context.Context, id string) (*Client, error) {
	var why error
	for _, source := range r.sources {
		c, err := source(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			if err != store.ErrNotFound {
				why = err
			}
			continue
		}
		return c, err
	}
	c, err := r.p.cfg.Store.Client(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound) && why != nil:
		return nil, why
	case err != nil:
		return nil, err
	}
	return &c, nil
}
