package resource_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/resource"
)

// A resource whose tokens come from a server elsewhere: its keys are found by its
// metadata, when the first token comes.
func ExampleJWT() {
	api, err := resource.New(resource.Config{
		Resource: "https://api.example.com/notes",
		Issuers:  []string{"https://login.example.com"},
		Verifier: resource.JWT("https://login.example.com", nil),
		Scopes:   []string{"notes"},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, h := range api.MetadataRoutes() {
		mux.Handle(pattern, h)
	}
	mux.Handle("/notes", api.Require("notes")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		fmt.Fprintln(w, "notes of", token.Subject)
	})))
}

// tokens stands for a verifier: JWT, Introspection, or a provider's own.
func tokens(_ context.Context, token string) (*resource.Token, error) {
	scopes, ok := map[string][]string{"reader": {"notes:read"}, "owner": {"notes:write"}}[token]
	if !ok {
		return nil, resource.ErrInvalidToken
	}
	return &resource.Token{Issuer: "https://login.example.com", Subject: "ann", ClientID: "app", Scopes: scopes,
		Audience: []string{"https://api.example.com/notes"}, ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func exampleServer() *resource.Server {
	api, err := resource.New(resource.Config{
		Resource: "https://api.example.com/notes",
		Issuers:  []string{"https://login.example.com"},
		Verifier: resource.VerifierFunc(tokens),
		Scopes:   []string{"notes:read"},
		Implies:  map[string][]string{"notes:write": {"notes:read"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return api
}

// show prints the answer to a request with this token.
func show(h http.Handler, token, body string) {
	r := httptest.NewRequest(http.MethodPost, "https://api.example.com/notes", strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate"))))
}

// An API that the app's own pages call with their session cookie, and others with
// a token: one handler, behind two ways to find out who calls.
func ExampleServer_Require_besideCookies() {
	cookieUser := func(r *http.Request) string { // the app's session
		if c, err := r.Cookie("sid"); err != nil || c.Value != "of-ben" {
			return ""
		}
		return "ben"
	}
	notes := func(_ http.ResponseWriter, _ *http.Request, user string) { fmt.Println("notes of", user) }

	byToken := exampleServer().Require("notes:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		notes(w, r, token.Subject)
	}))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user := cookieUser(r); user != "" && r.Header.Get("Authorization") == "" {
			notes(w, r, user)
			return
		}
		byToken.ServeHTTP(w, r) // who has neither is told where to get a token
	})

	show(h, "owner", "")
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/notes", nil)
	r.AddCookie(&http.Cookie{Name: "sid", Value: "of-ben"})
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// notes of ann
	// 200
	// notes of ben
}

func ExampleServer_Require() {
	api := exampleServer()
	h := api.Require("notes:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		fmt.Println("hello", token.Subject)
	}))
	show(h, "", "")
	show(h, "owner", "")
	// Output:
	// 401 Bearer scope="notes:read", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/notes"
	// hello ann
	// 200
}

// What a request needs can stand in its body.
func ExampleServer_RequireFunc() {
	api := exampleServer()
	byAction := func(r *http.Request) ([]string, error) {
		var order struct {
			Action string `json:"action"`
		}
		if err := resource.ReadJSON(r, &order); err != nil {
			return nil, err
		}
		if order.Action == "delete" {
			return []string{"notes:write"}, nil
		}
		return []string{"notes:read"}, nil
	}
	h := api.RequireFunc(byAction)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("called")
	}))
	show(h, "reader", `{"action":"list"}`)
	show(h, "reader", `{"action":"delete"}`)
	show(h, "owner", `{"action":"delete"}`)
	// Output:
	// called
	// 200
	// 403 Bearer error="insufficient_scope", error_description="the access token does not have the scopes that this needs", scope="notes:write", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/notes"
	// called
	// 200
}

// An MCP server has one URL for many tools.
func ExampleServer_RequireTools() {
	api := exampleServer()
	h := api.RequireTools(map[string][]string{
		"list_notes":  {"notes:read"},
		"delete_note": {"notes:write"},
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("called")
	}))
	show(h, "reader", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	show(h, "reader", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"delete_note"}}`)
	show(h, "owner", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"delete_note"}}`)
	// Output:
	// called
	// 200
	// 403 Bearer error="insufficient_scope", error_description="the access token does not have the scopes that this needs", scope="notes:read notes:write", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/notes"
	// called
	// 200
}

// A handler can find out itself what an operation needs.
func ExampleServer_InsufficientScope() {
	api := exampleServer()
	h := api.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		if !api.Allows(token, "notes:write") {
			api.InsufficientScope(w, r, "notes:write")
			return
		}
		fmt.Println("done")
	}))
	show(h, "reader", "")
	show(h, "owner", "")
	// Output:
	// 403 Bearer error="insufficient_scope", error_description="the access token does not have the scopes that this needs", scope="notes:write", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/notes"
	// done
	// 200
}

// Tests of handlers need no token.
func ExampleNewContext() {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		if token.Machine() {
			fmt.Println("no user")
			return
		}
		fmt.Println("hello", token.Subject)
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	ctx := resource.NewContext(r.Context(), &resource.Token{Subject: "ann", ClientID: "app"})
	h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	// Output: hello ann
}
