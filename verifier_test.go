package oauth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

// SEC-079: what a client holds ends, at the next check, when it is disabled or
// deleted; also what it was given for itself, which has no record.
func TestVerifierRefusesTokensOfAClientThatIsGone(t *testing.T) {
	for _, end := range []string{"disabled", "deleted"} {
		t.Run(end, func(t *testing.T) {
			p, err := oauth.New(oauth.Config{
				Issuer: "https://as.example", Store: store.NewMemory(), LoginURL: "/login",
				Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
				Policy:  oauth.Policy{BcryptCost: bcrypt.MinCost},
			})
			require.NoError(t, err)
			client, _, err := p.RegisterClient(t.Context(), oauth.Client{ID: "batch", GrantTypes: []string{"client_credentials"}})
			require.NoError(t, err)
			res, err := p.ClientCredentials(t.Context(), client, oauth.ClientCredentialsRequest{})
			require.NoError(t, err)
			token, err := p.Verifier().VerifyToken(t.Context(), res.AccessToken)
			require.NoError(t, err)
			assert.True(t, token.Machine())

			if end == "disabled" {
				client.Disabled = true
				require.NoError(t, p.UpdateClient(t.Context(), *client))
			} else {
				require.NoError(t, p.DeleteClient(t.Context(), "batch"))
			}
			_, err = p.Verifier().VerifyToken(t.Context(), res.AccessToken)
			require.ErrorIs(t, err, resource.ErrInvalidToken)
			in, err := p.Introspect(t.Context(), nil, res.AccessToken)
			require.NoError(t, err)
			assert.False(t, in.Active)
		})
	}
}
