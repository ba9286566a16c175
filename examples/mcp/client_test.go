package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

const callback = "http://localhost:7777/callback"

// authorize registers a client and gets a token for it; nobody is asked.
func authorize(t *testing.T, issuer string) *oauth2.Token {
	t.Helper()
	res, err := http.Post(issuer+"/oauth/register", "application/json",
		strings.NewReader(`{"client_name":"Probe","redirect_uris":["`+callback+`"],"token_endpoint_auth_method":"none"}`))
	require.NoError(t, err)
	defer res.Body.Close()
	var client struct {
		ID string `json:"client_id"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&client))
	return walk(t, issuer, client.ID)
}

// walk has a token for a client.
func walk(t *testing.T, issuer, clientID string) *oauth2.Token {
	t.Helper()
	c := oauth2.Config{
		ClientID: clientID, RedirectURL: callback, Scopes: []string{"notes:read"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/oauth/authorize", TokenURL: issuer + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Get(c.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	require.NoError(t, err)
	answer.Body.Close()
	to, err := url.Parse(answer.Header.Get("Location"))
	require.NoError(t, err)
	token, err := c.Exchange(t.Context(), to.Query().Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	return token
}

func send(t *testing.T, method, to, token, session, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return res
}

// initialize opens an MCP session.
func initialize(t *testing.T, url, token string) (session string) {
	t.Helper()
	res := send(t, http.MethodPost, url, token, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	res.Body.Close()
	session = res.Header.Get("Mcp-Session-Id")
	require.NotEmpty(t, session)
	send(t, http.MethodPost, url, token, session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`).Body.Close()
	return session
}
