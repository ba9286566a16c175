package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// failingConsents is a store whose consents cannot be read.
type failingConsents struct{ store.Store }

func (failingConsents) Consent(context.Context, string, string) (store.Consent, error) {
	return store.Consent{}, errors.New("disk on fire")
}

// A stranger who finds a way to make something fail owns no redirector either
// (RFC 9700 §4.11.2).
func TestOutageIsNotRedirectedToAStranger(t *testing.T) {
	t.Run("session", func(t *testing.T) {
		f := newFixture(t)
		r := alice().request("GET", "/oauth/authorize?"+authorization("self").Encode(), nil)
		r.Header.Set("X-Broken", "1")
		a := f.do(r)
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Empty(t, a.header.Get("Location"))
		assert.NotContains(t, a.body, "self.example")
	})
	t.Run("consents", func(t *testing.T) {
		f := newFixture(t, func(c *oauth.Config) { c.Store = failingConsents{c.Store} })
		a := f.authorize(alice(), authorization("self"))
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.NotEmpty(t, a.header.Get("Retry-After"))
		assert.Empty(t, a.header.Get("Location"))
	})
	t.Run("users", func(t *testing.T) {
		f := newFixture(t)
		f.fails = errors.New("directory is down")
		a := f.authorize(alice(), authorization("self"))
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Empty(t, a.header.Get("Location"))
		assert.NotContains(t, a.body, "directory")
	})
}

// An app that does not say when its users signed in cannot honour max_age: that
// must end, not go round and round between it and the provider.
func TestMaxAgeWithoutSignInTimeEnds(t *testing.T) {
	f := newFixture(t)
	for client, status := range map[string]int{"first": http.StatusSeeOther, "self": http.StatusBadRequest} {
		_, q := f.authorize(alice(), authorization(client, "max_age", "60")).location(t)
		a := f.visit(alice(), "GET", q.Get("return_to"), nil)
		assert.Equal(t, status, a.status, client)
		assert.Contains(t, a.header.Get("Location")+a.body, "login_required", client)
		assert.NotContains(t, a.header.Get("Location"), "return_to", client)
		where, _ := f.visit(&browser{}, "GET", q.Get("return_to"), nil).location(t)
		assert.Equal(t, "/login", where, "nobody signed in meanwhile")
	}
}
