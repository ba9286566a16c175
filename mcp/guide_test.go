package mcp_test

import (
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

// guide is the program of docs/mcp.md, in an app.
func guide(mux *http.ServeMux, server http.Handler, session func(*http.Request) (oauth.Session, error)) {
	p, err := oauth.New(oauth.Config{
		Issuer:     "https://example.com",
		Store:      store.NewMemory(),
		Session:    session, // who is signed in: as in the README
		LoginURL:   "/login",
		Resources:  []oauth.Resource{{URI: "https://example.com/mcp"}},
		Scopes:     map[string]string{"notes": "Read your notes", "notes:write": "Change your notes"},
		Extensions: mcp.Profile(mcp.Config{Scopes: []string{"notes", "notes:write"}}),
	})
	if err != nil {
		log.Fatal(err)
	}
	api, err := resource.New(resource.Config{
		Resource: "https://example.com/mcp",
		Issuers:  []string{"https://example.com"},
		Verifier: p.Verifier(),
		Scopes:   []string{"notes"},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("/", p)
	for pattern, metadata := range api.MetadataRoutes() {
		mux.Handle(pattern, metadata)
	}
	tools := map[string][]string{"search": {"notes"}, "edit": {"notes", "notes:write"}}
	mux.Handle("/mcp", api.RequireTools(tools)(server))
}

func TestDocumentationShowsThisProgram(t *testing.T) {
	source, err := os.ReadFile("guide_test.go")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/mcp.md")
	require.NoError(t, err)
	_, program, _ := strings.Cut(string(page), "```go\n")
	program, _, ok := strings.Cut(program, "```")
	require.True(t, ok)
	indented := strings.ReplaceAll("\t"+strings.TrimSuffix(program, "\n"), "\n", "\n\t")
	assert.Contains(t, string(source), indented)

	mux := http.NewServeMux()
	guide(mux, http.NotFoundHandler(), func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil })
	for path, status := range map[string]int{
		"/mcp": 401, "/.well-known/oauth-protected-resource/mcp": 200, "/.well-known/oauth-protected-resource": 200,
		"/.well-known/oauth-authorization-server": 200, "/oauth/authorize": 400,
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		assert.Equal(t, status, w.Code, path)
	}
}
