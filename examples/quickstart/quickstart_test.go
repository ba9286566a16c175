package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
)

// start runs both apps on free ports until the test ends, and returns their URLs.
func start(t *testing.T) (appURL, clientURL string) {
	t.Helper()
	appURL, clientURL, stop := startWith(t, "localhost:0", "memory")
	t.Cleanup(stop)
	return appURL, clientURL
}

// startWith runs both apps until stop is called.
func startWith(t *testing.T, addr, store string) (appURL, clientURL string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, addr, "127.0.0.1:0", store, w)
		w.CloseWithError(err)
		ended <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	urls := regexp.MustCompile(`http://[^ )\n]+`).FindAllString(line, -1)
	require.Len(t, urls, 2)
	return urls[1], urls[0], func() {
		cancel()
		assert.NoError(t, <-ended)
	}
}

func signIn(b *browser.Browser, username, password string) {
	b.Submit("/login", "username", username, "password", password)
}

func allow(b *browser.Browser) {
	b.Submit("/oauth/consent", "decision", "allow", "scope", "notes")
}

func TestAPersonWalksTheFlow(t *testing.T) {
	appURL, clientURL := start(t)
	b := browser.New(t)
	b.Open(clientURL)
	b.Submit("/connect")
	assert.Equal(t, "/login", b.At.Path)
	signIn(b, "ada", "wrong")
	assert.Contains(t, b.Page, "wrong")
	signIn(b, "ada", "lovelace")
	assert.Contains(t, b.Page, "Notes Reader")
	allow(b)
	require.Equal(t, clientURL+"/", b.At.String())
	assert.Contains(t, b.Page, "Connected.")
	assert.Contains(t, b.Page, `{"notes":["Buy coffee","Ask Ben about Friday"]}`)
	before := shownTokens(t, b)

	b.Submit("/refresh")
	assert.Contains(t, b.Page, "Both tokens were replaced.")
	after := shownTokens(t, b)
	assert.NotEqual(t, before[0], after[0])
	assert.NotEqual(t, before[1], after[1])

	b.Open(appURL + "/connections")
	assert.Contains(t, b.Page, "Notes Reader")
	b.Submit("/connections")
	assert.Contains(t, b.Page, "You have let no app use your account.")
	b.Open(clientURL)
	b.Submit("/notes")
	assert.Contains(t, b.Page, "The API answered 401 Unauthorized")
	b.Submit("/refresh")
	assert.Contains(t, b.Page, "The refresh token was not accepted: invalid_grant")

	b.Submit("/connect")
	allow(b) // signed in still, but asked again
	b.Submit("/revoke")
	assert.Contains(t, b.Page, "answered 200 OK")
	b.Submit("/notes")
	assert.Regexp(t, `(?s)asked to revoke.*The API answered 401 Unauthorized`, b.Page)
}

func shownTokens(t *testing.T, b *browser.Browser) []string {
	found := regexp.MustCompile(`…[A-Za-z0-9_-]{6}`).FindAllString(b.Page, -1)
	require.Len(t, found, 2)
	return found
}

func TestTheClientIgnoresAnswersItHasNotAskedFor(t *testing.T) {
	appURL, clientURL := start(t)
	b := browser.New(t)
	for _, query := range []string{"", "?code=x&state=&iss=" + appURL, "?code=x&state=y&iss=" + appURL} {
		b.Open(clientURL + "/callback" + query)
		assert.Contains(t, b.Page, "had not asked for")
		assert.Contains(t, b.Page, `action="/connect"`)
	}
}

func TestDenying(t *testing.T) {
	_, clientURL := start(t)
	b := browser.New(t)
	b.Open(clientURL)
	b.Submit("/connect")
	signIn(b, "ben", "wheeler")
	b.Submit("/oauth/consent", "decision", "deny")
	assert.Contains(t, b.Page, "The provider refused: access_denied")
}

// TestAnyClientWalksTheFlow has golang.org/x/oauth2 as the client, with nothing
// of this program's in between.
func TestAnyClientWalksTheFlow(t *testing.T) {
	appURL, _ := start(t)
	ctx := t.Context()
	conf := anyClient(appURL)
	b := browser.New(t)
	b.Stop = conf.RedirectURL
	verifier := oauth2.GenerateVerifier()
	b.Open(conf.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier)))
	signIn(b, "ada", "lovelace")
	allow(b)
	require.NotNil(t, b.Answer)
	assert.Equal(t, "a state", b.Answer.Query().Get("state"))
	assert.Equal(t, appURL, b.Answer.Query().Get("iss"))

	first, err := conf.Exchange(ctx, b.Answer.Query().Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, callAPI(t, appURL, first))
	second, err := conf.TokenSource(ctx, &oauth2.Token{RefreshToken: first.RefreshToken}).Token()
	require.NoError(t, err)
	assert.NotEqual(t, first.RefreshToken, second.RefreshToken)
	assert.Equal(t, http.StatusOK, callAPI(t, appURL, second))

	res, err := http.PostForm(appURL+"/oauth/revoke", url.Values{"token": {second.RefreshToken}, "client_id": {"notes-reader"}})
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusOK, res.StatusCode)
	assert.Equal(t, http.StatusUnauthorized, callAPI(t, appURL, first))
	assert.Equal(t, http.StatusUnauthorized, callAPI(t, appURL, second))
	_, err = conf.TokenSource(ctx, &oauth2.Token{RefreshToken: second.RefreshToken}).Token()
	var refused *oauth2.RetrieveError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "invalid_grant", refused.ErrorCode)
}

func anyClient(appURL string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: "notes-reader", RedirectURL: "http://127.0.0.1:1/callback", Scopes: []string{"notes"},
		Endpoint: oauth2.Endpoint{
			AuthURL: appURL + "/oauth/authorize", TokenURL: appURL + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

func callAPI(t *testing.T, appURL string, token *oauth2.Token) int {
	t.Helper()
	res, err := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token)).Get(appURL + "/api/notes")
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode
}

func TestTheAppWithoutOAuth(t *testing.T) {
	appURL, _ := start(t)
	b := browser.New(t)
	b.Open(appURL)
	signIn(b, "ben", "wheeler")
	b.Submit("/notes", "note", "<b>Call Ada</b>")
	assert.Contains(t, b.Page, "Water the plants")
	assert.Contains(t, b.Page, "Call Ada")
	res, err := http.Get(appURL + "/api/notes")
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
	assert.Contains(t, res.Header.Get("WWW-Authenticate"), "resource_metadata=")
}
