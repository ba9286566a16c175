package registration_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

// faulty is a store whose changes of clients can fail.
type faulty struct {
	store.Store
	create, update error
}

func (s *faulty) CreateClient(ctx context.Context, c store.Client) error {
	if s.create != nil {
		return s.create
	}
	return s.Store.CreateClient(ctx, c)
}

func (s *faulty) UpdateClient(ctx context.Context, c store.Client) error {
	if s.update != nil {
		return s.update
	}
	return s.Store.UpdateClient(ctx, c)
}

// machine is a client that can be issued to without a browser.
func machine(t *testing.T, f *fixture, change func(*oauth.Client)) *oauth.Client {
	t.Helper()
	c := oauth.Client{Name: "Cron", GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}}
	change(&c)
	created, _, err := f.p.RegisterClient(t.Context(), c)
	require.NoError(t, err)
	return created
}

// A client that does not expire is not made to by its use.
func TestOnlyRegistrationsThatExpireAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registration.Config{})
		soon := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		for name, c := range map[string]struct {
			change func(*oauth.Client)
			want   time.Time
		}{
			"the operator's":             {func(*oauth.Client) {}, time.Time{}},
			"the operator's that ends":   {func(c *oauth.Client) { c.PurgeAt = soon }, soon},
			"a stranger's kept for good": {func(c *oauth.Client) { c.Trust = store.TrustSelf }, time.Time{}},
			"a stranger's":               {func(c *oauth.Client) { c.Trust, c.PurgeAt = store.TrustSelf, soon }, time.Now().Add(90 * 24 * time.Hour).UTC().Truncate(time.Microsecond)},
		} {
			client := machine(t, f, c.change)
			_, err := f.p.ClientCredentials(t.Context(), client, oauth.ClientCredentialsRequest{})
			require.NoError(t, err)
			assert.Equal(t, c.want, f.stored(client.ID).PurgeAt, name)
		}
	})
}

// Renewal is beside the point of a token request: who is overtaken in it goes
// on. But a client that has just been deleted gets nothing, and an outage is one.
func TestRenewalThatFails(t *testing.T) {
	for want, failure := range map[oauth.ErrorCode]error{"": store.ErrConflict, oauth.ErrInvalidClient: store.ErrNotFound, oauth.ErrTemporarilyUnavailable: errors.New("down")} {
		s := &faulty{Store: store.NewMemory()}
		f := newFixture(t, registration.Config{}, func(c *oauth.Config) { c.Store = s })
		client := machine(t, f, func(c *oauth.Client) {
			c.Trust, c.PurgeAt = store.TrustSelf, time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		})
		s.update = failure
		_, err := f.p.ClientCredentials(t.Context(), client, oauth.ClientCredentialsRequest{})
		if want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorIs(t, err, want)
	}
}

// An outage says so, and when to come again; it says nothing of its cause.
func TestOutageOfTheStore(t *testing.T) {
	s := &faulty{Store: store.NewMemory(), create: errors.New("password of the database")}
	f := newFixture(t, registration.Config{}, func(c *oauth.Config) { c.Store = s })
	a := f.do("POST", endpoint, good)
	f.refused(a, http.StatusServiceUnavailable, oauth.ErrTemporarilyUnavailable)
	assert.NotEmpty(t, a.header.Get("Retry-After"))
	assert.NotContains(t, a.body, "password")
	a = f.do("POST", endpoint, doc("redirect_uris", []string{}))
	f.refused(a, http.StatusBadRequest, oauth.ErrInvalidRedirectURI)
	assert.Empty(t, a.header.Get("Retry-After"))
}

// A registration ends after the last refresh token that it was given, also where
// both live equally long.
func TestARegistrationOutlivesItsRefreshTokens(t *testing.T) {
	const month = 30 * 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registration.Config{Lifetime: month}, func(c *oauth.Config) { c.Policy.RefreshTokenLifetime = month })
		id := f.register(good)["client_id"].(string)
		tokens := f.use(id)
		refresh := func() {
			t.Helper()
			_, err := f.p.Cleanup(t.Context())
			require.NoError(t, err)
			c, err := f.p.Client(t.Context(), id)
			require.NoError(t, err)
			tokens, err = f.p.Refresh(t.Context(), c, oauth.RefreshRequest{RefreshToken: tokens.RefreshToken})
			require.NoError(t, err)
		}
		used := f.stored(id).Version
		for range 10 {
			time.Sleep(month / 110)
			refresh()
		}
		assert.Equal(t, used, f.stored(id).Version, "not written at each use")
		time.Sleep(month - time.Second)
		refresh()
	})
}
