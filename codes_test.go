package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestCodeIsRedeemedOnce(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("app"))
	got := f.ok(f.exchange("app", code))
	refreshed := f.ok(f.refresh("app", got.RefreshToken))
	f.refused(f.exchange("app", code), 400, "invalid_grant")
	for _, token := range []string{got.AccessToken, refreshed.AccessToken, refreshed.RefreshToken} {
		assert.False(t, f.active(token), "everything that came from the code is revoked")
	}
	f.refused(f.refresh("app", refreshed.RefreshToken), 400, "invalid_grant")
	events := f.kinds(oauth.EventReplayDetected)
	require.Len(t, events, 1)
	assert.Equal(t, []string{"app", "alice", "code"}, []string{events[0].ClientID, events[0].Subject, events[0].Detail})
	f.refused(f.exchange("app", code), 400, "invalid_grant")
	assert.Len(t, f.kinds(oauth.EventReplayDetected), 1)
}

// Whoever has only the code cannot use it to sign the user out.
func TestReplayThatFailsAnotherCheckRevokesNothing(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("conf"))
	got := f.ok(f.exchange("conf", code))
	f.refused(f.exchange("conf", code, "code_verifier", verifier+"x"), 400, "invalid_grant")
	f.refused(f.exchange("conf", code, "redirect_uri", "https://evil.test"), 400, "invalid_grant")
	f.refused(f.exchange("conf", code, "resource", "https://evil.test"), 400, "invalid_target")
	f.refused(f.exchange("app", code, "redirect_uri", "https://conf.example/cb"), 400, "invalid_grant")
	f.refused(f.send(exchangeForm("conf", code), basic("conf", "wrong")), 401, "invalid_client")
	assert.True(t, f.active(got.AccessToken))
	f.ok(f.refresh("conf", got.RefreshToken))
	assert.Empty(t, f.kinds(oauth.EventReplayDetected))
}

func TestFailedExchangeLeavesTheCodeRedeemable(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("app"))
	f.refused(f.exchange("app", code, "redirect_uri", appURI+"/x"), 400, "invalid_grant")
	f.refused(f.exchange("app", code, "redirect_uri", ""), 400, "invalid_grant")
	f.refused(f.exchange("app", code, "code_verifier", ""), 400, "invalid_grant")
	f.refused(f.exchange("app", code, "resource", mcpURI), 400, "invalid_target")
	f.refused(f.exchange("app", code+"\x00"), 400, "invalid_request")
	f.refused(f.exchange("app", code+"x"), 400, "invalid_grant")
	f.refused(f.exchange("loop", code, "redirect_uri", appURI), 400, "invalid_grant")
	f.refused(f.refresh("app", code), 400, "invalid_grant")
	f.setGone("alice", true)
	f.refused(f.exchange("app", code), 400, "invalid_grant")
	f.setGone("alice", false)
	f.fails = errors.New("down")
	f.refused(f.exchange("app", code), 503, "temporarily_unavailable")
	f.fails = nil
	f.claims = map[string]any{"bad": make(chan int)}
	f.refused(f.exchange("app", code), 503, "temporarily_unavailable")
	f.claims = nil
	long := strings.Repeat("d", 256)
	_, err := f.p.Exchange(t.Context(), f.client("app"), oauth.ExchangeRequest{Code: code, RedirectURI: appURI, CodeVerifier: verifier, Device: long})
	assert.ErrorIs(t, err, oauth.ErrInvalidRequest)
	got := f.ok(f.exchange("app", code, "scope", "read write admin"))
	assert.Equal(t, "read", got.Scope, "scope is not a parameter here")
}

func TestCodeOfAnotherClient(t *testing.T) {
	f := newFixture(t)
	_, q := f.authorize(alice(), authorization("first")).location(t) // rests on no consent
	for _, other := range []string{"app", "conf"} {
		f.refused(f.exchange(other, q.Get("code"), "redirect_uri", "https://own.example/cb"), 400, "invalid_grant")
	}
	f.ok(f.exchange("first", q.Get("code")))
	assert.Empty(t, f.kinds(oauth.EventReplayDetected))
}

func TestWhatEndsACodeBeforeItIsRedeemed(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(f *fixture) error
		status int
		code   oauth.ErrorCode
	}{
		"consent revoked":     {func(f *fixture) error { _, err := f.p.RevokeConsent(context.Background(), "alice", "app"); return err }, 400, "invalid_grant"},
		"signed out":          {func(f *fixture) error { _, err := f.p.RevokeUser(context.Background(), "alice", ""); return err }, 400, "invalid_grant"},
		"signed out there":    {func(f *fixture) error { _, err := f.p.RevokeUser(context.Background(), "alice", "app"); return err }, 400, "invalid_grant"},
		"user inactive":       {func(f *fixture) error { f.setGone("alice", true); return nil }, 400, "invalid_grant"},
		"client disabled":     {func(f *fixture) error { f.change("app", func(c *oauth.Client) { c.Disabled = true }); return nil }, 401, "invalid_client"},
		"client deleted":      {func(f *fixture) error { return f.p.DeleteClient(context.Background(), "app") }, 401, "invalid_client"},
		"grant taken away":    {func(f *fixture) error { f.change("app", takeGrant); return nil }, 400, "unauthorized_client"},
		"someone else's exit": {func(f *fixture) error { _, err := f.p.RevokeUser(context.Background(), "bob", ""); return err }, 200, ""},
		"consent record gone": {func(f *fixture) error {
			_, err := f.store.RevokeConsents(context.Background(), store.ConsentQuery{Subject: "alice"})
			return err
		}, 400, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			code := f.code(alice(), authorization("app"))
			require.NoError(t, c.end(f))
			f.refused(f.exchange("app", code), c.status, c.code)
		})
	}
}

func takeGrant(c *oauth.Client) { c.GrantTypes, c.ResponseTypes = []string{"refresh_token"}, nil }

func TestCodeExpires(t *testing.T) {
	for lifetime, after := range map[time.Duration]time.Duration{0: 10 * time.Minute, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, func(c *oauth.Config) { c.Policy.CodeLifetime = lifetime })
			code := f.code(alice(), authorization("app"))
			time.Sleep(after - time.Second)
			used := f.code(alice(), authorization("app"))
			got := f.ok(f.exchange("app", used))
			f.ok(f.exchange("app", code))
			code = f.code(alice(), authorization("app"))
			time.Sleep(after)
			f.refused(f.exchange("app", code), 400, "invalid_grant")
			assert.True(t, f.active(got.AccessToken))
			f.refused(f.exchange("app", used), 400, "invalid_grant")
			assert.False(t, f.active(got.AccessToken), "a late second use is one too")
		})
	}
}

func TestCodesAreRandomAndStoredAsDigests(t *testing.T) {
	f := newFixture(t)
	seen := map[string]bool{}
	for range 200 {
		_, q := f.authorize(alice(), authorization("first")).location(t)
		code := q.Get("code")
		assert.Regexp(t, regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`), code)
		assert.False(t, seen[code])
		seen[code] = true
		_, err := f.store.Code(t.Context(), "code", code)
		assert.ErrorIs(t, err, store.ErrNotFound)
	}
}

func TestDeviceIsKeptWithTheAuthorization(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("app"))
	_, err := f.p.Exchange(t.Context(), f.client("app"), oauth.ExchangeRequest{
		Code: code, RedirectURI: appURI, CodeVerifier: verifier, Device: "Laptop", IP: "192.0.2.1",
	})
	require.NoError(t, err)
	list, err := f.store.ListTokens(t.Context(), store.TokenQuery{Subject: "alice"}, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, []string{"Laptop", "192.0.2.1"}, []string{list[0].Device, list[0].IP})
}

func TestAuthorizationsAreApart(t *testing.T) {
	f := newFixture(t)
	one, two := f.login("app"), f.login("app")
	f.post("/oauth/revoke", "app", url.Values{"token": {one.RefreshToken}})
	assert.False(t, f.active(one.AccessToken))
	assert.True(t, f.active(two.AccessToken), "another installation of the same client goes on")
	f.ok(f.refresh("app", two.RefreshToken))
}

func TestClientWithoutRefreshGrantGetsNone(t *testing.T) {
	f := newFixture(t)
	f.change("app", func(c *oauth.Client) { c.GrantTypes = []string{"authorization_code"} })
	code := f.code(alice(), authorization("app"))
	got := f.ok(f.exchange("app", code))
	assert.Empty(t, got.RefreshToken)
	f.refused(f.refresh("app", "x"), 400, "unauthorized_client")
	f.refused(f.exchange("app", code), 400, "invalid_grant")
	assert.False(t, f.active(got.AccessToken), "replay is noticed all the same")
}
