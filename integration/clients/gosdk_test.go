package clients

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// The official Go SDK has a handler for either, and none for keys. The one for
// enterprises gets the scopes that it is made with, and no more when a tool needs
// them.
func TestGoSDKConnectsUnattended(t *testing.T) {
	t.Run("ClientCredentialsHandler", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newGoClient(t, "client_credentials")
			handler := func(secret string) auth.OAuthHandler {
				h, err := extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{
					Credentials: credentials(c.account.Client, secret), HTTPClient: c.http,
				})
				require.NoError(t, err)
				return h
			}
			c.refused(handler("guessed"), "invalid_client")
			s := c.connect(handler(c.account.Secret))
			who := "itself through " + c.account.Client + " with "
			assert.Equal(t, who+"read", c.call(s, "whoami"))
			time.Sleep(time.Minute)
			assert.Equal(t, who+"read", c.call(s, "whoami"))
			assert.Equal(t, who+"read write", c.call(s, "publish"))
			assert.Equal(t, who+"read write", c.call(s, "whoami"))
			c.world.assertGave(wrongSecret, issued)
		})
	})
	t.Run("EnterpriseHandler", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newGoClient(t, jwtBearer)
			handler := func(secret string, login extauth.IDTokenFetcher) auth.OAuthHandler {
				h, err := extauth.NewEnterpriseHandler(&extauth.EnterpriseHandlerConfig{
					IdPIssuerURL: c.account.IDP, IdPCredentials: credentials(idpClient, idpSecret), IDTokenFetcher: login,
					MCPAuthServerURL: c.world.issuer, MCPResourceURI: c.account.Endpoint, MCPScopes: []string{"read", "write"},
					MCPCredentials: credentials(c.account.Client, secret), HTTPClient: c.http,
				})
				require.NoError(t, err)
				return h
			}
			c.refused(handler("guessed", c.login), "invalid_client")
			for _, who := range []string{forged, astray, stranger} {
				c.refused(handler(c.account.Secret, func(context.Context) (*oauth2.Token, error) {
					return (&oauth2.Token{}).WithExtra(map[string]any{"id_token": c.account.IDTokens[who]}), nil
				}), "invalid_grant")
			}
			s := c.connect(handler(c.account.Secret, c.login))
			who := "u-employee through " + c.account.Client + " with read write"
			assert.Equal(t, who, c.call(s, "whoami"))
			time.Sleep(time.Minute)
			assert.Equal(t, who, c.call(s, "publish"))
			c.world.assertGave(wrongSecret, wrongKey, wrongServer, wrongUser, issued)
		})
	})
}

// goClient is the Go SDK's client and what it connects to, in a bubble.
type goClient struct {
	t       *testing.T
	world   *world
	account account
	http    *http.Client
}

func newGoClient(t *testing.T, grant string) *goClient {
	b := &bubble{t: t, servers: map[string]chan net.Conn{}}
	w := newWorld(t, b.listen, time.Minute)
	return &goClient{t: t, world: w, account: w.register(grant, ""), http: b.client()}
}

func credentials(id, secret string) *oauthex.ClientCredentials {
	return &oauthex.ClientCredentials{ClientID: id, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: secret}}
}

func (c *goClient) dial(h auth.OAuthHandler) (*sdk.ClientSession, error) {
	return sdk.NewClient(&sdk.Implementation{Name: "probe", Version: "1"}, nil).Connect(c.t.Context(),
		&sdk.StreamableClientTransport{Endpoint: c.account.Endpoint, HTTPClient: c.http, OAuthHandler: h}, nil)
}

// refused checks that a client gets no token, and is told so.
func (c *goClient) refused(h auth.OAuthHandler, code string) {
	c.t.Helper()
	_, err := c.dial(h)
	refusal := new(oauth2.RetrieveError)
	if assert.ErrorAs(c.t, err, &refusal) {
		assert.Equal(c.t, code, refusal.ErrorCode)
	}
	source, err := h.TokenSource(c.t.Context())
	assert.NoError(c.t, err)
	assert.Nil(c.t, source)
}

func (c *goClient) connect(h auth.OAuthHandler) *sdk.ClientSession {
	c.t.Helper()
	s, err := c.dial(h)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { assert.NoError(c.t, s.Close()) })
	list, err := s.ListTools(c.t.Context(), nil)
	require.NoError(c.t, err)
	assert.Len(c.t, list.Tools, 2)
	return s
}

func (c *goClient) call(s *sdk.ClientSession, tool string) string {
	c.t.Helper()
	res, err := s.CallTool(c.t.Context(), &sdk.CallToolParams{Name: tool})
	require.NoError(c.t, err)
	require.False(c.t, res.IsError, "%v", res.Content)
	return res.Content[0].(*sdk.TextContent).Text
}

// login signs the employee in at the company.
func (c *goClient) login(ctx context.Context) (*oauth2.Token, error) {
	return extauth.PerformOIDCLogin(ctx, &extauth.OIDCLoginConfig{
		IssuerURL: c.account.IDP, Credentials: credentials(idpClient, idpSecret), RedirectURL: "http://localhost:7777/callback",
		Scopes: []string{"openid"}, HTTPClient: c.http,
	}, func(ctx context.Context, a *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
		if err != nil {
			return nil, err
		}
		res, err := c.http.Transport.RoundTrip(r) // follows no redirect
		if err != nil {
			return nil, err
		}
		res.Body.Close()
		to, err := res.Location()
		if err != nil {
			return nil, err
		}
		return &auth.AuthorizationResult{Code: to.Query().Get("code"), State: to.Query().Get("state")}, nil
	})
}
