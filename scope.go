package oauth

import (
	"net/url"
	"slices"
	"strings"
)

// Bounds of what a request may ask for, so that no list grows with the input.
const (
	maxScopes    = 200
	maxScopeLen  = 128
	maxResources = 10
)

// parseScope splits a scope parameter (RFC 6749 §3.3) into its names, each once
// and in the order of their first use.
func parseScope(s string) ([]string, *Error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxScopes*maxScopeLen {
		return nil, errorf(ErrInvalidScope, "scope is too long")
	}
	names := strings.Split(s, " ")
	if len(names) > maxScopes {
		return nil, errorf(ErrInvalidScope, "scope has more than %d names", maxScopes)
	}
	out := names[:0]
	for _, name := range names {
		if !validScopeName(name) {
			return nil, errorf(ErrInvalidScope, "scope must be names separated by one space (RFC 6749, section 3.3)")
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// validScopeName: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
func validScopeName(s string) bool {
	if s == "" || len(s) > maxScopeLen {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// intersect returns the elements of a that allowed has, in a's order.
func intersect(a, allowed []string) []string {
	out := make([]string, 0, len(a))
	for _, s := range a {
		if slices.Contains(allowed, s) {
			out = append(out, s)
		}
	}
	return out
}

// subset reports whether every element of a is in b.
func subset(a, b []string) bool {
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}

// requestScopes decides which scopes a request of the client can get: what it
// asked for, or its default where it asked for nothing, cut down to what it may
// have. What is unknown is narrowed away, never fatal, unless nothing is left
// (RFC 6749 §3.3).
func (p *Provider) requestScopes(c *Client, requested, resources []string) ([]string, *Error) {
	wanted := requested
	if len(wanted) == 0 {
		if wanted = c.DefaultScopes; len(wanted) == 0 {
			wanted = c.Scopes
		}
	}
	granted := make([]string, 0, len(wanted))
	for _, s := range intersect(wanted, c.Scopes) {
		if p.scopeKnown(s, resources) {
			granted = append(granted, s)
		}
	}
	if len(granted) == 0 && len(requested) > 0 {
		return nil, errorf(ErrInvalidScope, "none of the requested scopes can be granted to this client").because("Client.Scopes is %q", c.Scopes)
	}
	if len(granted) < len(requested) {
		p.log.Info("oauth: scopes were narrowed", "client_id", c.ID, "requested", requested, "granted", granted)
	}
	return granted, nil
}

// scopeKnown reports whether the scope exists and means something at one of the
// resources.
func (p *Provider) scopeKnown(scope string, resources []string) bool {
	if _, ok := p.cfg.Scopes[scope]; !ok {
		_, ok = p.reg.scopes[scope]
		return ok
	}
	for _, uri := range resources {
		r := p.resources[uri]
		if len(r.Scopes) == 0 || slices.Contains(r.Scopes, scope) {
			return true
		}
	}
	return len(resources) == 0
}

// requestResources decides which resources a request is about (RFC 8707 §2):
// those it names, or the default where it names none.
func (p *Provider) requestResources(c *Client, requested []string) ([]string, *Error) {
	if len(requested) > maxResources {
		return nil, errorf(ErrInvalidTarget, "more than %d resources", maxResources)
	}
	if len(requested) == 0 {
		return p.defaultResources(c)
	}
	out := make([]string, 0, len(requested))
	for _, uri := range requested {
		known, ok := p.knownResource(uri)
		why := ""
		switch {
		case !ok:
			why = "it is not in Config.Resources"
		case len(c.Resources) > 0 && !slices.Contains(c.Resources, known):
			why = "it is not one of the client's"
		}
		if why != "" {
			return nil, errorf(ErrInvalidTarget, "a requested resource is unknown, or not for this client").because("%s", why)
		}
		if !slices.Contains(out, known) {
			out = append(out, known)
		}
	}
	return out, nil
}

// defaultResources is the audience of a token that nobody named a resource for:
// the client's first, else the provider's. It is empty where the provider has no
// resources: the issuer is the audience then.
func (p *Provider) defaultResources(c *Client) ([]string, *Error) {
	for _, uri := range c.Resources {
		if known, ok := p.knownResource(uri); ok {
			return []string{known}, nil
		}
	}
	switch {
	case len(c.Resources) > 0:
		return nil, errorf(ErrInvalidTarget, "the resources of this client are gone")
	case len(p.cfg.Resources) > 0:
		return []string{p.cfg.Resources[0].URI}, nil
	}
	return nil, nil
}

// knownResource finds the configured spelling of a resource. Clients write
// scheme and host in any case (MCP authorization: "prefer lower case, accept
// upper case") and some add the slash of an empty path.
func (p *Provider) knownResource(uri string) (string, bool) {
	if _, ok := p.resources[uri]; ok {
		return uri, true
	}
	canonical, ok := canonicalResource(uri)
	if !ok {
		return "", false
	}
	known, ok := p.canonical[canonical]
	return known, ok
}

func canonicalResource(uri string) (string, bool) {
	if len(uri) > maxRedirectURI {
		return "", false
	}
	u, err := url.Parse(uri)
	if err != nil || !u.IsAbs() || strings.Contains(uri, "#") {
		return "", false
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Path == "/" {
		u.Path, u.RawPath = "", ""
	}
	return u.String(), true
}
