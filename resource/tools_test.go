package resource_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth/resource"
)

func toolCall(name string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":%q,"arguments":{"a":[1,2]}}}`, name)
}

// toolServer is an MCP server, and what reached it.
func toolServer(t *testing.T) (post func(token, body string, header ...string) answer, got *[]string) {
	t.Helper()
	a := newAPI(t, resource.VerifierFunc(scoped), func(cfg *resource.Config) {
		cfg.Implies = map[string][]string{"all": {"write"}}
	})
	got = new([]string)
	tools := map[string][]string{"get": {"read"}, "put": {"read", "write"}, "drop": {"delete"}, "ping": nil}
	a.handler = a.server.RequireTools(tools)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		*got = append(*got, string(body))
	}))
	tools["drop"] = nil // what was configured stays
	return func(token, body string, header ...string) answer {
		*got = nil
		r := httptest.NewRequest(http.MethodPost, resourceURL, strings.NewReader(body))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return a.do(r)
	}, got
}

func TestRequireTools(t *testing.T) {
	post, got := toolServer(t)

	t.Run("R3 without a token: what Config.Scopes says", func(t *testing.T) {
		ans := post("", toolCall("drop"))
		assert.Equal(t, http.StatusUnauthorized, ans.StatusCode)
		assert.Equal(t, `Bearer scope="read", `+resourceMetadata, ans.Header.Get("WWW-Authenticate"))
	})
	t.Run("what is no call of a tool needs a valid token", func(t *testing.T) {
		for _, body := range []string{
			`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`,
			`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"name":5}}`,
			`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"drop"}}`,
			`{"jsonrpc":"2.0","id":1,"result":{"name":"drop"}}`,
			toolCall("ping"), "", " \n",
		} {
			assert.Equal(t, http.StatusOK, post("other", body).StatusCode, body)
			assert.Equal(t, []string{body}, *got, "and is read again")
		}
	})
	t.Run("R9 a call that needs more: baseline and all that the call needs, at once", func(t *testing.T) {
		for body, scopes := range map[string]string{
			toolCall("put"):  "read write",
			toolCall("drop"): "read delete",
			"[" + toolCall("get") + "," + toolCall("put") + "," + toolCall("drop") + "]": "read write delete",
		} {
			ans := post("read", body)
			assert.Equal(t, http.StatusForbidden, ans.StatusCode, body)
			assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `Bearer error="insufficient_scope"`)
			assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `scope="`+scopes+`", `+resourceMetadata)
			assert.Empty(t, *got)
		}
		assert.Equal(t, http.StatusOK, post("read+write", toolCall("put")).StatusCode)
		assert.Equal(t, http.StatusOK, post("delete", toolCall("drop")).StatusCode, "the baseline is asked for, not demanded")
	})
	t.Run("R10 a scope that implies the one that is needed", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, post("read+all", toolCall("put")).StatusCode)
	})
	t.Run("R13 headers do not matter", func(t *testing.T) {
		assert.Equal(t, http.StatusForbidden, post("read", toolCall("drop"),
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "get").StatusCode)
	})
	t.Run("a tool that is not named is unknown, whatever the token", func(t *testing.T) {
		ans := post("read+write+delete+all", toolCall("forgotten\n\""))
		assert.Equal(t, http.StatusOK, ans.StatusCode)
		assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Unknown tool: forgotten\n\""}}`, ans.body)
		assert.Empty(t, *got)
		for body, status := range map[string]int{
			"[" + toolCall("forgotten") + "," + toolCall("get") + "]":               http.StatusBadRequest, // one answer for several
			`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"forgotten"}}`: http.StatusBadRequest, // no answer is asked for
			"[" + toolCall("forgotten") + "]":                                       http.StatusOK,
			toolCall("Get"):                                                         http.StatusOK, // another name
		} {
			ans := post("read", body)
			assert.Equal(t, status, ans.StatusCode, body)
			assert.NotEmpty(t, ans.body)
			assert.Empty(t, *got, body)
		}
	})
}

func TestRequireToolsRefusesWhatCanBeReadInTwoWays(t *testing.T) {
	post, got := toolServer(t)
	for name, body := range map[string]string{
		"not JSON":                   `x`,
		"the tool twice":             `{"method":"tools/call","params":{"name":"get","name":"drop"}}`,
		"the tool in another case":   `{"method":"tools/call","params":{"name":"get","Name":"drop"}}`,
		"the method twice":           `{"method":"ping","method":"tools/call","params":{"name":"drop"}}`,
		"the method in another case": `{"method":"ping","Method":"tools/call","params":{"name":"drop"}}`,
		"params twice":               `{"method":"tools/call","params":{"name":"get"},"params":{"name":"drop"}}`,
		"two messages":               toolCall("get") + toolCall("drop"),
		"text behind a batch":        `[` + toolCall("get") + `]` + toolCall("drop"),
		"a batch in a batch":         `[[` + toolCall("drop") + `]]`,
		"a batch behind a batch":     `[` + toolCall("get") + `][` + toolCall("drop") + `]`,
		"a batch without an end":     `[` + toolCall("get"),
		"a batch without commas":     `[` + toolCall("get") + toolCall("drop") + `]`,
		"a batch with one too many":  `[` + toolCall("get") + `,]`,
		"a batch that ends twice":    `[` + toolCall("get") + `]]`,
		"a batch that ends as no":    `[` + toolCall("get") + `}`,
		"a batch of numbers":         `[1]`,
		"very many messages":         "[" + strings.Repeat("1,", 500_000) + "1]",
		"params that are no object":  `{"method":"tools/call","params":["drop"]}`,
		"no params":                  `{"method":"tools/call"}`,
		"no name":                    `{"method":"tools/call","params":{"arguments":{}}}`,
		"a name that is no string":   `{"method":"tools/call","params":{"name":["drop"]}}`,
		"a method that is no string": `{"method":["tools/call"],"params":{"name":"drop"}}`,
		"a byte order mark":          "\ufeff" + toolCall("drop"),
		"not UTF-8":                  "{\"method\":\"\xff\"}",
		"another space":              "\u00a0" + toolCall("drop"),
		"too many messages":          "[" + strings.Repeat(toolCall("get")+",", 100) + toolCall("get") + "]",
	} {
		t.Run(name, func(t *testing.T) {
			ans := post("read+write+delete", body)
			assert.Equal(t, http.StatusBadRequest, ans.StatusCode)
			assert.Empty(t, *got)
		})
	}
	t.Run("as many messages as there may be", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, post("read", "["+strings.Repeat(toolCall("get")+",", 99)+toolCall("get")+"]").StatusCode)
	})
	t.Run("the name with an escape is the name", func(t *testing.T) {
		body := strings.Replace(strings.Replace(toolCall("drop"), "drop", `\u0064rop`, 1), "tools/call", `tools\/call`, 1)
		assert.Equal(t, http.StatusForbidden, post("read", body).StatusCode)
	})
	t.Run("a body over the limit", func(t *testing.T) {
		assert.Equal(t, http.StatusRequestEntityTooLarge, post("read", toolCall(strings.Repeat("x", resource.MaxBody))).StatusCode)
		assert.Empty(t, *got)
	})
}

// A handler that takes a message by any method is guarded by any method.
func TestRequireToolsMindsTheBodyNotTheMethod(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), nil)
	reached := 0
	a.handler = a.server.RequireTools(map[string][]string{"drop": {"delete"}})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	send := func(method, token, body string) int {
		r := httptest.NewRequest(method, resourceURL, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.ContentLength = -1 // chunked
		return a.do(r).StatusCode
	}
	for _, method := range []string{"POST", "GET", "PUT", "PATCH", "DELETE", "QUERY", "post"} {
		assert.Equal(t, http.StatusForbidden, send(method, "read", toolCall("drop")), method)
		assert.Equal(t, http.StatusBadRequest, send(method, "read", "x"), method)
		assert.Zero(t, reached, method)
		assert.Equal(t, http.StatusOK, send(method, "read", ""), "%s: a body of nothing", method)
		assert.Equal(t, http.StatusOK, send(method, "delete", toolCall("drop")), method)
		assert.Equal(t, 2, reached, method)
		reached = 0
	}
}

func TestRequireToolsOfABodyThatBreaksOff(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), nil)
	reached := 0
	a.handler = a.server.RequireTools(map[string][]string{"get": nil})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	r := httptest.NewRequest(http.MethodPost, resourceURL, io.MultiReader(strings.NewReader(toolCall("get")), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Authorization", "Bearer read")
	assert.Equal(t, http.StatusBadRequest, a.do(r).StatusCode)
	assert.Zero(t, reached)
	r = httptest.NewRequest(http.MethodGet, resourceURL, nil)
	r.Body = nil
	r.Header.Set("Authorization", "Bearer read")
	assert.Equal(t, http.StatusOK, a.do(r).StatusCode, "a stream is opened without one")
	assert.Equal(t, 1, reached)
}

func TestRequireToolsOfManyMessagesIsCheap(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), nil)
	a.handler = a.server.RequireTools(nil)(http.NotFoundHandler())
	body := "[" + strings.Repeat("1,", 500_000) + "1]"
	allocs := testing.AllocsPerRun(1, func() {
		r := httptest.NewRequest(http.MethodPost, resourceURL, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer read")
		a.do(r)
	})
	assert.Less(t, allocs, 10_000.0)
}

// What is logged of a refusal is not as long as the client wants it.
func TestRequireToolsQuotesTheBeginningOfAName(t *testing.T) {
	var told error
	a := newAPI(t, resource.VerifierFunc(scoped), func(cfg *resource.Config) { cfg.OnRefusal = func(_ *http.Request, err error) { told = err } })
	a.handler = a.server.RequireTools(nil)(http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodPost, resourceURL, strings.NewReader(toolCall(strings.Repeat("x", 1<<19))))
	r.Header.Set("Authorization", "Bearer read")
	assert.Equal(t, http.StatusOK, a.do(r).StatusCode)
	assert.ErrorContains(t, told, "xxx")
	assert.Less(t, len(told.Error()), 200)
}

func TestRequireToolsOfWrongScopes(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), nil)
	assert.PanicsWithValue(t, `resource: RequireTools: "get": "two words" is no scope name`,
		func() { a.server.RequireTools(map[string][]string{"get": {"two words"}}) })
}
