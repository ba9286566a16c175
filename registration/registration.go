// Package registration lets applications register themselves: Dynamic Client
// Registration (RFC 7591) and its management (RFC 7592), as an extension of an
// oauth.Provider. Without the extension there is no registration.
//
// Who registers is a stranger. It gets the authorization code grant with
// refresh tokens and the scopes of Config, nothing else, whatever it asks for;
// the consent page says that nobody checked it.
package registration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// The error codes of RFC 7591 §3.2.2 that the core does not have, and the one of
// RFC 6750 §3.1 that refuses an access token.
const (
	ErrInvalidSoftwareStatement    oauth.ErrorCode = "invalid_software_statement"
	ErrUnapprovedSoftwareStatement oauth.ErrorCode = "unapproved_software_statement"
	ErrInvalidToken                oauth.ErrorCode = "invalid_token"
)

// Config says who may register, and what they get.
type Config struct {
	// Scopes are all that a client that registered itself may ever ask for: the
	// scope it registers with only becomes its default. Those that the provider
	// does not have are never granted. A client that updates its metadata keeps what
	// it has of them, and gets no others. Required if the provider has scopes.
	Scopes []string

	// InitialAccessToken judges the token that a registration must then bring
	// (RFC 7591 §3), once its metadata have been found good: a token for one use
	// is spent here. False: the token is not good; an error is an outage. Nil:
	// registration is open to anyone.
	InitialAccessToken func(ctx context.Context, token string) (bool, error)

	// Policy is asked before a client is stored, at registration and at every
	// update. It may change r.Client, or refuse by an error; one that is no
	// *oauth.Error is an outage. Nil: everyone is welcome.
	Policy func(ctx context.Context, r *Request) error

	// StatementIssuers are those whose software statements (RFC 7591 §2.3) are
	// believed: their JWK Sets, by the iss of a statement. Its claims take
	// precedence over the request's. An aud, if it has one, must have the provider's
	// issuer. Empty, and no SoftwareStatement: every request with a statement is
	// refused.
	StatementIssuers map[string][]byte

	// SoftwareStatement verifies statements in the place of StatementIssuers and
	// returns the claims, a JSON object. An error that is no *oauth.Error counts as
	// ErrInvalidSoftwareStatement.
	SoftwareStatement func(ctx context.Context, jwt string) (claims []byte, err error)

	// Address is where a request comes from, for the limit per address. Behind a
	// proxy it must be what the proxy says. Nil: the host of r.RemoteAddr. Of
	// IPv6 addresses the first 64 bits count.
	Address func(r *http.Request) string

	PerAddress int // registrations an hour and process from one address; 100
	PerHour    int // registrations an hour and process in all; 1000

	Unused   time.Duration // how long a registration is kept that was never used; 24 hours
	Lifetime time.Duration // how long after it was last used; 90 days, at least Policy.RefreshTokenLifetime
}

// Request is a registration, or the update of one, that only Config.Policy can
// still stop.
type Request struct {
	Client   *oauth.Client              // as it would be stored
	Metadata map[string]json.RawMessage // as the client sent them: nobody checked what Client does not have
	Address  string
	Update   bool // RFC 7592 §2.2
}

// New makes the extension. What is wrong with the configuration is an error of
// oauth.New.
func New(cfg Config) oauth.Extension {
	if cfg.PerAddress == 0 {
		cfg.PerAddress = 100
	}
	if cfg.PerHour == 0 {
		cfg.PerHour = 1000
	}
	if cfg.Unused == 0 {
		cfg.Unused = 24 * time.Hour
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 90 * 24 * time.Hour
	}
	cfg.Scopes = slices.Clone(cfg.Scopes)
	return func(r *oauth.Registry) error { return extend(r, cfg) }
}

type registration struct {
	cfg   Config
	reg   *oauth.Registry
	limit *limiter
	slots chan struct{} // registrations that are being stored: each may hash a secret
}

const maxAtOnce = 4

func extend(r *oauth.Registry, cfg Config) error {
	provider := r.Config()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("registration: "+format, args...)) }
	if len(cfg.Scopes) == 0 && len(provider.Scopes) > 0 {
		bad("Config.Scopes is empty: name the scopes that strangers may ask for")
	}
	if cfg.PerAddress < 0 || cfg.PerHour < 0 || cfg.Unused < 0 {
		bad("Config.PerAddress, PerHour and Unused must not be negative")
	}
	if cfg.Lifetime < provider.Policy.RefreshTokenLifetime {
		bad("Config.Lifetime is shorter than Policy.RefreshTokenLifetime: clients would vanish while their tokens live")
	}
	if cfg.Address == nil {
		cfg.Address = remoteHost
	}
	if len(cfg.StatementIssuers) > 0 {
		if cfg.SoftwareStatement != nil {
			bad("Config.StatementIssuers and SoftwareStatement exclude each other")
		}
		trusted, err := newTrust(provider.Issuer, cfg.StatementIssuers)
		if err != nil {
			errs = append(errs, err)
		}
		cfg.SoftwareStatement = trusted.verify
	}
	g := &registration{cfg: cfg, reg: r, limit: newLimiter(cfg.PerAddress, cfg.PerHour), slots: make(chan struct{}, maxAtOnce)}
	r.Handle("/register", "registration_endpoint", g)
	r.OnIssue(g.renew)
	return errors.Join(errs...)
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// renew prolongs the life of a registration that is used, once in a tenth of its
// lifetime, so that most issuances write nothing; and by so much that no refresh
// token which is issued in between outlives it.
func (g *registration) renew(ctx context.Context, is *oauth.Issuance) error {
	c := *is.Client
	if c.Trust != store.TrustSelf || c.PurgeAt.IsZero() {
		return nil
	}
	tenth := g.cfg.Lifetime / 10
	until := now().Add(max(g.cfg.Lifetime, g.reg.Config().Policy.RefreshTokenLifetime+tenth))
	if until.Sub(c.PurgeAt) < tenth {
		return nil
	}
	c.PurgeAt = until
	err := g.reg.Config().Store.UpdateClient(ctx, c)
	if errors.Is(err, store.ErrConflict) { // somebody else has just renewed or changed it
		return nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return &oauth.Error{Code: oauth.ErrInvalidClient, Description: "client authentication failed", Err: err}
	}
	if err != nil {
		return fmt.Errorf("renew registration: %w", err)
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
