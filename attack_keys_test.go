package oauth_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
)

// keysOf is a key source that honours its context.
type keysOf struct{ list *oauth.StaticKeys }

func (k keysOf) Keys(ctx context.Context) ([]oauth.Key, error) { return *k.list, ctx.Err() }

// Whoever hangs up at the right moment must not keep the provider from new keys,
// nor raise an alarm.
func TestKeysAreLoadedForAllNotForTheOneWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := testKeys()[:1]
		f := newFixture(t, func(c *oauth.Config) { c.Keys = keysOf{&list} })
		second := oauth.Key{ID: "second", Signer: testKeys()[0].Signer}
		list = oauth.StaticKeys{testKeys()[0], second}
		time.Sleep(2 * time.Minute)

		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		f.do(httptest.NewRequest("GET", "/oauth/jwks", nil).WithContext(ctx))
		a := f.do(httptest.NewRequest("GET", "/oauth/jwks", nil))
		require.Equal(t, 200, a.status)
		assert.Contains(t, a.body, `"second"`)
		assert.Empty(t, f.kinds(oauth.EventOutage))
	})
}

// A token whose key is not known while the source fails is not called invalid:
// nobody knows, and asking again and again helps nobody.
func TestUnknownKeyIsNotInvalidWhileTheSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &failingKeys{}
		f := newFixture(t, func(c *oauth.Config) { c.Keys = source })
		other := newFixture(t, func(c *oauth.Config) { c.Keys = oauth.StaticKeys{{ID: "other", Signer: testKeys()[0].Signer}} })
		unknown := other.login("app").AccessToken
		time.Sleep(30 * time.Second)
		source.err = errors.New("down")
		before := source.asked
		for range 20 {
			_, err := f.p.Verifier().VerifyToken(t.Context(), unknown)
			assert.Error(t, err)
			assert.NotErrorIs(t, err, resource.ErrInvalidToken)
		}
		assert.Equal(t, 1, source.asked-before)
		source.err = nil
		time.Sleep(11 * time.Second)
		_, err := f.p.Verifier().VerifyToken(t.Context(), unknown)
		assert.ErrorIs(t, err, resource.ErrInvalidToken)
	})
}

type failingKeys struct {
	err   error
	asked int
}

func (k *failingKeys) Keys(context.Context) ([]oauth.Key, error) {
	k.asked++
	return testKeys(), k.err
}
