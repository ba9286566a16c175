package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// many is a provider with n resources and 200 scopes, all of which "app" may
// have and gets by default.
func many(t *testing.T, n, uriLen int, change ...func(*oauth.Config)) (f *fixture, scopes, uris []string) {
	for i := range n {
		uri := fmt.Sprintf("https://api.example/%02d/", i)
		uris = append(uris, uri+strings.Repeat("x", uriLen-len(uri)))
	}
	f = newFixture(t, append(change, func(c *oauth.Config) {
		for i := range 200 {
			scopes = append(scopes, fmt.Sprintf("scope:%03d", i))
			c.Scopes[scopes[i]] = ""
		}
		for _, uri := range uris {
			c.Resources = append(c.Resources, oauth.Resource{URI: uri})
		}
	})...)
	f.change("app", func(c *oauth.Client) { c.Scopes, c.DefaultScopes = scopes, nil })
	return f, scopes, uris
}

func at(uris []string) url.Values {
	v := authorization("app")
	v["resource"] = uris
	return v
}

// Whoever was once agreed to asks as often as he likes: what an answer costs must
// not be what is asked for times what is stored.
func TestLargeConsentsAreReadInNoTime(t *testing.T) {
	f, scopes, uris := many(t, 30, 28)
	for part := range slices.Chunk(uris, 10) {
		require.NoError(t, f.p.GrantConsent(t.Context(), "alice", "app", scopes, part))
	}
	fastest := func(call func()) time.Duration {
		least := time.Hour
		for range 5 {
			began := time.Now()
			call()
			least = min(least, time.Since(began))
		}
		return least
	}
	read := fastest(func() {
		c, err := f.store.Consent(t.Context(), "alice", "app")
		require.NoError(t, err)
		require.Len(t, c.Scopes, 30*200)
	})
	checked := fastest(func() {
		ok, err := f.p.CheckConsent(t.Context(), "alice", "app", scopes, uris[20:])
		require.NoError(t, err)
		require.True(t, ok)
	})
	t.Logf("read in %v, checked in %v", read, checked)
	// Looked up it is some ten times as much, compared with all of it a thousand.
	assert.Less(t, checked, 200*read)
}

// A consent that has no room for another one must not be the end of the client.
func TestConsentThatIsFullMakesRoom(t *testing.T) {
	f, _, uris := many(t, 20, 80) // 10 of them take more than half a record
	for range 2 {
		for part := range slices.Chunk(uris, 10) {
			f.ok(f.exchange("app", f.code(alice(), at(part))))
			assert.Equal(t, http.StatusSeeOther, f.authorize(alice(), at(part)).status, "agreed to")
		}
	}
	assert.Equal(t, http.StatusOK, f.authorize(alice(), at(uris[:10])).status, "what made room is asked for again")
	c, err := f.p.Consent(t.Context(), "alice", "app")
	require.NoError(t, err)
	assert.Equal(t, uris[10:], c.Resources)
}

// keeper is a store that can be told to delete no consent.
type keeper struct {
	store.Store
	down bool
}

func (s *keeper) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	if s.down {
		return 0, errDown
	}
	return s.Store.RevokeConsents(ctx, q)
}

// A store that fails while room is made is an outage, loses nothing, and is no
// reason why a second try should fail.
func TestOutageWhileAConsentMakesRoom(t *testing.T) {
	s := &keeper{}
	f, scopes, uris := many(t, 20, 80, func(c *oauth.Config) { s.Store, c.Store = c.Store, s })
	grant := func(part []string) error { return f.p.GrantConsent(t.Context(), "alice", "app", scopes, part) }
	agreed := func(part []string) bool {
		ok, err := f.p.CheckConsent(t.Context(), "alice", "app", scopes, part)
		require.NoError(t, err)
		return ok
	}
	require.NoError(t, grant(uris[:10]))
	s.down = true
	assert.ErrorIs(t, grant(uris[10:]), oauth.ErrTemporarilyUnavailable)
	assert.True(t, agreed(uris[:10]))
	assert.False(t, agreed(uris[10:]))
	s.down = false
	require.NoError(t, grant(uris[10:]))
	assert.True(t, agreed(uris[10:]))
}

// The client learns that it has asked for too much, and can ask for less.
func TestConsentThatNoRecordHoldsIsRefusedToTheClient(t *testing.T) {
	f, scopes, uris := many(t, 10, 140)
	b := alice()
	a := f.visit(b, http.MethodPost, "/oauth/consent", consentForm(t, f.authorize(b, at(uris))))
	to, q := a.location(t)
	assert.Equal(t, appURI, to)
	assert.Equal(t, "invalid_request", q.Get("error"))
	assert.Equal(t, "st", q.Get("state"))
	assert.Empty(t, q.Get("code"))
	_, err := f.p.Consent(t.Context(), "alice", "app")
	assert.ErrorIs(t, err, oauth.ErrConsentRequired)
	f.ok(f.exchange("app", f.code(b, at(uris[:5]))))
	assert.ErrorIs(t, f.p.GrantConsent(t.Context(), "alice", "app", scopes, uris), oauth.ErrInvalidRequest)
	ok, err := f.p.CheckConsent(t.Context(), "alice", "app", scopes, uris[:5])
	require.NoError(t, err)
	assert.True(t, ok, "what is refused takes nothing away")
}

// A resource is agreed to as well where none of the scopes means anything: the
// token would be valid there.
func TestResourceWithoutAScopeIsAgreedTo(t *testing.T) {
	const files = "https://files.example"
	f := newFixture(t, func(c *oauth.Config) {
		c.Resources = append(c.Resources, oauth.Resource{URI: files, Scopes: []string{"write"}})
	})
	ask := func(uris ...string) url.Values {
		v := at(uris)
		v.Set("scope", "read")
		return v
	}
	require.NotEmpty(t, f.code(alice(), ask(apiURI)))
	assert.Equal(t, http.StatusOK, f.authorize(alice(), ask(apiURI, files)).status)
	require.NotEmpty(t, f.code(alice(), ask(apiURI, files)))
	assert.Equal(t, http.StatusSeeOther, f.authorize(alice(), ask(apiURI, files)).status)
	v := at([]string{files})
	v.Set("scope", "write")
	assert.Equal(t, http.StatusOK, f.authorize(alice(), v).status, "writing there was not agreed to with it")
}

// placed is a scope at a resource; at the issuer, if there are no resources.
type placed struct{ scope, resource string }

// meant are the scopes at the resources where a configuration gives them a
// meaning.
func meant(c *oauth.Config, scopes, resources []string) (out []placed) {
	for _, s := range scopes {
		if len(resources) == 0 {
			out = append(out, placed{s, ""})
		}
		for _, uri := range resources {
			i := slices.IndexFunc(c.Resources, func(r oauth.Resource) bool { return r.URI == uri })
			_, own := c.Scopes[s]
			if i >= 0 && (!own || len(c.Resources[i].Scopes) == 0 || slices.Contains(c.Resources[i].Scopes, s)) {
				out = append(out, placed{s, uri})
			}
		}
	}
	return out
}

// audienceOf are the resources that a token is for.
func audienceOf(claims map[string]any) (out []string) {
	switch aud := claims["aud"].(type) {
	case string:
		out = []string{aud}
	case []any:
		for _, uri := range aud {
			out = append(out, uri.(string))
		}
	}
	return slices.DeleteFunc(out, func(uri string) bool { return uri == issuer })
}

// Whatever is asked for, in whatever order, and however the operator moves scopes
// and resources between it and even between page, code and tokens: no token has a
// scope at a resource where the user did not agree to it, and what the user has
// agreed to is not asked for again.
func TestNoTokenHasWhatNobodyAgreedTo(t *testing.T) {
	const offline, other = "offline_access", "https://other.example/a b" // a space in a resource divides nothing
	names := []string{"read", "write", "profile", offline}
	uris := []string{apiURI, mcpURI, other}
	silent, asked, codes, refused := 0, 0, 0, 0
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		some := func(list []string) (out []string) {
			for _, s := range list {
				if rnd.IntN(2) == 0 {
					out = append(out, s)
				}
			}
			return out
		}
		extension := func(r *oauth.Registry) error { r.Scope(offline, "Stay"); return nil }
		f := newFixture(t, func(c *oauth.Config) { c.Extensions = []oauth.Extension{extension} })
		var cfg oauth.Config
		start := func(resources []string) {
			cfg = f.config()
			cfg.Scopes, cfg.Resources = maps.Clone(cfg.Scopes), nil
			if rnd.IntN(3) > 0 {
				cfg.Extensions = []oauth.Extension{extension}
			}
			if rnd.IntN(5) == 0 {
				delete(cfg.Scopes, "profile")
			}
			for _, uri := range resources {
				r := oauth.Resource{URI: uri}
				if rnd.IntN(3) > 0 {
					r.Scopes = slices.DeleteFunc(some(names), func(s string) bool { _, ok := cfg.Scopes[s]; return !ok })
				}
				cfg.Resources = append(cfg.Resources, r)
			}
			p, err := oauth.New(cfg)
			require.NoError(t, err)
			f.p = p
		}
		moveScopes := func() {
			var resources []string
			for _, r := range cfg.Resources {
				resources = append(resources, r.URI)
			}
			start(resources)
		}
		reconfigure := func() { start(some(uris)) }
		f.change("app", func(c *oauth.Client) { c.Scopes, c.DefaultScopes = names, []string{"read", "write"} })
		f.change("self", func(c *oauth.Client) { c.Scopes = names })
		agreed := map[string]map[placed]bool{"app": {}, "self": {}}
		agree := func(client string, scopes, resources []string) {
			if len(resources) == 0 && len(cfg.Resources) > 0 {
				resources = []string{cfg.Resources[0].URI}
			}
			for _, p := range meant(&cfg, scopes, resources) {
				agreed[client][p] = true
			}
			for _, uri := range resources { // as such, with no scope that means anything there
				agreed[client][placed{"", uri}] = true
			}
		}
		for range 60 {
			if cfg.Issuer == "" || rnd.IntN(3) == 0 {
				reconfigure()
			}
			client := []string{"app", "self"}[rnd.IntN(2)]
			v := authorization(client, "scope", strings.Join(some(names), " "))
			v["resource"] = some(uris)
			v.Del("prompt")
			if rnd.IntN(6) == 0 {
				v.Set("prompt", []string{"none", "consent"}[rnd.IntN(2)])
			}
			if rnd.IntN(10) == 0 { // the app says what was agreed to somewhere else
				scopes := some(names)
				resources := some(uris)
				if f.p.GrantConsent(t.Context(), "alice", client, scopes, resources) == nil {
					agree(client, scopes, resources)
				}
				continue
			}
			b := alice()
			a := f.authorize(b, v)
			if a.status == http.StatusOK {
				form := consentForm(t, a)
				all := form["scope"]
				if rnd.IntN(3) == 0 {
					form["scope"] = some(all)
				}
				if rnd.IntN(6) == 0 {
					moveScopes()
				}
				a = f.visit(b, http.MethodPost, "/oauth/consent", form)
				if a.status == http.StatusSeeOther && strings.Contains(a.header.Get("Location"), "code=") {
					agree(client, form["scope"], v["resource"])
					asked++
					again := maps.Clone(v)
					again.Del("prompt")
					if len(form["scope"]) == len(all) {
						assert.Equal(t, http.StatusSeeOther, f.authorize(b, again).status, "seed %d: asked again for %v", seed, again)
					}
				}
			} else if a.status == http.StatusSeeOther {
				silent++
			}
			if a.status != http.StatusSeeOther || !strings.Contains(a.header.Get("Location"), "code=") {
				continue
			}
			codes++
			_, q := a.location(t)
			switch rnd.IntN(6) {
			case 0:
				reconfigure()
			case 1, 2:
				moveScopes()
			}
			form := exchangeForm(client, q.Get("code"))
			form["resource"] = some(v["resource"])
			a = f.post("/oauth/token", client, form)
			if a.status != http.StatusOK {
				refused++
				continue
			}
			var got tokens
			require.NoError(t, json.Unmarshal([]byte(a.body), &got))
			_, claims := claimsOf(t, got.AccessToken)
			audience := audienceOf(claims)
			for _, p := range meant(&cfg, strings.Fields(got.Scope), audience) {
				assert.True(t, agreed[client][p], "seed %d: %s has %q at %q", seed, client, p.scope, p.resource)
			}
			for _, uri := range audience {
				assert.True(t, agreed[client][placed{"", uri}], "seed %d: %s has a token for %s", seed, client, uri)
			}
		}
	}
	for what, n := range map[string]int{"pages": asked, "answers without one": silent, "codes": codes, "refused codes": refused} {
		assert.Greater(t, n, 10, what)
	}
}

// What is seen alone is seen together: signs for letters in a name, and signs or
// another script beside it.
func TestSEC106_SignsInANameAndSomethingBesideIt(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{
		"Cl4ude公式アプリ", "公式G00gle", "C|audeアプリ", "Cl４ude公式", "Cl𝟒ude公式",
		"Cl4ude!", "Cl4ude2", "G00gle★", "★Cl4ude★", "4Cl4ude", "V5 C0DE 2", "Micr0soft！公式",
	} {
		assert.Contains(t, f.pageOf(oauth.Client{Name: name}), mark, name)
	}
	for _, name := range []string{"公式4アプリ", "2048アプリ", "日本語★アプリ", "4公式 | 5公式", "!!! 404 !!!", "3D 2"} {
		assert.NotContains(t, f.pageOf(oauth.Client{Name: name}), mark, name)
	}
}
