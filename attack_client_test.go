package oauth_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// That a resource is gone must not turn a client that was confined to it into
// one for another resource.
func TestClientOfAResourceThatIsGoneGetsNoOther(t *testing.T) {
	f := newFixture(t)
	f.register(oauth.Client{ID: "confined", Scopes: []string{"read"}, GrantTypes: []string{"client_credentials"}, Resources: []string{mcpURI}})
	cfg := f.config()
	cfg.Resources = cfg.Resources[:1] // without mcpURI
	p, err := oauth.New(cfg)
	require.NoError(t, err)
	f.p = p
	f.refused(f.post("/oauth/token", "confined", url.Values{"grant_type": {"client_credentials"}}), 400, oauth.ErrInvalidTarget)
	f.ok(f.post("/oauth/token", "cc", url.Values{"grant_type": {"client_credentials"}}))

	f.change("cc", func(c *oauth.Client) { c.Resources = []string{apiURI} })
	tok := f.ok(f.post("/oauth/token", "cc", url.Values{"grant_type": {"client_credentials"}}))
	i, err := f.p.Introspect(context.Background(), nil, tok.AccessToken)
	require.NoError(t, err)
	assert.Equal(t, []string{apiURI}, i.Audience)
}

// What the operator takes from a client is not given by old authorizations.
func TestWhatAClientMayNoLongerHaveIsNotRefreshed(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("app", "scope", "read write"))
	old := f.login("app", "scope", "read write")
	f.change("app", func(c *oauth.Client) { c.Scopes = []string{"read"} })
	assert.Equal(t, "read", f.ok(f.exchange("app", code)).Scope)
	next := f.ok(f.refresh("app", old.RefreshToken))
	assert.Equal(t, "read", next.Scope)
	f.refused(f.refresh("app", next.RefreshToken, "scope", "write"), 400, oauth.ErrInvalidScope)

	f.change("app", func(c *oauth.Client) { c.Scopes, c.DefaultScopes = []string{"profile"}, nil })
	f.refused(f.refresh("app", next.RefreshToken), 400, oauth.ErrInvalidScope)

	f.change("app", func(c *oauth.Client) { c.Scopes, c.Resources = []string{"read", "write"}, []string{mcpURI} })
	f.refused(f.refresh("app", next.RefreshToken), 400, oauth.ErrInvalidTarget)
	f.change("app", func(c *oauth.Client) { c.Resources = nil })
	assert.Equal(t, "read write", f.ok(f.refresh("app", next.RefreshToken)).Scope)

	v := authorization("app", "scope", "read")
	v["resource"] = []string{apiURI, mcpURI}
	two := f.ok(f.exchange("app", f.code(alice(), v)))
	f.change("app", func(c *oauth.Client) { c.Resources = []string{mcpURI} })
	f.refused(f.refresh("app", two.RefreshToken, "resource", apiURI), 400, oauth.ErrInvalidTarget)
	i, err := f.p.Introspect(context.Background(), nil, f.ok(f.refresh("app", two.RefreshToken)).AccessToken)
	require.NoError(t, err)
	assert.Equal(t, []string{mcpURI}, i.Audience)
}
