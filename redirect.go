package oauth

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// RedirectURI is an address that a client may be answered at. Only validation
// makes one that is not empty: what an answer is sent to is never a string that
// came in with a request.
type RedirectURI struct{ uri string }

// String returns the address as the client sent it.
func (u RedirectURI) String() string { return u.uri }

// Host returns what a person should be shown of the address: its host and port,
// in lower case, as browsers show it (paypaI is no paypal); or the scheme of a
// private-use address, whose host, if it has one, says nothing about where the
// answer goes.
func (u RedirectURI) Host() string {
	scheme, rest, _ := strings.Cut(u.uri, ":")
	if scheme != "https" && scheme != "http" {
		return scheme + ":"
	}
	return strings.ToLower(authority(rest))
}

// authority cuts //host:port from what follows the scheme.
func authority(rest string) string {
	rest = strings.TrimPrefix(rest, "//")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// Loopback reports whether the address is on the user's own machine: a program
// there, which anybody can have written, will get the code.
func (u RedirectURI) Loopback() bool {
	after, ok := strings.CutPrefix(u.uri, "https://")
	if !ok {
		_, _, ok = cutLoopback(u.uri)
		return ok
	}
	host, _ := splitPort(authority(after))
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip.IsUnspecified() // which is connected to as if it were
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761 §6.3
}

// provesClient reports whether only the client itself can be at the address. A
// program on the user's own machine can be any program: it chooses its port, and
// its private-use scheme (RFC 8252 §8.6).
func (u RedirectURI) provesClient() bool {
	return strings.HasPrefix(u.uri, "https://") && !u.Loopback()
}

// origin returns scheme://host:port, or the scheme of a private-use address, as
// a Content-Security-Policy source.
func (u RedirectURI) origin() string {
	host := u.Host()
	if strings.HasSuffix(host, ":") {
		return host
	}
	scheme, _, _ := strings.Cut(u.uri, ":")
	return scheme + "://" + host
}

const maxRedirectURI = 2048

// matchRedirectURI finds the registered address that the requested one is
// (OAuth 2.1 §2.3.1: simple string comparison). The one exception is the port
// of a loopback address (§8.4.2; RFC 8252 §7.3), for the name localhost too,
// because Claude Code and others register http://localhost/callback and listen
// on a random port.
func matchRedirectURI(registered []string, requested string) (RedirectURI, bool) {
	if len(requested) > maxRedirectURI {
		return RedirectURI{}, false
	}
	if slices.Contains(registered, requested) {
		return RedirectURI{requested}, true
	}
	host, rest, ok := cutLoopback(requested)
	if !ok {
		return RedirectURI{}, false
	}
	for _, r := range registered {
		if h, t, ok := cutLoopback(r); ok && h == host && t == rest {
			return RedirectURI{requested}, true
		}
	}
	return RedirectURI{}, false
}

// cutLoopback splits an http address of this machine into its host and what
// follows the port. It works on the string: a parser that forgives (ports out
// of range, leading zeros, user information) would let look-alikes through.
func cutLoopback(uri string) (host, rest string, ok bool) {
	after, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", "", false
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		rest, ok := strings.CutPrefix(after, host)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			if rest, ok = cutPort(port); !ok {
				return "", "", false
			}
		}
		if rest == "" || rest[0] == '/' || rest[0] == '?' {
			return host, rest, true
		}
		return "", "", false
	}
	return "", "", false
}

// cutPort removes a port from 1 to 65535 without leading zeros.
func cutPort(s string) (rest string, ok bool) {
	n, i := 0, 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' && i < 6 {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return s[i:], i > 0 && s[0] != '0' && n <= 65535
}

// checkRedirectURI judges an address at registration. Schemes are an allow list:
// https; http for loopback; private-use schemes, which RFC 8252 §7.1 wants to be
// a domain name in reverse (so they have a dot), for native clients only, and
// those without a dot that the policy names.
func checkRedirectURI(uri, applicationType string, privateUse []string) *Error {
	refuse := func(why string) *Error {
		return errorf(ErrInvalidRedirectURI, "a redirect URI %s", why)
	}
	if uri == "" || len(uri) > maxRedirectURI {
		return refuse("must have 1 to 2048 characters")
	}
	for i := 0; i < len(uri); i++ {
		if c := uri[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}*", c) >= 0 {
			return refuse("must be written in URI characters, without wildcards (RFC 3986)")
		}
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return refuse("must be an absolute URI")
	}
	if strings.Contains(uri, "#") || u.User != nil {
		return refuse("must have neither fragment nor user information")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuse("has a query that cannot be parsed")
	}
	for _, name := range []string{"code", "state", "iss", "error", "error_description", "error_uri", "response"} {
		if query.Has(name) {
			return refuse("must not contain a parameter of the authorization response")
		}
	}
	switch scheme, _, _ := strings.Cut(uri, ":"); {
	case scheme == "https":
		if after, ok := strings.CutPrefix(uri, "https://"); !ok || !plainAuthority(authority(after)) {
			return refuse("must name a host, in ASCII and without escapes")
		}
	case scheme == "http":
		if _, _, ok := cutLoopback(uri); !ok {
			return refuse("must be https; http is for 127.0.0.1, [::1] and localhost")
		}
		if applicationType == applicationWeb {
			return refuse("of a web client must not be a loopback address")
		}
	case applicationType == applicationWeb:
		return refuse("of a web client must be https")
	case slices.Contains(privateUse, scheme):
	case !strings.Contains(scheme, ".") || strings.ToLower(scheme) != scheme:
		return refuse("must begin with https, http for loopback, or a reversed domain name (com.example.app)").because("Policy.PrivateUseSchemes can allow another")
	case applicationType != applicationNative:
		return refuse("with a private-use scheme is for clients whose application_type is native")
	}
	return nil
}

// plainAuthority reports whether a host, with or without port, is written in the
// characters of names and addresses alone. Browsers decode others: a page that
// shows them would show another site's name, in other letters. So they do with
// numbers, such as 127.1, which have one spelling here.
func plainAuthority(s string) bool {
	host, port := splitPort(s)
	if port != "" {
		if rest, ok := cutPort(port[1:]); !ok || rest != "" {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		ip, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && ip.Is6() && ip.Zone() == "" && strings.HasSuffix(inner, "]")
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	if last := labels[len(labels)-1]; last != "" && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(strings.ToLower(last), "0x")) {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return host != "" && isUnreserved(host) && !strings.Contains(host, "~")
}

// splitPort splits host:port before its colon; without one, port is empty.
func splitPort(s string) (host, port string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		return s[:i], s[i:]
	}
	return s, ""
}

const (
	applicationNative = "native"
	applicationWeb    = "web"
)

// with appends response parameters to the query and keeps the registered query
// byte for byte.
func (u RedirectURI) with(params url.Values) string {
	sep := "?"
	if strings.Contains(u.uri, "?") {
		sep = "&"
	}
	return u.uri + sep + params.Encode()
}
