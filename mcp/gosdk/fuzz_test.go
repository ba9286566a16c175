package gosdk_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

// FuzzGuardAndSDKReadTheSame: no text is for the guard a call that the token may
// make, or none at all, and for the SDK a call of another tool.
func FuzzGuardAndSDKReadTheSame(f *testing.F) {
	for _, name := range []string{"get", "drop", `dr\u006fp`} {
		call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","arguments":{"a":[1,{"name":"drop"}]}}}`
		for _, text := range []string{call, "[" + call + "]", " " + call, call + call, "\ufeff" + call, strings.Replace(call, `"name"`, `"name":"get","Name"`, 1)} {
			f.Add([]byte(text))
		}
	}
	api, err := resource.New(resource.Config{Resource: endpoint, Issuers: []string{"https://login.example"}, Verifier: resource.VerifierFunc(verify)})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text []byte) {
		h := api.RequireTools(map[string][]string{"get": {"read"}, "drop": {"delete"}})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, text, body)
			parts := []json.RawMessage{body}
			var batch []json.RawMessage
			if json.Unmarshal(body, &batch) == nil {
				parts = batch
			}
			for _, part := range parts {
				m, err := jsonrpc.DecodeMessage(part)
				if call, ok := m.(*jsonrpc.Request); err == nil && ok && call.Method == "tools/call" {
					var p mcp.CallToolParamsRaw
					if json.Unmarshal(call.Params, &p) == nil {
						require.Equal(t, "get", p.Name)
					}
				}
			}
		}))
		r := httptest.NewRequest(http.MethodPost, endpoint, strings.NewReader(string(text)))
		r.Header.Set("Authorization", "Bearer ann/app/read")
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
}
