package cimd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/cimd"
)

// What a document may have at most, it may have.
func TestSEC238_BoundsCanBeReached(t *testing.T) {
	uris, contacts := []string{cb}, []string{}
	for i := range 50 {
		contacts = append(contacts, fmt.Sprintf("%d@app.example", i))
		uris = append(uris, fmt.Sprintf("https://app.example/cb/%d", i))
	}
	body := doc("redirect_uris", uris[:50], "contacts", contacts, "client_name", strings.Repeat("n", 200))
	body += strings.Repeat(" ", 64<<10-len(body))
	c, err := newFixture(t, cimd.Config{}, serve(body)).client(id)
	require.NoError(t, err)
	assert.Len(t, c.RedirectURIs, 50)
	assert.Len(t, c.Contacts, 50)
}

// Extensions come in any order: whether clients can sign is known when the
// pinned document is used, not when it is configured.
func TestPinnedDocumentOfAClientThatSigns(t *testing.T) {
	const key = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	pinned := map[string][]byte{id: []byte(doc("token_endpoint_auth_method", "private_key_jwt", "jwks", json.RawMessage(key)))}
	signing := func(r *oauth.Registry) error {
		r.ClientAuth("private_key_jwt", func(context.Context, oauth.Credentials) (*oauth.Client, error) { return nil, nil })
		return nil
	}
	f := newFixture(t, cimd.Config{Pinned: pinned}, nil, func(c *oauth.Config) { c.Extensions = append(c.Extensions, signing) })
	for range 2 {
		c, err := f.client(id)
		require.NoError(t, err)
		assert.Equal(t, "private_key_jwt", c.AuthMethod)
	}
	newFixture(t, cimd.Config{Pinned: pinned}, nil).unknown(id)
	assert.Zero(t, f.web.requests.Load())
	// A client whose keys are elsewhere can sign as well.
	uri := doc("token_endpoint_auth_methods_supported", []string{"none", "private_key_jwt"}, "jwks_uri", "https://app.example/jwks")
	c, err := newFixture(t, cimd.Config{}, serve(uri),
		func(c *oauth.Config) { c.Extensions = append(c.Extensions, signing) }).client(id)
	require.NoError(t, err)
	assert.Equal(t, "private_key_jwt", c.AuthMethod)
	assert.Equal(t, "https://app.example/jwks", c.JWKSURI)
}
