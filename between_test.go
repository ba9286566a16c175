package oauth_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// between is a store that lets a test act between two of its calls. Each hook is
// called once, and what it returns is the answer.
type between struct {
	store.Store
	beforeUpdate func() error             // before UpdateToken
	afterToken   func(*store.Token) error // after Token
	afterCode    func(*store.Code)        // after Code
	afterClient  func()                   // after Client
}

func (s *between) Client(ctx context.Context, id string) (store.Client, error) {
	c, err := s.Store.Client(ctx, id)
	if hook := s.afterClient; hook != nil {
		s.afterClient = nil
		hook()
	}
	return c, err
}

func (s *between) UpdateToken(ctx context.Context, t store.Token) error {
	if hook := s.beforeUpdate; hook != nil {
		s.beforeUpdate = nil
		if err := hook(); err != nil {
			return err
		}
	}
	return s.Store.UpdateToken(ctx, t)
}

func (s *between) Token(ctx context.Context, id string) (store.Token, error) {
	t, err := s.Store.Token(ctx, id)
	if hook := s.afterToken; hook != nil && err == nil {
		s.afterToken = nil
		err = hook(&t)
	}
	return t, err
}

func (s *between) Code(ctx context.Context, kind, key string) (store.Code, error) {
	c, err := s.Store.Code(ctx, kind, key)
	if hook := s.afterCode; hook != nil && err == nil {
		s.afterCode = nil
		hook(&c)
	}
	return c, err
}

func betweenFixture(t *testing.T, change ...func(*oauth.Config)) (*fixture, *between) {
	s := &between{Store: store.NewMemory()}
	return newFixture(t, append(change, func(c *oauth.Config) { c.Store = s })...), s
}

func TestARefreshThatLosesARaceIsJudgedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(f *fixture, token string) error
		status    int
		code      oauth.ErrorCode
	}{
		"the same request won": {func(f *fixture, token string) error { f.ok(f.refresh("app", token)); return nil }, 200, ""},
		"it is two generations old": {func(f *fixture, token string) error {
			f.ok(f.refresh("app", f.ok(f.refresh("app", token)).RefreshToken))
			return nil
		}, 400, oauth.ErrInvalidGrant},
		"it was revoked":       {func(f *fixture, _ string) error { _, err := f.p.RevokeUser(f.t.Context(), "alice", ""); return err }, 400, oauth.ErrInvalidGrant},
		"the record has ended": {func(*fixture, string) error { return store.ErrNotFound }, 400, oauth.ErrInvalidGrant},
		"the store fails":      {func(*fixture, string) error { return errDown }, 503, oauth.ErrTemporarilyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := betweenFixture(t)
			got := f.login("app")
			s.beforeUpdate = func() error { return tt.meanwhile(f, got.RefreshToken) }
			a := f.refresh("app", got.RefreshToken)
			if tt.code != "" {
				f.refused(a, tt.status, tt.code)
				if tt.status == 503 {
					f.ok(f.refresh("app", got.RefreshToken))
				}
				return
			}
			assert.True(t, f.active(f.ok(a).RefreshToken))
			assert.Empty(t, f.kinds(oauth.EventReplayDetected))
		})
	}
}

// Who sends a wrong secret and hangs up raises no alarm of an outage.
func TestHangingUpMakesNoOutageOfAWrongSecret(t *testing.T) {
	f, s := betweenFixture(t)
	for _, secret := range []string{"wrong", "wr+ng"} {
		ctx, cancel := context.WithCancel(t.Context())
		s.afterClient = cancel
		_, err := f.p.AuthenticateClient(ctx, oauth.Credentials{ClientID: "cc", Secret: secret, Basic: true})
		assert.ErrorIs(t, err, oauth.ErrInvalidClient)
		assert.ErrorIs(t, ctx.Err(), context.Canceled)
	}
	assert.Len(t, f.kinds(oauth.EventClientAuthFailed), 2)
	assert.Empty(t, f.kinds(oauth.EventOutage))
}

func TestARaceThatNeverEnds(t *testing.T) {
	f, s := betweenFixture(t)
	got := f.login("app")
	updates := 0
	var again func() error
	again = func() error {
		updates++
		s.beforeUpdate = again
		return store.ErrConflict
	}
	s.beforeUpdate = again
	f.refused(f.refresh("app", got.RefreshToken), 503, oauth.ErrTemporarilyUnavailable)
	assert.Equal(t, 4, updates, "then somebody else's turn has come")
	s.beforeUpdate = nil
	f.ok(f.refresh("app", got.RefreshToken))
}

func TestARaceWhoseRecordIsGone(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status int
		code   oauth.ErrorCode
	}{
		"it has ended":    {store.ErrNotFound, 400, oauth.ErrInvalidGrant},
		"the store fails": {errDown, 503, oauth.ErrTemporarilyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := betweenFixture(t)
			got := f.login("app")
			s.beforeUpdate = func() error {
				s.afterToken = func(*store.Token) error { return tt.err }
				return store.ErrConflict
			}
			f.refused(f.refresh("app", got.RefreshToken), tt.status, tt.code)
			f.ok(f.refresh("app", got.RefreshToken))
		})
	}
}

// An outage while a code is redeemed is no second use of it.
func TestAnOutageAtTheExchangeIsNoReplay(t *testing.T) {
	f, s := betweenFixture(t)
	code := f.code(alice(), authorization("app"))
	s.beforeUpdate = func() error { return errDown }
	f.refused(f.exchange("app", code), 503, oauth.ErrTemporarilyUnavailable)
	assert.Empty(t, f.kinds(oauth.EventReplayDetected))
	assert.True(t, f.active(f.ok(f.exchange("app", code)).AccessToken))
}

// Whether an expired code was used is read from its record, as long as there is
// one.
func TestAnExpiredCode(t *testing.T) {
	for name, tt := range map[string]struct {
		record func(*store.Token) error
		status int
		code   oauth.ErrorCode
		replay int
	}{
		"was not used":    {func(*store.Token) error { return nil }, 400, oauth.ErrInvalidGrant, 0},
		"was used":        {func(t *store.Token) error { t.State = store.TokenActive; return nil }, 400, oauth.ErrInvalidGrant, 1},
		"has no record":   {func(*store.Token) error { return store.ErrNotFound }, 400, oauth.ErrInvalidGrant, 0},
		"the store fails": {func(*store.Token) error { return errDown }, 503, oauth.ErrTemporarilyUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, s := betweenFixture(t)
				code := f.code(alice(), authorization("app"))
				time.Sleep(time.Hour)
				s.afterToken = tt.record
				f.refused(f.exchange("app", code), tt.status, tt.code)
				assert.Len(t, f.kinds(oauth.EventReplayDetected), tt.replay)
			})
		})
	}
}

// What nothing changed is not written.
func TestRetriesWriteNothing(t *testing.T) {
	version := func(f *fixture) int64 {
		list, err := f.store.ListTokens(f.t.Context(), store.TokenQuery{Subject: "alice"}, "", 10)
		require.NoError(f.t, err)
		require.Len(f.t, list, 1)
		return list[0].Version
	}
	t.Run("of a rotated token", func(t *testing.T) {
		f := newFixture(t)
		got := f.login("app")
		next := f.ok(f.refresh("app", got.RefreshToken))
		before := version(f)
		again := f.ok(f.refresh("app", got.RefreshToken))
		assert.Equal(t, next.RefreshToken, again.RefreshToken)
		assert.Equal(t, before, version(f))
	})
	t.Run("of one that is not rotated, at the same time", func(t *testing.T) {
		f, s := betweenFixture(t, func(c *oauth.Config) { c.Policy.NoRotation = true })
		got := f.login("conf")
		before := version(f)
		s.beforeUpdate = func() error { f.ok(f.refresh("conf", got.RefreshToken)); return nil }
		assert.Equal(t, got.RefreshToken, f.ok(f.refresh("conf", got.RefreshToken)).RefreshToken)
		assert.Equal(t, before+1, version(f), "the first to come has prolonged it")
	})
}

// A record that cannot be read is the server's fault: nothing is spent.
func TestRecordsThatCannotBeRead(t *testing.T) {
	f, s := betweenFixture(t)
	code := f.code(alice(), authorization("app"))
	cut := func(n int) func(*store.Code) {
		return func(c *store.Code) { c.Data = append([]byte{}, c.Data[:len(c.Data)-n]...) }
	}
	s.afterCode = cut(1)
	f.refused(f.exchange("app", code), 503, oauth.ErrTemporarilyUnavailable)
	s.afterCode = func(c *store.Code) { c.Data = bytes.Replace(c.Data, []byte(`{"sid"`), []byte(`{{sid"`), 1) }
	f.refused(f.exchange("app", code), 503, oauth.ErrTemporarilyUnavailable)
	got := f.ok(f.exchange("app", code))

	s.afterToken = func(t *store.Token) error { t.Data = []byte(`{"auth_time":"x"}`); return nil }
	f.refused(f.refresh("app", got.RefreshToken), 503, oauth.ErrTemporarilyUnavailable)
	next := f.ok(f.refresh("app", got.RefreshToken))

	s.afterToken = func(t *store.Token) error { t.Successor = append([]byte{0}, t.Successor...); return nil }
	f.refused(f.refresh("app", got.RefreshToken), 503, oauth.ErrTemporarilyUnavailable)
	again := f.ok(f.refresh("app", got.RefreshToken))
	assert.Equal(t, next.RefreshToken, again.RefreshToken)
	assert.Empty(t, f.kinds(oauth.EventReplayDetected))
}
