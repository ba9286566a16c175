package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth"
)

// A path has one spelling, also one with characters that need no escape and that
// Go escapes all the same: what stands in front may have rules for the plain one.
func TestNoPathHasASecondSpelling(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Prefix = "/a!b'c(d)e*" })
	for path, served := range map[string]bool{
		"/a!b'c(d)e*/jwks":           true,
		"/a%21b%27c%28d%29e%2A/jwks": false,
		"/a%21b'c(d)e*/jwks":         false,
		"/a!b'c(d)e%2a/jwks":         false,
		"/a!b'c(d)e*/jw%6Bs":         false,
		"/a!b'c(d)e*%2Fjwks":         false,
	} {
		w := httptest.NewRecorder()
		f.p.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		assert.Equal(t, map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[served], w.Code, path)
	}
}

// A mux of the app's decodes paths before it compares them: the endpoints do not
// rely on it.
func TestNoPathHasASecondSpellingInAMux(t *testing.T) {
	f := newFixture(t)
	mux := http.NewServeMux()
	for path, h := range f.p.Routes() {
		mux.Handle(path, h)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	assert.Equal(t, http.StatusOK, get("/oauth/jwks").Code)
	assert.Equal(t, http.StatusOK, get("/.well-known/oauth-authorization-server").Code)
	assert.Equal(t, http.StatusNotFound, get("/oauth/jw%6Bs").Code)
	assert.Equal(t, http.StatusNotFound, get("/%6Fauth/authorize?client_id=app").Code)
	w := get("/.well-known/oauth%2Dauthorization-server")
	assert.Equal(t, http.StatusNotFound, w.Code)
	assert.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"), "web pages may read that it is not there")
}
