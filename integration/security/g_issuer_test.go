package security

import (
	"html"
	"net/http"
	"net/url"
	"regexp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// issuerCases: group G, mix-up and issuer identification.
var issuerCases = []caseOf{
	{"SEC-091 one issuer in every answer", func(c *run) {
		require.Equal(c, true, c.at.p.Metadata()["authorization_response_iss_parameter_supported"])
		b := c.person()
		for _, mode := range []string{"", "query", "form_post"} {
			v := c.params(app, "response_mode", mode, "prompt", "consent")
			page := b.authorize(v)
			refused := c.params(app, "response_mode", mode, "scope", "nonsense")
			denied := url.Values{"interaction": b.consentForm(page)["interaction"], "decision": {"deny"}}
			for what, a := range map[string]answer{"denied": b.visit("POST", "/oauth/consent", denied), "allowed": b.allow(page), "refused": b.authorize(refused)} {
				got := c.locationOrForm(a)
				require.Equal(c, []string{issuer}, got["iss"], what)
				require.Len(c, got["state"], 1, what)
				require.NotEqual(c, got.Has("code"), got.Has("error"), what)
			}
		}
		c, f := c.faulty()
		f.fail("Consent")
		require.Equal(c, []string{issuer}, c.locationOf(c.person().authorize(c.params(app))).Query()["iss"])
	}},
	{"SEC-092 addresses with parameters of the answer", func(c *run) {
		for _, query := range []string{"iss=https://evil.test", "code=x", "state=y", "error=z", "a=b&code=x", "c%6fde=x", "response=x", "iss", "error_description=x&b"} {
			uri := "https://app.example/cb?" + query
			_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{Public: true, RedirectURIs: []string{uri}})
			require.ErrorIs(c, err, oauth.ErrInvalidRedirectURI, uri)
			c.refused(c.postJSON("/oauth/register", map[string]any{"redirect_uris": []string{uri}}), 400, oauth.ErrInvalidRedirectURI)
		}
	}},
	{"SEC-093 metadata do not depend on who asks", func(c *run) {
		for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/oauth/jwks"} {
			good := c.do(request("GET", issuer+path, nil))
			if good.status == http.StatusNotFound {
				continue // there is no OpenID Connect
			}
			for _, headers := range [][]string{
				{"Host", stranger + ".test"}, {"X-Forwarded-Host", stranger + ".test"}, {"X-Forwarded-Proto", "http", "X-Forwarded-Port", "8080"}, {"Forwarded", "host=" + stranger + ".test;proto=http"}, {"X-Original-URL", "/" + stranger}, {"X-Forwarded-Prefix", "/" + stranger}, {"Origin", "https://" + stranger + ".test"},
			} {
				r := request("GET", issuer+path, nil, headers...)
				if headers[0] == "Host" {
					r.Host = stranger + ".test"
				}
				a := c.do(r)
				assert.Equal(c, good.body, a.body)
				assert.Equal(c, good.header.Get("ETag"), a.header.Get("ETag"))
				assert.NotContains(c, a.String(), stranger)
			}
		}
	}},
	{"SEC-094 two issuers in one process", func(c *run) {
		other := c.with("other issuer", func(cfg *oauth.Config) {
			cfg.Issuer, cfg.Store, cfg.Secret = "https://auth.example/t2", store.NewMemory(), []byte("another-secret-of-another-issuer")
		})
		_, _, err := other.at.p.RegisterClient(c.Context(), oauth.Client{ID: app, Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://app.example/cb"}})
		require.NoError(c, err)
		b := c.person()
		got := c.loginAs(b, app)
		for _, host := range []string{"api.example", "jwt.example"} {
			require.Equal(c, http.StatusUnauthorized, other.call(host, got.AccessToken).status, host)
		}
		there := other.browserOf(b.user)
		require.Equal(c, 200, there.visit("GET", "/t2/oauth/authorize?"+c.params(app).Encode(), nil).status, "asked there, too")
		sent := b.consentForm(b.authorize(c.params(app, "prompt", "consent")))
		there.session, there.authTime, there.cookies = b.session, b.authTime, b.cookies
		require.Equal(c, 403, there.visit("POST", "/t2/oauth/consent", sent).status)
		require.Equal(c, 404, other.do(request("GET", issuer+"/oauth/jwks", nil)).status)
		c.alive(got.AccessToken)
	}},
}

var formField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// locationOrForm reads an authorization response, in whichever mode it came.
func (c *run) locationOrForm(a answer) url.Values {
	c.Helper()
	if a.status == http.StatusSeeOther {
		return c.locationOf(a).Query()
	}
	require.Equal(c, http.StatusOK, a.status, "%s", a)
	got := url.Values{}
	for _, m := range formField.FindAllStringSubmatch(a.body, -1) {
		got.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	require.NotEmpty(c, got, "%s", a)
	return got
}
