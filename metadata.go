package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metadata is the authorization server metadata document (RFC 8414 §2): what the
// provider can do, by member name.
type Metadata map[string]any

const (
	metadataAge = time.Hour
	jwksAge     = time.Hour // shorter than keyLead: a key is known everywhere before it signs
)

// Metadata returns a copy of the metadata document. It says what is registered,
// so it cannot promise more than the provider does.
func (p *Provider) Metadata() Metadata { return maps.Clone(p.metadata) }

func (p *Provider) buildMetadata() Metadata {
	endpoint := func(path string) string { return p.origin + path }
	methods := []string{authNone, authBasic, authPost}
	methods = append(methods, p.reg.authOrder...)
	m := Metadata{
		"issuer":                                         p.cfg.Issuer,
		"authorization_endpoint":                         endpoint(p.paths.authorize),
		"token_endpoint":                                 endpoint(p.paths.token),
		"revocation_endpoint":                            endpoint(p.paths.revoke),
		"introspection_endpoint":                         endpoint(p.paths.introspect),
		"jwks_uri":                                       endpoint(p.paths.jwks),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       slices.Sorted(maps.Keys(p.reg.modes)),
		"grant_types_supported":                          slices.Sorted(maps.Keys(p.reg.grants)),
		"code_challenge_methods_supported":               []string{challengeS256},
		"token_endpoint_auth_methods_supported":          methods,
		"revocation_endpoint_auth_methods_supported":     methods,
		"introspection_endpoint_auth_methods_supported":  methods[1:],
		"authorization_response_iss_parameter_supported": true,
	}
	scopes := slices.Sorted(maps.Keys(p.cfg.Scopes))
	scopes = append(scopes, slices.Sorted(maps.Keys(p.reg.scopes))...)
	if len(scopes) > 0 {
		m["scopes_supported"] = scopes
	}
	if len(p.cfg.Resources) > 0 { // RFC 9728 §4
		var uris []string
		for _, r := range p.cfg.Resources {
			uris = append(uris, r.URI)
		}
		m["protected_resources"] = uris
	}
	for _, e := range p.reg.endpoints {
		if e.name != "" {
			m[e.name] = endpoint(p.base + e.path)
		}
	}
	for _, h := range p.reg.handlers {
		if h.name != "" {
			m[h.name] = endpoint(p.handlerPath(h.path))
		}
	}
	for _, change := range p.reg.onMetadata {
		change(m)
	}
	return m
}

// wellKnown is where the metadata is looked for: RFC 8414 §3.1 puts the issuer's
// path after the well-known part, OpenID Connect Discovery §4 before it, and
// clients try all of them.
func wellKnown(issuerPath string) []string {
	paths := []string{
		"/.well-known/oauth-authorization-server" + issuerPath,
		"/.well-known/openid-configuration" + issuerPath,
	}
	if issuerPath != "" {
		paths = append(paths, issuerPath+"/.well-known/openid-configuration", issuerPath+"/.well-known/oauth-authorization-server")
	}
	return paths
}

// document is a JSON document and its ETag.
type document struct {
	body []byte
	tag  string
}

func newDocument(body []byte) document {
	sum := sha256.Sum256(body)
	return document{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// serveDocument serves what may be cached and read from any web page.
func serveDocument(age time.Duration, load func(r *http.Request) (document, error)) http.Handler {
	cacheControl := "public, max-age=" + strconv.Itoa(int(age/time.Second))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		allowOrigins(h)
		h.Set("X-Content-Type-Options", "nosniff")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			preflight(w, "GET, HEAD")
			return
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			h.Set("Cache-Control", "no-store")
			writeError(w, &Error{Code: ErrInvalidRequest, Description: "the method must be GET", Status: http.StatusMethodNotAllowed})
			return
		}
		d, err := load(r)
		if err != nil {
			h.Set("Cache-Control", "no-store")
			writeError(w, err)
			return
		}
		h.Set("ETag", d.tag)
		h.Set("Cache-Control", cacheControl)
		if strings.Contains(r.Header.Get("If-None-Match"), d.tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(d.body)))
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodGet {
			w.Write(d.body) // an error means that the client has gone
		}
	})
}

func (p *Provider) metadataHandler() (http.Handler, error) {
	body, err := json.Marshal(p.metadata)
	if err != nil {
		return nil, fmt.Errorf("oauth: metadata: %w", err)
	}
	d := newDocument(body)
	return serveDocument(metadataAge, func(*http.Request) (document, error) { return d, nil }), nil
}

func (p *Provider) jwksHandler() http.Handler {
	return serveDocument(jwksAge, func(r *http.Request) (document, error) {
		ring, err := p.signingKeys(r.Context())
		if err != nil {
			return document{}, p.refused(r.Context(), Event{Detail: "jwks"}, err)
		}
		return ring.jwks, nil
	})
}
