package gosdk_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/mcp/gosdk"
	"github.com/seed-e797c9ce/oauth/resource"
)

const endpoint = "https://mcp.example/mcp"

// verify knows tokens of the form "user/client/scope".
func verify(_ context.Context, token string) (*resource.Token, error) {
	parts := strings.Split(token, "/")
	if len(parts) != 3 {
		return nil, resource.ErrInvalidToken
	}
	return &resource.Token{Issuer: "https://login.example", Subject: parts[0], ClientID: parts[1], Scopes: parts[2:],
		Audience: []string{endpoint}, ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// server is an MCP server whose tool says who calls.
func server(t *testing.T) http.Handler {
	t.Helper()
	api, err := resource.New(resource.Config{Resource: endpoint, Issuers: []string{"https://login.example"},
		Verifier: resource.VerifierFunc(verify), Scopes: []string{"read"}})
	require.NoError(t, err)
	s := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "who"}, func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		info := req.Extra.TokenInfo
		token, ok := gosdk.Caller(info)
		assert.True(t, ok)
		assert.Equal(t, token.ExpiresAt, info.Expiration)
		text := strings.Join([]string{info.UserID, token.ClientID, info.Scopes[0]}, ", ")
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	})
	t.Cleanup(func() {
		for session := range s.Sessions() {
			assert.NoError(t, session.Close())
		}
	})
	return api.RequireTools(map[string][]string{"who": {"read"}})(gosdk.Handler(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil)))
}

func post(t *testing.T, h http.Handler, token, session, body string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, endpoint, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return w.Result(), string(text)
}

const (
	initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	who         = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"who","arguments":{}}}`
)

func begin(t *testing.T, h http.Handler, token string) (session string) {
	t.Helper()
	res, text := post(t, h, token, "", initialize)
	require.Equal(t, http.StatusOK, res.StatusCode, text)
	session = res.Header.Get("Mcp-Session-Id")
	require.NotEmpty(t, session)
	res, text = post(t, h, token, session, initialized)
	require.Equal(t, http.StatusAccepted, res.StatusCode, text)
	return session
}

func TestToolsSeeWhoCalls(t *testing.T) {
	h := server(t)
	session := begin(t, h, "ann/app/read")
	_, text := post(t, h, "ann/app/read", session, who)
	assert.Contains(t, text, `"text":"ann of https://login.example, app, read"`)
	_, text = post(t, h, "ann/other/read", session, who)
	assert.Contains(t, text, `"text":"ann of https://login.example, other, read"`, "the token of this call, not that of the session's first")

	session = begin(t, h, "/robot/read")
	_, text = post(t, h, "/robot/read", session, who)
	assert.Contains(t, text, `"text":"client of https://login.example: robot, robot, read"`, "a client without a user")
}

func TestR12_SessionsBelongToTheirUser(t *testing.T) {
	h := server(t)
	for _, owner := range []string{"ann/app/read", "/robot/read"} {
		session := begin(t, h, owner)
		for _, other := range []string{"ben/app/read", "/other/read"} {
			res, _ := post(t, h, other, session, who)
			assert.Equal(t, http.StatusForbidden, res.StatusCode, "%s in the session of %s", other, owner)
		}
		res, _ := post(t, h, "", session, who)
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
	}
}

func TestR9_ChallengesAreThoseOfTheResource(t *testing.T) {
	h := server(t)
	res, _ := post(t, h, "ann/app/write", "", who)
	assert.Equal(t, http.StatusForbidden, res.StatusCode)
	assert.Equal(t, []string{`Bearer error="insufficient_scope", error_description="the access token does not have the scopes that this needs", ` +
		`scope="read", resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"`}, res.Header.Values("WWW-Authenticate"))
}

func TestWithoutRequireNobodyIsLetIn(t *testing.T) {
	h := gosdk.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	res, _ := post(t, h, "ann/app/read", "", who)
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
}

// A token can expire between its verification and the SDK's own look at it.
func TestTheSDKDoesNotJudgeExpiryAgain(t *testing.T) {
	reached := false
	h := gosdk.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	r := httptest.NewRequest(http.MethodPost, endpoint, nil)
	r.Header.Set("Authorization", "Bearer x")
	ctx := resource.NewContext(r.Context(), &resource.Token{Subject: "ann", ExpiresAt: time.Now().Add(-time.Millisecond)})
	h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	assert.True(t, reached)
}

// A stream outlives the request that opened it; it must not outlive the token.
func TestR6_StreamsEndWithTheirToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := server(t)
		session := begin(t, h, "ann/app/read")
		opened := time.Now()
		r := httptest.NewRequest(http.MethodGet, endpoint, nil)
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Authorization", "Bearer ann/app/read")
		r.Header.Set("Mcp-Session-Id", session)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, time.Hour, time.Since(opened), "verify's tokens live for an hour")
	})
}

func TestCallerWithoutHandlerIsNobody(t *testing.T) {
	for _, info := range []*auth.TokenInfo{nil, {}, {Extra: map[string]any{"token": &resource.Token{}}}} {
		_, ok := gosdk.Caller(info)
		assert.False(t, ok)
	}
}
