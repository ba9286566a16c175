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
