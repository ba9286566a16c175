package assertion

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// targets are the resources and scopes that the provider has.
type targets struct {
	scopes    map[string]string
	resources map[string]oauth.Resource // by their canonical URI
	first     []string                  // the default; none if the provider has no resources
}

const maxResources = 10 // of one token

func newTargets(cfg oauth.Config) *targets {
	t := &targets{scopes: cfg.Scopes, resources: map[string]oauth.Resource{}}
	for _, r := range cfg.Resources {
		t.resources[canonical(r.URI)] = r
	}
	if len(cfg.Resources) > 0 {
		t.first = []string{cfg.Resources[0].URI}
	}
	return t
}

// canonical writes what may differ between two spellings of a resource: scheme
// and host are the same in any case, and an empty path may have its slash.
func canonical(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || strings.Contains(uri, "#") { // no resource has a fragment (RFC 8707 §2)
		return uri
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Path == "/" {
		u.Path, u.RawPath = "", ""
	}
	return u.String()
}

// find returns resources as the provider writes them.
func (t *targets) find(uris []string) ([]string, error) {
	if len(uris) > maxResources {
		return nil, &oauth.Error{Code: oauth.ErrInvalidTarget, Description: "too many resources"}
	}
	out := make([]string, 0, len(uris))
	for _, uri := range uris {
		r, ok := t.resources[canonical(uri)]
		if !ok {
			return nil, &oauth.Error{Code: oauth.ErrInvalidTarget, Description: "a resource is not one of this server's"}
		}
		if !slices.Contains(out, r.URI) {
			out = append(out, r.URI)
		}
	}
	return out, nil
}

// audience decides what a token is for: what was requested, or what the assertion
// names, or the client's default; never what the assertion does not name, if it
// names any, or what the client may not have.
func (t *targets) audience(c *oauth.Client, asserted, requested []string) ([]string, error) {
	asserted, err := t.find(asserted)
	if err != nil {
		return nil, err
	}
	out, err := t.find(requested)
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		if out = asserted; len(out) == 0 {
			out = t.fallback(c)
		}
	}
	for _, uri := range out {
		if len(asserted) > 0 && !slices.Contains(asserted, uri) || len(c.Resources) > 0 && !slices.Contains(c.Resources, uri) {
			return nil, &oauth.Error{Code: oauth.ErrInvalidTarget, Description: "a resource is not one that the client was authorized for"}
		}
	}
	return out, nil
}

// fallback is what a token is for that nobody named a resource for.
func (t *targets) fallback(c *oauth.Client) []string {
	for _, uri := range c.Resources {
		if r, ok := t.resources[canonical(uri)]; ok {
			return []string{r.URI}
		}
	}
	return t.first
}

// granted decides what a token may do: of what is wanted, what every limit
// allows and a resource knows. What is more is narrowed away (RFC 6749 §3.3),
// unless nothing is left.
func (t *targets) granted(wanted, resources []string, limits ...[]string) ([]string, error) {
	var out []string
	for _, s := range wanted {
		allowed := t.knows(s, resources) && !slices.Contains(out, s)
		for _, limit := range limits {
			allowed = allowed && slices.Contains(limit, s)
		}
		if allowed {
			out = append(out, s)
		}
	}
	if len(out) == 0 && len(wanted) > 0 {
		return nil, &oauth.Error{Code: oauth.ErrInvalidScope, Description: "none of these scopes can be granted"}
	}
	return out, nil
}

// knows reports whether a scope means something at one of the resources.
func (t *targets) knows(scope string, resources []string) bool {
	if _, ok := t.scopes[scope]; !ok {
		return false
	}
	return len(resources) == 0 || slices.ContainsFunc(resources, func(uri string) bool {
		r := t.resources[canonical(uri)]
		return len(r.Scopes) == 0 || slices.Contains(r.Scopes, scope)
	})
}

// stringOrList reads a claim that is a string, or a list of strings; one that is
// not there is an empty list.
func stringOrList(raw json.RawMessage) (list []string, ok bool) {
	if len(raw) == 0 {
		return nil, true
	}
	if s, ok := strictjson.String(raw); ok {
		return []string{s}, true
	}
	return list, json.Unmarshal(raw, &list) == nil && len(list) > 0
}
