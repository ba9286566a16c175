package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

func TestMetadataAtEveryWellKnown(t *testing.T) {
	for iss, c := range map[string]struct {
		prefix, base string
		paths        []string
	}{
		"https://auth.example": {"", "/oauth", []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}},
		"https://auth.example/t1": {"", "/t1/oauth", []string{
			"/.well-known/oauth-authorization-server/t1", "/.well-known/openid-configuration/t1",
			"/t1/.well-known/openid-configuration", "/t1/.well-known/oauth-authorization-server",
		}},
		"https://auth.example/t1/oauth": {"/", "/t1/oauth", []string{ // a provider whose endpoints are right below its issuer
			"/.well-known/oauth-authorization-server/t1/oauth", "/.well-known/openid-configuration/t1/oauth",
			"/t1/oauth/.well-known/openid-configuration", "/t1/oauth/.well-known/oauth-authorization-server",
		}},
		"http://localhost:8080": {"/", "", []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}},
	} {
		f := newFixture(t, func(cfg *oauth.Config) { cfg.Issuer, cfg.Prefix = iss, c.prefix })
		origin := strings.TrimSuffix(strings.TrimSuffix(iss, "/oauth"), "/t1")
		for _, path := range c.paths {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "evil.test"
			r.Header.Set("X-Forwarded-Host", "evil.test")
			r.Header.Set("Forwarded", "host=evil.test")
			a := f.do(r)
			require.Equal(t, 200, a.status, path)
			var m map[string]any
			require.NoError(t, json.Unmarshal([]byte(a.body), &m))
			assert.Equal(t, iss, m["issuer"])
			assert.NotContains(t, a.body, "evil")
			for name, end := range map[string]string{
				"authorization_endpoint": "/authorize", "token_endpoint": "/token", "revocation_endpoint": "/revoke",
				"introspection_endpoint": "/introspect", "jwks_uri": "/jwks",
			} {
				assert.Equal(t, origin+c.base+end, m[name])
			}
		}
		assert.Equal(t, 200, f.do(httptest.NewRequest("GET", c.base+"/jwks", nil)).status)
		for _, path := range []string{"/.well-known/oauth-authorization-server/t2", "/.well-known/oauth-authorization-server/", "/t1/../t2", "/"} {
			assert.Equal(t, 404, f.do(httptest.NewRequest("GET", path, nil)).status, path)
		}
	}
}

func TestMetadataSaysWhatThereIs(t *testing.T) {
	f := newFixture(t)
	m := f.p.Metadata()
	assert.Equal(t, []string{"authorization_code", "client_credentials", "refresh_token"}, m["grant_types_supported"])
	assert.Equal(t, []string{"code"}, m["response_types_supported"])
	assert.Equal(t, []string{"form_post", "query"}, m["response_modes_supported"])
	assert.Equal(t, []string{"none", "client_secret_basic", "client_secret_post"}, m["token_endpoint_auth_methods_supported"])
	assert.Equal(t, []string{"client_secret_basic", "client_secret_post"}, m["introspection_endpoint_auth_methods_supported"])
	assert.Equal(t, []string{"admin", "profile", "read", "write"}, m["scopes_supported"])
	assert.Equal(t, []string{apiURI, mcpURI}, m["protected_resources"])
	assert.Equal(t, true, m["authorization_response_iss_parameter_supported"])
	m["issuer"] = "changed"
	assert.Equal(t, issuer, f.p.Metadata()["issuer"], "a copy")
}

func TestDocumentsAreCacheable(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/oauth/jwks"} {
		a := f.do(httptest.NewRequest("GET", path, nil))
		assert.Equal(t, "public, max-age=3600", a.header.Get("Cache-Control"))
		head := f.do(httptest.NewRequest("HEAD", path, nil))
		assert.Equal(t, []any{200, "", a.header.Get("ETag")}, []any{head.status, head.body, head.header.Get("ETag")})
		again := f.do(header(httptest.NewRequest("GET", path, nil), "If-None-Match", a.header.Get("ETag")))
		assert.Equal(t, http.StatusNotModified, again.status)
		assert.Equal(t, 204, f.do(httptest.NewRequest("OPTIONS", path, nil)).status)
		post := f.do(httptest.NewRequest("POST", path, nil))
		assert.Equal(t, 405, post.status)
		assert.Equal(t, "GET, HEAD, OPTIONS", post.header.Get("Allow"))
	}
}

func TestJWKSHoldsPublicKeysOnly(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) {
		old := managedSigner(t)
		c.Keys = oauth.StaticKeys{testKeys()[0], {ID: "old", Public: old.Public()}}
	})
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(f.do(httptest.NewRequest("GET", "/oauth/jwks", nil)).body), &set))
	require.Len(t, set.Keys, 2)
	var kids []string
	for _, k := range set.Keys {
		kids = append(kids, k["kid"].(string))
		assert.Equal(t, []any{"EC", "ES256", "sig"}, []any{k["kty"], k["alg"], k["use"]})
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			assert.NotContains(t, k, private)
		}
	}
	assert.Equal(t, []string{"test", "old"}, kids)
}

// The endpoints can be mounted one by one, beside other routes.
func TestRoutesAreMountedOneByOne(t *testing.T) {
	f := newFixture(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	var paths []string
	for path, h := range f.p.Routes() {
		mux.Handle(path, h)
		paths = append(paths, path)
	}
	assert.Equal(t, []string{
		"/oauth/authorize", "/oauth/consent", "/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/jwks",
		"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
	}, paths)
	server := httptest.NewServer(mux)
	defer server.Close()
	res, err := server.Client().PostForm(server.URL+"/oauth/token", map[string][]string{"grant_type": {"x"}, "client_id": {"app"}})
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, 400, res.StatusCode)
	res, err = server.Client().Get(server.URL + "/other")
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusTeapot, res.StatusCode)
	for path := range f.p.Routes() {
		assert.True(t, slices.Contains(paths, path))
		break // a range may end early
	}
}

// Without the header a browser makes the 404 a network error, and a client that
// looks in several places stops.
func TestWellKnownThatIsNotThereCanBeReadByWebPages(t *testing.T) {
	f := newFixture(t)
	w := httptest.NewRecorder()
	f.p.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-authorization-server/elsewhere", nil))
	assert.Equal(t, http.StatusNotFound, w.Code)
	assert.Equal(t, "*", w.Result().Header.Get("Access-Control-Allow-Origin"))
	w = httptest.NewRecorder()
	f.p.ServeHTTP(w, httptest.NewRequest("GET", "/elsewhere", nil))
	assert.Empty(t, w.Result().Header.Get("Access-Control-Allow-Origin"))
}
