package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/program"
	"github.com/seed-e797c9ce/oauth/examples/internal/sqldb"
	"github.com/seed-e797c9ce/oauth/examples/internal/stores"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	issuer   = "http://localhost:8080"
	callback = "http://127.0.0.1:1/callback"
)

func TestMain(m *testing.M) { program.Main(m, main) }

var secret = []byte(strings.Repeat("test", 8))

// provider is one for a user who is signed in: ada.
func provider(t *testing.T, s store.Store) *oauth.Provider {
	t.Helper()
	p, err := oauth.New(oauth.Config{
		Issuer: issuer, Store: s, Secret: secret, LoginURL: "/login",
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "ada"}, nil },
		Scopes:     map[string]string{"read": "Read"},
		Extensions: []oauth.Extension{registration.New(registration.Config{Scopes: []string{"read"}})},
		Logger:     slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return p
}

func call(p *oauth.Provider, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func authorizationURL(client, verifier string) string {
	return issuer + "/oauth/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "scope": {"read"}, "state": {"s"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}.Encode()
}

// consent is what ada's yes on the page does.
func consent(t *testing.T, p *oauth.Provider, client string) *oauth.TokenResponse {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	u, err := url.Parse(authorizationURL(client, verifier))
	require.NoError(t, err)
	req, err := p.ParseAuthorization(t.Context(), u.Query())
	require.NoError(t, err)
	code, err := p.CreateAuthorizationCode(t.Context(), req, oauth.Approval{Session: oauth.Session{Subject: "ada"}})
	require.NoError(t, err)
	return exchange(t, p, client, code, verifier)
}

func exchange(t *testing.T, p *oauth.Provider, client, code, verifier string) *oauth.TokenResponse {
	t.Helper()
	c, err := p.Client(t.Context(), client)
	require.NoError(t, err)
	tokens, err := p.Exchange(t.Context(), c, oauth.ExchangeRequest{Code: code, RedirectURI: callback, CodeVerifier: verifier})
	require.NoError(t, err)
	return tokens
}

// TestAProviderOnTheNewStoreGoesOn copies what providers have written.
func TestAProviderOnTheNewStoreGoesOn(t *testing.T) {
	ctx, old := t.Context(), store.NewMemory()
	before := provider(t, old)
	_, _, err := before.RegisterClient(ctx, oauth.Client{
		ID: "app", Public: true, ApplicationType: "native", RedirectURIs: []string{callback}, Scopes: []string{"read"},
	})
	require.NoError(t, err)
	_, robotSecret, err := before.RegisterClient(ctx, oauth.Client{ID: "robot", GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}})
	require.NoError(t, err)
	registered := register(t, before)
	active := consent(t, before, "app")
	revoked := consent(t, before, "app")
	app, err := before.Client(ctx, "app")
	require.NoError(t, err)
	ended, err := before.Revoke(ctx, app, revoked.RefreshToken)
	require.NoError(t, err)
	require.True(t, ended)

	fresh, done, err := sqldb.SQLite(ctx, filepath.Join(t.TempDir(), "oauth.db"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, done()) }()
	n, err := copyStore(ctx, old, fresh, nil)
	require.NoError(t, err)
	assert.Equal(t, counts{Clients: 3, Tokens: 2, Consents: 1, Keys: 1}, n)
	after := provider(t, fresh)

	t.Run("the access token verifies", func(t *testing.T) {
		token, err := after.Verifier().VerifyToken(ctx, active.AccessToken)
		require.NoError(t, err)
		assert.Equal(t, "ada", token.Subject)
		_, err = after.Verifier().VerifyToken(ctx, revoked.AccessToken)
		assert.Error(t, err)
	})
	t.Run("the refresh token is accepted, the revoked one is not", func(t *testing.T) {
		next, err := after.Refresh(ctx, app, oauth.RefreshRequest{RefreshToken: active.RefreshToken})
		require.NoError(t, err)
		_, err = after.Refresh(ctx, app, oauth.RefreshRequest{RefreshToken: next.RefreshToken})
		assert.NoError(t, err)
		_, err = after.Refresh(ctx, app, oauth.RefreshRequest{RefreshToken: revoked.RefreshToken})
		assert.ErrorIs(t, err, oauth.ErrInvalidGrant)
	})
	t.Run("the consent is remembered", func(t *testing.T) {
		verifier := oauth2.GenerateVerifier()
		w := call(after, httptest.NewRequest(http.MethodGet, authorizationURL("app", verifier), nil))
		back, err := w.Result().Location()
		require.NoError(t, err)
		exchange(t, after, "app", back.Query().Get("code"), verifier)
	})
	t.Run("the client's secret is known", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, issuer+"/oauth/token", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("robot", robotSecret)
		assert.Equal(t, http.StatusOK, call(after, r).Code)
	})
	t.Run("the registration can be managed", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodGet, registered.URI, nil)
		r.Header.Set("Authorization", "Bearer "+registered.Token)
		assert.Equal(t, http.StatusOK, call(after, r).Code)
	})
	t.Run("the keys are the same", func(t *testing.T) {
		keys := func(p *oauth.Provider) string {
			return call(p, httptest.NewRequest(http.MethodGet, issuer+"/oauth/jwks", nil)).Body.String()
		}
		assert.Contains(t, keys(after), `"kid"`)
		assert.Equal(t, keys(before), keys(after))
	})
}

// TestTwoStoresInUse is what docs/stores.md says of a move without a stop, and of
// a backup that is restored: a client that has refreshed since is signed out, and
// what was revoked since is valid again, until the records are deleted.
func TestTwoStoresInUse(t *testing.T) {
	ctx, old, copied := t.Context(), store.NewMemory(), store.NewMemory()
	before := provider(t, old)
	_, _, err := before.RegisterClient(ctx, oauth.Client{
		ID: "app", Public: true, ApplicationType: "native", RedirectURIs: []string{callback}, Scopes: []string{"read"},
	})
	require.NoError(t, err)
	app, err := before.Client(ctx, "app")
	require.NoError(t, err)
	refreshed, revoked := consent(t, before, "app"), consent(t, before, "app")
	_, err = copyStore(ctx, old, copied, nil)
	require.NoError(t, err)
	next, err := before.Refresh(ctx, app, oauth.RefreshRequest{RefreshToken: refreshed.RefreshToken})
	require.NoError(t, err)
	_, err = before.Revoke(ctx, app, revoked.RefreshToken)
	require.NoError(t, err)
	later := consent(t, before, "app")

	after := provider(t, copied)
	_, err = after.Refresh(ctx, app, oauth.RefreshRequest{RefreshToken: next.RefreshToken})
	assert.ErrorIs(t, err, oauth.ErrInvalidGrant)
	_, err = after.Refresh(ctx, app, oauth.RefreshRequest{RefreshToken: refreshed.RefreshToken})
	assert.ErrorIs(t, err, oauth.ErrInvalidGrant, "the authorization was ended")
	_, err = after.Verifier().VerifyToken(ctx, later.AccessToken)
	assert.Error(t, err, "an authorization that began since")
	_, err = after.Verifier().VerifyToken(ctx, revoked.AccessToken)
	assert.NoError(t, err, "a revocation that is lost")

	now := time.Now().UTC()
	n, err := copied.RevokeTokens(ctx, store.TokenQuery{ClientID: "app"}, now, now.AddDate(0, 0, 7))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	_, err = after.Refresh(ctx, app, oauth.RefreshRequest{RefreshToken: revoked.RefreshToken})
	assert.ErrorIs(t, err, oauth.ErrInvalidGrant)
	_, err = after.Verifier().VerifyToken(ctx, revoked.AccessToken)
	assert.Error(t, err)
}

type registrationAnswer struct {
	URI   string `json:"registration_client_uri"`
	Token string `json:"registration_access_token"`
}

func register(t *testing.T, p *oauth.Provider) (a registrationAnswer) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, issuer+"/oauth/register", strings.NewReader(
		`{"client_name": "Stranger", "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}`))
	r.Header.Set("Content-Type", "application/json")
	w := call(p, r)
	require.Equal(t, http.StatusCreated, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	return a
}

func TestWhatLeadsToRecords(t *testing.T) {
	ctx, at := t.Context(), time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	old := store.NewMemory()
	require.NoError(t, old.CreateClient(ctx, store.Client{ID: "app"}))
	for _, r := range []store.Token{
		{ID: "1", ClientID: "app", Subject: "ada"},
		{ID: "2", ClientID: "https://elsewhere/client.json", Subject: "ada"}, // stored nowhere; ada leads to it
		{ID: "3", ClientID: "https://elsewhere/client.json", Subject: "ben"}, // and that client to ben
		{ID: "4", ClientID: "https://other/client.json", Subject: "eve"},     // nothing leads to eve
		{ID: "5", ClientID: "app", RevokedAt: at},                            // the client's own, given back
		{ID: "6", ClientID: "workload:deployer", RevokedAt: at},              // of a client that is stored nowhere, without a user
	} {
		require.NoError(t, old.CreateToken(ctx, r))
	}
	require.NoError(t, old.GrantConsent(ctx, store.Consent{Subject: "eve", ClientID: "https://other/client.json", GrantedAt: at}))
	require.NoError(t, old.GrantConsent(ctx, store.Consent{Subject: "ben", ClientID: "app", Scopes: []string{"read"}, GrantedAt: at, UpdatedAt: at.Add(time.Hour)}))

	for name, c := range map[string]struct {
		users []string
		want  counts
	}{
		"without users": {nil, counts{Clients: 1, Tokens: 4, Consents: 1}},
		"with users":    {[]string{"eve", "ada", "nobody"}, counts{Clients: 1, Tokens: 5, Consents: 2}},
		"with workload": {[]string{"workload:deployer", "app"}, counts{Clients: 1, Tokens: 5, Consents: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := store.NewMemory()
			n, err := copyStore(ctx, old, fresh, c.users)
			require.NoError(t, err)
			assert.Equal(t, c.want, n)
			kept, err := fresh.Token(ctx, "5")
			require.NoError(t, err)
			assert.Equal(t, at, kept.RevokedAt)
			granted, err := fresh.Consent(ctx, "ben", "app")
			require.NoError(t, err)
			assert.Equal(t, store.Consent{Subject: "ben", ClientID: "app", Scopes: []string{"read"}, Resources: granted.Resources, GrantedAt: at, UpdatedAt: at.Add(time.Hour)}, granted)
		})
	}
}

func TestManyPages(t *testing.T) {
	ctx, old, fresh := t.Context(), store.NewMemory(), store.NewMemory()
	const n = 2*store.MaxPage + 1
	for i := range n {
		id := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		require.NoError(t, old.CreateToken(ctx, store.Token{ID: "t" + id, ClientID: "c", Subject: "s"}))
		require.NoError(t, old.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c" + id}))
		require.NoError(t, old.CreateClient(ctx, store.Client{ID: "c" + id}))
	}
	got, err := copyStore(ctx, old, fresh, []string{"s"})
	require.NoError(t, err)
	assert.Equal(t, counts{Clients: n, Tokens: n, Consents: n}, got)
}

func TestAStoreThatIsNotEmptyIsRefused(t *testing.T) {
	ctx, old := t.Context(), store.NewMemory()
	require.NoError(t, old.CreateClient(ctx, store.Client{ID: "app"}))
	require.NoError(t, old.CreateToken(ctx, store.Token{ID: "1", ClientID: "app"}))
	for name, fill := range map[string]func(s store.Store) error{
		"client": func(s store.Store) error { return s.CreateClient(ctx, store.Client{ID: "app"}) },
		"token":  func(s store.Store) error { return s.CreateToken(ctx, store.Token{ID: "1", ClientID: "app"}) },
	} {
		fresh := store.NewMemory()
		require.NoError(t, fill(fresh))
		_, err := copyStore(ctx, old, fresh, nil)
		assert.ErrorIs(t, err, store.ErrExists, name)
	}
}

func TestTheProgram(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	from, to, users := filepath.Join(dir, "old.db"), filepath.Join(dir, "new.db"), filepath.Join(dir, "users.txt")
	old, done, err := sqldb.SQLite(ctx, from)
	require.NoError(t, err)
	require.NoError(t, old.GrantConsent(ctx, store.Consent{Subject: "ada", ClientID: "https://elsewhere/client.json"}))
	require.NoError(t, done())
	require.NoError(t, os.WriteFile(users, []byte("ben\nada\n"), 0o600))

	var out strings.Builder
	require.NoError(t, run(ctx, "sqlite:"+from, "sqlite:"+to, users, &out))
	assert.Equal(t, "copied 0 clients, 0 authorizations, 1 consents, 0 signing key sets\n", out.String())
	fresh, done, err := sqldb.SQLite(ctx, to)
	require.NoError(t, err)
	_, err = fresh.Consent(ctx, "ada", "https://elsewhere/client.json")
	assert.NoError(t, err)
	require.NoError(t, done())

}

func TestArguments(t *testing.T) {
	dir := t.TempDir()
	from, to := "sqlite:"+filepath.Join(dir, "old.db"), "sqlite:"+filepath.Join(dir, "new.db")
	for _, name := range []string{from, to} {
		s, done, err := stores.Open(t.Context(), name)
		require.NoError(t, err)
		require.NoError(t, s.CreateClient(t.Context(), store.Client{ID: "app"}))
		require.NoError(t, done())
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"nothing":              {nil, 2, "store to read: sqlite:FILE"},
		"one store":            {[]string{"-from", from}, 2, "store to fill, which must be empty"},
		"no such flag":         {[]string{"-source", from}, 2, "flag provided but not defined: -source\nUsage"},
		"more than flags":      {[]string{"-from", from, "-to", to, "users.txt"}, 2, "Usage"},
		"no users":             {[]string{"-from", from, "-to", to, "-users", "no-such.txt"}, 1, "-users: open no-such.txt"},
		"nothing to read from": {[]string{"-from", "mysql://ada:hush@127.0.0.1:1/d", "-to", to}, 1, "-from: store: mysql: "},
		"nothing to write to":  {[]string{"-from", from, "-to", "mongodb://ada:hush@h"}, 1, "-to: store: must be"},
		"store that is in use": {[]string{"-from", from, "-to", to}, 1, "NOT COMPLETE; empty the new store and begin again: clients: "},
		"all as it should be":  {[]string{"-from", from, "-to", "memory"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, status := program.Start(t, c.args...).Wait()
			assert.Equal(t, c.status, status, stderr)
			assert.Contains(t, stderr, c.says)
			assert.NotContains(t, stderr, "hush")
			if status == 0 {
				assert.Equal(t, "copied 1 clients, 0 authorizations, 0 consents, 0 signing key sets\n", stdout)
			}
		})
	}
}

// BenchmarkCopy says how long a move takes: b.N authorizations to SQLite, on a
// disk that is waited for, or to the empty store that MOVE_TO names.
//
//	go test -run '^$' -bench Copy -benchtime 5000x ./examples/move
func BenchmarkCopy(b *testing.B) {
	ctx, old := b.Context(), store.NewMemory()
	for i := range b.N {
		require.NoError(b, old.CreateToken(ctx, store.Token{ID: rand.Text(), ClientID: "app", Subject: fmt.Sprint(i), Scopes: []string{"read"}, Successor: make([]byte, 100)}))
	}
	require.NoError(b, old.CreateClient(ctx, store.Client{ID: "app"}))
	name := "sqlite:" + filepath.Join(b.TempDir(), "oauth.db")
	if to := os.Getenv("MOVE_TO"); to != "" {
		name = to
	}
	fresh, done, err := stores.Open(ctx, name)
	require.NoError(b, err)
	b.ResetTimer()
	n, err := copyStore(ctx, old, fresh, nil)
	b.StopTimer()
	require.NoError(b, err)
	require.Equal(b, b.N, n.Tokens)
	require.NoError(b, fresh.DeleteClient(ctx, "app")) // the next b.N begins anew
	require.NoError(b, done())
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "authorizations/s")
}
