package main

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
)

func TestTheReadmeQuotesTheProgram(t *testing.T) {
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, program2, ok := strings.Cut(string(program), "package main\n")
	require.True(t, ok)
	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "```go\npackage main\n"+program2+"```\n")

	_, code, ok := strings.Cut(program2, "\n)\n") // the imports
	require.True(t, ok)
	lines := 0
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	assert.LessOrEqual(t, lines, 40)
}

// TestMain runs the program byte for byte, its port included, while that port is
// taken: main gets as far as listening. What it would have served is in
// http.DefaultServeMux then, and is served on a free port, which this process
// reaches where the program would be.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	addr := strings.TrimPrefix(base, "http://")
	l, err := net.Listen("tcp", addr)
	if err != nil { // somebody else has it
		log.Print(err)
	}
	log.SetOutput(&lastWords)
	var running sync.WaitGroup
	running.Go(main)
	running.Wait()
	if l != nil {
		l.Close()
	}
	srv := httptest.NewServer(http.DefaultServeMux)
	http.DefaultTransport.(*http.Transport).DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == addr {
			to = srv.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	code := m.Run()
	srv.Close()
	os.Exit(code)
}

// lastWords is what log.Fatal says.
var lastWords words

type words struct{ bytes.Buffer }

// Write ends the goroutine, before log.Fatal ends the process.
func (w *words) Write(p []byte) (int, error) {
	w.Buffer.Write(p)
	runtime.Goexit()
	return len(p), nil
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	assert.Contains(t, string(program), "http.ListenAndServe(\"localhost:8080\", nil)", "what it serves is http.DefaultServeMux")
	assert.Regexp(t, `listen tcp \S+:8080: bind: address already in use\n$`, lastWords.String())
}

const callback = "http://localhost:7777/callback"

func TestTheProgramWorks(t *testing.T) {
	person := func(_ context.Context, a *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		b := browser.New(t)
		b.Stop = callback
		b.Open(strings.Replace(a.URL, "://", "://ada:lovelace@", 1)) // what is typed into the browser's prompt
		assert.Contains(t, b.Page, "Read your notes")
		b.Submit("/oauth/consent", "scope", "notes", "decision", "allow")
		require.NotNil(t, b.Answer, b.Page)
		q := b.Answer.Query()
		return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
	}
	h, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		RedirectURL: callback, AuthorizationCodeFetcher: person, RequestRefreshToken: true, Client: &http.Client{Transport: http.DefaultTransport},
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Probe", RedirectURIs: []string{callback}, TokenEndpointAuthMethod: "none",
		}},
	})
	require.NoError(t, err)
	s, err := mcp.NewClient(&mcp.Implementation{Name: "probe", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: base + "/mcp", OAuthHandler: h}, nil)
	require.NoError(t, err)
	defer s.Close()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
	require.NoError(t, err)
	assert.Equal(t, "You are u-1", res.Content[0].(*mcp.TextContent).Text)
}

func TestSignInGoesBackToTheProviderOnly(t *testing.T) {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(user, to string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/login?return_to="+url.QueryEscape(to), nil)
		require.NoError(t, err)
		req.SetBasicAuth(user, "lovelace")
		res, err := c.Do(req)
		require.NoError(t, err)
		res.Body.Close()
		return res
	}
	assert.Equal(t, "/oauth/authorize?a=b", get("ada", "/oauth/authorize?a=b").Header.Get("Location"))
	assert.Equal(t, http.StatusUnauthorized, get("eve", "/oauth/authorize").StatusCode)
	for _, to := range []string{"//evil.example/", "https://evil.example/oauth/", "", "/other"} {
		assert.Empty(t, get("ada", to).Header.Get("Location"), to)
	}
}

func TestWithoutATokenClientsAreToldWhereToGetOne(t *testing.T) {
	for _, token := range []string{"", "made-up"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
		assert.Contains(t, res.Header.Get("WWW-Authenticate"), `resource_metadata="`+base+`/.well-known/oauth-protected-resource/mcp"`)
	}
}
