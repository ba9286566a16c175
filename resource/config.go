package resource

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Config describes a protected resource. The first three fields are required.
type Config struct {
	// Resource is the URL of this API exactly as people type it into a client:
	// scheme and host in lower case, no fragment. It is what tokens must have as
	// audience (RFC 8707), byte for byte, and resource in the metadata. https,
	// or http on a loopback address.
	Resource string

	// Issuers are the authorization servers whose tokens are accepted. Clients
	// take the first to get one.
	Issuers []string

	// Verifier checks tokens: JWT, Introspection, or a provider's own.
	Verifier Verifier

	// Scopes is the smallest set of scopes that makes this API useful. It is
	// published as scopes_supported, and the first challenge asks for all of it,
	// because many clients ask only once. It is no list of all there are.
	Scopes []string

	// Implies says which scopes include others: {"admin": {"write"}, "write":
	// {"read"}} lets a token with admin do what needs read.
	Implies map[string][]string

	// Origins are the web origins, such as https://app.example.com, from which
	// browsers may call; a request from another one is answered 403. Empty: all.
	// Tokens, unlike cookies, are never sent by themselves, so that this is
	// mostly of use to servers on a loopback address (DNS rebinding).
	Origins []string

	Name          string // resource_name: shown to people
	Documentation string // resource_documentation: URL for developers
	Policy        string // resource_policy_uri: URL about the use of data
	TermsOfUse    string // resource_tos_uri: URL

	// OnRefusal is told of every request that is not let through, and why: err
	// wraps ErrNoToken, ErrInvalidToken, ErrInvalidRequest or
	// ErrInsufficientScope, or is what the verifier failed with. It is for logs
	// and counters; it does not see the token unless it reads it from r. Nil:
	// nobody is told.
	OnRefusal func(r *http.Request, err error)
}

func (cfg *Config) checkResource(wrong func(string, ...any)) *url.URL {
	if cfg.Resource == "" {
		wrong("Config.Resource is required: the URL of this API, such as https://api.example.com/notes")
		return nil
	}
	u, err := parseURL(cfg.Resource)
	if err != nil {
		wrong("Config.Resource %s", err)
		return nil
	}
	if p := strings.TrimSuffix(u.EscapedPath(), "/"); p != "" && (p == "/" || path.Clean(p) != p) {
		wrong("Config.Resource must have a path without empty, . and .. segments")
	}
	return u
}

func (cfg *Config) checkIssuers(wrong func(string, ...any)) {
	if len(cfg.Issuers) == 0 {
		wrong("Config.Issuers is required: the authorization servers whose tokens are accepted")
	}
	for i, issuer := range cfg.Issuers {
		if err := checkIssuer(issuer); err != nil {
			wrong("Config.Issuers[%d] %s", i, err)
		}
		if slices.Contains(cfg.Issuers[:i], issuer) {
			wrong("Config.Issuers[%d]: an issuer stands there twice", i)
		}
	}
}

func (cfg *Config) checkScopes(wrong func(string, ...any)) {
	for i, s := range cfg.Scopes {
		if !validScope(s) {
			wrong("Config.Scopes[%d] is no scope name (RFC 6749, section 3.3)", i)
		}
		if s == "offline_access" {
			wrong("Config.Scopes: offline_access is between client and authorization server; a resource does not ask for it")
		}
	}
	for broad, narrow := range cfg.Implies {
		for _, s := range append([]string{broad}, narrow...) {
			if !validScope(s) {
				wrong("Config.Implies: %q is no scope name (RFC 6749, section 3.3)", s)
			}
		}
	}
}

func (cfg *Config) checkTexts(wrong func(string, ...any)) {
	for field, s := range map[string]string{"Documentation": cfg.Documentation, "Policy": cfg.Policy, "TermsOfUse": cfg.TermsOfUse} {
		if u, err := url.Parse(s); s != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			wrong("Config.%s must be a URL", field)
		}
	}
	for i, origin := range cfg.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin {
			wrong("Config.Origins[%d] must be scheme://host[:port] in lower case, without a path or slash; leave Origins empty to allow all", i)
		}
	}
}

// checkIssuer: RFC 8414 §2. Issuers are compared byte for byte by everyone, so
// that the one spelling is asked for that all clients cope with.
func checkIssuer(issuer string) error {
	u, err := parseURL(issuer)
	if err != nil {
		return err
	}
	if u.RawQuery != "" || u.ForceQuery || strings.HasSuffix(issuer, "/") {
		return errors.New("must have no query and no slash at its end")
	}
	return nil
}

// parseURL reads an https URL, or an http one of this machine, that is written
// in the one way that survives parsing.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, errors.New("must be a URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("must be https, or http on a loopback address")
	case u.User != nil || strings.Contains(s, "#"):
		return nil, errors.New("must have no user and no fragment")
	case u.Host != strings.ToLower(u.Host) || u.String() != s || strings.ContainsFunc(s, unsafeInURL),
		strings.Contains(u.Host, "%") || strings.HasSuffix(u.Host, ":"): // a host with escapes; a port that net/http leaves out
		return nil, errors.New("must be written plainly: scheme and host in lower case, special characters escaped")
	}
	return u, nil
}

// unsafeInURL is what a URL has only escaped (RFC 3986 §2), and what would mean
// something in a pattern of http.ServeMux or in a quoted string.
func unsafeInURL(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"\\{}<>^`|", r)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
