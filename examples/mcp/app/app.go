// Package app is an app with users, whose notes MCP clients can work with: the
// app is an OAuth provider (provider.go) and has an MCP server of the official
// Go SDK (tools.go).
package app

import (
	"context"
	"embed"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/store"
)

//go:embed pages/*.html
var pageFiles embed.FS

// Users of the app. A real app has them in its database already.
var users = []site.User{
	{Subject: "u-1", Username: "ada", Password: "lovelace", Name: "Ada", Active: true},
	{Subject: "u-2", Username: "ben", Password: "wheeler", Name: "Ben", Active: true},
}

const hint = "Two people live here: ada, with the password lovelace, and ben, with the password wheeler."

// Config says where the app is and what it keeps.
type Config struct {
	// URL is the public URL of the app, without a slash at its end. It is the
	// issuer; the MCP server is at URL/mcp.
	URL string

	Store  store.Store // nil: in memory
	Secret []byte      // oauth.Config.Secret; nil: random

	// Auto is the subject of a user who is signed in without being asked, and in
	// whose name everything is consented to: for unattended tests, on a loopback
	// address only.
	Auto string

	AccessTTL time.Duration     // of access tokens; zero: the library's default
	Pinned    map[string][]byte // client metadata documents that are not fetched, by client ID
	Origins   []string          // of web pages that may call the MCP server, besides the app's own
}

// App is the app, an http.Handler for the root of its host.
type App struct {
	Provider *oauth.Provider
	mux      *http.ServeMux
}

// ServeHTTP answers a request.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// New makes the app. MCP sessions and streams end when ctx does.
func New(ctx context.Context, cfg Config) (*App, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	local := loopback(u.Hostname())
	if cfg.Auto != "" && !local {
		return nil, errors.New("signing in and consenting by itself lets anybody in: it is for loopback addresses only")
	}
	if cfg.Store == nil {
		cfg.Store = store.NewMemory()
	}
	pages, err := site.NewPages(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	meaning := maps.Clone(scopes)
	meaning[mcp.OfflineAccess] = "Stay connected while you are away"
	people, err := site.New(site.Options{
		Title: "Notes", Hint: hint, Pages: pages, Users: users, Scopes: meaning, Secure: u.Scheme == "https",
		HashCost: bcrypt.MinCost, AutoLogin: cfg.Auto, // the passwords stand on the page
	})
	if err != nil {
		return nil, err
	}
	if _, known := people.Find(cfg.Auto); cfg.Auto != "" && !known {
		return nil, errors.New("there is no user with the subject " + cfg.Auto)
	}
	if local { // where the MCP Inspector's page is
		cfg.Origins = append([]string{"http://localhost:6274", "http://127.0.0.1:6274"}, cfg.Origins...)
	}
	a, n := &App{mux: http.NewServeMux()}, newNotebook()
	if a.Provider, err = newProvider(cfg, people); err != nil {
		return nil, err
	}
	for path, h := range a.Provider.Routes() {
		a.mux.Handle(path, h)
	}
	if err := addMCP(ctx, a.mux, cfg, a.Provider, n, local); err != nil {
		return nil, err
	}
	people.Routes(a.mux)
	people.Connections(a.mux, a.Provider)
	a.mux.HandleFunc("GET /{$}", people.Require(func(w http.ResponseWriter, r *http.Request, u site.User) {
		pages.Show(w, http.StatusOK, "home", map[string]any{"User": u, "Notes": n.of(u.Subject), "URL": cfg.URL + "/mcp"})
	}))
	return a, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
