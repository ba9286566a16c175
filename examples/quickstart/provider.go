package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

// addProvider is all that makes the app an OAuth provider with a protected API.
// The secret is nil if the store does not outlive the program; one that does needs
// the same secret at the next start.
func addProvider(mux *http.ServeMux, issuer string, s store.Store, secret []byte, app *site.Site, notes http.Handler) (*oauth.Provider, error) {
	p, err := oauth.New(oauth.Config{
		Issuer:    issuer,
		Store:     s,
		Secret:    secret,
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

// registerClient makes the client app known, or tells a store that knows it where
// it is now. It has no secret: it proves by PKCE that the code is its own.
func registerClient(ctx context.Context, p *oauth.Provider, redirectURI string) (*oauth.Client, error) {
	const id = "notes-reader"
	client, err := p.Client(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		client, _, err = p.RegisterClient(ctx, oauth.Client{
			ID: id, Name: "Notes Reader", Public: true, ApplicationType: "native",
			RedirectURIs: []string{redirectURI}, Scopes: []string{"notes"},
		})
		return client, err
	}
	if err != nil {
		return nil, err
	}
	client.RedirectURIs = []string{redirectURI}
	return client, p.UpdateClient(ctx, *client)
}
