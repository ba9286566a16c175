package app_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
	"github.com/seed-e797c9ce/oauth/examples/mcp/app"
)

// serveApp runs the app on a port of this machine. Auto is Config.Auto.
func serveApp(t *testing.T, auto string) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	base = "http://" + l.Addr().String()
	a, err := app.New(t.Context(), app.Config{URL: base, Auto: auto, Pinned: map[string][]byte{documentID: []byte(document)}})
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(a)
	require.NoError(t, srv.Listener.Close())
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	return base
}

const (
	verifier    = "a-verifier-of-at-least-43-characters-0123456789"
	codeOf      = "wZL8MkZejwdzHh4jB2kh79_6EBNURpiMV6pTtCVALSs"
	allOfNotes  = "notes:read notes:write notes:admin"
	signInState = "of-this-test"
)

func authorizeURL(base, clientID, scope string) string {
	return base + "/oauth/authorize?" + url.Values{
		"client_id": {clientID}, "redirect_uri": {callbackURI}, "response_type": {"code"}, "scope": {scope},
		"code_challenge": {codeOf}, "code_challenge_method": {"S256"}, "state": {signInState}, "resource": {base + "/mcp"},
	}.Encode()
}

func redeem(t *testing.T, base, clientID, code string) (token, scope string) {
	t.Helper()
	res, err := http.PostForm(base+"/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "redirect_uri": {callbackURI}, "code": {code}, "code_verifier": {verifier},
	})
	require.NoError(t, err)
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
		Scope string `json:"scope"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	require.NotEmpty(t, answer.Token)
	return answer.Token, answer.Scope
}

func statusOf(t *testing.T, base, token, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/mcp", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	return res.StatusCode
}

// A person signs in, allows a part, looks at what is connected, and ends it.
func TestPersonAllowsAPartAndEndsIt(t *testing.T) {
	base := serveApp(t, "")
	b := browser.New(t)
	b.Stop = callbackURI

	b.Open(authorizeURL(base, documentID, allOfNotes))
	assert.Equal(t, "/login", b.At.Path)
	b.Submit("/login", "username", "ada", "password", "lovelace")
	for _, text := range []string{"“Probe”", "describes itself at client.test", "name was not checked", "a program on this computer", "localhost:7777",
		"Read your notes", "Read and add notes in your name", "See how many notes everybody has"} {
		assert.Contains(t, b.Page, text)
	}
	b.Submit("/oauth/consent", "scope", "notes:read", "decision", "allow")
	require.NotNil(t, b.Answer)
	assert.Equal(t, signInState, b.Answer.Query().Get("state"))
	assert.Equal(t, base, b.Answer.Query().Get("iss"))
	token, scope := redeem(t, base, documentID, b.Answer.Query().Get("code"))
	assert.Equal(t, "notes:read", scope)
	assert.Equal(t, http.StatusOK, statusOf(t, base, token, callOf("whoami")))
	assert.Equal(t, http.StatusForbidden, statusOf(t, base, token, callOf("add_note")), "what was unticked")

	b.Stop = ""
	b.Open(base + "/connections")
	for _, text := range []string{"“<bdi>Probe</bdi>”", "Described at client.test. Nobody checked its name.", "A program on your computer", "Read your notes"} {
		assert.Contains(t, b.Page, text)
	}
	assert.NotContains(t, b.Page, "Read and add notes in your name")
	assert.NotContains(t, b.Page, "Never", "it was used")
	b.Submit("/connections")
	assert.Contains(t, b.Page, "You have let no app use your account.")
	assert.Equal(t, http.StatusUnauthorized, statusOf(t, base, token, callOf("whoami")))
}

func TestPersonDenies(t *testing.T) {
	base := serveApp(t, "")
	res, err := http.Post(base+"/oauth/register", "application/json",
		strings.NewReader(`{"client_name":"Your Bank","redirect_uris":["`+callbackURI+`"],"token_endpoint_auth_method":"none"}`))
	require.NoError(t, err)
	defer res.Body.Close()
	var client struct {
		ID string `json:"client_id"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&client))
	b := browser.New(t)
	b.Stop = callbackURI
	b.Open(base + "/login")
	b.Submit("/login", "username", "ben", "password", "wheeler")
	b.Open(authorizeURL(base, client.ID, "notes:read"))
	assert.Contains(t, b.Page, "anybody can give a program this name")
	b.Submit("/oauth/consent", "scope", "notes:read", "decision", "deny")
	require.NotNil(t, b.Answer)
	assert.Equal(t, "access_denied", b.Answer.Query().Get("error"))
	assert.Equal(t, base, b.Answer.Query().Get("iss"))
	assert.Empty(t, b.Answer.Query().Get("code"))
	b.Open(base + "/connections")
	assert.Contains(t, b.Page, "You have let no app use your account.")

	b.Open(authorizeURL(base, client.ID, "notes:read"))
	b.Submit("/oauth/consent", "scope", "notes:read", "decision", "allow")
	b.Open(base + "/connections")
	assert.Contains(t, b.Page, "It registered itself. Nobody checked its name")
	assert.Contains(t, b.Page, "Never")
}

func TestNobodyIsSignedInAutomaticallyElsewhere(t *testing.T) {
	_, err := app.New(t.Context(), app.Config{URL: "https://notes.example", Auto: "u-1"})
	assert.ErrorContains(t, err, "loopback")
	_, err = app.New(t.Context(), app.Config{URL: base, Auto: "u-9"})
	assert.ErrorContains(t, err, "u-9")
}

// A client may ask that the user signs in now (OpenID Connect's prompt): who is
// signed in automatically always does.
func TestAutomaticSignInIsAlwaysFresh(t *testing.T) {
	base := serveApp(t, "u-1")
	for _, more := range []string{"", "&prompt=login", "&prompt=login"} {
		b := browser.New(t)
		b.Stop = callbackURI
		b.Open(authorizeURL(base, documentID, "notes:read") + more)
		require.NotNil(t, b.Answer, b.Page)
		assert.NotEmpty(t, b.Answer.Query().Get("code"), more)
	}
}
