package resource_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

// introspected is a resource that asks the issuer, which answers with the
// members of a good token and the changes.
func introspected(tb testing.TB, changes map[string]any) (*issuer, *api) {
	is := newIssuer(tb, issuerURL)
	now := time.Now().Unix()
	members := map[string]any{"active": true, "iss": issuerURL, "sub": "user-1", "aud": resourceURL, "client_id": "client-1",
		"scope": "read", "exp": now + 600, "iat": now, "token_type": "Bearer", "username": "ann"}
	maps.Copy(members, changes)
	for name, v := range members {
		if v == nil {
			delete(members, name)
		}
	}
	is.override["/introspect"] = func(w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		if !ok || id != "api%3A1" || secret != "s%2Bcret" || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if r.PostFormValue("token") != "op+aque" {
			_, _ = w.Write([]byte(`{"active":false}`))
			return
		}
		assert.Equal(tb, "access_token", r.PostFormValue("token_type_hint"))
		assert.NoError(tb, json.NewEncoder(w).Encode(members))
	}
	return is, newAPI(tb, resource.Introspection(issuerURL, "api:1", "s+cret", is.client()), nil)
}

func TestIntrospection(t *testing.T) {
	is, a := introspected(t, nil)
	ans := a.bearer("op+aque")
	require.Equal(t, http.StatusOK, ans.StatusCode, "%v", a.refused)
	var got resource.Token
	require.NoError(t, json.Unmarshal([]byte(ans.body), &got))
	assert.Equal(t, []any{issuerURL, "user-1", "client-1", ""}, []any{got.Issuer, got.Subject, got.ClientID, got.ID})
	var username string
	_, err := got.Claim("username", &username)
	require.NoError(t, err)
	assert.Equal(t, "ann", username)

	a.refuses("unknown")
	a.accepts("op+aque")
	assert.Equal(t, 3, is.fetches("/introspect"), "SEC-164: each time")
	assert.Equal(t, 1, is.fetches("/.well-known/oauth-authorization-server"))
}

func TestIntrospectionAnswers(t *testing.T) {
	now := time.Now().Unix()
	for name, tt := range map[string]struct {
		changes map[string]any
		want    int
	}{
		"no iss: it is the issuer's":        {map[string]any{"iss": nil}, 200},
		"no exp: it holds now":              {map[string]any{"exp": nil}, 200},
		"no iat, no scope, no sub":          {map[string]any{"iat": nil, "scope": nil, "sub": nil}, 200},
		"SEC-164 not active":                {map[string]any{"active": false}, 401},
		"SEC-077 a refresh token":           {map[string]any{"token_type": "refresh_token"}, 401},
		"token_type a number":               {map[string]any{"token_type": 1}, 401},
		"no token_type":                     {map[string]any{"token_type": nil}, 200},
		"token_type in another case":        {map[string]any{"token_type": "bearer"}, 200},
		"active absent":                     {map[string]any{"active": nil}, 401},
		"active a string":                   {map[string]any{"active": "true"}, 401},
		"active a number":                   {map[string]any{"active": 1}, 401},
		"Active instead":                    {map[string]any{"active": false, "Active": true}, 401},
		"SEC-153 aud absent":                {map[string]any{"aud": nil}, 401},
		"SEC-153 aud other":                 {map[string]any{"aud": "https://other.example"}, 401},
		"SEC-154 iss other":                 {map[string]any{"iss": "https://other.example"}, 401},
		"SEC-155 expired, although active":  {map[string]any{"exp": now - 1}, 401},
		"SEC-155 exp a string":              {map[string]any{"exp": "9999999999"}, 401},
		"SEC-155 not yet, although active":  {map[string]any{"nbf": now + 120}, 401},
		"SEC-166 client_id absent":          {map[string]any{"client_id": nil}, 401},
		"bound to a key":                    {map[string]any{"cnf": map[string]any{"jkt": "x"}}, 401},
		"scope a list":                      {map[string]any{"scope": []string{"read"}}, 401},
		"nested deeper than is looked into": {map[string]any{"x": json.RawMessage(strings.Repeat("[", 20) + strings.Repeat("]", 20))}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			_, a := introspected(t, tt.changes)
			switch tt.want {
			case 200:
				a.accepts("op+aque")
			case 401:
				a.refuses("op+aque")
			default:
				a.cannotTell("op+aque")
			}
		})
	}
}

func TestIntrospectionOutages(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"our secret is wrong":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"an error":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a redirect":           http.RedirectHandler("https://evil.example/", http.StatusTemporaryRedirect).ServeHTTP,
		"no JSON":              func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"active":false}`)) },
		"a signed answer":      answerWith("application/token-introspection+jwt", "x.y.z"),
		"a list":               answerWith("application/json", `[{"active":false}]`),
		"active twice":         answerWith("application/json", `{"active":false,"active":true}`),
		"more than we read":    answerWith("application/json", `{"active":true}`+strings.Repeat(" ", 256<<10)),
		"cut off in the midst": answerWith("application/json", `{"active":tru`),
	} {
		t.Run(name, func(t *testing.T) {
			is, a := introspected(t, nil)
			is.override["/introspect"] = h
			a.cannotTell("op+aque")
			assert.Equal(t, 1, is.fetches("/introspect"))
			assert.NotContains(t, a.refused[0].Error(), "aque")
			assert.NotContains(t, a.refused[0].Error(), "cret")
		})
	}
	t.Run("no metadata, then some", func(t *testing.T) {
		is, a := introspected(t, nil)
		is.set(func() { is.down = errDown })
		a.cannotTell("op+aque")
		is.set(func() { is.down = nil })
		a.accepts("op+aque")
	})
	t.Run("no endpoint in the metadata", func(t *testing.T) {
		is, a := introspected(t, nil)
		is.set(func() { delete(is.metadata, "introspection_endpoint") })
		a.cannotTell("op+aque")
		is.set(func() { is.metadata["introspection_endpoint"] = "http://127.0.0.1/introspect" })
		a.cannotTell("op+aque")
		assert.Zero(t, is.fetches("/introspect"))
	})
	t.Run("it moved", func(t *testing.T) {
		is, a := introspected(t, nil)
		a.accepts("op+aque")
		is.set(func() {
			is.metadata["introspection_endpoint"] = issuerURL + "/new"
			is.override["/new"] = is.override["/introspect"]
			is.override["/introspect"] = http.NotFound
		})
		a.cannotTell("op+aque")
		a.accepts("op+aque")
	})
	t.Run("a slow issuer is waited for 5 seconds, metadata included", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := introspected(t, nil)
			is.set(func() { is.slow = 4 * time.Second })
			begin := time.Now()
			a.cannotTell("op+aque")
			assert.Equal(t, 5*time.Second, time.Since(begin))
		})
	})
	t.Run("a token over the length is not sent on", func(t *testing.T) {
		is := newIssuer(t, issuerURL)
		_, err := resource.Introspection(issuerURL, "a", "b", is.client()).VerifyToken(t.Context(), strings.Repeat("a", resource.MaxToken+1))
		assert.ErrorIs(t, err, resource.ErrInvalidToken)
		assert.Zero(t, is.fetches(""))
	})
}

func answerWith(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}
}
