package oauth_test

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// Without grace no second use of a refresh token is a retry, also for an instance
// whose clock is behind that of the one where the first was.
func TestNoGraceIsNoneWhateverTheClocksSay(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Policy.RefreshGrace = oauth.NoGrace })
	first := f.login("app")
	second := f.ok(f.refresh("app", first.RefreshToken))
	records, err := f.store.ListTokens(t.Context(), store.TokenQuery{Subject: "alice"}, "", 10)
	require.NoError(t, err)
	require.Len(t, records, 1)
	records[0].RotatedAt = records[0].RotatedAt.Add(time.Minute)
	require.NoError(t, f.store.UpdateToken(t.Context(), records[0]))

	f.refused(f.refresh("app", first.RefreshToken), 400, oauth.ErrInvalidGrant)
	assert.Len(t, f.kinds(oauth.EventReplayDetected), 1)
	f.refused(f.refresh("app", second.RefreshToken), 400, oauth.ErrInvalidGrant)
}

// What a client got for itself ends with it, also where another one is called the
// same afterwards: deleting a client and registering it anew is how a leak ends.
func TestAClientsOwnTokensAreNotThoseOfItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		own := func() string {
			return f.ok(f.post("/oauth/token", "cc", url.Values{"grant_type": {"client_credentials"}})).AccessToken
		}
		time.Sleep(time.Hour)
		old := own()
		require.True(t, f.active(old))
		require.NoError(t, f.p.DeleteClient(t.Context(), "cc"))
		require.False(t, f.active(old))
		time.Sleep(10 * time.Minute)
		f.register(oauth.Client{ID: "cc", Scopes: []string{"read"}, GrantTypes: []string{"client_credentials"}})
		assert.False(t, f.active(old))
		_, err := f.p.Verifier().VerifyToken(t.Context(), old)
		assert.Error(t, err)

		next := own()
		assert.True(t, f.active(next))
		f.change("cc", func(c *oauth.Client) { c.Name = "New name" })
		assert.True(t, f.active(next), "a change is no other client")
	})
}

// What ends with an authorization are its access tokens, too.
func TestNoAccessTokenOutlivesMaxLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *oauth.Config) { c.Policy.MaxLifetime = 90 * time.Minute })
		first := f.login("app")
		assert.EqualValues(t, 3600, first.ExpiresIn)
		time.Sleep(50 * time.Minute)
		last := f.ok(f.refresh("app", first.RefreshToken))
		assert.EqualValues(t, 2400, last.ExpiresIn)
		time.Sleep(40*time.Minute - time.Second)
		assert.True(t, f.active(last.AccessToken))
		f.ok(f.refresh("app", last.RefreshToken))
		time.Sleep(time.Second)
		assert.False(t, f.active(last.AccessToken))
		f.refused(f.refresh("app", last.RefreshToken), 400, oauth.ErrInvalidGrant)
	})
}
