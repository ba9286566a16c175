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
