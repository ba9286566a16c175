package gosdk_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/store"
)

// identityProvider is an enterprise's: its token endpoint exchanges any ID token
// for an ID-JAG for the client.
func identityProvider(t *testing.T, clientID *string) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	mux := http.NewServeMux()
	idp := httptest.NewTLSServer(mux)
	t.Cleanup(idp.Close)
	answer := func(pattern string, f func(r *http.Request) any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			assert.NoError(t, json.NewEncoder(w).Encode(f(r)))
		})
	}
	answer("/.well-known/openid-configuration", func(*http.Request) any {
		return map[string]any{
			"issuer": idp.URL, "jwks_uri": idp.URL + "/jwks", "token_endpoint": idp.URL + "/token", "authorization_endpoint": idp.URL + "/authorize",
			"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
		}
	})
	answer("/jwks", func(*http.Request) any {
		text := base64.RawURLEncoding.EncodeToString
		return map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "kid": "k", "x": text(point[1:33]), "y": text(point[33:])}}}
	})
	answer("/token", func(r *http.Request) any {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": idp.URL, "sub": "U1", "aud": r.FormValue("audience"), "resource": r.FormValue("resource"), "scope": r.FormValue("scope"),
			"client_id": *clientID, "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
		})
		token.Header["typ"], token.Header["kid"] = "oauth-id-jag+jwt", "k"
		signed, err := token.SignedString(key)
		assert.NoError(t, err)
		return map[string]any{"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "access_token": signed, "token_type": "N_A", "expires_in": 300}
	})
	return idp
}

// The SDK's client for enterprises gets a token without asking anybody.
func TestEnterpriseHandlerGetsATokenWithAnIDJAG(t *testing.T) {
	var clientID string
	idp := identityProvider(t, &clientID)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p, err := oauth.New(oauth.Config{
		Issuer: server.URL, Store: store.NewMemory(), LoginURL: "/login", Secret: make([]byte, 32),
		Session:   func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:    map[string]string{"read": "Read"},
		Resources: []oauth.Resource{{URI: server.URL + "/mcp"}},
		Extensions: mcp.Profile(mcp.Config{Scopes: []string{"read"}, Enterprises: []assertion.Enterprise{{
			Issuer: assertion.Issuer{URL: idp.URL, HTTPClient: idp.Client()},
			User:   func(_ context.Context, c assertion.Claims) (string, error) { return "user-" + c.Subject, nil },
		}}}),
	})
	require.NoError(t, err)
	mux.Handle("/", p)
	client, secret, err := p.RegisterClient(t.Context(), oauth.Client{GrantTypes: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}, Scopes: []string{"read"}})
	require.NoError(t, err)
	clientID = client.ID

	credentials := func(id, secret string) *oauthex.ClientCredentials {
		return &oauthex.ClientCredentials{ClientID: id, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: secret}}
	}
	handler, err := extauth.NewEnterpriseHandler(&extauth.EnterpriseHandlerConfig{
		IdPIssuerURL: idp.URL, IdPCredentials: credentials("at-the-idp", "x"), HTTPClient: idp.Client(),
		MCPAuthServerURL: server.URL, MCPResourceURI: server.URL + "/mcp", MCPScopes: []string{"read"}, MCPCredentials: credentials(client.ID, secret),
		IDTokenFetcher: func(context.Context) (*oauth2.Token, error) {
			return (&oauth2.Token{}).WithExtra(map[string]any{"id_token": "x"}), nil
		},
	})
	require.NoError(t, err)
	refused := &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody}
	require.NoError(t, handler.Authorize(t.Context(), httptest.NewRequest(http.MethodPost, server.URL+"/mcp", nil), refused))
	source, err := handler.TokenSource(t.Context())
	require.NoError(t, err)
	token, err := source.Token()
	require.NoError(t, err)
	assert.Empty(t, token.RefreshToken)
	got, err := p.Verifier().VerifyToken(t.Context(), token.AccessToken)
	require.NoError(t, err)
	assert.Equal(t, "user-U1", got.Subject)
	assert.Equal(t, client.ID, got.ClientID)
	assert.Equal(t, []string{"read"}, got.Scopes)
	assert.Equal(t, []string{server.URL + "/mcp"}, got.Audience)
}
