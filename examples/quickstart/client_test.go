package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
)

// startClient runs the client app with a provider that may be somebody else's.
func startClient(t *testing.T, issuer string) (c *clientApp, clientURL string) {
	t.Helper()
	pages, err := site.NewPages(pageFiles, "pages/*.html")
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(nil)
	clientURL = "http://" + srv.Listener.Addr().String()
	c = newClientApp(issuer, "notes-reader", clientURL+"/callback", pages)
	srv.Config.Handler = c.handler()
	srv.Start()
	t.Cleanup(srv.Close)
	return c, clientURL
}

// answer goes to the provider and comes back with this code.
func answer(t *testing.T, b *browser.Browser, clientURL, issuer, code string) {
	t.Helper()
	b.Stop, b.Answer = issuer+"/oauth/authorize", nil
	b.Open(clientURL)
	b.Submit("/connect")
	require.NotNil(t, b.Answer)
	assert.Equal(t, "S256", b.Answer.Query().Get("code_challenge_method"))
	b.Open(clientURL + "/callback?" + url.Values{"code": {code}, "state": {b.Answer.Query().Get("state")}, "iss": {issuer}}.Encode())
}

func TestACodeThatTheProviderDidNotIssue(t *testing.T) {
	appURL, clientURL := start(t)
	b := browser.New(t)
	answer(t, b, clientURL, appURL, "made-up")
	assert.Contains(t, b.Page, "The code was not accepted: invalid_grant")
	assert.NotContains(t, b.Page, "Connected.")
}

// TestTheProviderGoesAway has a provider that issues a token, breaks off in the
// middle of the notes, and is gone.
func TestTheProviderGoesAway(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth/token" {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "less")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token": "access-hush", "refresh_token": "refresh-hush", "token_type": "Bearer", "expires_in": 60}`)
	}))
	_, clientURL := startClient(t, provider.URL)
	b := browser.New(t)
	answer(t, b, clientURL, provider.URL, "a code")
	assert.Contains(t, b.Page, "Connected.")
	assert.Contains(t, b.Page, "The API did not finish its answer")

	provider.Close()
	for action, says := range map[string]string{
		"/notes":   "The API cannot be reached",
		"/refresh": "The refresh token was not accepted: the provider cannot be reached",
		"/revoke":  "The provider, asked to revoke the tokens, cannot be reached",
	} {
		b.Submit(action)
		assert.Contains(t, b.Page, says)
	}
	assert.NotContains(t, b.Page, "access-hush")
	assert.NotContains(t, b.Page, "refresh-hush")
	answer(t, b, clientURL, provider.URL, "another code")
	assert.Contains(t, b.Page, "The code was not accepted: the provider cannot be reached")
}

func TestFormsBeforeThereIsAToken(t *testing.T) {
	_, clientURL := startClient(t, "http://127.0.0.1:1")
	for _, path := range []string{"/notes", "/refresh", "/revoke"} {
		res, err := http.Post(clientURL+path, "", nil)
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, http.StatusOK, res.StatusCode, path)
		assert.Equal(t, "/", res.Request.URL.Path, path)
	}
}

func TestVisitorsAreBounded(t *testing.T) {
	c, _ := startClient(t, "http://127.0.0.1:1")
	h := c.handler()
	visit := func(cookie *http.Cookie) *http.Cookie {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		if cookie != nil {
			r.AddCookie(cookie)
		}
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
		if set := w.Result().Cookies(); len(set) > 0 {
			return set[0]
		}
		return cookie
	}
	first := visit(nil)
	for range maxVisitors - 1 {
		visit(nil)
	}
	assert.Equal(t, first.Value, visit(first).Value, "it is known")
	visit(nil)
	assert.NotEqual(t, first.Value, visit(first).Value, "there were too many")
	assert.LessOrEqual(t, len(c.visitors), maxVisitors)
}
