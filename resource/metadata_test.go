package resource_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

func mux(t *testing.T, s *resource.Server) *http.ServeMux {
	t.Helper()
	m := http.NewServeMux()
	for pattern, h := range s.MetadataRoutes() {
		m.Handle(pattern, h)
	}
	return m
}

func ask(h http.Handler, method, url string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMetadata(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(good), func(cfg *resource.Config) {
		cfg.Issuers = append(cfg.Issuers, "https://second.example/tenant")
		cfg.Scopes = []string{"read", "write"}
		cfg.Name = `The "API"`
		cfg.Documentation, cfg.Policy, cfg.TermsOfUse = "https://api.example/docs", "https://api.example/policy", "https://api.example/tos"
	})
	w := ask(mux(t, a.server), http.MethodGet, metadataURL)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"resource":"https://api.example/mcp","authorization_servers":["https://login.example","https://second.example/tenant"],
		"scopes_supported":["read","write"],"bearer_methods_supported":["header"],"resource_name":"The \"API\"",
		"resource_documentation":"https://api.example/docs","resource_policy_uri":"https://api.example/policy","resource_tos_uri":"https://api.example/tos"}`,
		w.Body.String())

	t.Run("SEC-275 what is compared is byte-identical, and nothing else is said", func(t *testing.T) {
		a := newAPI(t, resource.VerifierFunc(good), func(cfg *resource.Config) { cfg.Scopes = nil })
		body := ask(mux(t, a.server), http.MethodGet, metadataURL).Body.String()
		assert.Equal(t, `{"resource":"https://api.example/mcp","authorization_servers":["https://login.example"],"bearer_methods_supported":["header"]}`, body)
	})
	t.Run("SEC-275 also at the root", func(t *testing.T) {
		root := ask(mux(t, a.server), http.MethodGet, "https://api.example/.well-known/oauth-protected-resource")
		assert.Equal(t, w.Body.String(), root.Body.String())
		assert.Equal(t, http.StatusNotFound, ask(mux(t, a.server), http.MethodGet, metadataURL+"/x").Code)
	})
	t.Run("SEC-257 headers, HEAD and ETag", func(t *testing.T) {
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
		assert.Equal(t, "public, max-age=300", w.Header().Get("Cache-Control"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		head := ask(mux(t, a.server), http.MethodHead, metadataURL)
		assert.Equal(t, http.StatusOK, head.Code)
		assert.Empty(t, head.Body.String())
		assert.Equal(t, w.Header().Get("ETag"), head.Header().Get("ETag"))
		require.NotEmpty(t, w.Header().Get("ETag"))
		same := ask(mux(t, a.server), http.MethodGet, metadataURL, "If-None-Match", w.Header().Get("ETag"))
		assert.Equal(t, http.StatusNotModified, same.Code)
		assert.NotEqual(t, w.Header().Get("ETag"), ask(mux(t, newAPI(t, resource.VerifierFunc(good), nil).server), http.MethodGet, metadataURL).Header().Get("ETag"))
	})
	t.Run("SEC-256 CORS", func(t *testing.T) {
		assert.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		pre := ask(mux(t, a.server), http.MethodOptions, metadataURL, "Origin", "https://app.example", "Access-Control-Request-Method", "GET",
			"Access-Control-Request-Headers", "mcp-protocol-version")
		assert.Equal(t, http.StatusNoContent, pre.Code)
		assert.Equal(t, "*", pre.Header().Get("Access-Control-Allow-Origin"))
		assert.Contains(t, pre.Header().Get("Access-Control-Allow-Headers"), "MCP-Protocol-Version")
	})
	t.Run("other methods", func(t *testing.T) {
		post := ask(mux(t, a.server), http.MethodPost, metadataURL)
		assert.Equal(t, http.StatusMethodNotAllowed, post.Code)
		assert.Equal(t, "GET, HEAD, OPTIONS", post.Header().Get("Allow"))
		assert.Equal(t, "no-store", post.Header().Get("Cache-Control"))
	})
	t.Run("SEC-272 the request's host changes nothing", func(t *testing.T) {
		evil := ask(mux(t, a.server), http.MethodGet, strings.Replace(metadataURL, "api.example", "evil.test", 1), "X-Forwarded-Host", "evil.test", "Forwarded", "host=evil.test")
		assert.Equal(t, w.Body.String(), evil.Body.String())
		r := httptest.NewRequest(http.MethodGet, resourceURL, nil)
		r.Host = "evil.test"
		r.Header.Set("X-Forwarded-Host", "evil.test")
		assert.NotContains(t, a.do(r).Header.Get("WWW-Authenticate"), "evil")
	})
}

func TestMetadataPlaces(t *testing.T) {
	const wk = "/.well-known/oauth-protected-resource"
	for _, tt := range []struct{ resource, route, location string }{
		{"https://api.example", wk, "https://api.example" + wk},
		{"https://api.example/", wk, "https://api.example" + wk},
		{"https://api.example/mcp", wk + "/mcp", "https://api.example" + wk + "/mcp"},
		{"https://api.example/mcp/", wk + "/mcp/", "https://api.example" + wk + "/mcp/"},
		{"https://api.example:8443/a/b", wk + "/a/b", "https://api.example:8443" + wk + "/a/b"},
		{"https://api.example/a%2Fb", wk + "/a%2Fb", "https://api.example" + wk + "/a%2Fb"},
		{"https://api.example/mcp?tenant=1", wk + "/mcp", "https://api.example" + wk + "/mcp?tenant=1"},
		{"http://127.0.0.1:9000/mcp", wk + "/mcp", "http://127.0.0.1:9000" + wk + "/mcp"},
		{"http://[::1]/mcp", wk + "/mcp", "http://[::1]" + wk + "/mcp"},
		{"http://localhost:9000/mcp", wk + "/mcp", "http://localhost:9000" + wk + "/mcp"},
	} {
		t.Run(tt.resource, func(t *testing.T) {
			a := newAPI(t, resource.VerifierFunc(good), func(cfg *resource.Config) { cfg.Resource = tt.resource })
			m := http.NewServeMux()
			m.Handle(a.server.MetadataRoute())
			w := ask(m, http.MethodGet, tt.location)
			assert.Equal(t, http.StatusOK, w.Code)
			var doc struct{ Resource string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
			assert.Equal(t, tt.resource, doc.Resource)
			assert.Equal(t, http.StatusNotFound, ask(m, http.MethodGet, strings.TrimSuffix(strings.Split(tt.location, "?")[0], "/")+"/below").Code)
			assert.Contains(t, a.get().Header.Get("WWW-Authenticate"), `resource_metadata="`+tt.location+`"`)

			var routes []string
			for pattern := range a.server.MetadataRoutes() {
				routes = append(routes, strings.TrimSuffix(pattern, "{$}"))
			}
			want := []string{tt.route, wk}
			if tt.route == wk {
				want = want[:1]
			}
			assert.Equal(t, want, routes)
			for range a.server.MetadataRoutes() {
				break
			}
		})
	}
}

func TestCORS(t *testing.T) {
	a := newAPI(t, only(t), nil)
	t.Run("SEC-256 on every answer", func(t *testing.T) {
		for want, header := range map[int][]string{200: {"Bearer good"}, 400: {"Bearer"}, 401: nil} {
			ans := a.get(header...)
			assert.Equal(t, want, ans.StatusCode)
			assert.Equal(t, "*", ans.Header.Get("Access-Control-Allow-Origin"))
			assert.Equal(t, "WWW-Authenticate, Retry-After, DPoP-Nonce, Mcp-Session-Id", ans.Header.Get("Access-Control-Expose-Headers"))
		}
		down := newAPI(t, resource.VerifierFunc(func(context.Context, string) (*resource.Token, error) { return nil, errDown }), nil)
		assert.Equal(t, "*", down.bearer("x").Header.Get("Access-Control-Allow-Origin"))
	})
	t.Run("preflight needs no token and does not reach the handler", func(t *testing.T) {
		a.reached = 0
		w := ask(a.handler, http.MethodOptions, resourceURL, "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
		assert.Equal(t, http.StatusNoContent, w.Code)
		assert.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		for _, name := range []string{"Authorization", "Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"} {
			assert.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), name)
		}
		assert.Contains(t, w.Header().Get("Access-Control-Allow-Methods"), "DELETE")
		assert.Empty(t, w.Header().Get("WWW-Authenticate"))
		assert.Zero(t, a.reached)
	})
	t.Run("OPTIONS that is no preflight needs a token", func(t *testing.T) {
		assert.Equal(t, http.StatusUnauthorized, ask(a.handler, http.MethodOptions, resourceURL).Code)
		assert.Equal(t, http.StatusUnauthorized, ask(a.handler, http.MethodOptions, resourceURL, "Origin", "https://app.example").Code)
		assert.Equal(t, http.StatusUnauthorized, ask(a.handler, http.MethodOptions, resourceURL, "Access-Control-Request-Method", "POST").Code)
		assert.Equal(t, http.StatusUnauthorized, ask(a.handler, http.MethodPost, resourceURL, "Origin", "https://app.example", "Access-Control-Request-Method", "POST").Code)
	})
}

func TestOrigins(t *testing.T) {
	a := newAPI(t, only(t), func(cfg *resource.Config) { cfg.Origins = []string{"https://app.example", "http://localhost:6274"} })
	const good = "Bearer good"
	for _, tt := range []struct {
		origin string
		want   int
		allow  string
	}{
		{"", 200, ""},
		{"https://app.example", 200, "https://app.example"},
		{"http://localhost:6274", 200, "http://localhost:6274"},
		{"https://evil.example", 403, ""},
		{"https://app.example.evil.example", 403, ""},
		{"http://app.example", 403, ""},
		{"https://APP.example", 403, ""},
		{"null", 403, ""},
		{"http://localhost", 403, ""},
	} {
		t.Run("from "+tt.origin, func(t *testing.T) {
			header := []string{"Authorization", good}
			if tt.origin != "" {
				header = append(header, "Origin", tt.origin)
			}
			a.reached = 0
			w := ask(a.handler, http.MethodGet, resourceURL, header...)
			assert.Equal(t, tt.want, w.Code)
			assert.Equal(t, tt.allow, w.Header().Get("Access-Control-Allow-Origin"))
			assert.Equal(t, "Origin", w.Header().Get("Vary"))
			assert.Equal(t, tt.allow != "", w.Header()["Access-Control-Allow-Origin"] != nil)
			assert.Equal(t, tt.want == 200, a.reached == 1)
			if tt.origin != "" {
				pre := ask(a.handler, http.MethodOptions, resourceURL, "Origin", tt.origin, "Access-Control-Request-Method", "POST")
				assert.Equal(t, map[int]int{200: 204, 403: 403}[tt.want], pre.Code)
				assert.Equal(t, tt.allow, pre.Header().Get("Access-Control-Allow-Origin"))
			}
		})
	}
}
