package app

import (
	"context"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// stateless is the first revision of MCP without sessions.
const stateless = "2026-07-28"

// newTransport serves each client as its revision of the protocol has it: the
// SDK does either sessions or the newest revision with one handler.
func newTransport(ctx context.Context, s *mcp.Server, local bool) http.Handler {
	server := func(*http.Request) *mcp.Server { return s }
	// The SDK compares Host on a loopback address, against DNS rebinding. Behind a
	// proxy on the same machine that would refuse everything.
	with := mcp.NewStreamableHTTPHandler(server, &mcp.StreamableHTTPOptions{
		SessionTimeout: sessionIdle, DisableLocalhostProtection: !local,
	})
	without := mcp.NewStreamableHTTPHandler(server, &mcp.StreamableHTTPOptions{
		Stateless: true, PropagateRequestCancellation: true, DisableLocalhostProtection: !local,
	})
	context.AfterFunc(ctx, func() {
		for session := range s.Sessions() {
			session.Close() // an error means that its client has gone
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Streams last as long as the client wants, or until the app ends.
		c := http.NewResponseController(w)
		c.SetReadDeadline(time.Time{})  // an error means that there is no deadline
		c.SetWriteDeadline(time.Time{}) // likewise
		streaming, end := context.WithCancel(r.Context())
		defer end()
		defer context.AfterFunc(ctx, end)()
		r = r.WithContext(streaming)
		if r.Header.Get("MCP-Protocol-Version") >= stateless {
			without.ServeHTTP(w, r)
			return
		}
		with.ServeHTTP(w, r)
	})
}
