package main

import (
	"context"
	"net/http"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

// addProvider is all that makes the app an OAuth provider with a protected API.
// An app whose store outlives it also sets Config.Secret, and keeps that secret.
func addProvider(mux *http.ServeMux, issuer string, app *site.Site, notes http.Handler) (*oauth.Provider, error) {
	p, err := oauth.New(oauth.Config{
		Issuer:    issuer,
		Store:     store.NewMemory(),
		Session:   app.Session,
		LoginURL:  "/login",
		Users:     app.User,
		Scopes:    map[string]string{"notes": "Read and add notes"},
		Resources: []oauth.Resource{{URI: issuer + "/api"}},
	})
	if err != nil {
		return nil, err
	}
	for path, h := range p.Routes() {
		mux.Handle(path, h)
	}
	api, err := resource.New(resource.Config{
		Resource: issuer + "/api",
		Issuers:  []string{issuer},
		Verifier: p.Verifier(),
		Scopes:   []string{"notes"},
	})
	if err != nil {
		return nil, err
	}
	mux.Handle(api.MetadataRoute())
	mux.Handle("/api/notes", api.Require("notes")(notes))
	return p, nil
}

// registerClient makes the client app known. It has no secret: it proves by PKCE
// that the code is its own.
func registerClient(ctx context.Context, p *oauth.Provider, redirectURI string) (*oauth.Client, error) {
	client, _, err := p.RegisterClient(ctx, oauth.Client{
		ID: "notes-reader", Name: "Notes Reader", Public: true, ApplicationType: "native",
		RedirectURIs: []string{redirectURI}, Scopes: []string{"notes"},
	})
	return client, err
}
