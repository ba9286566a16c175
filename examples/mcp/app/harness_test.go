package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/mcp/app"
)

const (
	base        = "http://127.0.0.1:8080"
	endpoint    = base + "/mcp"
	callbackURI = "http://localhost:7777/callback"
	documentID  = "https://client.test/cimd.json"
	document    = `{"client_id":"https://client.test/cimd.json","client_name":"Probe","redirect_uris":["http://localhost:7777/callback"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}`
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// pipe is a network without one: it works within a synctest bubble.
type pipe struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipe) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipe) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// world is a running app, what reached it, and a client that never redirects.
type world struct {
	t    *testing.T
	app  *app.App
	http *http.Client

	mu   sync.Mutex
	seen []string // "METHOD /path status", and the grant type of token requests
}

// start runs the app until the end of the test, which must be in a bubble.
func start(t *testing.T, cfg app.Config) *world {
	t.Helper()
	cfg.URL = base
	ctx, cancel := context.WithCancel(t.Context())
	a, err := app.New(ctx, cfg)
	require.NoError(t, err)
	w := &world{t: t, app: a}
	p := &pipe{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(w.serve)}
	var running sync.WaitGroup
	running.Go(func() { srv.Serve(p) }) // ends with Close
	w.http = w.newHTTPClient(p)
	t.Cleanup(func() {
		cancel()
		w.http.CloseIdleConnections()
		srv.Close()
		running.Wait()
	})
	return w
}

func (w *world) newHTTPClient(p *pipe) *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	return &http.Client{
		Transport:     &http.Transport{DialContext: p.dial},
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
func (s *statusWriter) Flush()                      { s.ResponseWriter.(http.Flusher).Flush() }

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	line := r.Method + " " + r.URL.Path
	if r.URL.Path == "/oauth/token" {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		form, _ := url.ParseQuery(string(body))
		line += " " + form.Get("grant_type")
	}
	s := &statusWriter{rw, http.StatusOK}
	w.app.ServeHTTP(s, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, fmt.Sprint(line, " ", s.status))
}

// count is how many requests since the last call began like this.
func (w *world) count(prefix string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, line := range w.seen {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = nil
}

// connect is the Go SDK's client: it opens a browser in which nobody needs to be
// asked.
func (w *world) connect(registration string) *mcp.ClientSession {
	w.t.Helper()
	cfg := &auth.AuthorizationCodeHandlerConfig{
		RedirectURL: callbackURI, RequestRefreshToken: true, Client: w.http,
		AuthorizationCodeFetcher: func(_ context.Context, a *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			res, err := w.http.Get(a.URL)
			if err != nil {
				return nil, err
			}
			res.Body.Close()
			u, err := url.Parse(res.Header.Get("Location"))
			if err != nil || !strings.HasPrefix(u.String(), callbackURI) {
				return nil, fmt.Errorf("no answer for the client: %s %s", res.Status, u)
			}
			q := u.Query()
			return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
		},
	}
	if registration == "CIMD" {
		cfg.ClientIDMetadataDocumentConfig = &auth.ClientIDMetadataDocumentConfig{URL: documentID}
	} else {
		cfg.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Probe", RedirectURIs: []string{callbackURI}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code", "refresh_token"},
		}}
	}
	h, err := auth.NewAuthorizationCodeHandler(cfg)
	require.NoError(w.t, err)
	s, err := mcp.NewClient(&mcp.Implementation{Name: "probe", Version: "1"}, nil).Connect(w.t.Context(),
		&mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: w.http, OAuthHandler: h}, nil)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { s.Close() })
	return s
}

func (w *world) call(s *mcp.ClientSession, tool string, args any) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	require.NoError(w.t, err)
	text, ok := res.Content[0].(*mcp.TextContent)
	require.True(w.t, ok)
	require.False(w.t, res.IsError, text.Text)
	return text.Text
}

// send posts a JSON-RPC message, or anything else, to the MCP server.
func (w *world) send(token, body string, header ...string) (*http.Response, string) {
	w.t.Helper()
	return w.do(http.MethodPost, endpoint, token, body, header...)
}

func (w *world) do(method, to, token, body string, header ...string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, to, strings.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.http.Do(req)
	require.NoError(w.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return res, string(text)
}

func (w *world) getJSON(path string) map[string]any {
	w.t.Helper()
	res, text := w.do(http.MethodGet, base+path, "", "")
	require.Equal(w.t, http.StatusOK, res.StatusCode, "%s: %s", path, text)
	require.Equal(w.t, "application/json", res.Header.Get("Content-Type"))
	var m map[string]any
	require.NoError(w.t, json.Unmarshal([]byte(text), &m))
	return m
}
