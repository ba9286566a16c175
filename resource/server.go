package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Server guards one resource. It does not change after New and is safe for
// concurrent use.
type Server struct {
	cfg      Config
	implied  map[string][]string // by scope: those that satisfy it, other than itself
	metadata []byte
	etag     string
	paths    []string // of the metadata: path-inserted, then at the root if that is another
	location string   // resource_metadata
}

// New checks the configuration and makes a Server. The error joins everything
// that is wrong.
func New(cfg Config) (*Server, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("resource: "+format, args...)) }

	u := cfg.checkResource(wrong)
	cfg.checkIssuers(wrong)
	cfg.checkScopes(wrong)
	cfg.checkTexts(wrong)
	if cfg.Verifier == nil {
		wrong("Config.Verifier is required: JWT, Introspection, or Verifier of the provider in the same process")
	} else if v, ok := cfg.Verifier.(checker); ok {
		v.check(cfg.Issuers, wrong)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}

	cfg.Issuers, cfg.Scopes, cfg.Origins = slices.Clone(cfg.Issuers), slices.Clone(cfg.Scopes), slices.Clone(cfg.Origins)
	s := &Server{cfg: cfg, implied: closure(cfg.Implies)}
	s.cfg.Implies = nil // closure has all of it
	return s, s.prepareMetadata(u)
}

// checker is a verifier of this package, which can be configured wrongly.
type checker interface {
	check(issuers []string, wrong func(string, ...any))
}

func (vs Verifiers) check(issuers []string, wrong func(string, ...any)) {
	if len(vs) == 0 {
		wrong("Config.Verifier: Verifiers is empty")
	}
	for i, v := range vs {
		if v == nil {
			wrong("Config.Verifier: Verifiers[%d] is nil", i)
		}
		if c, ok := v.(checker); ok {
			c.check(issuers, wrong)
		}
	}
}

// closure turns "includes" into "is satisfied by", over any number of steps.
func closure(implies map[string][]string) map[string][]string {
	satisfiedBy := map[string][]string{}
	for broad := range implies {
		seen := map[string]bool{broad: true}
		for next := []string{broad}; len(next) > 0; {
			s := next[0]
			next = next[1:]
			for _, narrow := range implies[s] {
				if !seen[narrow] {
					seen[narrow] = true
					next = append(next, narrow)
					satisfiedBy[narrow] = append(satisfiedBy[narrow], broad)
				}
			}
		}
	}
	return satisfiedBy
}

// Allows reports whether the token has all of the scopes, each itself or by one
// that implies it. Without scopes it is true, and without a token false.
func (s *Server) Allows(t *Token, scopes ...string) bool {
	if t == nil {
		return false
	}
	for _, scope := range scopes {
		if !t.HasScope(scope) && !slices.ContainsFunc(s.implied[scope], t.HasScope) {
			return false
		}
	}
	return true
}

// VerifyToken asks the configured verifier and then checks, whatever that one
// said, that the token is for this resource, from one of its issuers, valid now
// and not bound to a key. It makes a Server a Verifier, for protocols other than
// HTTP.
func (s *Server) VerifyToken(ctx context.Context, token string) (*Token, error) {
	if token == "" || len(token) > MaxToken {
		return nil, invalid("of no length that is accepted")
	}
	t, err := s.cfg.Verifier.VerifyToken(ctx, token)
	if err != nil && !errors.Is(err, ErrInvalidToken) {
		return nil, outage{err}
	}
	if err != nil {
		return nil, err
	}
	switch {
	case t == nil:
		return nil, errors.New("resource: the verifier returned neither token nor error")
	case !slices.Contains(s.cfg.Issuers, t.Issuer):
		return nil, invalid(fmt.Sprintf("its issuer %q is not one of Config.Issuers", t.Issuer))
	case !slices.Contains(t.Audience, s.cfg.Resource):
		return nil, invalid(fmt.Sprintf("its audience %q does not have Config.Resource, %q", t.Audience, s.cfg.Resource))
	case len(t.Confirmation) > 0:
		return nil, invalid("bound to a key, and sent as a bearer token")
	}
	if err := t.checkTimes(time.Now()); err != nil {
		return nil, err
	}
	return t, nil
}

// outage is an error of a verifier that is not about the token, whatever else it
// wraps.
type outage struct{ error }

func (o outage) Unwrap() error { return o.error }
