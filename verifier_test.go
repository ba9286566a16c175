package oauth_test

import (
	"cmp"
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

// SEC-079: what a client holds ends, at the next check, when it is disabled or
// deleted; also what it was given for itself, which has no record.
func TestVerifierRefusesTokensOfAClientThatIsGone(t *testing.T) {
	for _, end := range []string{"disabled", "deleted"} {
		t.Run(end, func(t *testing.T) {
			p, err := oauth.New(oauth.Config{
				Issuer: "https://as.example", Store: store.NewMemory(), LoginURL: "/login",
				Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
				Policy:  oauth.Policy{BcryptCost: bcrypt.MinCost},
			})
			require.NoError(t, err)
			client, _, err := p.RegisterClient(t.Context(), oauth.Client{ID: "batch", GrantTypes: []string{"client_credentials"}})
			require.NoError(t, err)
			res, err := p.ClientCredentials(t.Context(), client, oauth.ClientCredentialsRequest{})
			require.NoError(t, err)
			token, err := p.Verifier().VerifyToken(t.Context(), res.AccessToken)
			require.NoError(t, err)
			assert.True(t, token.Machine())

			if end == "disabled" {
				client.Disabled = true
				require.NoError(t, p.UpdateClient(t.Context(), *client))
			} else {
				require.NoError(t, p.DeleteClient(t.Context(), "batch"))
			}
			_, err = p.Verifier().VerifyToken(t.Context(), res.AccessToken)
			require.ErrorIs(t, err, resource.ErrInvalidToken)
			in, err := p.Introspect(t.Context(), nil, res.AccessToken)
			require.NoError(t, err)
			assert.False(t, in.Active)
		})
	}
}

func TestVerifierTellsAnOutageFromABadToken(t *testing.T) {
	f, s := outageFixture(t)
	good := f.login("app").AccessToken
	v := f.p.Verifier()
	_, err := v.VerifyToken(t.Context(), good)
	require.NoError(t, err)
	_, err = v.VerifyToken(t.Context(), good+"A")
	require.ErrorIs(t, err, resource.ErrInvalidToken)
	assert.Empty(t, f.kinds(oauth.EventOutage), "a bad token is no outage")
	for n := range 2 { // the authorization, the client
		s.set(n)
		_, err = v.VerifyToken(t.Context(), good)
		require.ErrorIs(t, err, oauth.ErrTemporarilyUnavailable)
		require.NotErrorIs(t, err, resource.ErrInvalidToken)
		assert.Len(t, f.kinds(oauth.EventOutage), n+1)
	}
	s.set(-1)
	_, err = v.VerifyToken(t.Context(), good)
	assert.NoError(t, err)
}

// brokenKeys is a KeySource that fails when told to.
type brokenKeys struct {
	oauth.StaticKeys
	err error
}

func (k *brokenKeys) Keys(ctx context.Context) ([]oauth.Key, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.StaticKeys.Keys(ctx)
}

// A key that nobody can ask for may be a new one: a token under it is not called
// bad.
func TestAnUnknownKeyDuringAnOutageIsNoBadToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := newFixture(t, func(c *oauth.Config) {
			c.Keys = oauth.StaticKeys{{ID: "new", Signer: testKeys()[0].Signer}}
		}).login("app").AccessToken
		keys := &brokenKeys{StaticKeys: testKeys()}
		f := newFixture(t, func(c *oauth.Config) { c.Keys = keys })
		own := f.login("app").AccessToken
		keys.err = errDown
		time.Sleep(10 * time.Minute)
		_, err := f.p.Introspect(t.Context(), nil, other)
		assert.ErrorIs(t, err, oauth.ErrTemporarilyUnavailable)
		_, err = f.p.Revoke(t.Context(), f.client("app"), other)
		assert.ErrorIs(t, err, oauth.ErrTemporarilyUnavailable)
		assert.True(t, f.active(own), "the last keys stay in force")
		keys.err = nil
		time.Sleep(10 * time.Minute)
		assert.False(t, f.active(other))
	})
}

// A client that only an extension knows is asked for where the client itself is
// the subject. A user's token does not depend on its metadata document being
// there right now.
func TestTokensOfAClientOfAnExtension(t *testing.T) {
	known := &oauth.Client{ID: "https://doc.example/c", AuthMethod: "magic", Trust: store.TrustDocument, RedirectURIs: []string{"https://doc.example/cb"},
		GrantTypes: []string{"authorization_code", "client_credentials"}, ResponseTypes: []string{"code"}, Scopes: []string{"read"}}
	var fails error
	f := extended(t, func(r *oauth.Registry) {
		r.ClientSource(func(_ context.Context, id string) (*oauth.Client, error) {
			if fails == nil && id == known.ID {
				return known, nil
			}
			return nil, cmp.Or(fails, store.ErrNotFound)
		})
		r.ClientAuth("magic", func(_ context.Context, c oauth.Credentials) (*oauth.Client, error) {
			if c.Form.Get("client_id") != known.ID {
				return nil, nil
			}
			return known, nil
		})
	})
	machine := f.ok(f.send(with(ccForm, "client_id", known.ID))).AccessToken
	v := authorization("x", "client_id", known.ID, "redirect_uri", "https://doc.example/cb")
	form := exchangeForm("x", f.code(alice(), v), "redirect_uri", "https://doc.example/cb")
	user := f.ok(f.send(with(form, "client_id", known.ID))).AccessToken
	verify := func(token string) error { _, err := f.p.Verifier().VerifyToken(t.Context(), token); return err }

	assert.NoError(t, verify(machine))
	assert.NoError(t, verify(user))
	fails = errDown
	assert.ErrorIs(t, verify(machine), oauth.ErrTemporarilyUnavailable)
	assert.NoError(t, verify(user))
	fails = store.ErrNotFound
	assert.ErrorIs(t, verify(machine), resource.ErrInvalidToken)
	assert.NoError(t, verify(user))
	fails = nil
	known.Disabled = true
	assert.ErrorIs(t, verify(machine), resource.ErrInvalidToken)
}
