package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
	"github.com/seed-e797c9ce/oauth/otel"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

//go:embed pages/*.html
var pageFiles embed.FS

// build makes the provider and everything around it.
func build(ctx context.Context, c *config, s store.Store, secret []byte, observer *otel.Observer) (*oauth.Provider, http.Handler, error) {
	pages, err := site.NewPages(pageFiles, "pages/*.html")
	if err != nil {
		return nil, nil, err
	}
	app, err := site.New(site.Options{
		Title: "the reference server", Pages: pages, Users: c.users(),
		Secure: strings.HasPrefix(c.Issuer, "https://"), AutoLogin: c.AutoLogin,
		HashCost: bcrypt.MinCost, // the file has the passwords themselves, and the hashes stay in memory
	})
	if err != nil {
		return nil, nil, err
	}
	provider, err := newProvider(c, s, secret, observer, app)
	if err != nil {
		return nil, nil, err
	}
	if err := putClients(ctx, provider, c); err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	for path, h := range provider.Routes() {
		mux.Handle(path, h)
	}
	app.Routes(mux)
	app.Connections(mux, provider)
	mux.HandleFunc("GET /{$}", app.Require(func(w http.ResponseWriter, r *http.Request, u site.User) {
		pages.Show(w, http.StatusOK, "home", u)
	}))
	return provider, mux, addAPI(mux, c, provider, app)
}

func newProvider(c *config, s store.Store, secret []byte, observer *otel.Observer, app *site.Site) (*oauth.Provider, error) {
	cfg := oauth.Config{
		Issuer: c.Issuer, Store: s, Session: app.Session, LoginURL: "/login", Users: app.User,
		Scopes: c.Scopes, Resources: c.resources(), Policy: c.policy(),
	}
	if len(secret) > 0 {
		cfg.Secret = secret
	}
	if observer != nil {
		cfg.Observe, cfg.OnEvent = observer.Observe, observer.OnEvent
	}
	var p *oauth.Provider
	if c.AutoConsent {
		cfg.LoginURL = ""
		cfg.Interact = func(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizationRequest) {
			if !req.NeedsConsent {
				http.Redirect(w, r, "/login?return_to="+url.QueryEscape(req.ResumeURL), http.StatusSeeOther)
				return
			}
			if err := p.Approve(w, r, req, req.Scopes); err != nil {
				slog.Error("auto_consent", "error", err)
			}
		}
	}
	p, err := oauth.New(cfg)
	return p, err
}

// putClients makes the clients of the file known, or brings those that the store
// has from an earlier start, or from another instance, up to date.
func putClients(ctx context.Context, p *oauth.Provider, c *config) error {
	scopes := slices.Sorted(maps.Keys(c.Scopes))
	for i, x := range c.Clients {
		record, err := x.record(scopes)
		if err == nil {
			err = putClient(ctx, p, record)
		}
		if err != nil {
			return fmt.Errorf("clients[%d]: %w", i, err)
		}
	}
	return nil
}

// putClient tries again when another instance, with the same file, was faster.
func putClient(ctx context.Context, p *oauth.Provider, record oauth.Client) error {
	const tries = 5
	for try := 1; ; try++ {
		old, err := p.Client(ctx, record.ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			_, _, err = p.RegisterClient(ctx, record)
		case err == nil:
			record.Version, record.CreatedAt = old.Version, old.CreatedAt
			err = p.UpdateClient(ctx, record)
		}
		if raced := errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict); !raced || try == tries {
			return err
		}
	}
}

// addAPI protects /api/me, which says who a token stands for. It is part of the
// first resource of the file, or of the issuer if there is none.
func addAPI(mux *http.ServeMux, c *config, p *oauth.Provider, app *site.Site) error {
	identifier := c.Issuer
	if len(c.Resources) > 0 {
		identifier = c.Resources[0].Identifier
	}
	api, err := resource.New(resource.Config{Resource: identifier, Issuers: []string{c.Issuer}, Verifier: p.Verifier()})
	if err != nil {
		return err
	}
	for path, h := range api.MetadataRoutes() {
		mux.Handle(path, h)
	}
	mux.Handle("GET /api/me", api.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(answer(token, app)) // an error means that the client has gone
	})))
	return nil
}

type me struct {
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes"`
	Username string   `json:"username,omitempty"`
	Email    string   `json:"email,omitempty"`
	Name     string   `json:"name,omitempty"`
}

func answer(token *resource.Token, app *site.Site) me {
	m := me{Subject: token.Subject, ClientID: token.ClientID, Scopes: token.Scopes}
	if user, ok := app.Find(token.Subject); ok && !token.Machine() {
		m.Username, m.Email, m.Name = user.Username, user.Email, user.Name
	}
	return m
}
