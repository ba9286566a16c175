package cimd_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth/cimd"
)

// What is wrong with a document is one error to the outside, and the operator's
// log names the rule.
func TestTheLogNamesTheRuleThatFailed(t *testing.T) {
	answer := func(status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	refuseAll := cimd.Config{Allow: func(context.Context, *url.URL) (bool, error) { return false, nil }}
	for rule, tt := range map[string]struct {
		id     string
		cfg    cimd.Config
		answer func(http.ResponseWriter, *http.Request)
	}{
		"its client_id is not its URL":             {answer: serve(doc("client_id", "https://other.example/c"))},
		"client_name must have 1 to 200 bytes":     {answer: serve(doc("client_name", ""))},
		"it has a secret":                          {answer: serve(doc("client_secret", "marked"))},
		"a secret, which cannot be in a public":    {answer: serve(doc("token_endpoint_auth_method", "client_secret_basic"))},
		"authenticates in no way that is possible": {answer: serve(doc("token_endpoint_auth_method", "tls_client_auth"))},
		"application_type must be native or web":   {answer: serve(doc("application_type", "service"))},
		"it has no redirect URI that can be used":  {answer: serve(doc("redirect_uris", []string{"javascript:x"}))},
		"not acceptable JSON":                      {answer: serve("<html>")},
		"its type is not JSON":                     {answer: serve(doc(), "Content-Type", "text/html")},
		"status 404":                               {answer: answer(404)},
		"status 503":                               {answer: answer(503)},
		"Config.Allow refuses this URL":            {cfg: refuseAll, answer: serve(doc())},
		"no metadata document can be at this URL":  {id: "https://127.0.0.1/client.json", answer: serve(doc())},
		"error=\"oauth: invalid_client: this application is not known here: client is unknown\"": {id: "nobody", answer: serve(doc())},
	} {
		t.Run(rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // failures take a step of time
				f := newFixture(t, tt.cfg, tt.answer)
				if tt.id == "" {
					tt.id = id
				}
				f.unknown(tt.id)
				assert.True(t, strings.Contains(f.log.String(), rule), f.log.String())
				assert.Contains(t, f.log.String(), "event.client_id="+tt.id)
				assert.NotContains(t, f.log.String(), "marked")
			})
		})
	}
	t.Run("cannot be reached", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, cimd.Config{}, serve(doc()))
			f.web.err = errors.New("no route to host")
			f.unknown(id)
			assert.Contains(t, f.log.String(), "no route to host")
		})
	})
	t.Run("nobody has granted it anything", func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, serve(doc()))
		r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(url.Values{"client_id": {id}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		f.p.ServeHTTP(w, r)
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Contains(t, f.log.String(), "nobody has granted it anything")
		assert.Zero(t, f.web.requests.Load())
	})
}
