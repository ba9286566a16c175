package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// interruptedStore does something else before its nth call of those that a flow
// makes, so that every interleaving of two operations is run, one by one.
type interruptedStore struct {
	store.Store
	in    int // calls until then; 0: never
	calls int
	do    func()
}

func (s *interruptedStore) step() {
	s.calls++
	if s.in == 0 || s.calls != s.in {
		return
	}
	do := s.do
	s.in, s.do = 0, nil
	do()
}

func (s *interruptedStore) arm(in int, do func()) { s.in, s.calls, s.do = in, 0, do }

// unused reports whether the flow made fewer calls, and disarms.
func (s *interruptedStore) unused() bool {
	unused := s.in != 0
	s.in = 0
	return unused
}

func (s *interruptedStore) Client(ctx context.Context, id string) (store.Client, error) {
	s.step()
	return s.Store.Client(ctx, id)
}

func (s *interruptedStore) Code(ctx context.Context, kind, key string) (store.Code, error) {
	s.step()
	return s.Store.Code(ctx, kind, key)
}

func (s *interruptedStore) CreateCode(ctx context.Context, c store.Code) error {
	s.step()
	return s.Store.CreateCode(ctx, c)
}

func (s *interruptedStore) Token(ctx context.Context, id string) (store.Token, error) {
	s.step()
	return s.Store.Token(ctx, id)
}

func (s *interruptedStore) CreateToken(ctx context.Context, t store.Token) error {
	s.step()
	return s.Store.CreateToken(ctx, t)
}

func (s *interruptedStore) UpdateToken(ctx context.Context, t store.Token) error {
	s.step()
	return s.Store.UpdateToken(ctx, t)
}

func (s *interruptedStore) Consent(ctx context.Context, subject, id string) (store.Consent, error) {
	s.step()
	return s.Store.Consent(ctx, subject, id)
}

func (s *interruptedStore) GrantConsent(ctx context.Context, c store.Consent) error {
	s.step()
	return s.Store.GrantConsent(ctx, c)
}

func (s *interruptedStore) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	s.step()
	return s.Store.RevokeConsents(ctx, q)
}

func (s *interruptedStore) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purge time.Time) (int, error) {
	s.step()
	return s.Store.RevokeTokens(ctx, q, at, purge)
}

func (s *interruptedStore) DeleteClient(ctx context.Context, id string) error {
	s.step()
	return s.Store.DeleteClient(ctx, id)
}

// endings are what ends an authorization of alice and app.
func endings(f *fixture) map[string]func() {
	ctx := context.Background()
	return map[string]func(){
		"RevokeUser":    func() { _, err := f.p.RevokeUser(ctx, "alice", ""); require.NoError(f.t, err) },
		"RevokeConsent": func() { _, err := f.p.RevokeConsent(ctx, "alice", "app"); require.NoError(f.t, err) },
		"DeleteClient":  func() { require.NoError(f.t, f.p.DeleteClient(ctx, "app")) },
	}
}

func newInterrupted(t *testing.T) (*fixture, *interruptedStore) {
	s := &interruptedStore{Store: store.NewMemory()}
	return newFixture(t, func(c *oauth.Config) { c.Store = s }), s
}

func (f *fixture) assertDead(a answer) {
	f.t.Helper()
	if a.status != http.StatusOK {
		assert.Less(f.t, a.status, 500, a.body)
		return
	}
	got := f.ok(a)
	assert.False(f.t, f.active(got.AccessToken), "access token lives")
	assert.False(f.t, f.active(got.RefreshToken), "refresh token lives")
	assert.NotEqual(f.t, 200, f.refresh("app", got.RefreshToken).status)
	_, err := f.p.Verifier().VerifyToken(context.Background(), got.AccessToken)
	assert.Error(f.t, err)
}

const enough = 12 // more calls than any flow here makes

// Whatever ends an authorization ends it, wherever in an exchange or a refresh
// it comes.
func TestRevocationAnywhereInAnExchangeOrRefreshWins(t *testing.T) {
	for name := range endings(nil) {
		for n := 1; n <= enough; n++ {
			t.Run(fmt.Sprint(name, " in exchange before call ", n), func(t *testing.T) {
				f, s := newInterrupted(t)
				code := f.code(alice(), authorization("app"))
				s.arm(n, endings(f)[name])
				a := f.exchange("app", code)
				if s.unused() {
					assert.Greater(t, n, 3, "the flow makes fewer calls than this test is for")
					endings(f)[name]()
				}
				f.assertDead(a)
			})
			t.Run(fmt.Sprint(name, " in refresh before call ", n), func(t *testing.T) {
				f, s := newInterrupted(t)
				old := f.login("app")
				s.arm(n, endings(f)[name])
				a := f.refresh("app", old.RefreshToken)
				if s.unused() {
					assert.Greater(t, n, 2)
					endings(f)[name]()
				}
				f.assertDead(a)
				assert.False(t, f.active(old.AccessToken))
			})
		}
	}
}

// A consent that ends anywhere in a silent approval, and anywhere from the
// record on in one by the user, leaves no code that is worth anything.
func TestRevokedConsentAnywhereInAnApprovalWins(t *testing.T) {
	for n := 1; n <= enough; n++ {
		t.Run(fmt.Sprint("silent, before call ", n), func(t *testing.T) {
			f, s := newInterrupted(t)
			f.code(alice(), authorization("app"))
			s.arm(n, endings(f)["RevokeConsent"])
			a := f.authorize(alice(), authorization("app"))
			if s.unused() {
				assert.Greater(t, n, 3)
				endings(f)["RevokeConsent"]()
			}
			if a.status == http.StatusOK {
				return // asked again
			}
			_, q := a.location(t)
			f.assertDead(f.exchange("app", q.Get("code")))
		})
		t.Run(fmt.Sprint("asked, before call ", n), func(t *testing.T) {
			f, s := newInterrupted(t)
			b := alice()
			form := consentForm(t, f.authorize(b, authorization("app")))
			s.arm(n, endings(f)["RevokeConsent"])
			a := f.visit(b, "POST", "/oauth/consent", form)
			if n <= 2 {
				return // the approval came later
			}
			if s.unused() {
				assert.Greater(t, n, 4)
				endings(f)["RevokeConsent"]()
			}
			_, q := a.location(t)
			f.assertDead(f.exchange("app", q.Get("code")))
		})
	}
}

// Two redemptions of a code, interleaved in every way: never two live grants,
// and the one that came second ends the first.
func TestTwoExchangesInEveryInterleaving(t *testing.T) {
	for n := 1; n <= enough; n++ {
		t.Run(fmt.Sprint("before call ", n), func(t *testing.T) {
			f, s := newInterrupted(t)
			code := f.code(alice(), authorization("app"))
			var inner answer
			s.arm(n, func() { inner = f.exchange("app", code) })
			outer := f.exchange("app", code)
			if s.unused() {
				inner = f.exchange("app", code)
			}
			assert.ElementsMatch(t, []int{200, 400}, []int{inner.status, outer.status})
			f.assertDead(inner)
			f.assertDead(outer)
		})
	}
}

// Two uses of one refresh token, interleaved in every way, have one successor.
func TestTwoRefreshesInEveryInterleaving(t *testing.T) {
	for n := 1; n <= enough; n++ {
		t.Run(fmt.Sprint("before call ", n), func(t *testing.T) {
			f, s := newInterrupted(t)
			old := f.login("app")
			var inner answer
			s.arm(n, func() { inner = f.refresh("app", old.RefreshToken) })
			outer := f.ok(f.refresh("app", old.RefreshToken))
			if s.unused() {
				inner = f.refresh("app", old.RefreshToken)
			}
			assert.Equal(t, outer.RefreshToken, f.ok(inner).RefreshToken)
			assert.True(t, f.active(outer.RefreshToken))
		})
	}
}
