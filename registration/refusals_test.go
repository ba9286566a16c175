package registration_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
)

// The operator's log says which rule a registration has failed, also where the
// answer does not.
func TestTheLogNamesTheRuleThatFailed(t *testing.T) {
	no := registration.Config{Policy: func(context.Context, *registration.Request) error {
		return &oauth.Error{Code: oauth.ErrInvalidClientMetadata, Description: "not on a Sunday"}
	}}
	token := registration.Config{InitialAccessToken: func(context.Context, string) (bool, error) { return false, nil }}
	for rule, tt := range map[string]struct {
		cfg     registration.Config
		body    string
		headers []string
	}{
		"Content-Type must be application/json":        {body: good, headers: []string{"Content-Type", "text/plain"}},
		"the body has more than 64 KiB":                {body: strings.Repeat(" ", 70000)},
		"not acceptable JSON":                          {body: "{"},
		"redirect_uris is missing":                     {body: `{}`},
		"more than 20 redirect URIs":                   {body: doc("redirect_uris", make([]string, 21))},
		"must be https, or http on a loopback address": {body: doc("redirect_uris", []string{"ftp://app.example/cb"})},
		"application_type must be native or web":       {body: doc("application_type", "service")},
		"more than 10 contacts":                        {body: doc("contacts", make([]string, 11))},
		"a name, contact or software identifier has":   {body: doc("client_name", strings.Repeat("x", 201))},
		"must be https with a public host name":        {body: doc("client_uri", "http://app.example")},
		"response_types must have code":                {body: doc("response_types", []string{"token"})},
		"grant_types must have authorization_code":     {body: doc("grant_types", []string{"password"})},
		"jwks and jwks_uri exclude each other":         {body: doc("jwks", json.RawMessage(`{"keys":[]}`), "jwks_uri", "https://app.example/jwks")},
		"jwks must have 1 to 20 public signature keys": {body: doc("jwks", json.RawMessage(`{"keys":[]}`))},
		"token_endpoint_auth_method is not supported":  {body: doc("token_endpoint_auth_method", "tls_client_auth")},
		"software statements are not accepted here":    {body: doc("software_statement", "x")},
		"not on a Sunday":                              {cfg: no, body: good},
		"registration needs an initial access token":   {cfg: token, body: good},
		"the initial access token is not valid":        {cfg: token, body: good, headers: []string{"Authorization", "Bearer marked"}},
	} {
		t.Run(rule, func(t *testing.T) {
			told(t, tt.cfg, rule, func(f *fixture) { f.do("POST", endpoint, tt.body, tt.headers...) })
		})
	}
}

// told runs do, and asserts that it is one refusal, and that log and event name
// the rule and keep what is secret to themselves.
func told(t *testing.T, cfg registration.Config, rule string, do func(f *fixture)) {
	t.Helper()
	var log strings.Builder
	var refusals []oauth.Event
	f := newFixture(t, cfg, func(c *oauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.OnEvent = func(_ context.Context, e oauth.Event) {
			if e.Err != nil {
				refusals = append(refusals, e)
			}
		}
	})
	do(f)
	if assert.Len(t, refusals, 1) {
		assert.Equal(t, oauth.EventRequestRefused, refusals[0].Kind)
		assert.Contains(t, refusals[0].Err.Error(), rule)
	}
	assert.Contains(t, log.String(), rule)
	assert.NotContains(t, log.String(), "marked")
}

func TestTheLogNamesTheLimitThatIsUsedUp(t *testing.T) {
	again := func(f *fixture) {
		f.register(good)
		f.refused(f.do("POST", endpoint, good), http.StatusTooManyRequests, oauth.ErrTemporarilyUnavailable)
	}
	told(t, registration.Config{PerAddress: 1}, "Config.PerAddress is used up", again)
	told(t, registration.Config{PerHour: 1}, "Config.PerHour is used up", again)
}

func TestTheLogNamesWhyAClientIsNotManaged(t *testing.T) {
	update := func(f *fixture, id any, token string) {
		f.refused(f.do("GET", endpoint+"?client_id="+id.(string), "", "Authorization", "Bearer "+token), http.StatusUnauthorized, registration.ErrInvalidToken)
	}
	for rule, do := range map[string]func(f *fixture){
		"there is no token, or no client_id": func(f *fixture) { f.do("GET", endpoint, "") },
		"client is unknown":                  func(f *fixture) { update(f, "nobody", "marked") },
		"the token is another one":           func(f *fixture) { update(f, f.register(good)["client_id"], "marked") },
		"client did not register itself": func(f *fixture) {
			c, _, err := f.p.RegisterClient(t.Context(), oauth.Client{Public: true, RedirectURIs: []string{"https://app.example/cb"}})
			assert.NoError(t, err)
			update(f, c.ID, "marked")
		},
		"client is disabled": func(f *fixture) {
			made := f.register(good)
			c := f.stored(made["client_id"])
			c.Disabled = true
			assert.NoError(t, f.store.UpdateClient(t.Context(), c))
			update(f, c.ID, made["registration_access_token"].(string))
		},
	} {
		t.Run(rule, func(t *testing.T) { told(t, registration.Config{}, rule, do) })
	}
}
