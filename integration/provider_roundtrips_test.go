package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// site is a provider over a store whose traffic is counted where it leaves the
// process, with a user who is signed in.
type site struct {
	t       *testing.T
	p       *oauth.Provider
	take    func() []string // what was sent since the last call
	warm    bool
	cookies []*http.Cookie
}

const (
	siteVerifier = "the-verifier-of-every-request-of-this-test-0123456789"
	siteCallback = "https://app.example/callback"
)

func newSite(t *testing.T, db store.Store, take func() []string) *site {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p, err := oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: db, LoginURL: "/login", Logger: slog.New(slog.DiscardHandler),
		Scopes: map[string]string{"read": "Read", "write": "Write"}, Secret: []byte(strings.Repeat("s", 32)),
		Session: func(*http.Request) (oauth.Session, error) {
			return oauth.Session{Subject: "user", AuthTime: time.Now(), ID: "session"}, nil
		},
		SkipConsent: func(_ context.Context, req *oauth.AuthorizationRequest) (bool, error) {
			return req.Client.ID == "trusted", nil
		},
		// Managed keys are read from the store once a minute, whatever the load is.
		Keys:   oauth.StaticKeys{{ID: "k", Signer: key}},
		Policy: oauth.Policy{BcryptCost: 4},
	})
	require.NoError(t, err)
	for _, id := range []string{"app", "trusted"} {
		_, _, err = p.RegisterClient(t.Context(), oauth.Client{ID: id, Name: id, Public: true, RedirectURIs: []string{siteCallback}, Scopes: []string{"read", "write"}})
		require.NoError(t, err)
	}
	return &site{t: t, p: p, take: take}
}

// visit sends a request of the browser.
func (s *site) visit(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(s.t.Context(), method, "https://auth.example"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range s.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.p.ServeHTTP(w, r)
	s.cookies = append(s.cookies, w.Result().Cookies()...)
	return w
}

// authorize sends the browser to the authorization endpoint.
func (s *site) authorize(client, scope string) *httptest.ResponseRecorder {
	challenge := sha256.Sum256([]byte(siteVerifier))
	return s.visit(http.MethodGet, "/oauth/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {siteCallback}, "scope": {scope},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
}

var interaction = regexp.MustCompile(`name="interaction" value="([^"]+)"`)

// allow sends the form of a consent page.
func (s *site) allow(page *httptest.ResponseRecorder, scope string) *httptest.ResponseRecorder {
	s.t.Helper()
	m := interaction.FindStringSubmatch(page.Body.String())
	require.NotNil(s.t, m, "no consent page: %d %s", page.Code, page.Body)
	return s.visit(http.MethodPost, "/oauth/consent", url.Values{"interaction": {html.UnescapeString(m[1])}, "decision": {"allow"}, "scope": {scope}})
}

func (s *site) code(w *httptest.ResponseRecorder) string {
	s.t.Helper()
	u, err := url.Parse(w.Header().Get("Location"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, u.Query().Get("code"), "%d %s %s", w.Code, u, w.Body)
	return u.Query().Get("code")
}

// tokens reads an answer of the token endpoint.
func (s *site) tokens(w *httptest.ResponseRecorder) (access, refresh string) {
	s.t.Helper()
	var body struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	require.Equal(s.t, http.StatusOK, w.Code, w.Body)
	require.NoError(s.t, json.Unmarshal(w.Body.Bytes(), &body))
	require.NotEmpty(s.t, body.Refresh)
	return body.Access, body.Refresh
}

func (s *site) exchange(client, code string) *httptest.ResponseRecorder {
	return s.visit(http.MethodPost, "/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {siteCallback}, "code": {code}, "code_verifier": {siteVerifier}})
}

func (s *site) refresh(token string) *httptest.ResponseRecorder {
	return s.visit(http.MethodPost, "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token}})
}

func (s *site) revoke(token string) {
	s.t.Helper()
	w := s.visit(http.MethodPost, "/oauth/revoke", url.Values{"client_id": {"app"}, "token": {token}})
	require.Equal(s.t, http.StatusOK, w.Code, w.Body)
}

func (s *site) introspect(token string) {
	s.t.Helper()
	i, err := s.p.Introspect(s.t.Context(), nil, token)
	require.NoError(s.t, err)
	require.True(s.t, i.Active)
}

// most checks how often an operation has gone to the store, and forgets it.
func (s *site) most(n int, operation string) {
	s.t.Helper()
	sent := s.take()
	if !s.warm {
		return
	}
	assert.NotEmpty(s.t, sent, "%s: the test sees nothing", operation)
	assert.LessOrEqual(s.t, len(sent), n, "%s:\n%s", operation, strings.Join(sent, "\n"))
	s.t.Logf("%s: %d", operation, len(sent))
}

// walk goes twice through all operations, the second time with statements that
// are prepared and scripts that are known. A second consent is added to the
// first, for which SQL has no one statement: merge is how many more it takes.
func (s *site) walk(merge int) {
	s.t.Helper()
	for _, s.warm = range []bool{false, true} {
		_, err := s.p.RevokeConsent(s.t.Context(), "user", "app")
		require.NoError(s.t, err)
		s.take()
		s.authorizations(merge)
	}
}

func (s *site) authorizations(merge int) {
	s.t.Helper()
	code := s.code(s.authorize("trusted", "read"))
	s.most(3, "authorize, SkipConsent")
	s.tokens(s.exchange("trusted", code))
	s.most(3, "exchange, SkipConsent")

	page := s.authorize("app", "read")
	s.most(1, "show the consent page")
	s.code(s.allow(page, "read"))
	s.most(3, "approve on the page")
	page = s.authorize("app", "write")
	s.take()
	s.code(s.allow(page, "write"))
	s.most(3+merge, "approve more on the page")

	code = s.code(s.authorize("app", "read"))
	s.most(3, "authorize, remembered consent")
	access, refresh := s.tokens(s.exchange("app", code))
	s.most(3, "exchange, remembered consent")

	_, next := s.tokens(s.refresh(refresh))
	s.most(2, "refresh")
	s.tokens(s.refresh(refresh))
	s.most(2, "refresh, the answer was lost")
	_, last := s.tokens(s.refresh(next))
	s.most(2, "refresh, the next")

	s.introspect(access)
	s.most(1, "introspect an access token")
	s.introspect(last)
	s.most(1, "introspect a refresh token")
	s.revoke(access)
	s.most(2, "revoke an access token")
	s.revoke(last)
	s.most(2, "revoke a refresh token")
}

// TestOperationsTakeFewRoundTrips counts at the driver, so that whatever a call
// of the store becomes on its way is counted too. Look-ups of clients are not:
// they may be cached.
func TestOperationsTakeFewRoundTrips(t *testing.T) {
	dbtest.Each(t, []dbtest.Kind{dbtest.Postgres, dbtest.MySQL, dbtest.File}, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		db, recorder := d.Recorded(t)
		db.SetMaxOpenConns(1) // each statement is prepared once
		var s *site
		s = newSite(t, d.Handle(t, db), func() (sent []string) {
			ran, prepared := recorder.Take()
			if s.warm {
				assert.Zero(t, prepared, "statements prepared anew")
			}
			for _, st := range ran {
				if !strings.HasPrefix(st.Text, "SELECT") || !strings.Contains(st.Text, "clients") {
					sent = append(sent, st.Text)
				}
			}
			return sent
		})
		s.walk(2)
	})
	t.Run("redis", func(t *testing.T) {
		client, commands := dbtest.StartRedis(t).Client(t)
		db, err := redisstore.New(t.Context(), client, redisstore.Options{})
		require.NoError(t, err)
		s := newSite(t, db, func() (sent []string) {
			for _, c := range commands.Take() {
				if !strings.Contains(c, ":client:") {
					sent = append(sent, c)
				}
			}
			return sent
		})
		s.walk(0)
	})
}
