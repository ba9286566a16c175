package oauth_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
)

// These are about access tokens that the provider has verified before, and whose
// signature it does not verify again.

// accepted reports what each way of asking says of an access token.
func (f *fixture) accepted(token string) bool {
	f.t.Helper()
	_, err := f.p.Verifier().VerifyToken(context.Background(), token)
	if err != nil {
		require.ErrorIs(f.t, err, resource.ErrInvalidToken)
	}
	active := f.active(token)
	require.Equal(f.t, err == nil, active, "the verifier and introspection agree")
	return active
}

func TestATokenSeenBeforeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *oauth.Config) { c.Policy.AccessTokenLifetime = time.Minute })
		token := f.login("app").AccessToken
		assert.True(t, f.accepted(token))
		time.Sleep(time.Minute - 2*time.Second)
		assert.True(t, f.accepted(token))
		time.Sleep(2 * time.Second)
		assert.False(t, f.accepted(token))
	})
}

func TestATokenSeenBeforeIsRevoked(t *testing.T) {
	f := newFixture(t)
	ends := map[string]func(got tokens){
		"by its client, the refresh token": func(got tokens) { f.post("/oauth/revoke", "app", url.Values{"token": {got.RefreshToken}}) },
		"by its client, the access token":  func(got tokens) { f.post("/oauth/revoke", "app", url.Values{"token": {got.AccessToken}}) },
		"with its user":                    func(tokens) { _, err := f.p.RevokeUser(t.Context(), "alice", ""); require.NoError(t, err) },
		"with its consent":                 func(tokens) { _, err := f.p.RevokeConsent(t.Context(), "alice", "app"); require.NoError(t, err) },
		"by replay": func(got tokens) {
			next := f.ok(f.refresh("app", got.RefreshToken))
			f.ok(f.refresh("app", next.RefreshToken))
			f.refused(f.refresh("app", got.RefreshToken), 400, oauth.ErrInvalidGrant)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			got := f.login("app")
			assert.True(t, f.accepted(got.AccessToken))
			end(got)
			assert.False(t, f.accepted(got.AccessToken))
		})
	}
	t.Run("of a client that acts for itself", func(t *testing.T) {
		token := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken
		assert.True(t, f.accepted(token))
		f.post("/oauth/revoke", "cc", url.Values{"token": {token}})
		assert.False(t, f.accepted(token))
	})
}

func TestATokenSeenBeforeEndsWithItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var source keySource
		first, second := oauth.Key{ID: "1", Signer: managedSigner(t)}, oauth.Key{ID: "2", Signer: managedSigner(t)}
		source.Store(&oauth.StaticKeys{first})
		f := newFixture(t, func(c *oauth.Config) { c.Keys = &source })
		token := f.login("app").AccessToken
		assert.True(t, f.accepted(token))
		source.Store(&oauth.StaticKeys{second, first})
		time.Sleep(time.Minute)
		assert.True(t, f.accepted(token), "its key is one of the keys still")
		source.Store(&oauth.StaticKeys{second})
		time.Sleep(time.Minute)
		assert.False(t, f.accepted(token))
		source.Store(&oauth.StaticKeys{second, first})
		time.Sleep(time.Minute)
		assert.True(t, f.accepted(token), "and is again")
	})
}

func TestOnlyTheTokenThatWasSeenIsKnown(t *testing.T) {
	f := newFixture(t)
	token, other := f.login("app").AccessToken, f.login("app").AccessToken
	assert.True(t, f.accepted(token))
	body, signature := token[:strings.LastIndex(token, ".")], other[strings.LastIndex(other, "."):]
	for name, forged := range map[string]string{
		"another signature": body + signature,
		"no signature":      body + ".",
		"a longer one":      token + "A",
		"padding":           token + "=",
		"space":             token + " ",
	} {
		t.Run(name, func(t *testing.T) {
			assert.False(t, f.accepted(forged))
			assert.False(t, f.accepted(forged), "nor is a refusal remembered as its opposite")
		})
	}
	assert.True(t, f.accepted(token))
}

func TestWhatIsRememberedIsGivenToNobody(t *testing.T) {
	f := newFixture(t)
	access := f.login("app").AccessToken
	first, err := f.p.Verifier().VerifyToken(t.Context(), access)
	require.NoError(t, err)
	said, err := f.p.Introspect(t.Context(), nil, access)
	require.NoError(t, err)
	first.Audience[0], first.Scopes[0], first.Claims[0], said.Audience[0] = "x", "x", 'x', "x"
	first.ExpiresAt = first.ExpiresAt.Add(time.Hour)
	again, err := f.p.Verifier().VerifyToken(t.Context(), access)
	require.NoError(t, err)
	assert.Equal(t, []string{apiURI}, again.Audience)
	assert.Equal(t, []string{"read"}, again.Scopes)
	assert.Equal(t, byte('{'), again.Claims[0])
	assert.True(t, again.ExpiresAt.Before(first.ExpiresAt))
}

// Once a revocation has returned, no call that begins then accepts the token,
// however many are asking.
func TestATokenIsRevokedWhileManyAsk(t *testing.T) {
	f := newFixture(t, quiet)
	for range rounds() / 25 {
		got := f.login("app")
		var revoked atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ended := false; !ended; {
					ended = revoked.Load()
					_, err := f.p.Verifier().VerifyToken(context.Background(), got.AccessToken)
					assert.False(t, ended && err == nil, "accepted after it was revoked")
				}
			})
		}
		ok, err := f.p.Revoke(context.Background(), f.client("app"), got.RefreshToken)
		assert.True(t, ok && err == nil)
		revoked.Store(true)
		wg.Wait()
	}
}

// Two issuers that share keys, and a store against all advice: what one has
// seen and accepted is nothing to the other.
func TestATokenSeenBeforeIsItsIssuers(t *testing.T) {
	shared := oauth.StaticKeys{{Signer: managedSigner(t)}}
	var cfg oauth.Config
	one := newFixture(t, func(c *oauth.Config) { c.Keys, cfg = shared, *c })
	cfg.Keys, cfg.Issuer, cfg.Store = shared, "https://other.example", one.store
	other, err := oauth.New(cfg)
	require.NoError(t, err)
	token := one.login("app").AccessToken
	for range 2 {
		_, err := other.Verifier().VerifyToken(t.Context(), token)
		assert.ErrorIs(t, err, resource.ErrInvalidToken)
		assert.True(t, one.accepted(token))
	}
}

// What its client was is asked at every use, too.
func TestATokenSeenBeforeEndsWithItsClient(t *testing.T) {
	f := newFixture(t)
	of := map[string]string{"app": f.login("app").AccessToken, "cc": f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken}
	for id, token := range of {
		assert.True(t, f.accepted(token))
		c := f.client(id)
		c.Disabled = true
		require.NoError(t, f.p.UpdateClient(t.Context(), *c))
		assert.False(t, f.accepted(token), "%s is disabled", id)
		c = f.client(id)
		c.Disabled = false
		require.NoError(t, f.p.UpdateClient(t.Context(), *c))
		assert.True(t, f.accepted(token))
		require.NoError(t, f.p.DeleteClient(t.Context(), id))
		assert.False(t, f.accepted(token), "%s is gone", id)
	}
}
