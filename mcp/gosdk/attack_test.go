package gosdk_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/mcp/gosdk"
	"github.com/seed-e797c9ce/oauth/resource"
)

// attacked is an MCP server that can resume streams, with a tool that few may
// call; verify's tokens are of two issuers.
func attacked(t *testing.T) (h http.Handler, dropped *int) {
	t.Helper()
	const first, second = "https://login.example", "https://other.example"
	dropped = new(int)
	api, err := resource.New(resource.Config{Resource: endpoint, Issuers: []string{first, second},
		Verifier: resource.VerifierFunc(func(ctx context.Context, token string) (*resource.Token, error) {
			token, elsewhere := strings.CutPrefix(token, "other/")
			got, err := verify(ctx, token)
			if elsewhere && err == nil {
				got.Issuer = second
			}
			return got, err
		}), Scopes: []string{"read"}})
	require.NoError(t, err)
	s := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	type none struct{}
	mcp.AddTool(s, &mcp.Tool{Name: "get"}, func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "of ann"}}}, nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "drop"}, func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
		*dropped++
		return &mcp.CallToolResult{}, nil, nil
	})
	t.Cleanup(func() {
		for session := range s.Sessions() {
			session.Close()
		}
	})
	return api.RequireTools(map[string][]string{"get": {"read"}, "drop": {"delete"}})(gosdk.Handler(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{EventStore: mcp.NewMemoryEventStore(nil)}))), dropped
}

func request(t *testing.T, h http.Handler, method, token, session string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, endpoint, nil)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Mcp-Session-Id", session)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Whoever has seen another one's session ID has nothing.
func TestSessionsOfOthersAreNotReachedInAnyWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := attacked(t)
		session := begin(t, h, "ann/app/read")
		res, text := post(t, h, "ann/app/read", session, strings.Replace(who, `"who"`, `"get"`, 1))
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Contains(t, text, "of ann")
		_, event, ok := strings.Cut(text, "id: ")
		require.True(t, ok, text)
		event, _, _ = strings.Cut(event, "\n")
		stream, _, ok := strings.Cut(event, "_")
		require.True(t, ok, event)
		resume := []string{"Last-Event-ID", stream + "_-1", "MCP-Protocol-Version", "2025-11-25"}
		for _, other := range []string{"ben/app/read", "/app/read", "/ann/read", "ann/ann/read", "other/ann/app/read", "other//ann/read"} {
			for attack, w := range map[string]*httptest.ResponseRecorder{
				"listen": request(t, h, http.MethodGet, other, session),
				"resume": request(t, h, http.MethodGet, other, session, resume...),
				"end":    request(t, h, http.MethodDelete, other, session),
			} {
				assert.Equal(t, http.StatusForbidden, w.Code, "%s: %s", other, attack)
				assert.NotContains(t, w.Body.String(), "of ann", other)
			}
			// In a session of its own, the attacker resumes a stream of ann's.
			own := begin(t, h, other)
			w := request(t, h, http.MethodGet, other, own, resume...)
			assert.NotContains(t, w.Body.String(), "of ann", other)
		}
		w := request(t, h, http.MethodGet, "ann/app/read", session, "Last-Event-ID", event)
		assert.Equal(t, http.StatusOK, w.Code, w.Body)
	})
}

// What the guard reads and what the SDK reads must be the same: a token for get
// never reaches drop, however the call is written.
func TestNoSpellingOfACallReachesAnotherTool(t *testing.T) {
	h, dropped := attacked(t)
	session := begin(t, h, "ann/app/read")
	call := func(name string) string {
		return `{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"` + name + `","arguments":{}}}`
	}
	drop, get := call("drop"), call("get")
	bodies := map[string]string{
		"plain": drop, "escaped": strings.Replace(drop, "drop", `\u0064rop`, 1), "method escaped": strings.Replace(drop, "tools/call", `tools\/c\u0061ll`, 1),
		"member escaped":             strings.Replace(drop, `"name"`, `"n\u0061me"`, 1),
		"name twice":                 strings.Replace(drop, `"name":"drop"`, `"name":"get","name":"drop"`, 1),
		"name twice, escaped":        strings.Replace(drop, `"name":"drop"`, `"name":"get","n\u0061me":"drop"`, 1),
		"name twice, reversed":       strings.Replace(drop, `"name":"drop"`, `"name":"drop","name":"get"`, 1),
		"name and NAME":              strings.Replace(drop, `"name":"drop"`, `"name":"get","NAME":"drop"`, 1),
		"name and a look-alike":      strings.Replace(drop, `"params"`, `"param\u017f":{"name":"get"},"params"`, 1),
		"params twice":               strings.Replace(drop, `"params":`, `"params":{"name":"get"},"params":`, 1),
		"method twice":               strings.Replace(drop, `"method":`, `"method":"ping","method":`, 1),
		"method after a NUL":         strings.Replace(drop, `"tools/call"`, `"tools/call\u0000"`, 1),
		"method null":                strings.Replace(drop, `"tools/call"`, `null`, 1),
		"id twice":                   strings.Replace(drop, `"id":9`, `"id":9,"id":10`, 1),
		"hidden in result":           `{"jsonrpc":"2.0","id":9,"result":` + drop + `}`,
		"hidden in params":           `{"jsonrpc":"2.0","id":9,"method":"ping","params":` + drop + `}`,
		"hidden in a string":         `{"jsonrpc":"2.0","id":9,"method":"ping","x":"\"},` + strings.ReplaceAll(drop, `"`, `\"`) + `"}`,
		"behind another":             get + drop,
		"behind another, line":       get + "\n" + drop,
		"behind a NUL":               get + "\x00" + drop,
		"batch":                      "[" + get + "," + drop + "]",
		"batch of one":               "[" + drop + "]",
		"batch in a batch":           "[[" + drop + "]]",
		"batch behind a message":     get + "[" + drop + "]",
		"message behind a batch":     "[" + get + "]" + drop,
		"batch with white space":     " \r\n\t[" + drop + "]",
		"a mark at the beginning":    "\ufeff" + drop,
		"a mark before a batch":      "\ufeff[" + drop + "]",
		"vertical tab":               "\v" + drop,
		"next line":                  "\u0085" + drop,
		"comment":                    "/**/" + drop,
		"UTF-16":                     "\xff\xfe" + strings.Join(strings.Split(drop, ""), "\x00"),
		"overlong UTF-8":             strings.Replace(drop, "drop", "\xc1\xa4rop", 1),
		"half a surrogate":           strings.Replace(drop, `"name":"drop"`, `"name":"get\ud800","x\ud800":1,"name":"drop"`, 1),
		"single quotes":              strings.ReplaceAll(drop, `"`, `'`),
		"a comma too many":           strings.Replace(drop, `"arguments":{}`, `"arguments":{},`, 1),
		"after MaxBody":              strings.Repeat(" ", resource.MaxBody) + drop,
		"up to MaxBody":              strings.Repeat(" ", resource.MaxBody-len(drop)) + drop,
		"deep":                       strings.Replace(drop, `"arguments":{}`, `"arguments":{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`, 1),
		"as a task":                  strings.Replace(drop, `"arguments":{}`, `"arguments":{},"task":{"ttl":1}`, 1),
		"as of the next protocol":    strings.Replace(drop, `"arguments":{}`, `"arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`, 1),
		"a space behind its name":    call("drop "),
		"another case":               call("Drop"),
		"with a NUL behind its name": call(`drop\u0000`),
	}
	headers := map[string][]string{
		"none":           {},
		"headers of get": {"Mcp-Method", "tools/call", "Mcp-Name", "get", "MCP-Protocol-Version", "2026-07-28"},
		"compressed":     {"Content-Encoding", "gzip"},
		"another type":   {"Content-Type", "application/json; charset=utf-16"},
		"a form":         {"Content-Type", "application/x-www-form-urlencoded"},
		"overridden":     {"X-HTTP-Method-Override", "GET"},
		"tunnelled":      {"X-HTTP-Method-Override", "POST"},
	}
	for attack, body := range bodies {
		for with, header := range headers {
			methods := []string{"POST"}
			if with == "none" {
				methods = []string{"POST", "post", "PUT", "PATCH", "GET", "DELETE", "QUERY", ""}
			}
			for _, method := range methods {
				for _, in := range []string{session, ""} {
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
					r := httptest.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
					r.Method = method
					r.ContentLength = -1
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Accept", "application/json, text/event-stream")
					r.Header.Set("Authorization", "Bearer ann/app/read")
					if in != "" && method != "GET" && method != "DELETE" {
						r.Header.Set("Mcp-Session-Id", in)
					}
					for i := 0; i+1 < len(header); i += 2 {
						r.Header.Set(header[i], header[i+1])
					}
					h.ServeHTTP(httptest.NewRecorder(), r)
					cancel()
					assert.Zero(t, *dropped, "%s, %s, %s", attack, with, method)
				}
			}
		}
	}
	_, text := post(t, h, "ann/app/read", session, get)
	assert.Contains(t, text, "of ann", "the session is alive")
	_, _ = post(t, h, "ann/app/delete", session, drop)
	assert.Equal(t, 1, *dropped, "and drop can be reached")
}

// In the revision without sessions, what the server has to say comes as the
// answer of a POST: that, too, must not outlive the token.
func TestR6_SubscriptionsEndWithTheirToken(t *testing.T) {
	const params = `{"notifications":{"toolsListChanged":true}`
	const listen = `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":` + params + `}}`
	const newest = `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":` + params + `,"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	for name, tt := range map[string]struct {
		body    string
		headers []string
		most    time.Duration // verify's tokens live for an hour
	}{
		"as it should be":                      {newest, []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen"}, time.Hour},
		"by another name":                      {newest, []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "ping"}, 0},
		"of an older revision, by its name":    {listen, []string{"Mcp-Method", "subscriptions/listen"}, time.Hour},
		"of an older revision, without a name": {listen, []string{"MCP-Protocol-Version", "2025-11-25"}, 2 * time.Hour},
		"in a batch":                           {"[" + listen + "]", nil, 2 * time.Hour},
	} {
		for _, stateless := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, stateless %v", name, stateless), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api, err := resource.New(resource.Config{Resource: endpoint, Issuers: []string{"https://login.example"}, Verifier: resource.VerifierFunc(verify)})
					require.NoError(t, err)
					s := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ServerOptions{Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{ListChanged: true}}})
					defer func() {
						for session := range s.Sessions() {
							session.Close()
						}
					}()
					h := api.RequireTools(nil)(gosdk.Handler(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: stateless})))
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
					defer cancel()
					r := httptest.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(tt.body))
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Accept", "application/json, text/event-stream")
					r.Header.Set("Authorization", "Bearer ann/app/read")
					if !stateless {
						r.Header.Set("Mcp-Session-Id", begin(t, h, "ann/app/read"))
					}
					for i := 0; i+1 < len(tt.headers); i += 2 {
						r.Header.Set(tt.headers[i], tt.headers[i+1])
					}
					opened := time.Now()
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					assert.LessOrEqual(t, time.Since(opened), tt.most, w.Body)
					if stateless {
						assert.Equal(t, tt.most, time.Since(opened), "it was listened to: %s", w.Body)
					}
				})
			})
		}
	}
}
