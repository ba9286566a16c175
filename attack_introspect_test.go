package oauth_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
)

// A client that is also the API introspects its own refresh tokens: they must
// not pass for access tokens there.
func TestRefreshTokenIsNoAccessTokenAtAResourceThatIsItsClient(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	at := "http://" + server.Listener.Addr().String()
	f := newFixture(t, func(c *oauth.Config) { c.Issuer, c.Resources = at, []oauth.Resource{{URI: at}} })
	server.Config.Handler = f.p
	server.Start()
	defer server.Close()

	api, err := resource.New(resource.Config{Resource: at, Issuers: []string{at}, Verifier: resource.Introspection(at, "conf", f.secrets["conf"], nil)})
	require.NoError(t, err)
	req, err := f.p.ParseAuthorization(t.Context(), authorization("conf"))
	require.NoError(t, err)
	code, err := f.p.CreateAuthorizationCode(t.Context(), req, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
	require.NoError(t, err)
	got := f.ok(f.exchange("conf", code))

	_, err = api.VerifyToken(t.Context(), got.AccessToken)
	assert.NoError(t, err)
	_, err = api.VerifyToken(t.Context(), got.RefreshToken)
	assert.ErrorIs(t, err, resource.ErrInvalidToken)

	i, err := f.p.Introspect(context.Background(), nil, got.RefreshToken)
	require.NoError(t, err)
	assert.Equal(t, "refresh_token", i.TokenType, "any resource can see what it is")
}
