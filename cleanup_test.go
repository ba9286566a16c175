package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestCleanupKeepsWhatReplayNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		clean := func() store.Deleted {
			n, err := f.p.Cleanup(t.Context())
			require.NoError(t, err)
			return n
		}
		got := f.login("app")
		f.code(alice(), authorization("app")) // never redeemed
		revoked := f.login("loop")
		f.post("/oauth/revoke", "loop", url.Values{"token": {revoked.RefreshToken}})
		cc := f.ok(f.post("/oauth/token", "cc", ccForm))
		f.post("/oauth/revoke", "cc", url.Values{"token": {cc.AccessToken}})
		assert.Equal(t, store.Deleted{}, clean())
		time.Sleep(20 * time.Minute)
		assert.Equal(t, store.Deleted{Codes: 3, Tokens: 1}, clean(), "three codes and the authorization that nobody fetched")
		time.Sleep(time.Hour)
		assert.Equal(t, store.Deleted{Tokens: 1}, clean(), "the mark of the client's own token")
		time.Sleep(7*day - 2*time.Hour)
		assert.Equal(t, store.Deleted{}, clean())
		assert.Equal(t, 400, f.refresh("loop", revoked.RefreshToken).status)
		time.Sleep(time.Hour)
		assert.Equal(t, store.Deleted{Tokens: 1}, clean(), "seven days after its revocation")
		got = f.ok(f.refresh("app", got.RefreshToken))
		time.Sleep(30*day + 7*day - time.Minute)
		assert.Equal(t, store.Deleted{}, clean())
		time.Sleep(time.Minute)
		assert.Equal(t, store.Deleted{Tokens: 1}, clean(), "seven days after its end")
		f.refused(f.refresh("app", got.RefreshToken), 400, "invalid_grant")
	})
}

func TestCleanupGoesOnInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, quiet)
		for range 1200 {
			req, err := f.p.ParseAuthorization(t.Context(), authorization("app"))
			require.NoError(t, err)
			_, err = f.p.CreateAuthorizationCode(t.Context(), req, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
			require.NoError(t, err)
		}
		time.Sleep(time.Hour)
		n, err := f.p.Cleanup(t.Context())
		require.NoError(t, err)
		assert.Equal(t, store.Deleted{Codes: 1200, Tokens: 1200}, n)
	})
}

func TestRunCleanupEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := outageFixture(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.p.RunCleanup(ctx, time.Hour) }()
		synctest.Wait()
		f.code(alice(), authorization("app"))
		s.set(0)
		time.Sleep(time.Hour + time.Second)
		assert.NotEmpty(t, f.kinds(oauth.EventOutage), "a failed run is reported")
		s.set(-1)
		time.Sleep(time.Hour)
		synctest.Wait()
		n, err := f.p.Cleanup(t.Context())
		require.NoError(t, err)
		assert.Zero(t, n.Total(), "and tried again")
		cancel()
		synctest.Wait()
		select {
		case err := <-done:
			assert.ErrorIs(t, err, context.Canceled)
		default:
			t.Fatal("it goes on")
		}
	})
	f := newFixture(t)
	assert.ErrorIs(t, f.p.RunCleanup(t.Context(), 0), oauth.ErrInvalidRequest)
}

// A managed key that is due is made by Cleanup, also where nobody signs in.
func TestCleanupRotatesKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, managed)
		before := f.jwks()
		time.Sleep(89*day + time.Hour)
		_, err := f.p.Cleanup(t.Context())
		require.NoError(t, err)
		record, err := f.store.Code(t.Context(), "keys", "signing")
		require.NoError(t, err)
		assert.Equal(t, int64(2), record.Version)
		assert.NotEqual(t, before, f.jwks())
	})
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	err := error(&oauth.Error{Code: oauth.ErrInvalidGrant, Description: "why", Err: cause})
	assert.ErrorIs(t, err, oauth.ErrInvalidGrant)
	assert.ErrorIs(t, err, cause)
	assert.NotErrorIs(t, err, oauth.ErrInvalidClient)
	assert.Equal(t, "oauth: invalid_grant: why: cause", err.Error())
	assert.Equal(t, "invalid_grant", oauth.ErrInvalidGrant.Error())
	assert.ErrorIs(t, &oauth.Error{Code: "custom"}, oauth.ErrorCode("custom"))
}
