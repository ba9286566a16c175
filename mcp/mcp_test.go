package mcp_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/store"
)

func newProvider(t *testing.T, cfg mcp.Config) (*oauth.Provider, error) {
	t.Helper()
	return oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: store.NewMemory(), LoginURL: "/login", Secret: []byte("0123456789abcdef0123456789abcdef"),
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "alice"}, nil },
		Scopes:     map[string]string{"read": "Read", "admin": "Everything"},
		Policy:     oauth.Policy{BcryptCost: 4},
		Extensions: mcp.Profile(cfg),
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func register(p *oauth.Provider, body, address string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/oauth/register", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Real", address)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

const body = `{"redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`

// TS2 and Claude Code append offline_access to what they ask for.
func TestA24_OfflineAccessIsGrantedToStrangers(t *testing.T) {
	p, err := newProvider(t, mcp.Config{Scopes: []string{"read"}})
	require.NoError(t, err)
	w := register(p, body, "")
	require.Equal(t, http.StatusCreated, w.Code, w.Body)
	var info struct {
		ClientID string `json:"client_id"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &info))
	req, err := p.ParseAuthorization(t.Context(), url.Values{"client_id": {info.ClientID}, "redirect_uri": {"http://127.0.0.1:53211/callback"}, "response_type": {"code"},
		"scope": {"read admin offline_access"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"read", "offline_access"}, req.Scopes, "and no scope that strangers may not have")
}

func TestScopesOfStrangersMustBeNamed(t *testing.T) {
	_, err := newProvider(t, mcp.Config{})
	assert.ErrorContains(t, err, "registration: Config.Scopes")
	assert.ErrorContains(t, err, "cimd: Config.Scopes")
}

func TestRegistrationCanBeLeftOut(t *testing.T) {
	p, err := newProvider(t, mcp.Config{Scopes: []string{"read"}, NoRegistration: true})
	require.NoError(t, err)
	assert.NotContains(t, p.Metadata(), "registration_endpoint")
	assert.Equal(t, http.StatusNotFound, register(p, body, "").Code)
	assert.Equal(t, true, p.Metadata()["client_id_metadata_document_supported"])
}

func TestRegistrationsAreCountedByTheAppsAddress(t *testing.T) {
	p, err := newProvider(t, mcp.Config{Scopes: []string{"read"}, Address: func(r *http.Request) string { return r.Header.Get("X-Real") }})
	require.NoError(t, err)
	for range 100 {
		require.Equal(t, http.StatusCreated, register(p, body, "192.0.2.1").Code)
	}
	assert.Equal(t, http.StatusTooManyRequests, register(p, body, "192.0.2.1").Code)
	assert.Equal(t, http.StatusCreated, register(p, body, "192.0.2.2").Code)
}
