package registration_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
)

// A client that signs needs keys, here or at an address, and gets no secret.
func TestClientsThatSignBringTheirKeys(t *testing.T) {
	const set = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	f := newFixture(t, registration.Config{}, func(c *oauth.Config) {
		c.Extensions = append(c.Extensions, func(r *oauth.Registry) error {
			r.ClientAuth("private_key_jwt", func(context.Context, oauth.Credentials) (*oauth.Client, error) { return nil, nil })
			return nil
		})
	})
	info := f.register(doc("token_endpoint_auth_method", "private_key_jwt", "jwks", json.RawMessage(set)))
	c := f.stored(info["client_id"])
	assert.JSONEq(t, set, string(c.JWKS))
	assert.Empty(t, c.JWKSURI)
	assert.Empty(t, c.Secrets)
	assert.NotContains(t, info, "client_secret")

	info = f.register(doc("token_endpoint_auth_method", "private_key_jwt", "jwks_uri", "https://app.example/jwks"))
	c = f.stored(info["client_id"])
	assert.Equal(t, "https://app.example/jwks", c.JWKSURI)
	assert.Equal(t, c.JWKSURI, info["jwks_uri"])
	assert.Empty(t, c.JWKS)

	for _, none := range []string{"null", `""`} {
		f.refused(f.do("POST", endpoint, `{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":`+none+`}`), 400, oauth.ErrInvalidClientMetadata)
	}
	f.refused(f.do("POST", endpoint, doc("token_endpoint_auth_method", "private_key_jwt")), 400, oauth.ErrInvalidClientMetadata)

	// Keys that have no use are not kept.
	c = f.stored(f.register(doc("jwks", json.RawMessage(set)))["client_id"])
	assert.Empty(t, c.JWKS)
}

// The scope of a registration is the client's default. One that allows nothing
// by itself is none.
func TestScopeOfARegistrationIsItsDefault(t *testing.T) {
	f := newFixture(t, registration.Config{Scopes: []string{"read", "write", "offline_access"}}, func(c *oauth.Config) {
		c.Extensions = append(c.Extensions, func(r *oauth.Registry) error {
			r.Scope("offline_access", "")
			return nil
		})
	})
	for scope, want := range map[string][]string{
		"read": {"read"}, "write read write": {"write", "read"}, "read admin nope": {"read"}, "offline_access read": {"offline_access", "read"},
		"": nil, "nope": nil, "admin": nil, "offline_access": nil, "nope offline_access": nil,
	} {
		c := f.stored(f.register(doc("scope", scope))["client_id"])
		assert.Equal(t, want, c.DefaultScopes, "%q", scope)
		assert.Equal(t, []string{"read", "write", "offline_access"}, c.Scopes)
	}
}

// Of a list without one good address, the first is what the client is told of.
func TestFirstBadRedirectURIIsTold(t *testing.T) {
	f := newFixture(t, registration.Config{})
	a := f.do("POST", endpoint, doc("redirect_uris", []string{"https://app.example/#x", "http://app.example/cb"}))
	f.refused(a, 400, oauth.ErrInvalidRedirectURI)
	assert.Contains(t, a.json["error_description"], "fragment")
}
