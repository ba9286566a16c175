package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/mcp/app"
)

// The client of the official Go SDK, from a URL and nothing else to the end of
// what it was allowed.
func TestGoSDKClient(t *testing.T) {
	for _, registration := range []string{"CIMD", "DCR"} {
		t.Run(registration, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testGoSDKClient(t, registration) })
		})
	}
}

func testGoSDKClient(t *testing.T, registration string) {
	const ttl = time.Minute
	w := start(t, app.Config{Auto: "u-1", AccessTTL: ttl, Pinned: map[string][]byte{documentID: []byte(document)}})
	s := w.connect(registration)

	// Discovery, registration, authorization, tokens, call.
	who := w.call(s, "whoami", nil)
	user, rest, _ := strings.Cut(who, " through ")
	client, scopes, _ := strings.Cut(rest, " with ")
	assert.Equal(t, "u-1", user)
	if registration == "CIMD" {
		assert.Equal(t, documentID, client)
		assert.Zero(t, w.count("POST /oauth/register"))
	} else {
		assert.Equal(t, 1, w.count("POST /oauth/register 201"))
	}
	assert.ElementsMatch(t, []string{"notes:read", "notes:write", "offline_access"}, strings.Fields(scopes), "what the first challenge asked for")
	assert.Equal(t, 1, w.count("GET /oauth/authorize 30"))

	// Expiry: refreshed, and nobody is asked.
	w.forget()
	time.Sleep(ttl)
	assert.Equal(t, who, w.call(s, "whoami", nil))
	assert.Equal(t, 1, w.count("POST /oauth/token refresh_token 200"))
	assert.Zero(t, w.count("GET /oauth/authorize"))

	// Step-up: one more authorization, which keeps what there was.
	w.forget()
	assert.Equal(t, "added", w.call(s, "add_note", map[string]any{"note": "Call Ben"}), "no step-up for what was asked for at first")
	assert.Zero(t, w.count("POST /mcp 403"))
	assert.Equal(t, "3 notes", w.call(s, "admin_op", nil))
	assert.Equal(t, 1, w.count("POST /mcp 403"))
	assert.Equal(t, 1, w.count("GET /oauth/authorize 30"))
	_, scopes, _ = strings.Cut(w.call(s, "whoami", nil), " with ")
	assert.ElementsMatch(t, []string{"notes:read", "notes:write", "notes:admin", "offline_access"}, strings.Fields(scopes))

	// Revoked by the user: the next call is a clean 401, and authorizes again.
	w.revokeAll()
	w.forget()
	assert.Contains(t, w.call(s, "whoami", nil), "u-1 through ")
	assert.Equal(t, 1, w.count("POST /mcp 401"))
	assert.Equal(t, 1, w.count("GET /oauth/authorize 30"))
	assert.Equal(t, "Buy coffee\nCall Ben", w.call(s, "list_notes", nil))
}

// revokeAll disconnects everything that /connections shows to the user.
func (w *world) revokeAll() {
	w.t.Helper()
	_, page := w.do(http.MethodGet, base+"/connections", "", "")
	parts := strings.Split(page, `name="client_id" value="`)[1:]
	require.NotEmpty(w.t, parts, page)
	for _, part := range parts {
		id, _, _ := strings.Cut(part, `"`)
		res, err := w.http.PostForm(base+"/connections", url.Values{"client_id": {id}})
		require.NoError(w.t, err)
		res.Body.Close()
		require.Equal(w.t, http.StatusSeeOther, res.StatusCode)
	}
	_, page = w.do(http.MethodGet, base+"/connections", "", "")
	require.NotContains(w.t, page, `name="client_id"`)
}
