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

func TestRetriedRefreshGetsTheSameSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		first := f.login("app")
		second := f.ok(f.refresh("app", first.RefreshToken))
		time.Sleep(29 * time.Second)
		retry := f.ok(f.refresh("app", first.RefreshToken))
		assert.Equal(t, second.RefreshToken, retry.RefreshToken)
		assert.NotEqual(t, second.AccessToken, retry.AccessToken)
		assert.True(t, f.active(retry.AccessToken))
		f.ok(f.refresh("app", retry.RefreshToken))
		assert.Empty(t, f.kinds(oauth.EventReplayDetected))
	})
}

func TestReplayedRefreshTokenRevokesTheFamily(t *testing.T) {
	for name, replay := range map[string]func(f *fixture, first, second tokens) tokens{
		"after the grace window": func(f *fixture, _, second tokens) tokens { time.Sleep(30 * time.Second); return second },
		"after the successor was used": func(f *fixture, _, second tokens) tokens {
			return f.ok(f.refresh("app", second.RefreshToken))
		},
		"two generations old": func(f *fixture, _, second tokens) tokens {
			third := f.ok(f.refresh("app", second.RefreshToken))
			time.Sleep(time.Hour)
			return f.ok(f.refresh("app", third.RefreshToken))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				other := f.login("app")
				first := f.login("app")
				second := f.ok(f.refresh("app", first.RefreshToken))
				last := replay(f, first, second)
				f.refused(f.refresh("app", first.RefreshToken), 400, "invalid_grant")
				f.refused(f.refresh("app", last.RefreshToken), 400, "invalid_grant")
				f.refused(f.refresh("app", first.RefreshToken), 400, "invalid_grant") // there is nothing left to end
				for _, token := range []string{last.AccessToken, last.RefreshToken, second.RefreshToken} {
					assert.False(t, f.active(token))
				}
				f.ok(f.refresh("app", other.RefreshToken))
				events := f.kinds(oauth.EventReplayDetected)
				require.Len(t, events, 1)
				assert.Equal(t, "refresh token", events[0].Detail)
			})
		})
	}
}

func TestNoGrace(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Policy.RefreshGrace = oauth.NoGrace })
	first := f.login("app")
	second := f.ok(f.refresh("app", first.RefreshToken))
	f.refused(f.refresh("app", first.RefreshToken), 400, "invalid_grant")
	f.refused(f.refresh("app", second.RefreshToken), 400, "invalid_grant")
}

// Whoever knows an id, or guesses, signs nobody out.
func TestNoiseRevokesNothing(t *testing.T) {
	f := newFixture(t)
	got := f.login("conf")
	parts := strings.Split(got.RefreshToken, ".")
	require.Len(t, parts, 3)
	id, family, secret := parts[0], parts[1], parts[2]
	flip := func(s string) string { return strings.Map(func(r rune) rune { return r ^ 1 }, s[:1]) + s[1:] }
	noise := []string{
		id + "." + flip(family) + "." + secret, id + "." + strings.Repeat("A", 22) + "." + strings.Repeat("A", 43), flip(id) + "." + family + "." + secret,
		id, id + "." + family, id + "." + family + ".", "..", id + "." + family + "." + secret + ".x", got.RefreshToken + "A", " " + got.RefreshToken,
		got.AccessToken, "x", strings.Repeat("A", 5000),
	}
	for range 3 {
		for _, token := range noise {
			f.refused(f.refresh("conf", token), 400, "invalid_grant")
			assert.Equal(t, 200, f.post("/oauth/revoke", "post", url.Values{"token": {token}}).status)
			if token != got.AccessToken {
				assert.Equal(t, 200, f.post("/oauth/revoke", "conf", url.Values{"token": {token}}).status)
			}
		}
	}
	f.refused(f.refresh("post", got.RefreshToken), 400, "invalid_grant")
	f.refused(f.refresh("app", got.RefreshToken), 400, "invalid_grant")
	assert.True(t, f.active(got.AccessToken))
	f.ok(f.refresh("conf", got.RefreshToken))
	assert.Empty(t, f.kinds(oauth.EventReplayDetected))
}

func TestRefreshNarrowsAndNeverWidens(t *testing.T) {
	f := newFixture(t)
	v := authorization("app", "scope", "read write")
	v["resource"] = []string{apiURI, mcpURI}
	got := f.ok(f.exchange("app", f.code(alice(), v)))
	token := got.RefreshToken
	f.refused(f.refresh("app", token, "scope", "read profile"), 400, "invalid_scope")
	f.refused(f.refresh("app", token, "scope", "read  write"), 400, "invalid_scope")
	f.refused(f.refresh("app", token, "resource", "https://other.example"), 400, "invalid_target")
	narrow := f.ok(f.refresh("app", token, "scope", "read", "resource", mcpURI))
	_, claims := claimsOf(t, narrow.AccessToken)
	assert.Equal(t, []any{"read", mcpURI, "read"}, []any{narrow.Scope, claims["aud"], claims["scope"]})
	wide := f.ok(f.refresh("app", narrow.RefreshToken))
	_, claims = claimsOf(t, wide.AccessToken)
	assert.Equal(t, "read write", wide.Scope, "the grant itself was not narrowed")
	assert.Equal(t, []any{apiURI, mcpURI}, claims["aud"])

	apart := f.ok(f.refresh("app", wide.RefreshToken, "resource", mcpURI))
	assert.Equal(t, "read", apart.Scope, "write means nothing there")
	f.refused(f.refresh("app", apart.RefreshToken, "resource", mcpURI, "scope", "write"), 400, "invalid_scope")
	first := f.ok(f.exchange("app", f.code(alice(), v), "resource", mcpURI))
	assert.Equal(t, "read", first.Scope)
	assert.Equal(t, "read write", f.ok(f.refresh("app", first.RefreshToken)).Scope)

	one := f.login("app", "scope", "read", "resource", mcpURI)
	f.refused(f.refresh("app", one.RefreshToken, "resource", apiURI), 400, "invalid_target")
	f.ok(f.refresh("app", one.RefreshToken))
}

func TestWhatEndsARefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(f *fixture) error
		status int
		code   oauth.ErrorCode
	}{
		"consent revoked": {func(f *fixture) error { _, err := f.p.RevokeConsent(context.Background(), "alice", "app"); return err }, 400, "invalid_grant"},
		"signed out":      {func(f *fixture) error { _, err := f.p.RevokeUser(context.Background(), "alice", ""); return err }, 400, "invalid_grant"},
		"user inactive":   {func(f *fixture) error { f.setGone("alice", true); return nil }, 400, "invalid_grant"},
		"client disabled": {func(f *fixture) error { f.change("app", func(c *oauth.Client) { c.Disabled = true }); return nil }, 401, "invalid_client"},
		"client deleted":  {func(f *fixture) error { return f.p.DeleteClient(context.Background(), "app") }, 401, "invalid_client"},
		"Users fails":     {func(f *fixture) error { f.fails = errors.New("down"); return nil }, 503, "temporarily_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			got := f.login("app")
			require.NoError(t, c.end(f))
			f.refused(f.refresh("app", got.RefreshToken), c.status, c.code)
			if name == "Users fails" {
				f.fails = nil
				f.ok(f.refresh("app", got.RefreshToken))
				return
			}
			assert.False(t, f.active(got.AccessToken))
			assert.False(t, f.active(got.RefreshToken))
			if name == "user inactive" {
				f.setGone("alice", false)
				f.ok(f.refresh("app", got.RefreshToken))
			}
		})
	}
}

func TestRefreshLifetimes(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		got := f.login("app")
		for range 3 { // 30 days from each refresh on
			time.Sleep(30*day - time.Second)
			got = f.ok(f.refresh("app", got.RefreshToken))
		}
		time.Sleep(30 * day)
		assert.False(t, f.active(got.RefreshToken))
		f.refused(f.refresh("app", got.RefreshToken), 400, "invalid_grant")
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *oauth.Config) { c.Policy.MaxLifetime = 45 * day })
		got := f.login("app")
		time.Sleep(29 * day)
		got = f.ok(f.refresh("app", got.RefreshToken))
		time.Sleep(16*day - time.Minute)
		got = f.ok(f.refresh("app", got.RefreshToken))
		time.Sleep(time.Minute)
		f.refused(f.refresh("app", got.RefreshToken), 400, "invalid_grant")
		unused := f.login("app")
		time.Sleep(30 * day)
		f.refused(f.refresh("app", unused.RefreshToken), 400, "invalid_grant")
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.change("app", func(c *oauth.Client) { c.AccessTokenLifetime, c.RefreshTokenLifetime = time.Minute, time.Hour })
		got := f.login("app")
		assert.Equal(t, int64(60), got.ExpiresIn)
		time.Sleep(time.Minute)
		assert.False(t, f.active(got.AccessToken), "at exp it has expired")
		got = f.ok(f.refresh("app", got.RefreshToken))
		time.Sleep(time.Hour)
		f.refused(f.refresh("app", got.RefreshToken), 400, "invalid_grant")
	})
}

func TestNoRotationIsForConfidentialClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *oauth.Config) { c.Policy.NoRotation = true })
		got := f.login("conf")
		for range 3 {
			time.Sleep(29 * 24 * time.Hour)
			again := f.ok(f.refresh("conf", got.RefreshToken))
			assert.Equal(t, got.RefreshToken, again.RefreshToken)
			assert.True(t, f.active(again.AccessToken))
		}
		public := f.login("app")
		assert.NotEqual(t, public.RefreshToken, f.ok(f.refresh("app", public.RefreshToken)).RefreshToken)
	})
}

// What is stored opens nothing: no code, token or secret is in any record.
func TestStoreHoldsDigestsOnly(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("conf"))
	got := f.ok(f.exchange("conf", code))
	next := f.ok(f.refresh("conf", got.RefreshToken))
	list, err := f.store.ListTokens(t.Context(), store.TokenQuery{Subject: "alice"}, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1, "one record, however often it is refreshed")
	parts := strings.Split(next.RefreshToken, ".")
	dump := string(list[0].Successor) + string(list[0].Data) + string(list[0].FamilyHash[:]) + string(list[0].SecretHash[:]) + string(list[0].PreviousHash[:])
	for _, secret := range []string{code, parts[1], parts[2], got.AccessToken, f.secrets["conf"]} {
		assert.NotContains(t, dump, secret)
	}
	assert.NotContains(t, f.client("conf").Secrets[0].Hash, f.secrets["conf"])
}
