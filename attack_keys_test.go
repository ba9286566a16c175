package oauth_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
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
