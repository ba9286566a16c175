package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// A client that form-encodes its secret, as RFC 6749 §2.3.1 asks, is not
// reported as one that failed.
func TestEncodedBasicSecretRaisesNoAlarm(t *testing.T) {
	var failures int
	p, err := oauth.New(oauth.Config{
		Issuer: "https://as.example", Store: store.NewMemory(), LoginURL: "/login",
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Policy:  oauth.Policy{BcryptCost: bcrypt.MinCost},
		OnEvent: func(_ context.Context, e oauth.Event) {
			if e.Kind == oauth.EventClientAuthFailed {
				failures++
			}
		},
	})
	require.NoError(t, err)
	const secret = "p%+: and more"
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	require.NoError(t, err)
	_, _, err = p.RegisterClient(t.Context(), oauth.Client{
		ID: "batch", GrantTypes: []string{"client_credentials"}, Secrets: []store.Secret{{Hash: string(hash)}},
	})
	require.NoError(t, err)
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, "https://as.example/oauth/token", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("batch", url.QueryEscape(secret))
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
	require.Zero(t, failures)
}
