package main

import (
	"bufio"
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// start runs both apps on free ports and returns their URLs.
func start(t *testing.T) (appURL, clientURL string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, "localhost:0", "127.0.0.1:0", w); w.Close() }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	urls := regexp.MustCompile(`http://[^ )\n]+`).FindAllString(line, -1)
	require.Len(t, urls, 2)
	return urls[1], urls[0]
}

// browser follows redirects, keeps cookies, and knows the page it is on.
type browser struct {
	*http.Client
	t    *testing.T
	at   *url.URL
	page string
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{Client: &http.Client{Jar: jar, Timeout: time.Minute}, t: t}
}

func (b *browser) open(u string) { b.show(b.Get(u)) }

// submit sends the form of the page with this action, its hidden fields, and these.
func (b *browser) submit(action string, fields url.Values) {
	b.t.Helper()
	require.Contains(b.t, b.page, `action="`+action+`"`)
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`).FindAllStringSubmatch(b.page, -1) {
		if !fields.Has(m[1]) {
			fields.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	target, err := b.at.Parse(action)
	require.NoError(b.t, err)
	b.show(b.PostForm(target.String(), fields))
}

func (b *browser) show(res *http.Response, err error) {
	b.t.Helper()
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	b.at, b.page = res.Request.URL, html.UnescapeString(string(text))
}

func (b *browser) signIn(username, password string) {
	b.t.Helper()
	b.submit("/login", url.Values{"username": {username}, "password": {password}})
}

func (b *browser) allow() {
	b.t.Helper()
	b.submit("/oauth/consent", url.Values{"decision": {"allow"}, "scope": {"notes"}})
}

func TestAPersonWalksTheFlow(t *testing.T) {
	appURL, clientURL := start(t)
	b := newBrowser(t)
	b.open(clientURL)
	b.submit("/connect", url.Values{})
	assert.Equal(t, "/login", b.at.Path)
	b.signIn("ada", "wrong")
	assert.Contains(t, b.page, "wrong")
	b.signIn("ada", "lovelace")
	assert.Contains(t, b.page, "Notes Reader")
	b.allow()
	require.Equal(t, clientURL+"/", b.at.String())
	assert.Contains(t, b.page, "Connected.")
	assert.Contains(t, b.page, `{"notes":["Buy coffee","Ask Ben about Friday"]}`)
	before := shownTokens(b)

	b.submit("/refresh", url.Values{})
	assert.Contains(t, b.page, "Both tokens were replaced.")
	after := shownTokens(b)
	assert.NotEqual(t, before[0], after[0])
	assert.NotEqual(t, before[1], after[1])

	b.open(appURL + "/connections")
	assert.Contains(t, b.page, "Notes Reader")
	b.submit("/connections", url.Values{})
	assert.Contains(t, b.page, "You have let no app use your account.")
	b.open(clientURL)
	b.submit("/notes", url.Values{})
	assert.Contains(t, b.page, "The API answered 401 Unauthorized")
	b.submit("/refresh", url.Values{})
	assert.Contains(t, b.page, "The refresh token was not accepted: invalid_grant")

	b.submit("/connect", url.Values{})
	b.allow() // signed in still, but asked again
	b.submit("/revoke", url.Values{})
	assert.Contains(t, b.page, "answered 200 OK")
	b.submit("/notes", url.Values{})
	assert.Regexp(t, `(?s)asked to revoke.*The API answered 401 Unauthorized`, b.page)
}

func shownTokens(b *browser) []string {
	found := regexp.MustCompile(`…[A-Za-z0-9_-]{6}`).FindAllString(b.page, -1)
	require.Len(b.t, found, 2)
	return found
}

func TestTheClientIgnoresAnswersItHasNotAskedFor(t *testing.T) {
	appURL, clientURL := start(t)
	b := newBrowser(t)
	for _, query := range []string{"", "?code=x&state=&iss=" + appURL, "?code=x&state=y&iss=" + appURL} {
		b.open(clientURL + "/callback" + query)
		assert.Contains(t, b.page, "had not asked for")
		assert.Contains(t, b.page, `action="/connect"`)
	}
}

func TestDenying(t *testing.T) {
	_, clientURL := start(t)
	b := newBrowser(t)
	b.open(clientURL)
	b.submit("/connect", url.Values{})
	b.signIn("ben", "wheeler")
	b.submit("/oauth/consent", url.Values{"decision": {"deny"}})
	assert.Contains(t, b.page, "The provider refused: access_denied")
}

// TestAnyClientWalksTheFlow has golang.org/x/oauth2 as the client, with nothing
// of this program's in between.
func TestAnyClientWalksTheFlow(t *testing.T) {
	appURL, _ := start(t)
	ctx := t.Context()
	conf := &oauth2.Config{
		ClientID: "notes-reader", RedirectURL: "http://127.0.0.1:1/callback", Scopes: []string{"notes"},
		Endpoint: oauth2.Endpoint{
			AuthURL: appURL + "/oauth/authorize", TokenURL: appURL + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	b := newBrowser(t)
	var callback *url.URL
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "127.0.0.1:1" {
			callback = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	verifier := oauth2.GenerateVerifier()
	b.open(conf.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier)))
	b.signIn("ada", "lovelace")
	b.allow()
	require.NotNil(t, callback)
	assert.Equal(t, "a state", callback.Query().Get("state"))
	assert.Equal(t, appURL, callback.Query().Get("iss"))

	first, err := conf.Exchange(ctx, callback.Query().Get("code"), oauth2.VerifierOption(verifier))
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

func callAPI(t *testing.T, appURL string, token *oauth2.Token) int {
	t.Helper()
	res, err := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token)).Get(appURL + "/api/notes")
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode
}

func TestTheAppWithoutOAuth(t *testing.T) {
	appURL, _ := start(t)
	b := newBrowser(t)
	b.open(appURL)
	b.signIn("ben", "wheeler")
	b.submit("/notes", url.Values{"note": {"<b>Call Ada</b>"}})
	assert.Contains(t, b.page, "Water the plants")
	assert.Contains(t, b.page, "Call Ada")
	res, err := http.Get(appURL + "/api/notes")
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
	assert.Contains(t, res.Header.Get("WWW-Authenticate"), "resource_metadata=")
}
