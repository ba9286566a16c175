package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// RequireTools is Require for a server of the Model Context Protocol (streamable
// HTTP): a request that calls tools needs the scopes of these tools, all of them
// together if there are several in one batch, and every other request only a
// valid token. It reads the JSON-RPC message itself, of at most MaxBody bytes and
// nested at most 32 deep, and not the headers that repeat it, which old clients do
// not send.
//
// The challenge for more scopes (403) repeats Config.Scopes, since there are
// clients that then ask for nothing but what it says, and would lose the others.
//
// Every tool must be named, if only with no scopes: one that is not is answered
// as unknown, so that a tool that was forgotten here is open to nobody.
//
// RequireTools panics if one of the scopes is no scope name, as Require does.
func (s *Server) RequireTools(tools map[string][]string) func(http.Handler) http.Handler {
	own := make(map[string][]string, len(tools))
	for tool, scopes := range tools {
		for _, scope := range scopes {
			if !validScope(scope) {
				panic(fmt.Sprintf("resource: RequireTools: %q: %q is no scope name", tool, scope))
			}
		}
		own[tool] = append([]string{}, scopes...)
	}
	return s.guard(s.cfg.Scopes, s.cfg.Scopes, rereadable(func(r *http.Request) ([]string, error) {
		messages, err := readMessages(r)
		if err != nil {
			return nil, err
		}
		var needed []string
		for _, m := range messages {
			tool, err := m.tool()
			if err != nil {
				return nil, err
			}
			scopes, ok := own[tool]
			switch {
			case tool == "":
			case ok:
				needed = append(needed, scopes...)
			case len(messages) == 1 && len(m.ID) > 0:
				return nil, unknownTool{m.ID, tool}
			default:
				return nil, malformed("a call of an unknown tool")
			}
		}
		return needed, nil
	}))
}

// message is what is read of a JSON-RPC message.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// maxBatch is how many messages one request may hold.
const maxBatch = 100

// readMessages reads the one message of a request, or the batch that clients of
// MCP 2025-03-26 may send. A request without a body calls nothing; one with a body
// may, whatever its method: whether the handler looks at that is not known here.
func readMessages(r *http.Request) ([]message, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	data, err := readBody(r)
	if err != nil {
		return nil, err
	}
	parts := []json.RawMessage{data}
	switch text := bytes.TrimLeft(data, " \t\r\n"); {
	case len(text) == 0:
		return nil, nil
	case text[0] == '[':
		if parts, err = split(data); err != nil {
			return nil, err
		}
	}
	messages := make([]message, len(parts))
	for i, part := range parts {
		if err := strictjson.Unmarshal(part, &messages[i]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
		}
	}
	return messages, nil
}

// split takes a batch apart, and stops at one message too many: a list of half a
// million costs a hundred times what its length does.
func split(batch []byte) (parts []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(batch))
	_, err = d.Token() // the bracket
	for err == nil && d.More() {
		if len(parts) == maxBatch {
			return nil, malformed(fmt.Sprintf("more than %d messages in one request", maxBatch))
		}
		var part json.RawMessage
		err = d.Decode(&part)
		parts = append(parts, part)
	}
	if err == nil {
		_, err = d.Token() // the other one
	}
	if _, behind := d.Token(); err != nil || behind != io.EOF {
		return nil, malformed("no JSON")
	}
	return parts, nil
}

// tool is the tool that a message calls, empty if it calls none. Duplicate names
// were looked for before, in the whole message.
func (m message) tool() (string, error) {
	if m.Method != "tools/call" {
		return "", nil
	}
	var params struct {
		Name string `json:"name"`
	}
	if err := strictjson.Unmarshal(m.Params, &params); err != nil || params.Name == "" {
		return "", malformed("a call of a tool without its name")
	}
	return params.Name, nil
}

// unknownTool is answered as the protocol wants it: within JSON-RPC.
type unknownTool struct {
	id   json.RawMessage
	tool string
}

func (e unknownTool) Error() string {
	const enough = 100 // bytes of a name that the client has chosen
	return fmt.Sprintf("%s: unknown tool %q", ErrInvalidRequest, e.tool[:min(len(e.tool), enough)])
}
func (e unknownTool) Unwrap() error { return ErrInvalidRequest }

func (e unknownTool) write(w http.ResponseWriter) {
	const invalidParams = -32602 // JSON-RPC 2.0 §5.1
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": e.id,
		"error": map[string]any{"code": invalidParams, "message": "Unknown tool: " + e.tool},
	})
	if err != nil { // what was parsed always marshals
		body = []byte("{}")
	}
	writeJSON(w, http.StatusOK, body)
}
