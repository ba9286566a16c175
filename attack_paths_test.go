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
