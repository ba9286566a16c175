package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Why a request is refused. Compare with errors.Is.
var (
	// ErrInvalidToken: the token is not genuine, has expired, was revoked, or is
	// for somebody else. Verifiers wrap it; everything else that they return
	// counts as an outage.
	ErrInvalidToken = errors.New("resource: invalid token")

	// ErrNoToken: the request has none.
	ErrNoToken = errors.New("resource: no token")

	// ErrInvalidRequest: the request cannot be understood, such as one with two
	// tokens.
	ErrInvalidRequest = errors.New("resource: invalid request")

	// ErrInsufficientScope: the token is good, and not for this.
	ErrInsufficientScope = errors.New("resource: insufficient scope")
)

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 16 << 10

// A Verifier says whether a token is genuine and valid now, and what it says.
// It is safe for concurrent use. An error that wraps ErrInvalidToken means that
// the token is not to be accepted; any other error that this could not be found
// out. Errors must not contain the token.
//
// JWT and Introspection make one; a provider in the same process has one too.
type Verifier interface {
	VerifyToken(ctx context.Context, token string) (*Token, error)
}

// VerifierFunc is a function as a Verifier.
type VerifierFunc func(ctx context.Context, token string) (*Token, error)

// VerifyToken calls f.
func (f VerifierFunc) VerifyToken(ctx context.Context, token string) (*Token, error) {
	return f(ctx, token)
}

// Verifiers asks one verifier after the other until one accepts the token: for
// a resource with several issuers. It stops at one that cannot tell. Verifiers
// made by JWT first look whose token it is; one made by Introspection sends its
// issuer every token that those before it have refused, so that it comes last.
type Verifiers []Verifier

// VerifyToken returns the first answer that is not ErrInvalidToken, and that if
// there is no other.
func (vs Verifiers) VerifyToken(ctx context.Context, token string) (*Token, error) {
	err := ErrInvalidToken
	for _, v := range vs {
		var t *Token
		if t, err = v.VerifyToken(ctx, token); !errors.Is(err, ErrInvalidToken) {
			return t, err
		}
	}
	return nil, err
}

// Token is what a verified access token says. The times have whole seconds.
type Token struct {
	Issuer   string
	Subject  string // the user; the client itself, or empty, if there is none: see Machine
	ClientID string
	ID       string   // jti; empty if the issuer gives none
	Audience []string // the resources it is for
	Scopes   []string

	IssuedAt  time.Time // zero: not said
	NotBefore time.Time // zero: not said
	ExpiresAt time.Time // the token is invalid from this moment on; never zero

	// Confirmation is the cnf claim (RFC 7800): the token is for whoever proves
	// to have a key. A Server takes no such token as a bearer token.
	Confirmation json.RawMessage

	// Claims is everything that the issuer says, the above included, as the JSON
	// object that was signed or answered. Claim reads from it.
	Claims json.RawMessage
}

// Machine reports whether the client acts for itself: there is no user, and
// Subject is the client's own ID (RFC 9068 §2.2, §5). An API that keeps data per
// user asks this before it takes Subject for one.
func (t *Token) Machine() bool { return t.Subject == "" || t.Subject == t.ClientID }

// HasScope reports whether the token itself names the scope. Server.Allows also
// knows which scopes imply others.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// Claim decodes the claim with exactly this name into v, like encoding/json, and
// reports whether there is one. An error means that v is of the wrong type.
func (t *Token) Claim(name string, v any) (bool, error) {
	if len(t.Claims) == 0 {
		return false, nil
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(t.Claims, &claims); err != nil {
		return false, err
	}
	raw, ok := claims[name]
	if !ok {
		return false, nil
	}
	return true, json.Unmarshal(raw, v)
}

// Clone returns a copy that shares nothing that can be changed: for a Verifier
// that remembers tokens.
func (t *Token) Clone() *Token {
	// Every request makes one: most lists fit into the same allocation.
	c := &struct {
		Token
		lists [6]string
	}{Token: *t}
	lists := append(append(c.lists[:0], t.Audience...), t.Scopes...)
	n := len(t.Audience)
	if t.Audience != nil { // an empty list may have room, which is not shared either
		c.Audience = lists[:n:n]
	}
	if t.Scopes != nil {
		c.Scopes = lists[n:]
	}
	c.Confirmation, c.Claims = bytes.Clone(t.Confirmation), bytes.Clone(t.Claims)
	return &c.Token
}

type contextKey struct{}

// NewContext returns a context that holds the token, as the handlers behind
// Server.Require get it. It is for tests of such handlers.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// FromContext returns the token of the request that is being served. ok is false
// outside of Server.Require. What it returns is this request's own.
func FromContext(ctx context.Context) (t *Token, ok bool) {
	t, ok = ctx.Value(contextKey{}).(*Token)
	return t, ok && t != nil
}
