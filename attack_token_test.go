package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// Many decoders, Go's among them, do not mind the case of member names.
func TestClaimsCannotOverrideInAnotherCase(t *testing.T) {
	f := newFixture(t)
	f.claims = map[string]any{"SUB": "admin", "Aud": "https://evil.example", "i\u017fs": "x", "CNF": "x", "Act": "x", "plan": "gold"}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(f.login("app").AccessToken, ".")[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(payload, &claims))
	for name := range f.claims {
		assert.Equal(t, name == "plan", claims[name] != nil, name)
	}
}

// RFC 9068 §5: a resource tells a user from a client by sub and client_id.
func TestNoGrantIssuesForASubjectThatIsTheClient(t *testing.T) {
	subject := "conf"
	f := newFixture(t, func(c *oauth.Config) {
		c.Extensions = []oauth.Extension{oauth.Extension(func(r *oauth.Registry) error {
			r.GrantType("urn:test", func(context.Context, *oauth.ClientRequest) (*oauth.Issuance, error) {
				return &oauth.Issuance{Subject: subject, Scopes: []string{"read"}}, nil
			})
			return nil
		})}
	})
	f.change("conf", func(c *oauth.Client) { c.GrantTypes = append(c.GrantTypes, "urn:test") })
	a := f.post("/oauth/token", "conf", url.Values{"grant_type": {"urn:test"}})
	assert.GreaterOrEqual(t, a.status, 500, a.body)
	subject = "alice"
	f.ok(f.post("/oauth/token", "conf", url.Values{"grant_type": {"urn:test"}}))
}

func TestAGrantThatDecidesNothingIssuesNothing(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) {
		c.Extensions = []oauth.Extension{oauth.Extension(func(r *oauth.Registry) error {
			r.GrantType("urn:test", func(context.Context, *oauth.ClientRequest) (*oauth.Issuance, error) { return nil, nil })
			return nil
		})}
	})
	f.change("conf", func(c *oauth.Client) { c.GrantTypes = append(c.GrantTypes, "urn:test") })
	f.refused(f.post("/oauth/token", "conf", url.Values{"grant_type": {"urn:test"}}), http.StatusServiceUnavailable, oauth.ErrTemporarilyUnavailable)
	assert.Contains(t, f.log.String(), "returned neither an Issuance nor an error")
}

// RFC 6749 §5.2: who tried the Authorization header is told of it, whichever
// rule it was that refused.
func TestEveryRefusedBasicClientIsChallenged(t *testing.T) {
	f := newFixture(t)
	r := f.postRequest("/oauth/introspect", "rs", url.Values{"token": {"x"}})
	r.SetBasicAuth("app", "")
	a := f.do(r)
	f.refused(a, http.StatusUnauthorized, oauth.ErrInvalidClient)
	assert.Equal(t, `Basic realm="oauth"`, a.header.Get("WWW-Authenticate"))
	f.refused(f.post("/oauth/introspect", "app", url.Values{"token": {"x"}}), http.StatusUnauthorized, oauth.ErrInvalidClient)
}

// An app that looks at the request before it looks at the error must not be able
// to approve what the rules refuse.
func TestRefusedPendingRequestCannotBeApproved(t *testing.T) {
	f := newFixture(t)
	b := alice()
	form := consentForm(t, f.authorize(b, authorization("app")))
	f.change("app", func(c *oauth.Client) {
		c.Scopes, c.DefaultScopes, c.GrantTypes, c.ResponseTypes = nil, nil, []string{"refresh_token"}, nil
	})
	req, err := f.p.PendingAuthorization(b.request("POST", "/oauth/consent", form))
	require.ErrorIs(t, err, oauth.ErrUnauthorizedClient)
	assert.Nil(t, req)
}

// A hash that takes minutes to verify would hold a place that all clients share.
func TestSecretHashesHaveABoundedCost(t *testing.T) {
	f := newFixture(t)
	for hash, ok := range map[string]bool{
		"$2a$17$" + strings.Repeat("a", 53): false,
		"$2a$31$" + strings.Repeat("a", 53): false,
		"$2a$xx$" + strings.Repeat("a", 53): false,
		"$2a$12$" + strings.Repeat("a", 53): true,
	} {
		_, _, err := f.p.RegisterClient(context.Background(), oauth.Client{RedirectURIs: []string{appURI}, Secrets: []store.Secret{{Hash: hash}}})
		if ok {
			assert.NoError(t, err, hash)
			continue
		}
		assert.ErrorIs(t, err, oauth.ErrInvalidClientMetadata, hash)
	}
}
