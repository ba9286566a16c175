package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

const ofProvider = "the provider (Provider.Routes lists all of them)"

// settings says what the configuration itself lets expect.
func (c *checkup) settings() {
	cfg := &c.p.cfg
	if cfg.Secret == nil && c.p.secure {
		c.say("Config.Secret is not set: with every restart all users are signed out of their clients, and a second instance would refuse the tokens of the first: make one with openssl rand -base64 32")
	}
	for _, r := range cfg.Resources {
		if u, err := url.Parse(r.URI); err == nil && u.Scheme == "http" && !loopbackHost(u.Hostname()) {
			c.say("the resource %s is http: tokens for it travel unencrypted, and clients refuse it", quote(r.URI))
		}
	}
}

// metadata reads the document at every place where clients look for it.
func (c *checkup) metadata() {
	places := wellKnown(strings.TrimPrefix(c.p.cfg.Issuer, c.p.origin))
	for _, path := range places {
		var got Metadata
		if at := c.p.origin + path; c.document(at, ofProvider, &got) {
			c.compare(at, got)
		}
	}
	c.preflight(c.p.origin+places[0], http.MethodGet, ofProvider)
	c.unencrypted(places[0])
}

// compare says how a metadata document differs from the provider's own.
func (c *checkup) compare(at string, got Metadata) {
	if issuer, _ := got["issuer"].(string); issuer != c.p.cfg.Issuer {
		c.differs(at, "issuer", issuer, c.p.cfg.Issuer)
		return // of another provider, whatever else it says
	}
	own, err := json.Marshal(c.p.metadata)
	if err != nil {
		c.say("the metadata cannot be written: %w", err)
		return
	}
	var want Metadata
	if err := json.Unmarshal(own, &want); err != nil {
		c.say("the metadata cannot be read: %w", err)
		return
	}
	names := maps.Clone(want)
	maps.Copy(names, got)
	var other []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !reflect.DeepEqual(got[name], want[name]) && len(name) <= checkQuote {
			other = append(other, name)
		}
	}
	if len(other) > 0 {
		c.say("%s differs from this provider's in %s: an instance with another configuration answers, an old copy is cached, or a proxy rewrites it", at, quote(strings.Join(other, ", ")))
	}
}

// differs explains an identifier that is not what it must be, byte for byte.
func (c *checkup) differs(at, member, got, want string) {
	why := "clients compare it byte for byte (RFC 8414, section 3.3; RFC 9728, section 3.3)"
	switch {
	case got == want+"/":
		why = "a slash too many at its end; " + why
	case got+"/" == want:
		why = "the slash at its end is missing; " + why
	case strings.TrimPrefix(got, "http://") == strings.TrimPrefix(want, "https://"):
		why = "http where https must be; " + why
	case strings.EqualFold(got, want):
		why = "upper and lower case; " + why
	}
	c.say("%s has the %s %s instead of %s: %s", at, member, quote(got), quote(want), why)
}

// unencrypted sees whether the host also answers without TLS, on the usual port.
func (c *checkup) unencrypted(path string) {
	host, secure := strings.CutPrefix(c.p.origin, "https://")
	if u, err := url.Parse(c.p.origin); !secure || c.dead || err != nil || u.Port() != "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, 3*time.Second)
	defer cancel()
	plain := *c
	plain.ctx = ctx
	if a, err := plain.try(http.MethodGet, "http://"+host+path, nil, ""); err == nil && a.status < 300 {
		c.say("http://%s answers as well: codes and tokens could travel unencrypted; let the proxy redirect http to https", host)
	}
}

// keys compares the published keys with those in use.
func (c *checkup) keys() {
	ring, err := c.p.keys.forUnknown(c.ctx)
	if err != nil {
		c.say("Config.Keys fails: the last keys stay in force, and no next one can follow them: %w", err)
	}
	if ring == nil {
		return
	}
	var got struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	at := c.p.origin + c.p.paths.jwks
	if !c.document(at, ofProvider, &got) {
		return
	}
	published := map[string]bool{}
	for _, k := range got.Keys {
		published[k.ID] = true
	}
	switch signs := ring.signer.Key(); {
	case signs.Secret != nil:
		c.say("tokens are signed with a shared secret (HS256): no API can verify them with the published keys")
	case !published[signs.ID]:
		c.say("%s lacks the key that signs (kid %s): an old copy is cached, or another instance answers that has another Secret, store or Config.Keys", at, quote(signs.ID))
	}
}

// resources reads the metadata of the resources that are on the provider's own
// host (RFC 9728 §3.1).
func (c *checkup) resources() {
	for _, r := range c.p.cfg.Resources {
		u, err := url.Parse(r.URI)
		if err != nil || u.Scheme+"://"+u.Host != c.p.origin {
			continue
		}
		at := c.p.origin + "/.well-known/oauth-protected-resource"
		if path := u.EscapedPath(); path != "/" {
			at += path
		}
		if u.RawQuery != "" {
			at += "?" + u.RawQuery
		}
		var got struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
		}
		if !c.document(at, fmt.Sprintf("the resource server of %s (resource.Server.MetadataRoutes)", r.URI), &got) {
			continue
		}
		if got.Resource != r.URI {
			c.differs(at, "resource", got.Resource, r.URI)
		}
		switch {
		case len(got.Servers) == 0:
			c.say("%s names no authorization_servers: clients do not find this provider", at)
		case got.Servers[0] != c.p.cfg.Issuer:
			c.differs(at, "first of authorization_servers", got.Servers[0], c.p.cfg.Issuer)
		}
		for _, s := range got.Scopes {
			if !c.p.scopeKnown(s, []string{r.URI}) {
				c.say("%s has the scope %s, which is not in Config.Scopes, or not in the Scopes of that resource: clients ask for it in vain", at, quote(s))
			}
		}
		c.challenge(r.URI, at)
	}
}

// challenge sees whether a resource asks for a token, and says where to get one.
func (c *checkup) challenge(uri, metadata string) {
	a := c.ask(http.MethodGet, uri, nil, "")
	if a == nil {
		return
	}
	switch a.status {
	case http.StatusUnauthorized:
	case http.StatusOK, http.StatusNoContent, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		page := strings.HasPrefix(a.header.Get("Content-Type"), "text/html")                  // of the site, for every path that is nothing else
		if u, err := url.Parse(uri); err == nil && !page && strings.Trim(u.Path, "/") != "" { // at the root may be anything
			c.say("%s answers %d to who has no token: put resource.Server.Require, or RequireTools, around what serves it, and route every method of this path there", uri, a.status)
		}
		return
	default:
		return // not an endpoint by itself
	}
	if challenge := strings.Join(a.header.Values("WWW-Authenticate"), ", "); !strings.Contains(challenge, `resource_metadata="`+metadata+`"`) {
		c.say("%s answers 401 without resource_metadata=%q in WWW-Authenticate: clients do not find the provider from there; a proxy drops it, or the answer is not resource.Server's", uri, metadata)
	}
}
