package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/mcp/app"
)

// token is one of a client that the operator registered, for a user who was
// asked elsewhere.
func (w *world) token(subject string, scopes ...string) string {
	w.t.Helper()
	ctx := w.t.Context()
	const redirect = "https://client.test/callback"
	c, secret, err := w.app.Provider.RegisterClient(ctx, oauth.Client{
		Name: "Test", RedirectURIs: []string{redirect}, Public: true, Scopes: scopes,
	})
	require.NoError(w.t, err)
	require.Empty(w.t, secret)
	req, err := w.app.Provider.ParseAuthorization(ctx, url.Values{
		"client_id": {c.ID}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {strings.Join(scopes, " ")},
		"code_challenge": {codeOf}, "code_challenge_method": {"S256"},
	})
	require.NoError(w.t, err)
	code, err := w.app.Provider.CreateAuthorizationCode(ctx, req, oauth.Approval{Session: oauth.Session{Subject: subject, AuthTime: time.Now()}})
	require.NoError(w.t, err)
	res, err := w.app.Provider.Exchange(ctx, c, oauth.ExchangeRequest{Code: code, RedirectURI: redirect, CodeVerifier: verifier})
	require.NoError(w.t, err)
	return res.AccessToken
}

func callOf(tool string) string {
	arguments := "{}"
	if tool == "add_note" {
		arguments = `{"note":"x"}`
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
}

const (
	listTools   = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	metadataURL = base + "/.well-known/oauth-protected-resource/mcp"
)

// session opens one and returns its ID.
func (w *world) session(token string) string {
	w.t.Helper()
	res, text := w.send(token, initialize)
	require.Equal(w.t, http.StatusOK, res.StatusCode, text)
	id := res.Header.Get("Mcp-Session-Id")
	require.NotEmpty(w.t, id)
	res, text = w.send(token, initialized, "Mcp-Session-Id", id)
	require.Equal(w.t, http.StatusAccepted, res.StatusCode, text)
	return id
}

// challenge returns the parameters of WWW-Authenticate.
func challenge(t *testing.T, res *http.Response) map[string]string {
	t.Helper()
	params, ok := strings.CutPrefix(res.Header.Get("WWW-Authenticate"), "Bearer ")
	require.True(t, ok, res.Header)
	m := map[string]string{}
	for param := range strings.SplitSeq(params, ", ") {
		name, value, _ := strings.Cut(param, "=")
		m[name] = strings.Trim(value, `"`)
	}
	return m
}

// inWorld runs a subtest in a world of its own.
func inWorld(t *testing.T, name string, f func(t *testing.T, w *world)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, start(t, app.Config{AccessTTL: time.Minute})) })
	})
}

func TestDiscovery(t *testing.T) {
	inWorld(t, "R1 the metadata names the authorization server, byte for byte", func(t *testing.T, w *world) {
		m := w.getJSON("/.well-known/oauth-protected-resource/mcp")
		assert.Equal(t, []any{base}, m["authorization_servers"])
		assert.Equal(t, endpoint, m["resource"])
		assert.Equal(t, base, w.getJSON("/.well-known/oauth-authorization-server")["issuer"])
	})
	inWorld(t, "R2 the metadata is at both well-known places and in the challenge", func(t *testing.T, w *world) {
		want := w.getJSON("/.well-known/oauth-protected-resource/mcp")
		assert.Equal(t, want, w.getJSON("/.well-known/oauth-protected-resource"))
		res, _ := w.send("", listTools)
		assert.Equal(t, metadataURL, challenge(t, res)["resource_metadata"])
	})
	inWorld(t, "R3 the first challenge has the scopes that make the server useful", func(t *testing.T, w *world) {
		res, _ := w.send("", initialize)
		assert.Equal(t, "notes:read notes:write", challenge(t, res)["scope"])
	})
	inWorld(t, "R4 scopes_supported is the working set and no catalogue", func(t *testing.T, w *world) {
		m := w.getJSON("/.well-known/oauth-protected-resource/mcp")
		assert.Equal(t, []any{"notes:read", "notes:write"}, m["scopes_supported"])
		assert.Contains(t, w.getJSON("/.well-known/oauth-authorization-server")["scopes_supported"], "notes:admin")
	})
	inWorld(t, "R5 offline_access is in neither challenge nor metadata", func(t *testing.T, w *world) {
		assert.NotContains(t, fmt.Sprint(w.getJSON("/.well-known/oauth-protected-resource/mcp")), "offline_access")
		res, _ := w.send("", initialize)
		assert.NotContains(t, res.Header.Get("WWW-Authenticate"), "offline_access")
		res, _ = w.send(w.token("u-1", "notes:read"), callOf("admin_op"))
		assert.NotContains(t, res.Header.Get("WWW-Authenticate"), "offline_access")
	})
}

func TestTokens(t *testing.T) {
	inWorld(t, "R6 every request is checked, and only its header is read", func(t *testing.T, w *world) {
		token := w.token("u-1", "notes:read")
		id := w.session(token)
		for name, got := range map[string]string{
			"of nobody":       "",
			"made up":         "abc.def.ghi",
			"changed":         token[:len(token)-6] + "AAAAAA",
			"for the session": id,
		} {
			res, _ := w.send(got, listTools, "Mcp-Session-Id", id)
			assert.Equal(t, http.StatusUnauthorized, res.StatusCode, name)
		}
		res, _ := w.do(http.MethodPost, endpoint+"?access_token="+token, "", listTools, "Mcp-Session-Id", id)
		assert.Equal(t, http.StatusBadRequest, res.StatusCode, "in the query")
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			res, _ = w.do(method, endpoint, "", "", "Mcp-Session-Id", id)
			assert.Equal(t, http.StatusUnauthorized, res.StatusCode, method)
		}
		res, text := w.send(token, listTools, "Mcp-Session-Id", id)
		assert.Equal(t, http.StatusOK, res.StatusCode, text)
	})
	inWorld(t, "R7 a token that another server issued is not accepted", func(t *testing.T, w *world) {
		other := start(t, app.Config{}) // the same URL, other keys
		res, _ := w.send(other.token("u-1", "notes:read"), listTools)
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
		assert.Equal(t, "invalid_token", challenge(t, res)["error"])
	})
	inWorld(t, "R8 400, 401 and 403 are what the specification says", func(t *testing.T, w *world) {
		token := w.token("u-1", "notes:read")
		res, _ := w.send("", listTools)
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
		assert.NotContains(t, challenge(t, res), "error", "nothing was presented that could be wrong")
		res, _ = w.send("", listTools, "Authorization", "Bearer "+token+" and more")
		assert.Equal(t, http.StatusBadRequest, res.StatusCode)
		res, _ = w.send(token, callOf("add_note"))
		assert.Equal(t, http.StatusForbidden, res.StatusCode)
		time.Sleep(time.Minute)
		res, _ = w.send(token, listTools)
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode, "expired")
		assert.Equal(t, "invalid_token", challenge(t, res)["error"])
	})
}

func TestScopes(t *testing.T) {
	inWorld(t, "R9 one challenge names all scopes of the operation, and those of the first", func(t *testing.T, w *world) {
		token := w.token("u-1", "notes:read")
		res, _ := w.send(token, callOf("admin_op"))
		assert.Equal(t, http.StatusForbidden, res.StatusCode)
		c := challenge(t, res)
		assert.Equal(t, "insufficient_scope", c["error"])
		assert.Equal(t, "notes:read notes:write notes:admin", c["scope"])
		assert.Equal(t, metadataURL, c["resource_metadata"])
		res, _ = w.send(token, "["+callOf("whoami")+","+callOf("add_note")+","+callOf("admin_op")+"]")
		assert.Equal(t, http.StatusForbidden, res.StatusCode, "a batch")
		assert.Equal(t, c, challenge(t, res))
	})
	inWorld(t, "R10 a broader scope is enough, and only a broader one", func(t *testing.T, w *world) {
		for scope, allowed := range map[string][]string{
			"notes:read": {"whoami", "list_notes"}, "notes:write": {"whoami", "list_notes", "add_note"}, "notes:admin": {"admin_op"},
		} {
			token := w.token("u-1", scope)
			for _, tool := range []string{"whoami", "list_notes", "add_note", "admin_op"} {
				want := http.StatusForbidden
				if slices.Contains(allowed, tool) {
					want = http.StatusOK
				}
				res, text := w.send(token, callOf(tool))
				assert.Equal(t, want, res.StatusCode, "%s with %s: %s", tool, scope, text)
			}
		}
	})
	inWorld(t, "R13 the body decides, whatever the headers say", func(t *testing.T, w *world) {
		token := w.token("u-1", "notes:read")
		for _, version := range []string{"", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2099-01-01"} {
			header := []string{"Mcp-Method", "tools/call", "Mcp-Name", "whoami"}
			if version != "" {
				header = append(header, "MCP-Protocol-Version", version)
			}
			res, _ := w.send(token, callOf("admin_op"), header...)
			assert.Equal(t, http.StatusForbidden, res.StatusCode, "version %q", version)
		}
		message := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
		res, text := w.send(token, message, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "whoami")
		assert.Equal(t, http.StatusOK, res.StatusCode, text)
		res, text = w.send(token, message, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "list_notes")
		assert.Equal(t, http.StatusBadRequest, res.StatusCode)
		assert.Contains(t, text, "-32020")
	})
}

func TestBrowsersAndSessions(t *testing.T) {
	inWorld(t, "R11 another origin is refused", func(t *testing.T, w *world) {
		token := w.token("u-1", "notes:read")
		for origin, want := range map[string]int{
			"": http.StatusOK, base: http.StatusOK,
			"https://evil.example": http.StatusForbidden, "null": http.StatusForbidden, "http://127.0.0.1:8081": http.StatusForbidden,
		} {
			var header []string
			if origin != "" {
				header = []string{"Origin", origin}
			}
			res, text := w.send(token, initialize, header...)
			assert.Equal(t, want, res.StatusCode, "%q: %s", origin, text)
		}
	})
	inWorld(t, "R12 a session belongs to its user and is no authentication", func(t *testing.T, w *world) {
		ada, ben := w.token("u-1", "notes:read"), w.token("u-2", "notes:read")
		id := w.session(ada)
		res, _ := w.send(ben, callOf("whoami"), "Mcp-Session-Id", id)
		assert.Equal(t, http.StatusForbidden, res.StatusCode)
		res, _ = w.do(http.MethodDelete, endpoint, ben, "", "Mcp-Session-Id", id)
		assert.Equal(t, http.StatusForbidden, res.StatusCode)
		res, _ = w.send("", callOf("whoami"), "Mcp-Session-Id", id)
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
		res, text := w.send(w.token("u-1", "notes:read", "notes:write"), callOf("whoami"), "Mcp-Session-Id", id)
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Contains(t, text, "notes:read notes:write", "a tool sees the token of its own call, not that of the session's first")
	})
	inWorld(t, "R14 pages of allowed origins can read every answer", func(t *testing.T, w *world) {
		for _, path := range []string{"/mcp", "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/oauth/register", "/oauth/token"} {
			res, _ := w.do(http.MethodOptions, base+path, "", "", "Origin", base, "Access-Control-Request-Method", "POST",
				"Access-Control-Request-Headers", "authorization, mcp-protocol-version")
			assert.Equal(t, http.StatusNoContent, res.StatusCode, path)
			assert.Contains(t, []string{"*", base}, res.Header.Get("Access-Control-Allow-Origin"), path)
			for _, name := range []string{"Content-Type", "MCP-Protocol-Version"} {
				assert.Contains(t, strings.ToLower(res.Header.Get("Access-Control-Allow-Headers")), strings.ToLower(name), path)
			}
		}
		res, _ := w.send("", listTools, "Origin", base)
		assert.Equal(t, base, res.Header.Get("Access-Control-Allow-Origin"))
		assert.Contains(t, res.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate")
	})
}

func TestToolsSayWhatIsWrong(t *testing.T) {
	inWorld(t, "a note that is none", func(t *testing.T, w *world) {
		token := w.token("u-1", "notes:write")
		id := w.session(token)
		add := func(note string) string {
			res, text := w.send(token, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_note","arguments":{"note":%q}}}`, note), "Mcp-Session-Id", id)
			require.Equal(t, http.StatusOK, res.StatusCode, text)
			return text
		}
		for _, note := range []string{"", " ", strings.Repeat("x", 1001)} {
			text := add(note)
			assert.Contains(t, text, "the note is empty or too long, or there are too many")
			assert.Contains(t, text, `"isError":true`)
		}
		for range 99 { // beside the one that is there
			require.Contains(t, add("one more"), "added")
		}
		assert.Contains(t, add("one too many"), `"isError":true`)
		assert.Contains(t, add("one too many"), "there are too many")
	})
	inWorld(t, "a program that acts for nobody", func(t *testing.T, w *world) {
		token := w.machineToken("notes:read", "notes:write", "notes:admin")
		id := w.session(token)
		for _, tool := range []string{"whoami", "list_notes", "add_note", "admin_op"} {
			res, text := w.send(token, callOf(tool), "Mcp-Session-Id", id)
			assert.Equal(t, http.StatusOK, res.StatusCode, tool)
			assert.Contains(t, text, "notes belong to people", tool)
			assert.Contains(t, text, `"isError":true`, tool)
		}
	})
}

// machineToken is one of a client that acts for itself.
func (w *world) machineToken(scopes ...string) string {
	w.t.Helper()
	c, secret, err := w.app.Provider.RegisterClient(w.t.Context(), oauth.Client{
		Name: "Machine", GrantTypes: []string{"client_credentials"}, Scopes: scopes,
	})
	require.NoError(w.t, err)
	res, err := w.http.PostForm(base+"/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {secret}, "scope": {strings.Join(scopes, " ")}, "resource": {endpoint},
	})
	require.NoError(w.t, err)
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	require.NoError(w.t, json.NewDecoder(res.Body).Decode(&answer))
	require.NotEmpty(w.t, answer.Token, res.Status)
	return answer.Token
}

func TestAWrongConfigurationIsRefused(t *testing.T) {
	for want, cfg := range map[string]app.Config{
		"missing protocol scheme": {URL: "::"},
		"Config.Issuer":           {URL: "http://notes.example"},
		"Config.Secret":           {URL: base, Secret: []byte("short")},
		"Config.Policy":           {URL: base, AccessTTL: -time.Second},
		"Config.Origins":          {URL: base, Origins: []string{"notes.example"}},
		"Config.Pinned":           {URL: base, Pinned: map[string][]byte{"client": []byte("{}")}},
	} {
		_, err := app.New(t.Context(), cfg)
		assert.ErrorContains(t, err, want)
	}
}
