// Package mcp is the profile for authorization servers of the Model Context
// Protocol: the extensions with which MCP clients of every vendor connect
// without any set-up by their users. It chooses and configures; what the
// extensions do is theirs to say. Its one rule of its own is about requests for
// scopes that do not exist: see Profile.
package mcp

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/cimd"
	"github.com/seed-e797c9ce/oauth/registration"
)

// OfflineAccess is the scope that some clients add to ask for a refresh token
// (OpenID Connect Core §11). Whether they get one does not depend on it.
const OfflineAccess = "offline_access"

// Config is what an app has to say. Whoever needs more of an extension lists the
// extensions itself.
type Config struct {
	// Scopes are all that clients which nobody registered may ask for, whether
	// they have a metadata document or register themselves; OfflineAccess is
	// added to them. Required if the provider has scopes.
	Scopes []string

	// NoRegistration leaves out Dynamic Client Registration (RFC 7591), which MCP
	// deprecates and many clients still need.
	NoRegistration bool

	// Address is where a registration comes from, for its limits: see
	// registration.Config.Address. Nil: the host of r.RemoteAddr, which behind a
	// proxy is the proxy's.
	Address func(r *http.Request) string

	// HTTPClient fetches what others publish: metadata documents and keys, see
	// cimd.Config.HTTPClient and assertion.Config.HTTPClient. Nil: public addresses
	// only, directly.
	HTTPClient *http.Client

	// Pinned are metadata documents by client ID, which are used and never fetched.
	Pinned map[string][]byte

	// Enterprises switch on enterprise-managed authorization: their users need not
	// be asked. See assertion.Enterprise.
	Enterprises []assertion.Enterprise

	// Platforms switch on workload identity federation: what runs there gets tokens
	// without being registered. See assertion.Platform.
	Platforms []assertion.Platform
}

// Profile returns the extensions for oauth.Config.Extensions: client ID metadata
// documents, registration, private_key_jwt and the scope offline_access; and a
// request that names only scopes which do not exist here gets the client's
// default, instead of an error that its user can do nothing about.
func Profile(cfg Config) []oauth.Extension {
	scopes := append([]string{}, cfg.Scopes...)
	if len(scopes) > 0 {
		scopes = append(scopes, OfflineAccess)
	}
	list := []oauth.Extension{
		oauth.Extension(func(r *oauth.Registry) error {
			if len(cfg.Scopes) == 0 && len(r.Config().Scopes) > 0 {
				return errors.New("mcp: Config.Scopes is empty: name those of oauth.Config.Scopes that clients may ask for which nobody registered")
			}
			r.Scope(OfflineAccess, "Stay connected while you are away")
			r.OnMetadata(func(m oauth.Metadata) { warnOfUnknown(r.Config().Logger, scopes, m) })
			return nil
		}),
		defaultForUnknown,
		cimd.New(cimd.Config{Scopes: scopes, HTTPClient: cfg.HTTPClient, Pinned: cfg.Pinned}),
		assertion.New(assertion.Config{HTTPClient: cfg.HTTPClient, Enterprises: cfg.Enterprises, Platforms: cfg.Platforms}),
	}
	if !cfg.NoRegistration {
		list = append(list, registration.New(registration.Config{Scopes: scopes, Address: cfg.Address}))
	}
	return list
}

// warnOfUnknown tells the operator of scopes that nobody can get. It is no error:
// an extension may bring its scopes later.
func warnOfUnknown(log *slog.Logger, scopes []string, m oauth.Metadata) {
	all, _ := m["scopes_supported"].([]string)
	for _, name := range scopes {
		if !slices.Contains(all, name) {
			log.Warn("mcp: Config.Scopes has a scope that the provider does not have: see oauth.Config.Scopes", "scope", name)
		}
	}
}
