package site

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestConnectionsSayWhatIsKnown(t *testing.T) {
	s := &Site{scopes: map[string]string{"read": "Read everything"}}
	detail := func(id string, c *oauth.Client) oauth.ConsentDetail {
		return oauth.ConsentDetail{Consent: oauth.Consent{ClientID: id, Scopes: []string{"read", "other"}}, Client: c}
	}

	c := s.connection(detail("app", &oauth.Client{Name: "App", Trust: store.TrustRegistered, RedirectURIs: []string{"https://app.example/a", "https://app.example/b", "https://b.example/"}}))
	assert.Equal(t, connection{ClientID: "app", Name: "App", SentTo: []string{"app.example", "b.example"}, Scopes: []string{"Read everything", "other"}}, c)

	c = s.connection(detail("https://client.example:8443/doc", &oauth.Client{Name: "Ple\u202ease\n\u200b", Trust: store.TrustDocument, RedirectURIs: []string{"http://localhost/cb", "https://wEb.example/cb"}}))
	assert.Equal(t, "Please", c.Name)
	assert.Equal(t, "client.example:8443", c.Document)
	assert.True(t, c.Unchecked)
	assert.True(t, c.Local)
	assert.Equal(t, []string{"web.example"}, c.SentTo)

	c = s.connection(detail("https://looks.like/one", &oauth.Client{Name: "Self", Trust: store.TrustSelf, RedirectURIs: []string{"cursor://callback", "http://[::1]:9/"}}))
	assert.Empty(t, c.Document, "only a document's own address says something")
	assert.True(t, c.Unchecked)
	assert.True(t, c.Local)
	assert.Empty(t, c.SentTo)

	c = s.connection(detail("gone", nil))
	assert.Empty(t, c.Name)
	assert.Equal(t, "gone", c.ClientID)
}

// failing is a store that is down when it is told so.
type failing struct {
	store.Store
	down bool
}

func (f *failing) ListConsents(ctx context.Context, subject, after string, limit int) ([]store.Consent, error) {
	if f.down {
		return nil, errors.New("connection refused")
	}
	return f.Store.ListConsents(ctx, subject, after, limit)
}

func (f *failing) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	if f.down {
		return 0, errors.New("connection refused")
	}
	return f.Store.RevokeConsents(ctx, q)
}

func TestPeopleSeeAndEndWhatTheyAllowed(t *testing.T) {
	ctx, kept := t.Context(), &failing{Store: store.NewMemory()}
	pages, err := NewPages(nil)
	require.NoError(t, err)
	s, err := New(Options{Pages: pages, HashCost: bcrypt.MinCost, Users: []User{
		{Subject: "u-1", Username: "ada", Password: "lovelace", Active: true}, {Subject: "u-2", Username: "ben", Password: "wheeler", Active: true},
	}})
	require.NoError(t, err)
	p, err := oauth.New(oauth.Config{
		Issuer: "http://localhost", Store: kept, Session: s.Session, LoginURL: "/login", Users: s.User, Scopes: map[string]string{"read": "Read"},
	})
	require.NoError(t, err)
	_, _, err = p.RegisterClient(ctx, oauth.Client{ID: "app", Name: "App", Public: true, RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"read"}})
	require.NoError(t, err)
	for _, subject := range []string{"u-1", "u-2"} {
		require.NoError(t, kept.GrantConsent(ctx, store.Consent{Subject: subject, ClientID: "app", Scopes: []string{"read"}, GrantedAt: time.Now()}))
	}
	mux := http.NewServeMux()
	s.Routes(mux)
	s.Connections(mux, p)
	call := func(method, form string, in *http.Request) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/connections", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range in.Cookies() {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	nobody, ada := httptest.NewRequest(http.MethodGet, "/", nil), begin(&s.sessions, "u-1")
	disconnect := url.Values{"client_id": {"app"}}.Encode()

	for method, form := range map[string]string{http.MethodGet: "", http.MethodPost: disconnect} {
		assert.Equal(t, "/login", call(method, form, nobody).Header().Get("Location"), method)
	}
	assert.Contains(t, call(http.MethodGet, "", ada).Body.String(), "<bdi>App</bdi>", "nobody has ended it")

	kept.down = true
	for method, form := range map[string]string{http.MethodGet: "", http.MethodPost: disconnect} {
		w := call(method, form, ada)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, method)
		assert.NotContains(t, w.Body.String(), "refused", method)
	}
	kept.down = false
	for range 2 { // the second time in another tab
		w := call(http.MethodPost, disconnect, ada)
		assert.Equal(t, http.StatusSeeOther, w.Code)
		assert.Equal(t, "/connections", w.Header().Get("Location"))
	}
	assert.Contains(t, call(http.MethodGet, "", ada).Body.String(), "You have let no app use your account.")
	assert.Contains(t, call(http.MethodGet, "", begin(&s.sessions, "u-2")).Body.String(), "<bdi>App</bdi>", "it was one's own only")
}
