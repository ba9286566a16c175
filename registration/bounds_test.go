package registration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

func list(n int, format string) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(format, i))
	}
	return out
}

func keySet(n int) json.RawMessage {
	keys := list(n, `{"kid":"%d","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
	return json.RawMessage(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// What a registration may have at most, it may have, and no more.
func TestSEC219_Bounds(t *testing.T) {
	f := newFixture(t, registration.Config{})
	for name, c := range map[string]struct {
		good, bad string
		code      oauth.ErrorCode
	}{
		"redirect URIs": {doc("redirect_uris", list(20, "https://app.example/%d")), doc("redirect_uris", list(21, "https://app.example/%d")), oauth.ErrInvalidRedirectURI},
		"contacts":      {doc("contacts", list(10, "%d@app.example")), doc("contacts", list(11, "%d@app.example")), oauth.ErrInvalidClientMetadata},
		"name":          {doc("client_name", strings.Repeat("n", 200)), doc("client_name", strings.Repeat("n", 201)), oauth.ErrInvalidClientMetadata},
		"NUL":           {doc("client_name", "a b"), doc("client_name", "a\x00b"), oauth.ErrInvalidClientMetadata},
		"a contact":     {doc("contacts", []string{strings.Repeat("c", 200)}), doc("contacts", []string{strings.Repeat("c", 201)}), oauth.ErrInvalidClientMetadata},
		"link":          {doc("client_uri", "https://app.example/"+strings.Repeat("u", 2048-20)), doc("client_uri", "https://app.example/"+strings.Repeat("u", 2049-20)), oauth.ErrInvalidClientMetadata},
		"grant types":   {doc("grant_types", []string{"authorization_code"}), doc("grant_types", []string{"refresh_token"}), oauth.ErrInvalidClientMetadata},
		"keys":          {doc("jwks", keySet(20)), doc("jwks", keySet(21)), oauth.ErrInvalidClientMetadata},
		"no keys":       {doc("jwks", nil), doc("jwks", json.RawMessage(`{"keys":[]}`)), oauth.ErrInvalidClientMetadata},
		"body":          {doc() + strings.Repeat(" ", 64<<10-len(doc())), "", ""},
	} {
		a := f.do("POST", endpoint, c.good)
		assert.Equal(t, http.StatusCreated, a.status, "%s: %s", name, a.body)
		if c.bad != "" {
			f.refused(f.do("POST", endpoint, c.bad), 400, c.code)
		}
	}
}

// Links go to the public web: to a name with a dot that no number is.
func TestSEC220_HostsOfLinks(t *testing.T) {
	f := newFixture(t, registration.Config{})
	for link, ok := range map[string]bool{
		"https://app.example/": true, "https://app.example./": true, "https://a.b.c.example/": true, "https://10.example/": true, "https://APP.example/": true,
		"https://intranet/": false, "https://localhost/": false, "https://x.localhost/": false, "https://app.example../": false, "https://./": false, "https:///": false,
		"https://10.0.0.1/": false, "https://[::1]/": false, "https://[2606:4700::1]/": false, "https://127.1/": false, "https://127.0/": false, "https://x.0/": false, "https://x.9/": false,
		"https://0x7f.0x1/": false, "https://metadata.google.internal/": false, "https://printer.local/": false, "https://u@app.example/": false, "http://app.example/": false, "//app.example/": false,
	} {
		a := f.do("POST", endpoint, doc("policy_uri", link))
		assert.Equal(t, ok, a.status == http.StatusCreated, "%s: %s", link, a.body)
	}
}

// What others keep with a client stays; what is not there opens nothing.
func TestSEC227_DataOfClients(t *testing.T) {
	f := newFixture(t, registration.Config{Policy: func(_ context.Context, r *registration.Request) error {
		if !r.Update {
			r.Client.Data = json.RawMessage(`{"app":{"plan":"free"}}`)
		}
		return nil
	}})
	info := f.register(doc())
	id, uri, token := info["client_id"].(string), info["registration_client_uri"].(string), "Bearer "+info["registration_access_token"].(string)
	f.do("PUT", uri, doc("client_id", id, "client_name", "New"), "Authorization", token)
	var data map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(f.stored(id).Data, &data))
	assert.JSONEq(t, `{"plan":"free"}`, string(data["app"]))
	assert.NotContains(t, string(f.stored(id).Data), token[7:])

	for name, target := range map[string]string{
		"no client_id": endpoint, "two": uri + "&client_id=" + id, "unreadable": uri + "&x=%zz", "empty": endpoint + "?client_id=", "long": endpoint + "?client_id=" + strings.Repeat("x", 300),
	} {
		t.Run(name, func(t *testing.T) {
			f.refused(f.do("GET", target, "", "Authorization", token), 401, registration.ErrInvalidToken)
		})
	}
	for name, raw := range map[string]string{"none": "", "of others": `{"app":{}}`, "without a token": `{"registration":{"software_id":"s"}}`, "of no type": `{"registration":[]}`} {
		t.Run("data "+name, func(t *testing.T) {
			c := store.Client{ID: "by hand " + name, Public: true, AuthMethod: "none", Trust: store.TrustSelf, RedirectURIs: []string{"https://app.example/cb"}, Data: json.RawMessage(raw), Version: 1}
			require.NoError(t, f.store.CreateClient(t.Context(), c))
			f.refused(f.do("GET", endpoint+"?client_id="+strings.ReplaceAll(c.ID, " ", "+"), "", "Authorization", token), 401, registration.ErrInvalidToken)
			f.refused(f.do("GET", endpoint+"?client_id="+strings.ReplaceAll(c.ID, " ", "+"), "", "Authorization", "Bearer "), 401, registration.ErrInvalidToken)
		})
	}
}
