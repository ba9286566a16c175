package oauth_test

import (
	"context"
	"fmt"
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
	for _, uri := range []string{"https://app.example:8443/cb", "https://[2001:db8::1]/cb", "https://[2001:db8::1]:8443/cb?a=b", "https://my_app.example?x", "https://xn--pp-7ja.example", "https://3d-printer/cb", "https://4f1c2d:8443/cb"} {
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

// With TLS or without: what is at an address of this machine is whatever program
// the user has started, or somebody else has.
func TestLoopbackAddressWithTLSIsALoopbackAddress(t *testing.T) {
	f := newFixture(t)
	for i, uri := range []string{
		"https://localhost:8443/cb", "https://LOCALHOST/cb", "https://localhost./cb", "https://app.localhost/cb", "https://127.0.0.1/cb", "https://127.8.9.10:8443/cb",
		"https://[::1]:8443/cb", "https://[::ffff:127.0.0.1]/cb", "https://0.0.0.0/cb", "https://[::]/cb",
	} {
		id := fmt.Sprint("tls", i)
		f.register(oauth.Client{ID: id, Public: true, Scopes: []string{"read"}, RedirectURIs: []string{uri}, Trust: store.TrustSelf})
		v := authorization(id, "redirect_uri", uri)
		require.NotEmpty(t, f.code(alice(), v), uri)
		a := f.authorize(alice(), v)
		assert.Equal(t, http.StatusOK, a.status, "%s: asked every time", uri)
		assert.Contains(t, a.body, "a program on this computer", uri)
	}
	v := authorization("self")
	require.NotEmpty(t, f.code(alice(), v))
	assert.Equal(t, http.StatusSeeOther, f.authorize(alice(), v).status)
}

// Browsers read numbers as addresses, in more ways than people do: the page would
// show one thing and mean another.
func TestRedirectURIHostIsNoNumber(t *testing.T) {
	f := newFixture(t)
	for _, host := range []string{"2130706433", "0x7f000001", "0x7F.1", "127.1", "0177.0.0.1", "127.0.0.01", "0", "app.0x1", "127.0.0.1.", "1.2.3.4.5", "app.example.0"} {
		_, _, err := f.p.RegisterClient(t.Context(), oauth.Client{Public: true, RedirectURIs: []string{"https://" + host + "/cb"}})
		assert.ErrorIs(t, err, oauth.ErrInvalidRedirectURI, host)
	}
	for _, host := range []string{"192.0.2.1", "192.0.2.1:8443", "1.example", "2130706433.example", "x1", "app.example."} {
		_, _, err := f.p.RegisterClient(t.Context(), oauth.Client{Public: true, RedirectURIs: []string{"https://" + host + "/cb"}})
		assert.NoError(t, err, host)
	}
}

// Hosts are shown as browsers show them: a capital I is taken for an l.
func TestHostsAreShownInLowerCase(t *testing.T) {
	f := newFixture(t)
	const uri = "https://paypaI.example:8443/cb"
	f.register(oauth.Client{ID: "big", Public: true, Scopes: []string{"read"}, RedirectURIs: []string{uri}, Trust: store.TrustSelf})
	a := f.authorize(alice(), authorization("big", "redirect_uri", uri))
	require.Equal(t, http.StatusOK, a.status)
	assert.Contains(t, a.body, "<dd>paypai.example:8443</dd>")
	a = f.authorize(alice(), authorization("big", "redirect_uri", uri, "scope", "unknown"))
	assert.Contains(t, a.body, "Go to paypai.example:8443<")
	req, err := f.p.ParseAuthorization(t.Context(), authorization("big", "redirect_uri", uri))
	require.NoError(t, err)
	assert.Equal(t, uri, req.RedirectURI.String(), "the answer goes where the client said, byte for byte")
}
