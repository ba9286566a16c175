// Package gosdk lets MCP servers of the official Go SDK
// (github.com/modelcontextprotocol/go-sdk) be guarded by package resource. It is
// a module of its own, so that only those who use the SDK depend on it.
package gosdk

import (
	"context"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/seed-e797c9ce/oauth/resource"
)

// Handler goes between resource.Server.RequireTools (or Require) and the handler
// of the SDK:
//
//	mux.Handle("/mcp", api.RequireTools(tools)(gosdk.Handler(
//		mcp.NewStreamableHTTPHandler(getServer, nil))))
//
// Tools then find who calls in req.Extra.TokenInfo: Caller has the token, Scopes
// and Expiration are the token's, and UserID is a name that nobody else has,
// "SUBJECT of ISSUER" or "client of ISSUER: ID", since two issuers can have users
// with one subject, and a client can be called as a user is. The SDK also keeps a
// session to the UserID that began it.
//
// A tool must not ask resource.FromContext: within a session its context is that
// of the session's first request, whose token is not this call's.
//
// A stream that a client keeps open for what the server has to say (GET, or
// subscriptions/listen) ends when its token expires: the client opens another, with
// the token that it has then. Any other answer ends an hour after that at the latest.
func Handler(next http.Handler) http.Handler {
	return auth.RequireBearerToken(tokenInfo, &auth.RequireBearerTokenOptions{ClockSkew: moment})(whileValid(next))
}

func whileValid(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info := auth.TokenInfoFromContext(r.Context()); info != nil {
			end := info.Expiration
			if r.Method != http.MethodGet && r.Header.Get("Mcp-Method") != "subscriptions/listen" {
				end = end.Add(longestCall) // also one that listens and does not say so
			}
			ctx, cancel := context.WithDeadline(r.Context(), end)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// longestCall is for calls of tools that were begun in time.
const longestCall = time.Hour

// moment keeps the SDK from refusing, without a challenge, a token that expires
// between its verification and here.
const moment = time.Minute

// callerKey is where Extra holds the token.
const callerKey = "github.com/seed-e797c9ce/oauth"

// tokenInfo only copies: the token was verified, and the challenges are written,
// further out.
func tokenInfo(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
	t, ok := resource.FromContext(ctx)
	if !ok {
		return nil, auth.ErrInvalidToken // not behind Require: nobody is let in
	}
	user := t.Subject + " of " + t.Issuer
	if t.Machine() {
		user = "client of " + t.Issuer + ": " + t.ClientID
	}
	return &auth.TokenInfo{
		Scopes: t.Scopes, Expiration: t.ExpiresAt, UserID: user, Extra: map[string]any{callerKey: t},
	}, nil
}

// Caller returns the verified token of a call, from req.Extra.TokenInfo. It is nil
// and false for one that did not come through Handler. In a server that has other
// ways in, ask: the SDK does not recover from a tool that panics.
func Caller(info *auth.TokenInfo) (*resource.Token, bool) {
	if info == nil {
		return nil, false
	}
	t, ok := info.Extra[callerKey].(*resource.Token)
	return t, ok
}
