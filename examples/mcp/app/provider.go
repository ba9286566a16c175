package app

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
	"github.com/seed-e797c9ce/oauth/mcp"
)

// scopes are what clients can be allowed to do, as it is put to the user.
var scopes = map[string]string{
	"notes:read":  "Read your notes",
	"notes:write": "Read and add notes in your name",
	"notes:admin": "See how many notes everybody has",
}

// newProvider makes the app an authorization server that every MCP client can
// connect to by itself.
func newProvider(cfg Config, people *site.Site) (*oauth.Provider, error) {
	c := oauth.Config{
		Issuer:    cfg.URL,
		Store:     cfg.Store,
		Secret:    cfg.Secret,
		Session:   people.Session,
		LoginURL:  "/login",
		Users:     people.User,
		Scopes:    scopes,
		Resources: []oauth.Resource{{URI: cfg.URL + "/mcp"}},
		Policy:    oauth.Policy{AccessTokenLifetime: cfg.AccessTTL, PrivateUseSchemes: []string{"cursor"}},
		Extensions: mcp.Profile(mcp.Config{
			Scopes: slices.Sorted(maps.Keys(scopes)),
			Pinned: cfg.Pinned,
		}),
	}
	if cfg.Auto == "" {
		return oauth.New(c)
	}
	return newAutomatic(c)
}

// newAutomatic makes a provider that asks nobody.
func newAutomatic(c oauth.Config) (p *oauth.Provider, err error) {
	c.LoginURL = ""
	c.Interact = func(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizationRequest) {
		if !req.NeedsConsent {
			http.Redirect(w, r, "/login?return_to="+url.QueryEscape(req.ResumeURL), http.StatusSeeOther)
			return
		}
		if err := p.Approve(w, r, req, req.Scopes); err != nil {
			slog.Error("consent that nobody was asked for", "error", err)
		}
	}
	p, err = oauth.New(c)
	return p, err
}
