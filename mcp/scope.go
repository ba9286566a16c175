package mcp

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/seed-e797c9ce/oauth"
)

// defaultForUnknown lets a request that names no scope of this provider count as
// one that names none, so that it gets the client's default. Some clients ask
// for a scope that only they know, and their users can do nothing about it. A
// server may ignore what was asked for (RFC 6749 §3.3) if it says what was
// granted, as it always does. OfflineAccess beside it changes nothing: a token
// that allows only that is of no use. A request for a scope that exists and that
// the client may not have is refused as ever.
func defaultForUnknown(r *oauth.Registry) error {
	cfg := r.Config()
	all := sync.OnceValue(func() []string { // once New has returned they stay as they are
		list, _ := r.Provider().Metadata()["scopes_supported"].([]string)
		return list
	})
	known := func(name string) bool {
		if _, ok := cfg.Scopes[name]; ok {
			return true
		}
		return name != OfflineAccess && slices.Contains(all(), name)
	}
	r.OnRequest(func(_ context.Context, params url.Values) (url.Values, error) {
		asked := params["scope"]
		if len(asked) != 1 || len(asked[0]) > maxScope {
			return params, nil
		}
		names := strings.Split(asked[0], " ")
		if slices.ContainsFunc(names, known) || slices.ContainsFunc(names, malformed) {
			return params, nil
		}
		cfg.Logger.Info("mcp: the request names no scope that exists here and gets the default", "requested", asked[0][:min(len(asked[0]), maxLogged)])
		params = maps.Clone(params)
		params.Del("scope")
		return params, nil
	})
	return nil
}

const (
	maxScope  = 4096 // bytes: a longer one is refused
	maxLogged = 200  // bytes, of what anybody can send
)

// malformed reports whether a name is no scope-token (RFC 6749 §3.3): such a
// request stays an error.
func malformed(name string) bool {
	return name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}
