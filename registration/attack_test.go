package registration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
)

// Digits and dots of other scripts become plain ones when a host is looked up.
func TestAddressesInOtherDigitsAreNoPublicNames(t *testing.T) {
	f := newFixture(t, registration.Config{})
	for _, link := range []string{"https://127.0.0.%E2%91%A0/k", "https://127.0.0.①/k", "https://x.localhos%EF%BD%94/k", "https://10.1。1/k"} {
		for _, name := range []string{"jwks_uri", "client_uri", "initiate_login_uri"} {
			f.refused(f.do("POST", endpoint, doc("redirect_uris", []string{"https://app.example/cb"}, name, link)), 400, oauth.ErrInvalidClientMetadata)
		}
	}
}

// Where registering needs a token, who has none cannot use up what those who have
// one may register.
func TestRequestsWithoutAGoodTokenUseUpNoRegistrations(t *testing.T) {
	f := newFixture(t, registration.Config{PerAddress: 2, PerHour: 3, InitialAccessToken: func(_ context.Context, token string) (bool, error) {
		return token == "good", nil
	}})
	for i := range 5 {
		from := fmt.Sprintf("198.51.100.%d:1", i%2)
		f.refused(f.do("POST", endpoint, good, "from", from), 401, registration.ErrInvalidToken)
		f.refused(f.do("POST", endpoint, good, "from", from, "Authorization", "Bearer guess"), 401, registration.ErrInvalidToken)
		f.refused(f.do("POST", endpoint, "{}", "from", from, "Authorization", "Bearer guess"), 400, oauth.ErrInvalidRedirectURI)
		f.refused(f.do("POST", endpoint, "", "from", from, "Authorization", "Bearer guess"), 400, oauth.ErrInvalidClientMetadata)
	}
	for i, status := range []int{201, 201, 429} {
		assert.Equal(t, status, f.do("POST", endpoint, good, "from", "198.51.100.1:1", "Authorization", "Bearer good").status, i)
	}
	for i, status := range []int{201, 429} {
		assert.Equal(t, status, f.do("POST", endpoint, good, "from", "198.51.100.9:1", "Authorization", "Bearer good").status, i)
	}
	assert.Equal(t, 3, f.count())
}

// What the operator has taken from a client is not what it gives itself again.
func TestAnUpdateGivesNoScopesBack(t *testing.T) {
	f := newFixture(t, registration.Config{})
	info := f.register(good)
	id := info["client_id"].(string)
	c := f.stored(id)
	c.Scopes = []string{"read", "admin"} // and what only the operator can give
	require.NoError(t, f.p.UpdateClient(context.Background(), c))
	a := f.do("PUT", info["registration_client_uri"].(string), doc("client_id", id, "token_endpoint_auth_method", "none", "scope", "write read"),
		"Authorization", "Bearer "+info["registration_access_token"].(string))
	require.Equal(t, 200, a.status, a.body)
	assert.Equal(t, "read", a.json["scope"])
	assert.Equal(t, []string{"read"}, f.stored(id).Scopes)
	assert.Equal(t, []string{"read"}, f.stored(id).DefaultScopes)
}
