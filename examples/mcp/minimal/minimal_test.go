package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// startProgram builds main.go with another port in place of its own and runs it.
func startProgram(t *testing.T) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	host := fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	require.NoError(t, l.Close())

	dir := t.TempDir()
	original, err := filepath.Abs("main.go")
	require.NoError(t, err)
	program, err := os.ReadFile(original)
	require.NoError(t, err)
	changed := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(changed, []byte(strings.ReplaceAll(string(program), "localhost:8080", host)), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary := filepath.Join(dir, "minimal")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(binary)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // an error, since it was killed
	})
	require.Eventually(t, func() bool {
		res, err := http.Get("http://" + host + "/.well-known/oauth-authorization-server")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond)
	return "http://" + host
}

const callback = "http://localhost:7777/callback"

func TestTheProgramWorks(t *testing.T) {
	base := startProgram(t)
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
		RedirectURL: callback, AuthorizationCodeFetcher: person, RequestRefreshToken: true,
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
	base := startProgram(t)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
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
