package mcp_test

import (
	"fmt"
	"net/http"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/mcp"
	"github.com/seed-e797c9ce/oauth/store"
)

// One line of the configuration makes a provider one that MCP clients connect to.
func ExampleProfile() {
	p, err := oauth.New(oauth.Config{
		Issuer:     "https://example.com",
		Store:      store.NewMemory(),
		Secret:     []byte("32 random bytes, kept in a vault"),
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "alice"}, nil },
		LoginURL:   "/login",
		Scopes:     map[string]string{"notes": "Read your notes"},
		Resources:  []oauth.Resource{{URI: "https://example.com/mcp"}},
		Extensions: mcp.Profile(mcp.Config{Scopes: []string{"notes"}}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := p.Metadata()
	fmt.Println(m["client_id_metadata_document_supported"], m["registration_endpoint"])
	fmt.Println(m["token_endpoint_auth_methods_supported"])
	fmt.Println(m["scopes_supported"])
	// Output:
	// true https://example.com/oauth/register
	// [none client_secret_basic client_secret_post private_key_jwt]
	// [notes offline_access]
}
