// Package oauth adds an OAuth 2.1 provider (an authorization server) to an app
// that already has users, a login page and a session: so that other programs,
// MCP clients first of all, can act for its users.
//
// A [Provider] is built by [New] from a [Config], keeps everything in a
// store.Store, and is an http.Handler:
//
//	p, err := oauth.New(oauth.Config{
//		Issuer:    "https://example.com",
//		Store:     store.NewMemory(),
//		Secret:    secret, // 32 random bytes
//		Session:   func(r *http.Request) (oauth.Session, error) { return oauth.Session{Subject: currentUser(r)}, nil },
//		LoginURL:  "/login",
//		Scopes:    map[string]string{"notes": "Read your notes"},
//		Resources: []oauth.Resource{{URI: "https://example.com/api"}},
//	})
//	for path, h := range p.Routes() {
//		mux.Handle(path, h)
//	}
//
// That is all that most apps need, with [Provider.RegisterClient] for each
// application, [Provider.RunCleanup] in a goroutine, [Provider.Consents] and
// [Provider.RevokeConsent] for a page of connected apps, and
// [Provider.RevokeUser] when a password changes. The package resource protects
// the API that the tokens are for.
//
// Everything the endpoints do is also a method without HTTP: Exchange, Refresh,
// ClientCredentials, Revoke, Introspect, and ParseAuthorization with
// CreateAuthorizationCode. Errors of the protocol are *[Error]; ask with
// errors.Is(err, oauth.ErrInvalidGrant).
//
// Further specifications plug in as an [Extension]; see [Registry]. Other
// databases plug in as a store.Store; see the package store.
package oauth
