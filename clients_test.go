package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestRegisteredClientIsFilledIn(t *testing.T) {
	f := newFixture(t)
	c, secret, err := f.p.RegisterClient(t.Context(), oauth.Client{Name: "New", RedirectURIs: []string{appURI}})
	require.NoError(t, err)
	assert.NotEmpty(t, c.ID)
	assert.Equal(t, []string{"authorization_code", "refresh_token"}, c.GrantTypes)
	assert.Equal(t, []string{"code"}, c.ResponseTypes)
	assert.Equal(t, store.TrustRegistered, c.Trust)
	assert.Len(t, secret, 43, "256 bits in base64url")
	assert.False(t, c.CreatedAt.IsZero())
	assert.Len(t, c.Secrets, 1)
	assert.True(t, strings.HasPrefix(c.Secrets[0].Hash, "$2"), "a bcrypt hash")
	got, err := f.p.Client(t.Context(), c.ID)
	require.NoError(t, err)
	assert.Equal(t, c, got)

	_, _, err = f.p.RegisterClient(t.Context(), *c)
	assert.ErrorIs(t, err, oauth.ErrInvalidRequest)
	assert.ErrorIs(t, err, store.ErrExists)
	assert.Len(t, f.kinds(oauth.EventClientChanged), 10)
}

func TestClientsArePagedUpdatedAndDeleted(t *testing.T) {
	f := newFixture(t)
	var ids []string
	for after := ""; ; {
		page, err := f.p.Clients(t.Context(), after, 4)
		require.NoError(t, err)
		for _, c := range page {
			ids = append(ids, c.ID)
		}
		if len(page) < 4 {
			break
		}
		after = page[len(page)-1].ID
	}
	assert.Equal(t, []string{"app", "cc", "conf", "first", "local", "loop", "post", "rs", "self"}, ids)
	_, err := f.p.Clients(t.Context(), "", 0)
	assert.ErrorIs(t, err, oauth.ErrInvalidRequest)

	c := f.client("app")
	c.Name = "Renamed"
	require.NoError(t, f.p.UpdateClient(t.Context(), *c))
	assert.Equal(t, "Renamed", f.client("app").Name)
	err = f.p.UpdateClient(t.Context(), *c)
	assert.ErrorIs(t, err, oauth.ErrInvalidRequest, "an old version")
	assert.ErrorIs(t, err, store.ErrConflict)

	_, err = f.p.Client(t.Context(), "nobody")
	assert.ErrorIs(t, err, store.ErrNotFound)
	for _, id := range []string{"nobody", "", "a\x00b"} {
		assert.ErrorIs(t, f.p.DeleteClient(t.Context(), id), oauth.ErrInvalidRequest, "%q", id)
	}
}

func TestADeletionThatFailsLeavesAClientThatCanRepeatItOrNothing(t *testing.T) {
	for after := 0; ; after++ {
		db := &failing{after: -1}
		f := newFixture(t, func(c *oauth.Config) { db.Store, c.Store = c.Store, db })
		got := f.login("app")
		db.set(after)
		err := f.p.DeleteClient(t.Context(), "app")
		db.set(-1)
		if err == nil {
			require.Greater(t, after, 2, "it never failed")
			return
		}
		if _, err := f.p.Client(t.Context(), "app"); err != nil {
			require.ErrorIs(t, err, store.ErrNotFound)
			assert.False(t, f.active(got.AccessToken), "the client is gone and its token lives, after %d calls", after)
		}
	}
}

func TestDeletingAClientEndsWhatItWasGranted(t *testing.T) {
	f := newFixture(t)
	got := f.login("app")
	code := f.code(alice(), authorization("app"))
	other := f.login("loop")
	require.NoError(t, f.p.DeleteClient(t.Context(), "app"))
	f.refused(f.refresh("app", got.RefreshToken), 401, "invalid_client")
	f.refused(f.exchange("app", code), 401, "invalid_client")
	assert.False(t, f.active(got.AccessToken))
	assert.True(t, f.active(other.AccessToken))
	consents, err := f.p.Consents(t.Context(), "alice")
	require.NoError(t, err)
	require.Len(t, consents, 1)
	assert.Equal(t, "loop", consents[0].ClientID)

	// Who takes the ID again takes over nothing.
	f.register(oauth.Client{ID: "app", Public: true, RedirectURIs: []string{appURI}, Scopes: []string{"read"}})
	f.refused(f.refresh("app", got.RefreshToken), 400, "invalid_grant")
	f.refused(f.exchange("app", code), 400, "invalid_grant")
	assert.False(t, f.active(got.AccessToken))
	consentForm(t, f.authorize(alice(), authorization("app")))
}

func TestClientMetadataIsJudged(t *testing.T) {
	f := newFixture(t)
	many := make([]string, 51)
	for i := range many {
		many[i] = appURI
	}
	good := oauth.Client{ID: "new", Public: true, RedirectURIs: []string{appURI}, Scopes: []string{"read"}}
	for name, change := range map[string]func(c *oauth.Client){
		"id with space":              func(c *oauth.Client) { c.ID = "a b" },
		"id too long":                func(c *oauth.Client) { c.ID = strings.Repeat("a", 2049) },
		"name too long":              func(c *oauth.Client) { c.Name = strings.Repeat("a", 201) },
		"application type":           func(c *oauth.Client) { c.ApplicationType = "toaster" },
		"trust":                      func(c *oauth.Client) { c.Trust = "blind" },
		"first party stranger":       func(c *oauth.Client) { c.Trust, c.FirstParty = store.TrustSelf, true },
		"unknown grant":              func(c *oauth.Client) { c.GrantTypes = []string{"password"} },
		"response type token":        func(c *oauth.Client) { c.ResponseTypes = []string{"token"} },
		"code without its grant":     func(c *oauth.Client) { c.GrantTypes, c.ResponseTypes = []string{}, []string{"code"} },
		"no redirect URI":            func(c *oauth.Client) { c.RedirectURIs = nil },
		"too many redirect URIs":     func(c *oauth.Client) { c.RedirectURIs = many },
		"public with client grant":   func(c *oauth.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") },
		"public with basic":          func(c *oauth.Client) { c.AuthMethod = "client_secret_basic" },
		"public with a secret":       func(c *oauth.Client) { c.Secrets = []store.Secret{{Hash: "$2" + strings.Repeat("a", 58)}} },
		"confidential without auth":  func(c *oauth.Client) { c.Public, c.AuthMethod = false, "none" },
		"unknown auth method":        func(c *oauth.Client) { c.Public, c.AuthMethod = false, "magic" },
		"secret in the clear":        func(c *oauth.Client) { c.Public, c.Secrets = false, []store.Secret{{Hash: "hunter2"}} },
		"four secrets":               func(c *oauth.Client) { c.Public, c.Secrets = false, make([]store.Secret, 4) },
		"scope that is none":         func(c *oauth.Client) { c.Scopes = []string{"a b"} },
		"default scope out of reach": func(c *oauth.Client) { c.DefaultScopes = []string{"write"} },
		"unknown resource":           func(c *oauth.Client) { c.Resources = []string{"https://other.example"} },
		"http link":                  func(c *oauth.Client) { c.URI = "http://app.example" },
		"script link":                func(c *oauth.Client) { c.TOSURI = "javascript:alert(1)" },
		"negative lifetime":          func(c *oauth.Client) { c.RefreshTokenLifetime = -1 },
		"access token for a week":    func(c *oauth.Client) { c.AccessTokenLifetime = 7 * 24 * time.Hour },
		"text that is not UTF-8":     func(c *oauth.Client) { c.Name = "\xff" },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			_, secret, err := f.p.RegisterClient(t.Context(), c)
			assert.Empty(t, secret)
			if !errors.Is(err, oauth.ErrInvalidRedirectURI) {
				require.ErrorIs(t, err, oauth.ErrInvalidClientMetadata)
			}
			_, err = f.p.Client(t.Context(), "new")
			assert.ErrorIs(t, err, store.ErrNotFound, "nothing is stored")
			c.ID = "app"
			if name != "id with space" && name != "id too long" {
				c.Version = f.client("app").Version
				assert.Error(t, f.p.UpdateClient(t.Context(), c), "an update is judged alike")
			}
		})
	}
	_, _, err := f.p.RegisterClient(t.Context(), good)
	assert.NoError(t, err, "what every case starts from is good")
}

func TestRedirectURIsAreJudgedAtRegistration(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{"cursor"} })
	register := func(kind, uri string) error {
		_, _, err := f.p.RegisterClient(context.Background(), oauth.Client{Public: true, ApplicationType: kind, RedirectURIs: []string{uri}})
		return err
	}
	for _, uri := range []string{
		"https://app.example/cb", "https://app.example", "https://app.example:8443/cb?t=1", "https://[2001:db8::1]/cb",
		"http://127.0.0.1/cb", "http://[::1]:8080/cb", "http://localhost", "http://localhost?x=1", "https://app.example/~x", "com.example.app:/cb", "cursor://anysphere.cursor/cb",
	} {
		assert.NoError(t, register("native", uri), uri)
	}
	assert.NoError(t, register("", "http://localhost/cb"), "a client that does not say what it is")
	for _, uri := range []string{
		"", "/cb", "//app.example/cb", "app.example/cb", "https:", "https:///cb", "https:app.example/cb", "https://", "HTTPS://app.example/cb",
		"http://app.example/cb", "http://127.0.0.1.evil.test/cb", "http://127.0.0.1:80@evil.test/cb", "http://localhost.evil.test/", "http://127.0.0.2/cb",
		"http://127.0.0.1:0/cb", "http://127.0.0.1:99999/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:/cb",
		"https://app.example/cb#f", "https://app.example/cb#", "https://user@app.example/cb", "https://app.example@evil.test/cb",
		"https:80/cb", "https://[zz]/cb", "https://exa~mple.example/cb", "https://[::1%25eth0]/cb", "https://[127.0.0.1]/cb", "https://[::1/cb", "https://app.example:80x/cb",
		"com.example.app://user@app.example/cb", "https://app.example/a\\b", "https://app.example/\x7f",
		"https://*.example/cb", "https://app.example/*", "https://app.example/c b", "https://app.example\\@evil.test/", "https://app.example/\u0430",
		"https://app.example/cb\r\nSet-Cookie:a=b", " https://app.example/cb", "https://app.example/cb?a=%zz",
		"https://app.example/cb?code=x", "https://app.example/cb?iss=evil", "https://app.example/cb?a=1&state=y", "https://app.example/cb?error=x",
		"javascript:alert(1)", "JavaScript:alert(1)", "\tjavascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
		"blob:https://app.example/1", "about:blank", "view-source:https://app.example", "intent://x", "vscode://x/cb", "COM.example.app:/cb",
		"https://app.example/" + strings.Repeat("a", 2048),
	} {
		err := register("native", uri)
		assert.ErrorIs(t, err, oauth.ErrInvalidRedirectURI, "%q", uri)
		if err != nil && len(uri) > 3 {
			assert.NotContains(t, err.Error(), uri, "input is not echoed")
		}
	}
	for _, uri := range []string{"http://127.0.0.1/cb", "http://localhost/cb", "com.example.app:/cb", "cursor://anysphere.cursor/cb"} {
		assert.ErrorIs(t, register("web", uri), oauth.ErrInvalidRedirectURI, "%q for a web client", uri)
	}
	assert.NoError(t, register("web", "https://app.example/"+strings.Repeat("a", 2048-len("https://app.example/"))))
	assert.ErrorContains(t, register("web", ""), "1 to 2048 characters")
	assert.ErrorContains(t, register("web", "https://app.example/\x7f"), "URI characters")
	assert.ErrorIs(t, register("", "com.example.app:/cb"), oauth.ErrInvalidRedirectURI, "private use needs application_type native")
}

func TestClientSecretRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ask := func(secret string) int {
			f.secrets["cc"] = secret
			return f.post("/oauth/token", "cc", url.Values{"grant_type": {"client_credentials"}}).status
		}
		old := f.secrets["cc"]
		require.Equal(t, 200, ask(old))
		second, err := f.p.RotateClientSecret(t.Context(), "cc", time.Hour)
		require.NoError(t, err)
		assert.NotEqual(t, old, second)
		assert.Equal(t, []int{200, 200}, []int{ask(old), ask(second)}, "both work in the overlap")
		time.Sleep(time.Hour)
		assert.Equal(t, []int{401, 200}, []int{ask(old), ask(second)}, "the old one ends with it, remembered or not")

		third, err := f.p.RotateClientSecret(t.Context(), "cc", 0)
		require.NoError(t, err)
		assert.Equal(t, []int{401, 401, 200}, []int{ask(old), ask(second), ask(third)}, "without overlap at once")

		for range 5 {
			_, err = f.p.RotateClientSecret(t.Context(), "cc", time.Hour)
			require.NoError(t, err)
		}
		assert.LessOrEqual(t, len(f.client("cc").Secrets), 3, "bounded")
		assert.Equal(t, 401, ask(third), "pushed out")

		_, err = f.p.RotateClientSecret(t.Context(), "app", 0)
		assert.ErrorIs(t, err, oauth.ErrInvalidClientMetadata, "a public client")
		_, err = f.p.RotateClientSecret(t.Context(), "nobody", 0)
		assert.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestScopesThatNobodyGetsAreLogged(t *testing.T) {
	f := newFixture(t)
	const warning = "never granted"
	_, _, err := f.p.RegisterClient(t.Context(), oauth.Client{ID: "fine", RedirectURIs: []string{appURI}, Scopes: []string{"read", "write"}})
	require.NoError(t, err)
	_, _, err = f.p.RegisterClient(t.Context(), oauth.Client{ID: "stranger", Trust: store.TrustSelf, RedirectURIs: []string{appURI}, Scopes: []string{"raed"}})
	require.NoError(t, err)
	assert.NotContains(t, f.log.String(), warning)
	_, _, err = f.p.RegisterClient(t.Context(), oauth.Client{ID: "typo", RedirectURIs: []string{appURI}, Scopes: []string{"raed", "write"}})
	require.NoError(t, err)
	assert.Regexp(t, `level=WARN .*`+warning+`.* client_id=typo scopes=\[raed\]`, f.log.String())
	assert.Equal(t, 1, strings.Count(f.log.String(), warning))
	f.change("fine", func(c *oauth.Client) { c.Scopes = []string{"raed"} })
	assert.Equal(t, 2, strings.Count(f.log.String(), warning))
}
