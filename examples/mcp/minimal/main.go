// Minimal is the program of the README section on MCP servers.
package main

import (
	"context"
	"log"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/mcp/gosdk"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"

	profile "github.com/seed-e797c9ce/oauth/mcp"
)

const base = "http://localhost:8080" // in production: the public https URL

func main() {
	provider, err := oauth.New(oauth.Config{
		Issuer: base, Store: store.NewMemory(), Session: session, LoginURL: "/login",
		Scopes: map[string]string{"notes": "Read your notes"}, Resources: []oauth.Resource{{URI: base + "/mcp"}},
		Extensions: profile.Profile(profile.Config{Scopes: []string{"notes"}}),
	})
	if err != nil {
		log.Fatal(err)
	}
	api, err := resource.New(resource.Config{Resource: base + "/mcp", Issuers: []string{base}, Verifier: provider.Verifier(), Scopes: []string{"notes"}})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Who is calling"}, whoami)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})

	http.Handle("/", provider)
	http.Handle(api.MetadataRoute())
	http.Handle("/mcp", api.RequireTools(map[string][]string{"whoami": {"notes"}})(gosdk.Handler(handler)))
	http.HandleFunc("/login", login)
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

func whoami(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	caller, _ := gosdk.Caller(req.Extra.TokenInfo) // behind gosdk.Handler there always is one
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "You are " + caller.Subject}}}, nil, nil
}

var users = map[string]string{"ada:lovelace": "u-1"} // name:password → who that is

// session says who is signed in. Ask your app; here the browser's password prompt stands for it.
func session(r *http.Request) (oauth.Session, error) {
	user, password, _ := r.BasicAuth()
	return oauth.Session{Subject: users[user+":"+password]}, nil
}

func login(w http.ResponseWriter, r *http.Request) {
	if s, _ := session(r); s.Subject == "" {
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
	} else if to := r.URL.Query().Get("return_to"); strings.HasPrefix(to, "/oauth/") {
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}
