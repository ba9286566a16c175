package oauth_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// Browsers decode a percent-encoded host: the page would show the letters of
// another site than the one that the answer goes to.
func TestRedirectURIHostMustBeWrittenPlainly(t *testing.T) {
	f := newFixture(t)
	for _, uri := range []string{
		"https://%D0%B0pp.example/cb", "https://app%E3%80%82example/cb", "https://app.example;sandbox/cb",
		"https://app.example,x/cb", "https://app'example/cb", "https://a$b/cb", "https://x=y/cb", "https://[::1%25eth0]/cb",
		"https://app.example:/cb", "https://app.example:99999/cb", "https://app.example:080/cb", "https://:443/cb", "https://[::1/cb",
	} {
		_, _, err := f.p.RegisterClient(context.Background(), oauth.Client{Public: true, RedirectURIs: []string{uri}})
		assert.ErrorIs(t, err, oauth.ErrInvalidRedirectURI, uri)
	}
	for _, uri := range []string{"https://app.example:8443/cb", "https://[2001:db8::1]/cb", "https://[2001:db8::1]:8443/cb?a=b", "https://my_app.example?x", "https://xn--pp-7ja.example"} {
		_, _, err := f.p.RegisterClient(context.Background(), oauth.Client{Public: true, RedirectURIs: []string{uri}})
		assert.NoError(t, err, uri)
	}
}

// A private-use address may name any host: nothing is at that host.
func TestConsentPageShowsTheSchemeOfAPrivateUseAddress(t *testing.T) {
	f := newFixture(t)
	const uri = "com.evil.app://accounts.bank.example/cb"
	f.register(oauth.Client{ID: "native", Public: true, ApplicationType: "native", Scopes: []string{"read"}, RedirectURIs: []string{uri}, Trust: store.TrustSelf})
	a := f.authorize(alice(), authorization("native", "redirect_uri", uri))
	require.Equal(t, http.StatusOK, a.status, a.body)
	assert.Contains(t, a.body, "com.evil.app:")
	assert.NotContains(t, a.body, "accounts.bank.example")

	a = f.authorize(alice(), authorization("native", "redirect_uri", uri, "scope", "unknown"))
	require.Equal(t, http.StatusBadRequest, a.status)
	assert.Contains(t, a.body, "Go to com.evil.app:<")
}

// Any program of the machine can claim a private-use scheme, as it can listen on
// a port (RFC 8252 §8.6).
func TestStrangerWithPrivateUseAddressIsAskedForEveryTime(t *testing.T) {
	f := newFixture(t)
	const uri = "com.example.app:/cb"
	f.register(oauth.Client{ID: "native", Public: true, ApplicationType: "native", Scopes: []string{"read"}, RedirectURIs: []string{uri}, Trust: store.TrustSelf})
	v := authorization("native", "redirect_uri", uri)
	require.NotEmpty(t, f.code(alice(), v))
	assert.Equal(t, http.StatusOK, f.authorize(alice(), v).status)
	assert.Equal(t, http.StatusBadRequest, f.authorize(alice(), authorization("native", "redirect_uri", uri, "prompt", "none")).status)
}
