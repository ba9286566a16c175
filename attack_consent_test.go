package oauth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// That a user agreed to reading here and to writing there is no agreement to
// writing here.
func TestConsentsToTwoResourcesDoNotMix(t *testing.T) {
	const sandbox = "https://sandbox.example"
	f := newFixture(t, func(c *oauth.Config) { c.Resources = append(c.Resources, oauth.Resource{URI: sandbox}) })
	require.NotEmpty(t, f.code(alice(), authorization("app", "scope", "read", "resource", apiURI)))
	require.NotEmpty(t, f.code(alice(), authorization("app", "scope", "write", "resource", sandbox)))
	a := f.authorize(alice(), authorization("app", "scope", "write", "resource", apiURI))
	assert.Equal(t, http.StatusOK, a.status, "nobody agreed to this")

	for _, change := range []struct{ scope, resource string }{{"read", apiURI}, {"read write", apiURI}} {
		require.NotEmpty(t, f.code(alice(), authorization("app", "scope", change.scope, "resource", change.resource)))
	}
	a = f.authorize(alice(), authorization("app", "scope", "write", "resource", apiURI))
	assert.Equal(t, http.StatusSeeOther, a.status, "agreed to")
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
