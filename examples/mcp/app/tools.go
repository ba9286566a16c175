package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/mcp/gosdk"
	"github.com/seed-e797c9ce/oauth/resource"
)

// tools says which scopes each tool needs.
var tools = map[string][]string{
	"whoami":     {"notes:read"},
	"list_notes": {"notes:read"},
	"add_note":   {"notes:write"},
	"admin_op":   {"notes:admin"},
}

const sessionIdle = 10 * time.Minute

// addMCP adds the MCP server, and the metadata by which clients find the way to
// a token for it.
func addMCP(ctx context.Context, mux *http.ServeMux, cfg Config, p *oauth.Provider, n *notebook, local bool) error {
	api, err := resource.New(resource.Config{
		Resource: cfg.URL + "/mcp",
		Issuers:  []string{cfg.URL},
		Verifier: p.Verifier(),
		Name:     "Notes",
		// Clients ask for these at once, and for notes:admin when a tool needs it.
		Scopes:  []string{"notes:read", "notes:write"},
		Implies: map[string][]string{"notes:write": {"notes:read"}}, // what its line says to the user
		Origins: append([]string{cfg.URL}, cfg.Origins...),
		OnRefusal: func(r *http.Request, err error) {
			slog.Info("MCP request refused", "method", r.Method, "path", r.URL.Path, "error", err)
		},
	})
	if err != nil {
		return err
	}
	for pattern, h := range api.MetadataRoutes() {
		mux.Handle(pattern, h)
	}
	mux.Handle("/mcp", api.RequireTools(tools)(gosdk.Handler(newTransport(ctx, newServer(n), local))))
	return nil
}

func newServer(n *notebook) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "whoami", Description: "Who is calling, through which client, with which scopes"}, whoami)
	mcp.AddTool(s, &mcp.Tool{Name: "list_notes", Description: "The user's notes"}, n.listTool)
	mcp.AddTool(s, &mcp.Tool{Name: "add_note", Description: "Add a note"}, n.addTool)
	mcp.AddTool(s, &mcp.Tool{Name: "admin_op", Description: "How many notes everybody has"}, n.adminTool)
	return s
}

// caller is the user in whose name a tool is called.
func caller(req *mcp.CallToolRequest) (*resource.Token, error) {
	t, ok := gosdk.Caller(req.Extra.TokenInfo)
	if !ok || t.Machine() {
		return nil, errors.New("notes belong to people")
	}
	return t, nil
}

type nothing struct{}

func text(format string, args ...any) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf(format, args...)}}}
}

func whoami(_ context.Context, req *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, any, error) {
	t, err := caller(req)
	if err != nil {
		return nil, nil, err
	}
	return text("%s through %s with %s", t.Subject, t.ClientID, strings.Join(t.Scopes, " ")), nil, nil
}

func (n *notebook) listTool(_ context.Context, req *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, any, error) {
	t, err := caller(req)
	if err != nil {
		return nil, nil, err
	}
	return text("%s", strings.Join(n.of(t.Subject), "\n")), nil, nil
}

type noteIn struct {
	Note string `json:"note" jsonschema:"the text of the note"`
}

func (n *notebook) addTool(_ context.Context, req *mcp.CallToolRequest, in noteIn) (*mcp.CallToolResult, any, error) {
	t, err := caller(req)
	if err != nil {
		return nil, nil, err
	}
	if !n.add(t.Subject, in.Note) {
		return nil, nil, errors.New("the note is empty or too long, or there are too many")
	}
	return text("added"), nil, nil
}

func (n *notebook) adminTool(_ context.Context, req *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, any, error) {
	if _, err := caller(req); err != nil {
		return nil, nil, err
	}
	return text("%d notes", n.count()), nil, nil
}
