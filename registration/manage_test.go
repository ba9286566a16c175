package registration_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestSEC224_RegistrationsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registration.Config{PerAddress: 3, PerHour: 5})
		limited := func(from string) bool {
			a := f.do("POST", endpoint, good, "from", from)
			if a.status == http.StatusTooManyRequests {
				assert.NotEmpty(t, a.header.Get("Retry-After"))
				return true
			}
			require.Equal(t, 201, a.status, a.body)
			return false
		}
		for range 3 {
			assert.False(t, limited("203.0.113.5:1"))
		}
		for range 100 {
			require.True(t, limited("203.0.113.5:2"), "another port is the same address")
		}
		assert.False(t, limited("[2001:db8:1:2::1]:1"), "refused requests use up nothing of the others'")
		assert.False(t, limited("[2001:db8:1:2:ffff::1]:1"))
		for i := range 100 {
			require.True(t, limited(fmt.Sprintf("198.51.100.%d:1", i)), "all together")
		}
		assert.Equal(t, 5, f.count())
		time.Sleep(time.Hour)
		assert.False(t, limited("203.0.113.5:1"))
	})
	f := newFixture(t, registration.Config{PerAddress: 2})
	for i := range 3 { // one network of IPv6 is one address
		status := f.do("POST", endpoint, good, "from", fmt.Sprintf("[2001:db8:1:2::%d]:1", i)).status
		assert.Equal(t, map[bool]int{true: 201, false: 429}[i < 2], status)
	}
	f = newFixture(t, registration.Config{PerAddress: 1, Address: func(r *http.Request) string { return r.Header.Get("X-Real") }})
	assert.Equal(t, 201, f.do("POST", endpoint, good, "X-Real", "192.0.2.1").status)
	assert.Equal(t, 201, f.do("POST", endpoint, good, "X-Real", "192.0.2.2").status)
	assert.Equal(t, 429, f.do("POST", endpoint, good, "X-Real", "192.0.2.2").status)
}

func TestSEC224_UnusedRegistrationsExpireAndUseRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registration.Config{})
		ctx := context.Background()
		used, unused := f.register(good), f.register(good)
		assert.NotEqual(t, used["client_id"], unused["client_id"], "the same metadata are another client")
		assert.Equal(t, 24*time.Hour, time.Until(f.stored(unused["client_id"]).PurgeAt))
		f.use(used["client_id"].(string))
		c := f.stored(used["client_id"])
		assert.Equal(t, 90*24*time.Hour, time.Until(c.PurgeAt))
		time.Sleep(24 * time.Hour)
		f.use(used["client_id"].(string))
		assert.Equal(t, c.Version, f.stored(used["client_id"]).Version, "not written at every use")
		_, err := f.p.Cleanup(ctx)
		require.NoError(t, err)
		assert.Equal(t, 1, f.count())
		time.Sleep(60 * 24 * time.Hour)
		f.use(used["client_id"].(string))
		assert.Equal(t, 90*24*time.Hour, time.Until(f.stored(used["client_id"]).PurgeAt))
		time.Sleep(91 * 24 * time.Hour)
		_, err = f.p.Cleanup(ctx)
		require.NoError(t, err)
		assert.Zero(t, f.count())
	})
}

// use authorizes alice's use of a client and redeems the code.
func (f *fixture) use(id string) *oauth.TokenResponse {
	f.t.Helper()
	ctx := context.Background()
	const verifier = "the-verifier-of-every-test-in-this-package-0123456789"
	challenge := sha256.Sum256([]byte(verifier))
	req, err := f.p.ParseAuthorization(ctx, url.Values{"client_id": {id}, "redirect_uri": {"https://app.example/cb"}, "response_type": {"code"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}})
	require.NoError(f.t, err)
	code, err := f.p.CreateAuthorizationCode(ctx, req, oauth.Approval{Session: oauth.Session{Subject: "alice"}})
	require.NoError(f.t, err)
	c, err := f.p.Client(ctx, id)
	require.NoError(f.t, err)
	res, err := f.p.Exchange(ctx, c, oauth.ExchangeRequest{Code: code, RedirectURI: "https://app.example/cb", CodeVerifier: verifier})
	require.NoError(f.t, err)
	return res
}

func TestSEC225_InitialAccessToken(t *testing.T) {
	left := map[string]bool{"once": true}
	var broken error
	f := newFixture(t, registration.Config{InitialAccessToken: func(_ context.Context, token string) (bool, error) {
		ok := left[token]
		delete(left, token)
		return ok, broken
	}})
	refused := func(a answer) {
		t.Helper()
		f.refused(a, 401, registration.ErrInvalidToken)
		assert.True(t, strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer"))
	}
	refused(f.do("POST", endpoint, good))
	refused(f.do("POST", endpoint, good, "Authorization", "Bearer wrong"))
	refused(f.do("POST", endpoint, good, "Authorization", "Basic once"))
	refused(f.do("POST", endpoint+"?access_token=once", good))
	f.refused(f.do("POST", endpoint, doc("redirect_uris", []string{}), "Authorization", "Bearer once"), 400, oauth.ErrInvalidRedirectURI)
	assert.Zero(t, f.count())
	require.Equal(t, 201, f.do("POST", endpoint, good, "Authorization", "bearer once").status, "bad metadata spend no token")
	refused(f.do("POST", endpoint, good, "Authorization", "Bearer once"))
	broken = errors.New("down")
	f.refused(f.do("POST", endpoint, good, "Authorization", "Bearer x"), 503, oauth.ErrTemporarilyUnavailable)
}

func TestSEC227_ManagementNeedsTheClientsOwnToken(t *testing.T) {
	f := newFixture(t, registration.Config{})
	a, b := f.register(good), f.register(good)
	uri, token := a["registration_client_uri"].(string), a["registration_access_token"].(string)
	_, _, err := f.p.RegisterClient(context.Background(), oauth.Client{ID: "operators", Public: true, RedirectURIs: []string{"https://x.example/cb"}})
	require.NoError(t, err)
	put := strings.Replace(good, "{", `{"client_id":"`+a["client_id"].(string)+`",`, 1)
	for name, c := range map[string]struct{ uri, header string }{
		"none":                 {uri, ""},
		"wrong":                {uri, "Bearer wrong"},
		"other client's":       {uri, "Bearer " + b["registration_access_token"].(string)},
		"basic":                {uri, "Basic " + token},
		"in the query":         {uri + "&access_token=" + token, ""},
		"no client":            {endpoint, "Bearer " + token},
		"two clients":          {uri + "&client_id=x", "Bearer " + token},
		"unknown client":       {endpoint + "?client_id=x", "Bearer " + token},
		"impossible client":    {endpoint + "?client_id=%00", "Bearer " + token},
		"the operator's":       {endpoint + "?client_id=operators", "Bearer " + token},
		"operator's, no token": {endpoint + "?client_id=operators", "Bearer "},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				var headers []string
				if c.header != "" {
					headers = []string{"Authorization", c.header}
				}
				res := f.do(method, c.uri, put, headers...)
				f.refused(res, 401, registration.ErrInvalidToken)
				assert.NotEmpty(t, res.header.Get("WWW-Authenticate"))
			}
		})
	}
	assert.Equal(t, 3, f.count())
}

func TestSEC227_ClientsThatTheOperatorTookOverManageThemselvesNoLonger(t *testing.T) {
	for name, change := range map[string]func(c *oauth.Client){
		"adopted":  func(c *oauth.Client) { c.Trust = store.TrustRegistered },
		"disabled": func(c *oauth.Client) { c.Disabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, registration.Config{})
			info := f.register(good)
			c := f.stored(info["client_id"])
			change(&c)
			require.NoError(t, f.p.UpdateClient(context.Background(), c))
			f.refused(f.do("GET", info["registration_client_uri"].(string), "", "Authorization", "Bearer "+info["registration_access_token"].(string)), 401, registration.ErrInvalidToken)
		})
	}
}

func TestSEC227_UpdateIsUnderTheSamePolicy(t *testing.T) {
	f := newFixture(t, registration.Config{})
	info := f.register(`{"redirect_uris":["https://app.example/cb"],"client_name":"Old","scope":"read"}`)
	id, uri := info["client_id"].(string), info["registration_client_uri"].(string)
	put := func(pairs ...any) answer {
		t.Helper()
		pairs = append([]any{"client_id", id, "token_endpoint_auth_method", "client_secret_basic"}, pairs...)
		return f.do("PUT", uri, doc(pairs...), "Authorization", "Bearer "+info["registration_access_token"].(string))
	}
	before := f.stored(id)
	f.refused(put("client_id", "other"), 400, oauth.ErrInvalidClientMetadata)
	f.refused(put("client_secret", "mine"), 400, oauth.ErrInvalidClientMetadata)
	f.refused(put("registration_access_token", "mine"), 400, oauth.ErrInvalidClientMetadata)
	f.refused(put("client_secret_expires_at", 0), 400, oauth.ErrInvalidClientMetadata)
	f.refused(put("token_endpoint_auth_method", "none"), 400, oauth.ErrInvalidClientMetadata)
	f.refused(put("token_endpoint_auth_method", "client_secret_post"), 400, oauth.ErrInvalidClientMetadata)
	f.refused(put("redirect_uris", []string{"http://app.example/cb"}), 400, oauth.ErrInvalidRedirectURI)
	f.refused(put("grant_types", []string{"client_credentials"}), 400, oauth.ErrInvalidClientMetadata)
	assert.Equal(t, before, f.stored(id))

	res := put("scope", "admin write", "client_name", "New", "redirect_uris", []string{"https://app.example/new"}, "client_secret", info["client_secret"], "trusted", true)
	require.Equal(t, 200, res.status, res.body)
	after := f.stored(id)
	assert.Equal(t, []string{"read", "write"}, after.Scopes)
	assert.Equal(t, []string{"write"}, after.DefaultScopes)
	assert.Equal(t, "New", after.Name)
	assert.Equal(t, []string{"https://app.example/new"}, after.RedirectURIs)
	assert.Equal(t, before.Secrets, after.Secrets)
	assert.Equal(t, before.PurgeAt, after.PurgeAt, "an update is not a use")
	assert.Equal(t, store.TrustSelf, after.Trust)
	assert.Equal(t, info["registration_access_token"], res.json["registration_access_token"])
}

func TestSEC227_DeleteEndsTheClient(t *testing.T) {
	f := newFixture(t, registration.Config{})
	info := f.register(good)
	tokens := f.use(info["client_id"].(string))
	uri, header := info["registration_client_uri"].(string), "Bearer "+info["registration_access_token"].(string)
	res := f.do("DELETE", uri, "", "Authorization", header)
	assert.Equal(t, http.StatusNoContent, res.status)
	assert.Zero(t, f.count())
	in, err := f.p.Introspect(context.Background(), nil, tokens.AccessToken)
	require.NoError(t, err)
	assert.False(t, in.Active)
	f.refused(f.do("GET", uri, "", "Authorization", header), 401, registration.ErrInvalidToken)
}

func TestSEC229_SoftwareStatements(t *testing.T) {
	f := newFixture(t, registration.Config{})
	f.refused(f.do("POST", endpoint, doc("software_statement", "e30.e30.")), 400, registration.ErrInvalidSoftwareStatement)
	f = newFixture(t, registration.Config{SoftwareStatement: func(_ context.Context, jwt string) ([]byte, error) {
		switch jwt {
		case "good":
			return []byte(`{"iss":"https://trust.example","client_name":"Vouched for","software_id":"s","client_id":"x"}`), nil
		case "mistyped":
			return []byte(`{"client_name":1}`), nil
		case "unapproved":
			return nil, &oauth.Error{Code: registration.ErrUnapprovedSoftwareStatement}
		}
		return nil, errors.New("signature")
	}})
	f.refused(f.do("POST", endpoint, doc("software_statement", "bad")), 400, registration.ErrInvalidSoftwareStatement)
	f.refused(f.do("POST", endpoint, doc("software_statement", "mistyped")), 400, registration.ErrInvalidSoftwareStatement)
	f.refused(f.do("POST", endpoint, doc("software_statement", "unapproved")), 400, registration.ErrUnapprovedSoftwareStatement)
	info := f.register(doc("software_statement", "good", "client_name", "Boast"))
	assert.Equal(t, "Vouched for", info["client_name"], "the statement takes precedence")
	assert.Equal(t, "s", info["software_id"])
	assert.Equal(t, "good", info["software_statement"])
	id := info["client_id"].(string)
	assert.NotEqual(t, "x", id)
	res := f.do("PUT", info["registration_client_uri"].(string), doc("client_id", id, "software_statement", "good"), "Authorization", "Bearer "+info["registration_access_token"].(string))
	assert.Equal(t, 200, res.status, "which client it is, no statement says")
}

func TestPolicyDecides(t *testing.T) {
	var seen *registration.Request
	f := newFixture(t, registration.Config{Policy: func(_ context.Context, r *registration.Request) error {
		seen = r
		switch r.Client.Name {
		case "No":
			return &oauth.Error{Code: oauth.ErrAccessDenied, Description: "not here", Status: http.StatusForbidden}
		case "Broken":
			return errors.New("database is down")
		}
		r.Client.Scopes = []string{"read"}
		return nil
	}})
	info := f.register(doc("client_name", "Yes", "vendor", "v"))
	assert.Equal(t, "read", info["scope"])
	assert.Equal(t, "203.0.113.5", seen.Address)
	assert.False(t, seen.Update)
	assert.JSONEq(t, `"v"`, string(seen.Metadata["vendor"]))
	f.refused(f.do("POST", endpoint, doc("client_name", "No")), 403, oauth.ErrAccessDenied)
	f.refused(f.do("POST", endpoint, doc("client_name", "Broken")), 503, oauth.ErrTemporarilyUnavailable)
	assert.Equal(t, 1, f.count())
	f.refused(f.do("PUT", info["registration_client_uri"].(string), doc("client_id", info["client_id"], "client_name", "No"),
		"Authorization", "Bearer "+info["registration_access_token"].(string)), 403, oauth.ErrAccessDenied)
	assert.True(t, seen.Update)
}
