package crash

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// administration is what changes clients, assertions and keys.
var administration = []operation{
	{"register", func(x *lab) (func() answer, func(string)) {
		before := len(x.strangers())
		return x.json(http.MethodPost, "", "", "New"), func(where string) {
			after := x.strangers()
			assert.LessOrEqual(x.t, len(after), before+1, "%s: more than one client", where)
			for _, c := range after {
				assert.True(x.t, c.Name == "New" && len(c.RedirectURIs) == 1 && len(c.Data) > 0 && !c.PurgeAt.IsZero(), "%s: half a client: %+v", where, c)
			}
			id, _ := x.register()
			_, refresh := x.sessionOf(id)
			assert.NotEmpty(x.t, refresh, where)
		}
	}},
	{"update a client", func(x *lab) (func() answer, func(string)) {
		id, token := x.register()
		update := x.json(http.MethodPut, id, token, "Changed")
		return update, func(where string) {
			c, err := x.d.Store.Client(x.t.Context(), id)
			require.NoError(x.t, err, where)
			assert.Contains(x.t, []string{"New", "Changed"}, c.Name, where)
			a := update()
			assert.Equal(x.t, http.StatusOK, a.status, "%s: %s", where, a.code)
			assert.Equal(x.t, "Changed", a.text("client_name"), where)
		}
	}},
	{"delete a client", func(x *lab) (func() answer, func(string)) {
		id, token := x.register()
		access, refresh := x.sessionOf(id)
		remove := x.json(http.MethodDelete, id, token, "")
		return remove, func(where string) {
			_, err := x.d.Store.Client(x.t.Context(), id)
			if err == nil { // it was cut off before it did anything
				assert.Equal(x.t, http.StatusNoContent, remove().status, where)
			} else {
				require.ErrorIs(x.t, err, store.ErrNotFound)
			}
			assert.Equal(x.t, http.StatusUnauthorized, x.use(access), where)
			assert.Equal(x.t, "invalid_client", x.ask("refresh", "/oauth/token", refreshForm(id, refresh)).code, where)
			// What a deletion that was cut off has left, one by the app takes away.
			assert.Equal(x.t, http.StatusOK, x.ask("delete again", "/client/delete", url.Values{"client_id": {id}}).status, where)
			assert.Empty(x.t, x.live(), where)
			_, err = x.d.Store.Consent(x.t.Context(), subject, id)
			assert.ErrorIs(x.t, err, store.ErrNotFound, where)
		}
	}},
	{"spend an assertion", func(x *lab) (func() answer, func(string)) {
		code, verifier, err := x.authorize(x.t.Context(), signedClient)
		require.NoError(x.t, err)
		form := exchangeForm(signedClient, code, verifier)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", x.assertion())
		before := x.spent()
		return x.post("/oauth/token", form), func(where string) {
			redeemed := x.live()[0].State == store.TokenActive
			if x.spent() > before {
				assert.Equal(x.t, "invalid_client", x.ask("assertion again", "/oauth/token", form).code, "%s: an assertion was used twice", where)
				form.Set("client_assertion", x.assertion())
			}
			a := x.ask("exchange again", "/oauth/token", form)
			if redeemed {
				assert.Equal(x.t, "invalid_grant", a.code, "%s: a code was redeemed twice", where)
				return
			}
			assert.Equal(x.t, http.StatusOK, a.status, "%s: the code is lost: %s", where, a.code)
			assert.Equal(x.t, "invalid_client", x.ask("assertion again", "/oauth/token", form).code, "%s: an assertion was used twice", where)
		}
	}},
	{"make the first keys", func(x *lab) (func() answer, func(string)) {
		x.d.Exec(x.t, "DELETE FROM "+x.d.Table("codes")+" WHERE kind = 'keys'")
		return x.instance(), func(where string) {
			keys := x.keys()
			assert.Len(x.t, keys, 1, where)
			access := x.tokens().text("access_token")
			x.restart()
			assert.Equal(x.t, keys, x.keys(), "%s: the keys are others", where)
			assert.Equal(x.t, http.StatusOK, x.use(access), "%s: a valid token is refused", where)
		}
	}},
	{"change the keys", func(x *lab) (func() answer, func(string)) { // a new secret: they are sealed anew
		access, keys := x.tokens().text("access_token"), x.keys()
		x.secrets = []string{rand.Text() + rand.Text(), x.secrets[0]}
		return x.instance(), func(where string) {
			assert.Equal(x.t, keys, x.keys(), "%s: the keys are others", where)
			x.secrets = x.secrets[:1]
			x.restart()
			assert.Equal(x.t, keys, x.keys(), "%s: the keys are others", where)
			assert.Equal(x.t, http.StatusOK, x.use(access), "%s: a valid token is refused", where)
		}
	}},
}

// instance returns a request to start another provider in the same process.
func (x *lab) instance() func() answer {
	return x.post("/instance", url.Values{"secrets": {strings.Join(x.secrets, ",")}})
}

// strangers returns the clients that registered themselves.
func (x *lab) strangers() (strangers []store.Client) {
	x.t.Helper()
	list, err := x.d.Store.ListClients(x.t.Context(), "", store.MaxPage)
	require.NoError(x.t, err)
	for _, c := range list {
		if c.Trust == store.TrustSelf && c.Name == "New" {
			strangers = append(strangers, c)
		}
	}
	return strangers
}

// json returns a request of the registration endpoint, about the client with the
// ID given or, without one, about a new one.
func (x *lab) json(method, id, token, name string) func() answer {
	path, member := "/oauth/register", ""
	if id != "" {
		path += "?" + url.Values{"client_id": {id}}.Encode()
		member = `"client_id":"` + id + `",`
	}
	body := `{` + member + `"client_name":"` + name + `","application_type":"native","token_endpoint_auth_method":"none","redirect_uris":["` + callback + `"]}`
	return func() answer {
		r, err := http.NewRequestWithContext(x.t.Context(), method, x.f.issuer+path, strings.NewReader(body))
		require.NoError(x.t, err)
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := x.http.Do(r)
		if err != nil {
			return answer{}
		}
		defer res.Body.Close()
		a := answer{status: res.StatusCode}
		text, err := io.ReadAll(res.Body)
		if err != nil {
			return answer{}
		}
		_ = json.Unmarshal(text, &a.body) // there is none if the client was deleted
		a.code = a.text("error")
		return a
	}
}

// register registers a client and returns its ID and registration access token.
func (x *lab) register() (id, token string) {
	x.t.Helper()
	a := x.json(http.MethodPost, "", "", "New")()
	require.Equal(x.t, http.StatusCreated, a.status, a.code)
	return a.text("client_id"), a.text("registration_access_token")
}

// sessionOf begins an authorization of a public client.
func (x *lab) sessionOf(client string) (access, refresh string) {
	x.t.Helper()
	code, verifier, err := x.authorize(x.t.Context(), client)
	require.NoError(x.t, err)
	a := x.ask("exchange", "/oauth/token", exchangeForm(client, code, verifier))
	require.Equal(x.t, http.StatusOK, a.status, a.code)
	return a.text("access_token"), a.text("refresh_token")
}

// use presents an access token to an API and returns the status.
func (x *lab) use(access string) int {
	x.t.Helper()
	a, err := x.until(x.t.Context(), "use", http.MethodGet, "/api/me", nil, access)
	require.NoError(x.t, err)
	return a.status
}

// keys returns the IDs of the published keys.
func (x *lab) keys() (ids []any) {
	x.t.Helper()
	a, err := x.until(x.t.Context(), "keys", http.MethodGet, "/oauth/jwks", nil, "")
	require.NoError(x.t, err)
	list, _ := a.body["keys"].([]any)
	for _, k := range list {
		ids = append(ids, k.(map[string]any)["kid"])
	}
	require.NotEmpty(x.t, ids)
	return ids
}

// spent is how many assertions were used.
func (x *lab) spent() (n int) {
	x.t.Helper()
	query := "SELECT COUNT(*) FROM " + x.d.Table("codes") + " WHERE kind = 'client_assertion'"
	require.NoError(x.t, x.d.DB.QueryRowContext(x.t.Context(), query).Scan(&n))
	return n
}

// assertion proves the signed client's identity, once (RFC 7523 §3).
func (x *lab) assertion() string {
	x.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": signedClient, "sub": signedClient, "aud": x.f.issuer, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(),
	}).SignedString(x.signed)
	require.NoError(x.t, err)
	return token
}
