package main

import (
	"io"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
)

// TestTokensKeysAndConsentOutliveARestart is what a durable store is for. People
// sign in again: their sessions are the app's, and this one forgets them.
func TestTokensKeysAndConsentOutliveARestart(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "quickstart.db")
	appURL, _, stop := startWith(t, "localhost:0", store)
	app, err := url.Parse(appURL)
	require.NoError(t, err)
	first := authorize(t, appURL, func(b *browser.Browser) {
		signIn(b, "ada", "lovelace")
		allow(b)
	})
	stop()

	appURL, _, stop = startWith(t, app.Host, store)
	defer stop()
	assert.Equal(t, 200, callAPI(t, appURL, first), "the access token from before")
	second, err := anyClient(appURL).TokenSource(t.Context(), &oauth2.Token{RefreshToken: first.RefreshToken}).Token()
	require.NoError(t, err)
	assert.Equal(t, 200, callAPI(t, appURL, second))
	third := authorize(t, appURL, func(b *browser.Browser) { signIn(b, "ada", "lovelace") }) // nothing is asked
	assert.Equal(t, 200, callAPI(t, appURL, third))
}

// authorize has tokens for a client with nothing of this program's in it.
func authorize(t *testing.T, appURL string, person func(*browser.Browser)) *oauth2.Token {
	t.Helper()
	conf, verifier := anyClient(appURL), oauth2.GenerateVerifier()
	b := browser.New(t)
	b.Stop = conf.RedirectURL
	b.Open(conf.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
	person(b)
	require.NotNil(t, b.Answer, b.Page)
	token, err := conf.Exchange(t.Context(), b.Answer.Query().Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	return token
}

func TestTheSecretIsForItsOwnerOnly(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		_, secret, done, err := openStore(t.Context(), "sqlite")
		require.NoError(t, err)
		kept, err := os.ReadFile(defaultFile + ".secret")
		require.NoError(t, err)
		assert.Equal(t, kept, secret)
		assert.GreaterOrEqual(t, len(secret), 32)
		require.NoError(t, done())
	}
	info, err := os.Stat(defaultFile + ".secret")
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestAStoreThatThereIsNot(t *testing.T) {
	for store, reason := range map[string]string{
		"":                      "must be memory, sqlite or sqlite:FILE",
		"postgres://u:secret@h": "must be memory, sqlite or sqlite:FILE",
		"sqlite:":               "name of a file",
		"sqlite:/not/there/x":   "sqlite",
	} {
		err := run(t.Context(), "localhost:0", "127.0.0.1:0", store, io.Discard)
		require.ErrorContains(t, err, reason, store)
		assert.NotContains(t, err.Error(), "secret@")
	}
}
