package oauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// The form of every back-channel request is read by one reader (RFC 6749 §3.2).
func TestFormsAreReadStrictly(t *testing.T) {
	f := newFixture(t)
	send := func(contentType, body string) answer {
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.SetBasicAuth("cc", f.secrets["cc"])
		return f.do(r)
	}
	const form, good = "application/x-www-form-urlencoded", "grant_type=client_credentials"
	many := func(n int) string {
		body := good
		for range n - 1 {
			body += "&" + strings.Repeat("x", len(body)%50+1) + strings.Repeat("y", len(body)/50+1) + "=1"
		}
		return body
	}
	for name, tt := range map[string]struct {
		contentType, body string
		refused           bool
	}{
		"as it should be":                       {form, good, false},
		"with a charset":                        {form + "; charset=UTF-8", good, false},
		"a content type that cannot be read":    {form + "; =", good, true},
		"as many parameters as there may be":    {form, many(100), false},
		"one parameter more":                    {form, many(101), true},
		"an escape that is none":                {form, good + "&x=%zz", true},
		"a value that is no UTF-8":              {form, good + "&x=%ff", true},
		"a name that is no UTF-8":               {form, good + "&%ff=x", true},
		"a value with a NUL":                    {form, good + "&x=a%00", true},
		"a name with a NUL":                     {form, good + "&a%00=x", true},
		"a name that begins with a NUL":         {form, good + "&%00=x", true},
		"an empty parameter is none":            {form, good + "&scope=", false},
		"nor is it one of two":                  {form, good + "&scope=&scope=read&scope=", false},
		"nor another way to authenticate":       {form, good + "&client_secret=&client_assertion=", false},
		"two values":                            {form, good + "&scope=read&scope=read", true},
		"two values of what we do not know":     {form, good + "&x=1&x=2", true},
		"two empty values of what we know":      {form, good + "&client_id=&client_id=", false},
		"an empty one beside one that is wrong": {form, good + "&scope=&scope=nothing", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(tt.contentType, tt.body)
			if !tt.refused {
				assert.Equal(t, http.StatusOK, a.status, a.body)
				return
			}
			assert.Equal(t, http.StatusBadRequest, a.status, a.body)
			assert.Empty(t, a.header.Get("WWW-Authenticate"), "the client is not the reason")
		})
	}
}

// A CSRF check or a log before the provider that takes the body is named, and no
// client is told that it did something wrong.
func TestABodyThatAMiddlewareReadIsTheAppsMistake(t *testing.T) {
	f := newFixture(t)
	for name, read := range map[string]func(r *http.Request) error{
		"ParseForm": (*http.Request).ParseForm,
		"ReadAll":   func(r *http.Request) error { _, err := io.ReadAll(r.Body); return err },
	} {
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("cc", f.secrets["cc"])
		require.NoError(t, read(r), name)
		f.refused(f.do(r), http.StatusInternalServerError, oauth.ErrServerError)
		events := f.kinds(oauth.EventOutage)
		assert.ErrorContains(t, events[len(events)-1].Err, "a middleware has read the body", name)
	}
	empty := httptest.NewRequest(http.MethodPost, "/oauth/token", http.NoBody)
	empty.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f.refused(f.do(empty), http.StatusUnauthorized, oauth.ErrInvalidClient)
}

// What strangers call a parameter is not the log's.
func TestOnlyPlainNamesOfParametersAreLogged(t *testing.T) {
	f := newFixture(t)
	for name, logged := range map[string]bool{
		strings.Repeat("a", 40): true, strings.Repeat("b", 41): false, "upper_Case": false, "with_underscore": true,
	} {
		f.refused(f.send(map[string][]string{"grant_type": {"client_credentials"}, name: {"1", "2"}}, basic("cc", f.secrets["cc"])), 400, oauth.ErrInvalidRequest)
		assert.Equal(t, logged, strings.Contains(f.log.String(), name), name)
	}
}
