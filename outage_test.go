package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

var errDown = errors.New("SECRET: dial tcp 10.0.0.7:5432: connection refused")

// failing is a store whose calls fail from the nth one on, until it is mended.
type failing struct {
	store.Store
	mu     sync.Mutex
	after  int  // calls that still succeed; negative: all
	once   bool // one fails, and the next succeed again
	called []string
}

// set changes after while other goroutines call.
func (s *failing) set(after int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = after
}

func (s *failing) call(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called = append(s.called, name)
	if s.after == 0 {
		if s.once {
			s.after = -1
		}
		return errDown
	}
	if s.after > 0 {
		s.after--
	}
	return nil
}

func (s *failing) Client(ctx context.Context, id string) (store.Client, error) {
	if err := s.call("Client"); err != nil {
		return store.Client{}, err
	}
	return s.Store.Client(ctx, id)
}

func (s *failing) DeleteClient(ctx context.Context, id string) error {
	if err := s.call("DeleteClient"); err != nil {
		return err
	}
	return s.Store.DeleteClient(ctx, id)
}

func (s *failing) UpdateClient(ctx context.Context, c store.Client) error {
	if err := s.call("UpdateClient"); err != nil {
		return err
	}
	return s.Store.UpdateClient(ctx, c)
}

func (s *failing) CreateClient(ctx context.Context, c store.Client) error {
	if err := s.call("CreateClient"); err != nil {
		return err
	}
	return s.Store.CreateClient(ctx, c)
}

func (s *failing) ListClients(ctx context.Context, after string, n int) ([]store.Client, error) {
	if err := s.call("ListClients"); err != nil {
		return nil, err
	}
	return s.Store.ListClients(ctx, after, n)
}

func (s *failing) Code(ctx context.Context, kind, key string) (store.Code, error) {
	if err := s.call("Code"); err != nil {
		return store.Code{}, err
	}
	return s.Store.Code(ctx, kind, key)
}

func (s *failing) CreateCode(ctx context.Context, c store.Code) error {
	if err := s.call("CreateCode"); err != nil {
		return err
	}
	return s.Store.CreateCode(ctx, c)
}

func (s *failing) Token(ctx context.Context, id string) (store.Token, error) {
	if err := s.call("Token"); err != nil {
		return store.Token{}, err
	}
	return s.Store.Token(ctx, id)
}

func (s *failing) CreateToken(ctx context.Context, t store.Token) error {
	if err := s.call("CreateToken"); err != nil {
		return err
	}
	return s.Store.CreateToken(ctx, t)
}

func (s *failing) UpdateToken(ctx context.Context, t store.Token) error {
	if err := s.call("UpdateToken"); err != nil {
		return err
	}
	return s.Store.UpdateToken(ctx, t)
}

func (s *failing) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purge time.Time) (int, error) {
	if err := s.call("RevokeTokens"); err != nil {
		return 0, err
	}
	return s.Store.RevokeTokens(ctx, q, at, purge)
}

func (s *failing) ListTokens(ctx context.Context, q store.TokenQuery, after string, n int) ([]store.Token, error) {
	if err := s.call("ListTokens"); err != nil {
		return nil, err
	}
	return s.Store.ListTokens(ctx, q, after, n)
}

func (s *failing) Consent(ctx context.Context, subject, client string) (store.Consent, error) {
	if err := s.call("Consent"); err != nil {
		return store.Consent{}, err
	}
	return s.Store.Consent(ctx, subject, client)
}

func (s *failing) GrantConsent(ctx context.Context, c store.Consent) error {
	if err := s.call("GrantConsent"); err != nil {
		return err
	}
	return s.Store.GrantConsent(ctx, c)
}

func (s *failing) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	if err := s.call("RevokeConsents"); err != nil {
		return 0, err
	}
	return s.Store.RevokeConsents(ctx, q)
}

func (s *failing) ListConsents(ctx context.Context, subject, after string, n int) ([]store.Consent, error) {
	if err := s.call("ListConsents"); err != nil {
		return nil, err
	}
	return s.Store.ListConsents(ctx, subject, after, n)
}

func (s *failing) DeleteExpired(ctx context.Context, before time.Time, n int) (store.Deleted, error) {
	if err := s.call("DeleteExpired"); err != nil {
		return store.Deleted{}, err
	}
	return s.Store.DeleteExpired(ctx, before, n)
}

func outageFixture(t *testing.T) (*fixture, *failing) {
	s := &failing{Store: store.NewMemory(), after: -1}
	return newFixture(t, func(c *oauth.Config) { c.Store = s }), s
}

// Whichever call of the store fails, the answer is "try again", never
// "invalid", and trying again works.
func TestStoreOutageOverHTTP(t *testing.T) {
	for name, prepare := range map[string]func(f *fixture) (request func() *http.Request, good int){
		"exchange": func(f *fixture) (func() *http.Request, int) {
			code := f.code(alice(), authorization("app"))
			return func() *http.Request { return f.postRequest("/oauth/token", "app", exchangeForm("app", code)) }, 200
		},
		"refresh": func(f *fixture) (func() *http.Request, int) {
			v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {f.login("app").RefreshToken}}
			return func() *http.Request { return f.postRequest("/oauth/token", "app", v) }, 200
		},
		"client credentials": func(f *fixture) (func() *http.Request, int) {
			return func() *http.Request { return f.postRequest("/oauth/token", "cc", ccForm) }, 200
		},
		"revoke refresh token": func(f *fixture) (func() *http.Request, int) {
			v := url.Values{"token": {f.login("app").RefreshToken}}
			return func() *http.Request { return f.postRequest("/oauth/revoke", "app", v) }, 200
		},
		"revoke access token": func(f *fixture) (func() *http.Request, int) {
			v := url.Values{"token": {f.login("app").AccessToken}}
			return func() *http.Request { return f.postRequest("/oauth/revoke", "app", v) }, 200
		},
		"revoke client's token": func(f *fixture) (func() *http.Request, int) {
			v := url.Values{"token": {f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken}}
			return func() *http.Request { return f.postRequest("/oauth/revoke", "cc", v) }, 200
		},
		"introspect access token": func(f *fixture) (func() *http.Request, int) {
			v := url.Values{"token": {f.login("conf").AccessToken}}
			return func() *http.Request { return f.postRequest("/oauth/introspect", "conf", v) }, 200
		},
		"introspect refresh token": func(f *fixture) (func() *http.Request, int) {
			v := url.Values{"token": {f.login("conf").RefreshToken}}
			return func() *http.Request { return f.postRequest("/oauth/introspect", "conf", v) }, 200
		},
		"replay of a code": func(f *fixture) (func() *http.Request, int) {
			code := f.code(alice(), authorization("app"))
			f.ok(f.exchange("app", code))
			return func() *http.Request { return f.postRequest("/oauth/token", "app", exchangeForm("app", code)) }, 400
		},
		"authorize": func(f *fixture) (func() *http.Request, int) {
			return func() *http.Request {
				return alice().request("GET", "/oauth/authorize?"+authorization("app").Encode(), nil)
			}, 200
		},
		"authorize, first party": func(f *fixture) (func() *http.Request, int) {
			return func() *http.Request {
				return alice().request("GET", "/oauth/authorize?"+authorization("first").Encode(), nil)
			}, 303
		},
	} {
		t.Run(name, func(t *testing.T) { failEachCall(t, name, false, prepare) })
		t.Run(name+", one call", func(t *testing.T) { failEachCall(t, name, true, prepare) })
	}
}

// failEachCall makes a request again and again, each time with another call of
// the store that fails, alone or with all that follow, until none does.
func failEachCall(t *testing.T, name string, once bool, prepare func(f *fixture) (request func() *http.Request, good int)) {
	f, s := outageFixture(t)
	request, good := prepare(f)
	calls := 0
	for n := 0; ; n++ {
		s.after, s.once, s.called = n, once, nil
		a := f.do(request())
		if s.after > 0 || len(s.called) <= n { // none failed
			s.after = -1
			break
		}
		calls++
		at := s.called[n]
		assert.NotContains(t, a.body+a.header.Get("Location"), "SECRET", at)
		switch {
		case a.status == 303:
			_, q := a.location(t)
			assert.Equal(t, "temporarily_unavailable", q.Get("error"), at)
		default:
			require.Equal(t, 503, a.status, "%s fails: %s", at, a.body)
		}
	}
	assert.Positive(t, calls)
	if good == 400 {
		return
	}
	a := f.do(request())
	if name == "exchange" || name == "refresh" {
		// The round in which nothing failed succeeded; a retry is a replay or the
		// same successor.
		assert.Contains(t, []int{200, 400}, a.status)
		return
	}
	assert.Equal(t, good, a.status, a.body)
}

// The second spelling of Basic credentials is for a secret that was wrong in the
// first, not for one that nobody could look up.
func TestStoreOutageIsNoWrongSecret(t *testing.T) {
	f, s := outageFixture(t)
	f.own("plus", "a+b")
	for _, secret := range []string{"a%2Bb", "a%2Bc"} {
		for n := range 2 { // of the looks at secrets seen before
			s.after, s.once = n, true
			f.refused(f.send(ccForm, basic("plus", secret)), 503, oauth.ErrTemporarilyUnavailable)
		}
	}
	assert.Equal(t, 200, f.send(ccForm, basic("plus", "a%2Bb")).status)
}

func TestStoreOutageLeavesCodeAndTokenUsable(t *testing.T) {
	f, s := outageFixture(t)
	code := f.code(alice(), authorization("app"))
	for n := range 6 {
		s.after = n
		if a := f.exchange("app", code); a.status == 200 {
			s.after = -1
			got := f.ok(a)
			for n := range 3 {
				s.after = n
				f.refresh("app", got.RefreshToken)
			}
			s.after = -1
			f.ok(f.refresh("app", got.RefreshToken))
			return
		}
	}
	t.Fatal("the code was never redeemed")
}

// The Go methods say the same, and keep the cause for the log.
func TestStoreOutageInGo(t *testing.T) {
	ctx := t.Context()
	for name, call := range map[string]func(f *fixture) error{
		"Client":  func(f *fixture) error { _, err := f.p.Client(ctx, "app"); return err },
		"Clients": func(f *fixture) error { _, err := f.p.Clients(ctx, "", 1); return err },
		"RegisterClient": func(f *fixture) error {
			_, _, err := f.p.RegisterClient(ctx, oauth.Client{GrantTypes: []string{}})
			return err
		},
		"UpdateClient":  func(f *fixture) error { return f.p.UpdateClient(ctx, oauth.Client{ID: "x", Trust: "registered"}) },
		"Rotate":        func(f *fixture) error { _, err := f.p.RotateClientSecret(ctx, "cc", 0); return err },
		"DeleteClient":  func(f *fixture) error { return f.p.DeleteClient(ctx, "app") },
		"Consent":       func(f *fixture) error { _, err := f.p.Consent(ctx, "alice", "app"); return err },
		"CheckConsent":  func(f *fixture) error { _, err := f.p.CheckConsent(ctx, "alice", "app", nil, nil); return err },
		"GrantConsent":  func(f *fixture) error { return f.p.GrantConsent(ctx, "alice", "app", nil, nil) },
		"RevokeConsent": func(f *fixture) error { _, err := f.p.RevokeConsent(ctx, "alice", "app"); return err },
		"Consents":      func(f *fixture) error { _, err := f.p.Consents(ctx, "alice"); return err },
		"Consents, to a client that is gone": func(f *fixture) error {
			gone := store.Consent{Subject: "alice", ClientID: "gone"}
			if err := f.store.(*failing).Store.GrantConsent(ctx, gone); err != nil {
				return err
			}
			_, err := f.p.Consents(ctx, "alice")
			return err
		},
		"RevokeUser": func(f *fixture) error { _, err := f.p.RevokeUser(ctx, "alice", ""); return err },
		"Cleanup":    func(f *fixture) error { _, err := f.p.Cleanup(ctx); return err },
		"CreateAuthorizationCode": func(f *fixture) error {
			req, err := f.p.ParseAuthorization(ctx, authorization("app"))
			if err == nil {
				_, err = f.p.CreateAuthorizationCode(ctx, req, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
			}
			return err
		},
		"Authenticate": func(f *fixture) error {
			_, err := f.p.AuthenticateClient(ctx, oauth.Credentials{ClientID: "app"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := outageFixture(t)
			f.login("app")
			for n := range 16 {
				s.after, s.once, s.called = n/2, n%2 == 1, nil
				err := call(f)
				if s.after > 0 || len(s.called) <= n/2 {
					assert.Positive(t, n)
					assert.NotErrorIs(t, err, oauth.ErrTemporarilyUnavailable)
					return
				}
				require.ErrorIs(t, err, oauth.ErrTemporarilyUnavailable, "%v", s.called)
				require.ErrorIs(t, err, errDown)
				assert.NotErrorIs(t, err, oauth.ErrInvalidGrant)
				var e *oauth.Error
				require.ErrorAs(t, err, &e)
				assert.NotContains(t, e.Description, "SECRET")
			}
		})
	}
}

func TestCancelledRequest(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("app"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	f.p.ServeHTTP(w, f.postRequest("/oauth/token", "app", exchangeForm("app", code)).WithContext(ctx))
	assert.NotContains(t, w.Body.String(), "invalid_grant")
	f.ok(f.exchange("app", code))
}

type refusing struct{ store.Store }

func (refusing) CreateToken(context.Context, store.Token) error { return store.ErrInvalid }

// A record that the store cannot keep is the server's fault, not the client's.
func TestStoreThatRefusesARecord(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Store = refusing{store.NewMemory()} })
	_, q := f.authorize(alice(), authorization("first")).location(t)
	assert.Equal(t, "server_error", q.Get("error"))
	token := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken
	f.refused(f.post("/oauth/revoke", "cc", url.Values{"token": {token}}), 500, "server_error")
}
