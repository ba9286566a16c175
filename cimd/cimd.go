// Package cimd lets an https URL be a client: Client ID Metadata Documents
// (draft-ietf-oauth-client-id-metadata-document), as an extension of an
// oauth.Provider. The URL is the client_id, and what is found there describes
// the client, so that nobody has to register it.
//
// Documents are fetched from public addresses only, when somebody authorizes the
// client (or, where enterprises do that for their users, when it comes), and kept
// for as long as their HTTP headers say, within bounds. All users of a client
// share its ID; what each of them has authorized stays apart.
//
// A process makes at most 100 requests a minute, 10 of them to one host, and 32
// at a time. Anybody can use half of that up by naming URLs; the other half is
// for documents of clients that somebody has granted something, so that a flood
// of made-up URLs keeps out none but new clients, for as long as it lasts.
package cimd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/fetch"
)

// Config says which documents are believed, and for how long.
type Config struct {
	// Scopes are all that a client with a document may ask for; the scope in the
	// document only becomes its default. Those that the provider does not have are
	// never granted. Required if the provider has scopes.
	Scopes []string

	// Allow is asked before a document is fetched or used. An error is an outage.
	// Nil: every URL that is a client ID.
	Allow func(ctx context.Context, id *url.URL) (bool, error)

	// Pinned are documents by client ID, which are used and never fetched.
	Pinned map[string][]byte

	// HTTPClient fetches the documents. Redirects, cookies and more than 5 seconds
	// are not allowed it, but which addresses it connects to is its own affair.
	// Nil: public addresses only, directly, at Ports.
	HTTPClient *http.Client

	Ports []uint16 // that a client ID may have; nil: 443

	MinAge   time.Duration // how long a document is used at least, whatever its headers say; 1 minute
	MaxAge   time.Duration // and at most; 24 hours
	StaleFor time.Duration // how much longer, while its origin does not answer; 24 hours
}

// New makes the extension. What is wrong with the configuration is an error of
// oauth.New.
func New(cfg Config) oauth.Extension {
	cfg = cfg.withDefaults()
	return func(r *oauth.Registry) error { return extend(r, cfg) }
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.MinAge, time.Minute)
	set(&c.MaxAge, 24*time.Hour)
	set(&c.StaleFor, 24*time.Hour)
	if c.Ports == nil {
		c.Ports = []uint16{443}
	}
	if c.HTTPClient == nil {
		c.HTTPClient = fetch.Client(fetch.Options{Ports: c.Ports})
	}
	c.Scopes = slices.Clone(c.Scopes)
	return c
}

func extend(r *oauth.Registry, cfg Config) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("cimd: "+format, args...)) }
	if len(cfg.Scopes) == 0 && len(r.Config().Scopes) > 0 {
		bad("Config.Scopes is empty: name the scopes that strangers may ask for")
	}
	if cfg.MinAge < 0 || cfg.MaxAge < cfg.MinAge || cfg.StaleFor < 0 {
		bad("Config.MinAge, MaxAge and StaleFor must not be negative, and MaxAge not below MinAge")
	}
	issuer, err := url.Parse(r.Config().Issuer)
	if err != nil {
		bad("issuer: %w", err)
		return errors.Join(errs...)
	}
	s := &source{cfg: cfg, reg: r, ownHost: issuer.Hostname(), cache: newCache(), strangers: newShare(strangersInFlight), granted: newShare(grantedInFlight), pinned: map[string]func() *oauth.Client{}}
	for id, document := range cfg.Pinned {
		if _, ok := s.parseID(id); !ok {
			bad("Config.Pinned: %q is no client ID", id)
			continue
		}
		if _, err := s.parse(id, document, true); err != nil {
			bad("Config.Pinned: %s: %w", id, err)
		}
		s.pinned[id] = s.pin(id, slices.Clone(document))
	}
	r.OnRequest(s.onRequest)
	r.ClientSource(s.client)
	r.OnMetadata(func(m oauth.Metadata) { m["client_id_metadata_document_supported"] = true })
	return errors.Join(errs...)
}
