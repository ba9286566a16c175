// Package resource is for APIs that take access tokens: it checks the token of
// each request, answers what is missing or wrong as RFC 6750 says, and publishes
// the metadata by which clients find where to get a token (RFC 9728). It needs no
// provider in the same process and imports none.
//
//	api, err := resource.New(resource.Config{
//		Resource: "https://api.example.com/notes", // the URL people type
//		Issuers:  []string{"https://login.example.com"},
//		Verifier: resource.JWT("https://login.example.com", nil),
//		Scopes:   []string{"notes"},
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	mux.Handle(api.MetadataRoute())
//	mux.Handle("/notes", api.Require("notes")(handler))
//
// In handler, FromContext says who calls:
//
//	token, _ := resource.FromContext(r.Context())
//	notes := find(token.Subject)
//
// An MCP server is guarded with Server.RequireTools, which knows the scopes of
// each tool.
//
// Three things that no configuration changes. A token is accepted only if it is
// meant for this resource (its audience) and from one of the issuers, whatever
// the verifier said. A verifier that cannot tell is answered with 503, never as
// if the token were wrong: clients throw tokens away when they are told that. And
// the token is only for this server: do not send it on to others.
package resource
