package oauth_test

import (
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

const parallel = 32

func rounds() int {
	switch {
	case testing.Short():
		return 50
	case raceDetector:
		return 150
	}
	return 1000
}

// together runs f in many goroutines that start at once.
func together(f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range parallel {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// quiet keeps no events, and signs fast: what is raced here is the store.
func quiet(c *oauth.Config) {
	c.Keys = oauth.StaticKeys{{ID: "h", Secret: []byte("0123456789abcdef0123456789abcdef")}}
	c.OnEvent, c.Logger = nil, slog.New(slog.DiscardHandler)
}

func TestParallelUseOfOneCode(t *testing.T) {
	f := newFixture(t, quiet)
	app := f.client("app")
	for round := range rounds() {
		req, err := f.p.ParseAuthorization(t.Context(), authorization("app"))
		require.NoError(t, err)
		code, err := f.p.CreateAuthorizationCode(t.Context(), req, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
		require.NoError(t, err)
		var won [parallel]*oauth.TokenResponse
		var errs [parallel]error
		together(func(i int) {
			won[i], errs[i] = f.p.Exchange(t.Context(), app, oauth.ExchangeRequest{Code: code, RedirectURI: appURI, CodeVerifier: verifier})
		})
		var winner *oauth.TokenResponse
		for i, err := range errs {
			if err == nil {
				require.Nil(t, winner, "round %d: two authorizations from one code", round)
				winner = won[i]
				continue
			}
			require.True(t, errors.Is(err, oauth.ErrInvalidGrant), "round %d: %v", round, err)
		}
		require.NotNil(t, winner, "round %d: nobody got it", round)
		require.False(t, f.active(winner.AccessToken), "the others were second uses: the authorization is revoked")
		require.False(t, f.active(winner.RefreshToken))
	}
}

func TestParallelUseOfOneRefreshToken(t *testing.T) {
	f := newFixture(t, quiet)
	app := f.client("app")
	got := f.login("app")
	current := got.RefreshToken
	for round := range rounds() {
		var successors [parallel]string
		together(func(i int) {
			res, err := f.p.Refresh(t.Context(), app, oauth.RefreshRequest{RefreshToken: current})
			if assert.NoError(t, err, "round %d: a client's own burst signs nobody out", round) {
				successors[i] = res.RefreshToken
			}
		})
		for _, s := range successors {
			require.Equal(t, successors[0], s, "round %d: two live refresh tokens", round)
		}
		require.False(t, f.active(current))
		current = successors[0]
		require.True(t, f.active(current))
	}
	list, err := f.store.ListTokens(t.Context(), store.TokenQuery{Subject: "alice"}, "", 10)
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

func TestParallelRefreshWithoutRotation(t *testing.T) {
	f := newFixture(t, quiet, func(c *oauth.Config) { c.Policy.NoRotation = true })
	got := f.login("conf")
	conf := f.client("conf")
	for range 20 {
		together(func(int) {
			res, err := f.p.Refresh(t.Context(), conf, oauth.RefreshRequest{RefreshToken: got.RefreshToken})
			if assert.NoError(t, err) {
				assert.Equal(t, got.RefreshToken, res.RefreshToken)
			}
		})
	}
}

// Once a revocation has returned, no exchange or refresh that was under way
// leaves a live token.
func TestRevocationWins(t *testing.T) {
	f := newFixture(t, quiet)
	app := f.client("app")
	for range rounds() / 5 {
		got := f.login("app")
		req, err := f.p.ParseAuthorization(t.Context(), authorization("app"))
		require.NoError(t, err)
		code, err := f.p.CreateAuthorizationCode(t.Context(), req, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
		require.NoError(t, err)
		var mu sync.Mutex
		var issued []string
		keep := func(res *oauth.TokenResponse, err error) {
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				issued = append(issued, res.AccessToken, res.RefreshToken)
			}
		}
		together(func(i int) {
			switch i % 8 {
			case 0:
				keep(f.p.Exchange(t.Context(), app, oauth.ExchangeRequest{Code: code, RedirectURI: appURI, CodeVerifier: verifier}))
			case 7:
				_, err := f.p.RevokeConsent(t.Context(), "alice", "app")
				assert.NoError(t, err)
			default:
				keep(f.p.Refresh(t.Context(), app, oauth.RefreshRequest{RefreshToken: got.RefreshToken}))
			}
		})
		for _, token := range issued {
			require.False(t, f.active(token))
		}
	}
}
