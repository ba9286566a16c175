package oauth_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// That a user agreed to reading here and to writing there is no agreement to
// writing here.
func TestConsentsToTwoResourcesDoNotMix(t *testing.T) {
	const sandbox = "https://sandbox.example"
	f := newFixture(t, func(c *oauth.Config) { c.Resources = append(c.Resources, oauth.Resource{URI: sandbox}) })
	require.NotEmpty(t, f.code(alice(), authorization("app", "scope", "read", "resource", apiURI)))
	require.NotEmpty(t, f.code(alice(), authorization("app", "scope", "write", "resource", sandbox)))
	ask := func(scope string, resources ...string) int {
		v := authorization("app", "scope", scope)
		v["resource"] = resources
		return f.authorize(alice(), v).status
	}
	both := []string{apiURI, sandbox}
	assert.Equal(t, http.StatusOK, ask("write", apiURI), "nobody agreed to this")
	assert.Equal(t, http.StatusOK, ask("read", sandbox), "nor to this")
	assert.Equal(t, http.StatusOK, ask("read", both...))
	assert.Equal(t, http.StatusOK, ask("read write", both...))
	assert.Equal(t, http.StatusSeeOther, ask("read", apiURI), "what was agreed to first is not forgotten")
	assert.Equal(t, http.StatusSeeOther, ask("write", sandbox))

	require.NotEmpty(t, f.code(alice(), authorization("app", "scope", "read write", "resource", apiURI)))
	assert.Equal(t, http.StatusSeeOther, ask("write", apiURI), "agreed to")
	assert.Equal(t, http.StatusOK, ask("read write", both...), "reading there was not")
	require.NotEmpty(t, f.code(alice(), authorization("app", "scope", "read", "resource", sandbox)))
	assert.Equal(t, http.StatusSeeOther, ask("read write", both...))

	consent, err := f.p.Consent(t.Context(), "alice", "app")
	require.NoError(t, err)
	assert.Equal(t, []string{"read", "write"}, consent.Scopes)
	assert.Equal(t, []string{apiURI, sandbox}, consent.Resources)
	list, err := f.p.Consents(t.Context(), "alice")
	require.NoError(t, err)
	assert.Equal(t, *consent, list[0].Consent)
}

func TestApprovalsAtOnceDoNotMix(t *testing.T) {
	const sandbox = "https://sandbox.example"
	for range 50 {
		f := newFixture(t, func(c *oauth.Config) { c.Resources = append(c.Resources, oauth.Resource{URI: sandbox}) })
		var wg sync.WaitGroup
		for _, v := range []url.Values{
			authorization("app", "scope", "read", "resource", apiURI), authorization("app", "scope", "write", "resource", sandbox),
		} {
			b := alice()
			form := consentForm(t, f.authorize(b, v))
			wg.Go(func() {
				a := f.visit(b, http.MethodPost, "/oauth/consent", form)
				assert.Equal(t, http.StatusSeeOther, a.status)
			})
		}
		wg.Wait()
		for _, tt := range []struct {
			scope, resource string
			want            bool
		}{{"read", apiURI, true}, {"write", sandbox, true}, {"write", apiURI, false}, {"read", sandbox, false}} {
			ok, err := f.p.CheckConsent(t.Context(), "alice", "app", []string{tt.scope}, []string{tt.resource})
			require.NoError(t, err)
			assert.Equal(t, tt.want, ok, "%s at %s", tt.scope, tt.resource)
		}
	}
}

// A scope's name cannot pass for a scope and a resource.
func TestScopeThatIsNoneIsNotAgreedTo(t *testing.T) {
	f := newFixture(t)
	c, err := f.store.Client(t.Context(), "app")
	require.NoError(t, err)
	c.Scopes = append(c.Scopes, "write "+apiURI) // by whoever can write to the table
	require.NoError(t, f.store.UpdateClient(t.Context(), c))
	err = f.p.GrantConsent(t.Context(), "alice", "app", []string{"write " + apiURI}, nil)
	assert.ErrorIs(t, err, oauth.ErrInvalidScope)
	ok, err := f.p.CheckConsent(t.Context(), "alice", "app", []string{"write"}, nil)
	require.NoError(t, err)
	assert.False(t, ok)
}

// Where nothing that was not agreed to would follow, consents add up.
func TestConsentsThatDoNotMixAddUp(t *testing.T) {
	f := newFixture(t)
	ask := func(scope, resource string, want int) {
		t.Helper()
		v := authorization("app", "scope", scope, "resource", resource)
		require.Equal(t, want, f.authorize(alice(), v).status)
		require.NotEmpty(t, f.code(alice(), v))
	}
	ask("read", apiURI, 200)
	ask("read", mcpURI, 200)  // the same scope elsewhere
	ask("write", apiURI, 200) // means nothing at mcpURI
	ask("read write", apiURI, 303)
	ask("read", mcpURI, 303)
}

// A page that was shown for one request must not approve another one: a stranger
// may change its name, its default scopes and its addresses at any time.
func TestWhatThePageShowedIsWhatIsAgreedTo(t *testing.T) {
	for name, change := range map[string]func(c *oauth.Client){
		"name":           func(c *oauth.Client) { c.Name = "Your bank" },
		"default scopes": func(c *oauth.Client) { c.DefaultScopes = []string{"read", "write"} },
		"scopes":         func(c *oauth.Client) { c.Scopes = []string{"read"} },
		"resources":      func(c *oauth.Client) { c.Resources = []string{mcpURI} },
		"address":        func(c *oauth.Client) { c.RedirectURIs = []string{"https://self.example/other"} },
	} {
		f := newFixture(t)
		b := alice()
		form := consentForm(t, f.authorize(b, authorization("self", "redirect_uri", "")))
		f.change("self", change)
		a := f.visit(b, "POST", "/oauth/consent", form)
		assert.Equal(t, http.StatusBadRequest, a.status, name)
		assert.Empty(t, a.header.Get("Location"), name)
		_, err := f.p.Consent(t.Context(), "alice", "self")
		assert.ErrorIs(t, err, oauth.ErrConsentRequired, name)
	}
}

// The page quotes a stranger's name: it must not end its quotes and go on as if
// the page said the rest.
func TestANameDoesNotEndItsQuotes(t *testing.T) {
	for _, quote := range []string{"”", "“", "\"", "„", "‟", "»", "«", "〞", "〟", "〝", "＂", "」", "❞", "❝"} {
		f := newFixture(t)
		f.register(oauth.Client{ID: "c", Name: "Notes" + quote + " (verified by us), like " + quote + "Notes", Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://self.example/cb"}, Trust: store.TrustSelf})
		a := f.authorize(alice(), authorization("c", "redirect_uri", "https://self.example/cb"))
		require.Equal(t, http.StatusOK, a.status)
		assert.Contains(t, a.body, "Allow “Notes&#39; (verified by us), like &#39;Notes” to use your account?", quote)
	}
}
