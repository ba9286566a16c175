package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// post sends a back-channel request, authenticated as the client is registered.
func (f *fixture) post(path, clientID string, form url.Values) answer {
	f.t.Helper()
	return f.do(f.postRequest(path, clientID, form))
}

func (f *fixture) postRequest(path, clientID string, form url.Values) *http.Request {
	body := url.Values{}
	for name, values := range form {
		body[name] = values
	}
	secret := f.secrets[clientID]
	if secret == "" || clientID == "post" {
		body.Set("client_id", clientID)
	}
	if clientID == "post" {
		body.Set("client_secret", secret)
	}
	r := httptest.NewRequest("POST", path, strings.NewReader(body.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" && clientID != "post" {
		r.SetBasicAuth(clientID, secret)
	}
	return r
}

func exchangeForm(clientID, code string, pairs ...string) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier},
		"redirect_uri": {authorization(clientID).Get("redirect_uri")}}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (f *fixture) exchange(clientID, code string, pairs ...string) answer {
	f.t.Helper()
	return f.post("/oauth/token", clientID, exchangeForm(clientID, code, pairs...))
}

func (f *fixture) refresh(clientID, token string, pairs ...string) answer {
	f.t.Helper()
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return f.post("/oauth/token", clientID, v)
}

// ok asserts a token response and reads it.
func (f *fixture) ok(a answer) tokens {
	f.t.Helper()
	require.Equal(f.t, http.StatusOK, a.status, a.body)
	var out tokens
	require.NoError(f.t, json.Unmarshal([]byte(a.body), &out))
	require.Equal(f.t, "Bearer", out.TokenType)
	require.NotEmpty(f.t, out.AccessToken)
	return out
}

// refused asserts an OAuth error.
func (f *fixture) refused(a answer, status int, code oauth.ErrorCode) {
	f.t.Helper()
	require.Equal(f.t, fmt.Sprint(status, " ", code), fmt.Sprint(a.status, " ", a.error().Error), a.body)
}

// login is a whole flow: alice allows the client what it asks for.
func (f *fixture) login(clientID string, pairs ...string) tokens {
	f.t.Helper()
	v := authorization(clientID, pairs...)
	return f.ok(f.exchange(clientID, f.code(alice(), v), "redirect_uri", v.Get("redirect_uri")))
}

// active asks, as the app itself, whether a token is worth anything.
func (f *fixture) active(token string) bool {
	f.t.Helper()
	i, err := f.p.Introspect(context.Background(), nil, token)
	require.NoError(f.t, err)
	return i.Active
}

// claimsOf reads a JWT without verifying it.
func claimsOf(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	for i, into := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, into))
	}
	return header, claims
}
