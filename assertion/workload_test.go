package assertion_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestAWorkloadGetsATokenForItself(t *testing.T) {
	w := newWorld(t)
	got := w.ask(w.p, "", credential(t), "resource", mail)
	require.Equal(t, ok, got.answer())
	assert.Equal(t, "read", got.Scope, "of its scopes, what the resource knows")
	assert.Equal(t, mail, got.Resource)
	assert.Empty(t, got.Refresh)

	token, err := w.p.Verifier().VerifyToken(t.Context(), got.Token)
	require.NoError(t, err)
	assert.Equal(t, "workload:deployer", token.Subject)
	assert.True(t, token.Machine())
	in, err := w.p.Introspect(t.Context(), nil, got.Token)
	require.NoError(t, err)
	assert.True(t, in.Active)

	got = w.ask(w.p, "", credential(t))
	assert.Equal(t, "write read", got.Scope)
	assert.Equal(t, notes, got.Resource, "the first of its resources")
	got = w.ask(w.p, "", credential(t, "ref", "other"))
	assert.Equal(t, "read", got.Scope, "the second rule")
	client, err := w.p.Client(t.Context(), "other")
	require.NoError(t, err)
	res, err := w.p.ClientCredentials(t.Context(), client, oauth.ClientCredentialsRequest{})
	require.NoError(t, err)
	assert.NotContains(t, res.Extra, "resource", "other grants are as they were")
}

func TestTheAccessOfAWorkloadEnds(t *testing.T) {
	w := newWorld(t)
	got, other := w.ask(w.p, "", credential(t)), w.ask(w.p, "", credential(t))
	require.Equal(t, ok, got.answer())
	active := func(p *oauth.Provider, token string) bool {
		in, err := p.Introspect(t.Context(), nil, token)
		require.NoError(t, err)
		return in.Active
	}
	client, err := w.p.Client(t.Context(), "workload:deployer")
	require.NoError(t, err)
	done, err := w.p.Revoke(t.Context(), client, got.Token)
	require.NoError(t, err)
	assert.True(t, done)
	assert.False(t, active(w.p, got.Token))
	assert.True(t, active(w.p, other.Token))

	without := w.provider(issuer, func(c *assertion.Config) { c.Platforms[0].Rules = c.Platforms[0].Rules[1:] })
	assert.False(t, active(without, other.Token), "its rule is gone")
}

func TestCredentialsOfWorkloadsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		pairs []any
		want  answer
	}{
		"aud issuer":              {nil, ok},
		"aud token endpoint":      {[]any{"aud", endpoint}, ok},
		"aud list of one":         {[]any{"aud", []string{endpoint}}, ok},
		"aud list of both":        {[]any{"aud", []string{endpoint, issuer}}, badGrant},
		"aud other":               {[]any{"aud", "https://other.example"}, badGrant},
		"aud none":                {[]any{"aud", nil}, badGrant},
		"iss unknown":             {[]any{"iss", "https://evil.example"}, badGrant},
		"iss of an enterprise":    {[]any{"iss", acme}, badGrant},
		"sub none":                {[]any{"sub", nil}, badGrant},
		"iat none":                {[]any{"iat", nil}, badGrant},
		"exp past":                {[]any{"iat", in(-time.Hour), "exp", in(-2 * time.Minute)}, badGrant},
		"exp none":                {[]any{"exp", nil}, badGrant},
		"exp in 2 h":              {[]any{"exp", in(2 * time.Hour)}, badGrant},
		"nbf in the future":       {[]any{"nbf", in(2 * time.Minute)}, badGrant},
		"jti none":                {[]any{"jti", nil}, badGrant},
		"cnf":                     {[]any{"cnf", map[string]string{"jkt": "x"}}, badGrant},
		"authorization_details":   {[]any{"authorization_details", []any{}}, badGrant},
		"no rule":                 {[]any{"repository", "acme/other"}, badGrant},
		"claim of a rule missing": {[]any{"repository", nil}, badGrant},
		"claim in another case":   {[]any{"repository", "Acme/Site"}, badGrant},
		"claim in a list":         {[]any{"repository", []string{"acme/site"}}, badGrant},
		"claim null":              {[]any{"repository", jsonNull}, badGrant},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			assert.Equal(t, c.want, w.ask(w.p, "", credential(t, c.pairs...)).answer())
			assert.Equal(t, c.want == ok, w.store.codes.Load() == 1, "what is refused is not spent")
		})
	}
}

func TestRightsOfAWorkload(t *testing.T) {
	for name, c := range map[string]struct {
		ref     string
		request []string
		want    answer
		scope   string
	}{
		"scope requested":        {"main", []string{"scope", "read"}, ok, "read"},
		"scope requested, more":  {"main", []string{"scope", "read mail admin"}, ok, "read"},
		"scope of nobody":        {"main", []string{"scope", "admin"}, badScope, ""},
		"scope of another rule":  {"x", []string{"scope", "write"}, badScope, ""},
		"resource of nobody":     {"main", []string{"resource", "https://x.example"}, badTarget, ""},
		"resource not in a rule": {"x", []string{"resource", mail}, badTarget, ""},
		"resource by default":    {"x", nil, ok, "read"},
		"two resources":          {"main", []string{"resource", mail, "resource", notes}, ok, "write read"},
		"empty code":             {"main", []string{"code", ""}, ok, "write read"},
		"client_id of itself":    {"main", []string{"client_id", "workload:deployer"}, invalid, ""},
		"client_id of a client":  {"main", []string{"client_id", "ide"}, invalid, ""},
		"client_id of nobody":    {"main", []string{"client_id", "x"}, invalid, ""},
		"a public client beside": {"main", []string{"client_id", "public"}, badGrant, ""},
		"an assertion beside":    {"main", []string{"client_assertion", "x"}, request, ""},
		"a secret beside":        {"main", []string{"client_secret", "x"}, invalid, ""},
		"at a token endpoint":    {"main", []string{"token", "x"}, invalid, ""},
		"an empty client_id":     {"main", []string{"client_id", ""}, ok, "write read"},
		"a refresh token beside": {"main", []string{"refresh_token", "x"}, ok, "write read"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			got := w.ask(w.p, "", credential(t, "ref", c.ref), c.request...)
			assert.Equal(t, c.want, got.answer())
			assert.Equal(t, c.scope, got.Scope)
		})
	}
}

// A workload is a client in name only.
func TestAWorkloadCannotBeImpersonated(t *testing.T) {
	w := newWorld(t)
	id := "workload:deployer"
	for name, form := range map[string]url.Values{
		"without a secret":          {"grant_type": {"client_credentials"}, "client_id": {id}},
		"with a secret":             {"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {"x"}},
		"by its credential":         {"grant_type": {"client_credentials"}, "client_assertion_type": {kindJWT}, "client_assertion": {credential(t)}},
		"by one that says so":       {"grant_type": {"client_credentials"}, "client_assertion_type": {kindJWT}, "client_assertion": {credential(t, "iss", id, "sub", id)}},
		"without a signature's key": {"grant_type": {"client_credentials"}, "client_assertion_type": {kindJWT}, "client_assertion": {sign(t, keys()["other"], "JWT", claims(id))}},
	} {
		assert.Equal(t, invalid, post(w.p, "/oauth/token", form), name)
	}
	for _, path := range []string{"/oauth/revoke", "/oauth/introspect"} {
		assert.Equal(t, invalid, post(w.p, path, url.Values{"grant_type": {jwtBearer}, "assertion": {credential(t)}, "token": {"x"}}), path)
	}
	assert.NotEqual(t, 200, post(w.p, "/oauth/revoke", url.Values{"grant_type": {jwtBearer}, "assertion": {credential(t)}}).status)
	_, err := w.p.ParseAuthorization(t.Context(), url.Values{"client_id": {id}, "response_type": {"code"}, "redirect_uri": {"https://evil.example/cb"}})
	assert.Error(t, err)
	_, _, err = w.p.RegisterClient(t.Context(), oauth.Client{ID: "thief", AuthMethod: jwtBearer, GrantTypes: []string{jwtBearer}, Scopes: []string{"read"}, Data: []byte(`{}`)})
	assert.ErrorIs(t, err, oauth.ErrInvalidClientMetadata, "no stored client can have that method")
	_, err = w.p.Client(t.Context(), "workload:nobody")
	assert.ErrorIs(t, err, store.ErrNotFound)
}

func TestTheAppDecidesAboutOtherWorkloads(t *testing.T) {
	var w *world
	decide := func(_ context.Context, c assertion.Claims) (assertion.Workload, error) {
		switch c.Subject {
		case "down":
			return assertion.Workload{}, errDown
		case "nobody":
			return assertion.Workload{}, nil
		}
		return assertion.Workload{Subject: c.Subject, Scopes: []string{"read"}}, nil
	}
	w = newWorld(t, func(c *assertion.Config) { c.Platforms[0].Decide = decide })
	other := func(sub string) answer {
		return w.ask(w.p, "", credential(t, "repository", "acme/other", "sub", sub)).answer()
	}
	assert.Equal(t, ok, other("job"))
	assert.Equal(t, badGrant, other("nobody"))
	assert.Equal(t, down, other("down"))
	assert.Equal(t, down, other("deployer"), "that is the workload of a rule")
	assert.Equal(t, down, other("a b"))
	got := w.ask(w.p, "", credential(t, "repository", "acme/other", "sub", "job"))
	token, err := w.p.Verifier().VerifyToken(t.Context(), got.Token)
	require.NoError(t, err)
	assert.Equal(t, "workload:job", token.Subject)
	assert.Equal(t, []string{notes}, token.Audience)
}

func TestReusableCredentialsAreUsedUntilTheyExpire(t *testing.T) {
	w := newWorld(t, func(c *assertion.Config) { c.Platforms[0].Reusable = true })
	a := credential(t, "jti", nil)
	for range 3 {
		assert.Equal(t, ok, w.ask(w.p, "", a).answer())
	}
	assert.Zero(t, w.store.codes.Load())
}

func TestAudiencesOfAPlatformAreTheAppsChoice(t *testing.T) {
	w := newWorld(t, func(c *assertion.Config) { c.Platforms[0].Audiences = []string{"notes-api"} })
	assert.Equal(t, ok, w.ask(w.p, "", credential(t, "aud", "notes-api")).answer())
	assert.Equal(t, badGrant, w.ask(w.p, "", credential(t)).answer())
}

func TestTheGrantIsAdvertisedIfItIsThere(t *testing.T) {
	m := newWorld(t).p.Metadata()
	assert.Contains(t, m["grant_types_supported"], jwtBearer)
	assert.Equal(t, []string{"urn:ietf:params:oauth:grant-profile:id-jag"}, m["authorization_grant_profiles_supported"])
	methods := []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}
	assert.Equal(t, methods, m["token_endpoint_auth_methods_supported"])
	assert.Equal(t, methods, m["revocation_endpoint_auth_methods_supported"])
	assert.Equal(t, methods[1:], m["introspection_endpoint_auth_methods_supported"])

	m = newWorld(t, func(c *assertion.Config) { c.Enterprises = nil }).p.Metadata()
	assert.Contains(t, m["grant_types_supported"], jwtBearer)
	assert.NotContains(t, m, "authorization_grant_profiles_supported")

	f := newFixture(t)
	assert.NotContains(t, f.p.Metadata()["grant_types_supported"], jwtBearer)
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(url.Values{"grant_type": {jwtBearer}, "assertion": {credential(t)}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	f.p.ServeHTTP(rec, r)
	assert.Equal(t, 401, rec.Code)
}

func TestConfigurationIsChecked(t *testing.T) {
	w := newWorld(t)
	good := w.config()
	user := good.Enterprises[0].User
	rule := good.Platforms[0].Rules[0]
	enterprise := func(i assertion.Issuer) assertion.Config {
		return assertion.Config{Enterprises: []assertion.Enterprise{{Issuer: i, User: user}}}
	}
	platform := func(change func(p *assertion.Platform)) assertion.Config {
		p := assertion.Platform{Issuer: assertion.Issuer{URL: runner}, Rules: []assertion.Rule{rule}}
		change(&p)
		return assertion.Config{Platforms: []assertion.Platform{p}}
	}
	changed := func(change func(r *assertion.Rule)) assertion.Config {
		r := rule
		change(&r)
		return platform(func(p *assertion.Platform) { p.Rules = []assertion.Rule{r} })
	}
	for want, cfg := range map[string]assertion.Config{
		"Enterprises[0]: there is no User":       {Enterprises: []assertion.Enterprise{{Issuer: assertion.Issuer{URL: acme}}}},
		"scope \"x\" is not in":                  {Enterprises: []assertion.Enterprise{{Issuer: assertion.Issuer{URL: acme}, User: user, Scopes: []string{"x"}}}},
		"Enterprises[1]: its issuer stands":      {Enterprises: []assertion.Enterprise{good.Enterprises[0], good.Enterprises[0]}},
		"Platforms[1]: its issuer stands":        {Platforms: []assertion.Platform{good.Platforms[0], good.Platforms[0]}},
		"its URL must have 1":                    enterprise(assertion.Issuer{}),
		"its URL is this provider":               enterprise(assertion.Issuer{URL: issuer}),
		"its URL must be https":                  enterprise(assertion.Issuer{URL: "http://acme.example"}),
		"its URL must be https, without query":   enterprise(assertion.Issuer{URL: "https://acme.example?x"}),
		"its JWKSURI must be https":              enterprise(assertion.Issuer{URL: acme, JWKSURI: "http://acme.example/jwks"}),
		"one of them says it":                    enterprise(assertion.Issuer{URL: acme, JWKSURI: acme + "/jwks", JWKS: jwks(t, keys()["ES256"])}),
		"its JWKS: ":                             enterprise(assertion.Issuer{URL: acme, JWKS: []byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)}),
		"its JWKS has no key":                    enterprise(assertion.Issuer{URL: acme, JWKS: []byte(`{"keys":[]}`)}),
		"its Algs must be among":                 enterprise(assertion.Issuer{URL: acme, Algs: []string{"HS256"}}),
		"its Algs must be among RS256":           enterprise(assertion.Issuer{URL: acme, Algs: []string{"ES256", "none"}}),
		"its MaxLifetime":                        enterprise(assertion.Issuer{URL: acme, MaxLifetime: -1}),
		"its MaxLifetime must not":               enterprise(assertion.Issuer{URL: acme, MaxLifetime: 1<<63 - 1}),
		"there are no Rules and no Decide":       platform(func(p *assertion.Platform) { p.Rules = nil }),
		"its Audiences":                          platform(func(p *assertion.Platform) { p.Audiences = []string{""} }),
		"its Rules[0] has no Claims":             changed(func(r *assertion.Rule) { r.Claims = nil }),
		"its Rules[0]: the Subject":              changed(func(r *assertion.Rule) { r.Subject = "" }),
		"the Subject must be 1 to 200":           changed(func(r *assertion.Rule) { r.Subject = "a b" }),
		"its Rules[0]: scope \"x\"":              changed(func(r *assertion.Rule) { r.Scopes = []string{"x"} }),
		"its Rules[0]: a resource is not in oau": changed(func(r *assertion.Rule) { r.Resources = []string{"https://x.example"} }),
	} {
		_, err := newProvider(w, issuer, cfg)
		assert.ErrorContains(t, err, want)
	}
	_, err := newProvider(w, issuer, enterprise(assertion.Issuer{URL: "spiffe://acme.example", JWKSURI: acme + "/jwks"}))
	assert.NoError(t, err, "a name that is no address, with keys that are at one")
}
