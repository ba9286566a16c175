package mcp_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/jose"
)

// vendorKey is a vendor's own: the key that its document leads to.
var vendorKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// vendor is a client as it is deployed: what it publishes or registers, and how
// it asks.
type vendor struct {
	id         string         // of its metadata document; empty: it registers itself
	metadata   map[string]any // the document, or what it registers with
	redirect   string         // where it listens this time
	scope      string         // empty: what the challenge says
	prompt     string
	auth       string // at the token endpoint: none, empty (Basic without a secret), basic, post, jwt
	origin     string // of a client in a browser
	noResource bool   // at refresh
	granted    string
}

var both = []string{"authorization_code", "refresh_token"}

var vendors = map[string]vendor{
	"Claude.ai": {
		id: "https://claude.ai/oauth/mcp-oauth-client-metadata", redirect: "https://claude.ai/api/mcp/auth_callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Claude", "client_uri": "https://claude.ai", "redirect_uris": []string{"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"},
			"grant_types": both, "response_types": []string{"code"}, "token_endpoint_auth_method": "none"},
	},
	"Claude.ai, from its other domain": {
		id: "https://claude.ai/oauth/mcp-oauth-client-metadata", redirect: "https://claude.com/api/mcp/auth_callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Claude", "redirect_uris": []string{"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"}, "token_endpoint_auth_method": "none"},
	},
	"Claude.ai by registration, with a scope of its own": {
		redirect: "https://claude.ai/api/mcp/auth_callback", scope: "claudeai", auth: "post", granted: "read write offline_access",
		metadata: map[string]any{"client_name": "Claude", "redirect_uris": []string{"https://claude.ai/api/mcp/auth_callback"}, "grant_types": both, "response_types": []string{"code"},
			"scope": "claudeai", "token_endpoint_auth_method": "client_secret_post"},
	},
	"Claude Code": {
		id: "https://claude.ai/oauth/claude-code-client-metadata", redirect: "http://localhost:53211/callback", scope: "read offline_access", prompt: "consent", auth: "none", granted: "read offline_access",
		metadata: map[string]any{"client_name": "Claude Code", "redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"}, "grant_types": both, "token_endpoint_auth_method": "none"},
	},
	"Claude Code, on 127.0.0.1": {
		id: "https://claude.ai/oauth/claude-code-client-metadata", redirect: "http://127.0.0.1:1/callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Claude Code", "redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"}, "grant_types": both, "token_endpoint_auth_method": "none"},
	},
	"ChatGPT": {
		id: "https://chatgpt.com/oauth/client.json", redirect: "https://chatgpt.com/connector_platform_oauth_redirect", auth: "jwt", granted: "read",
		metadata: map[string]any{"client_name": "ChatGPT", "redirect_uris": []string{"https://chatgpt.com/connector_platform_oauth_redirect"}, "grant_types": both,
			"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "token_endpoint_auth_signing_alg": "RS256", "jwks_uri": "https://chatgpt.com/oauth/jwks.json"},
	},
	"ChatGPT, one document per connector": {
		id: "https://chatgpt.com/oauth/c0ffee/client.json", redirect: "https://chatgpt.com/connector/oauth/c0ffee", auth: "jwt", granted: "read",
		metadata: map[string]any{"client_name": "ChatGPT", "redirect_uris": []string{"https://chatgpt.com/connector/oauth/c0ffee"},
			"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "jwks_uri": "https://chatgpt.com/oauth/jwks.json"},
	},
	"VS Code": {
		id: "https://vscode.dev/oauth/client-metadata.json", redirect: "http://127.0.0.1:33418/", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Visual Studio Code", "redirect_uris": []string{"http://127.0.0.1:33418/", "https://vscode.dev/redirect"},
			"grant_types": append([]string{"urn:ietf:params:oauth:grant-type:device_code"}, both...), "response_types": []string{"code"}, "token_endpoint_auth_method": "none"},
	},
	"VS Code, its port taken": {
		redirect: "http://127.0.0.1:61234/", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Visual Studio Code", "redirect_uris": []string{"http://127.0.0.1:33418/", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://localhost/"},
			"grant_types": append([]string{"urn:ietf:params:oauth:grant-type:device_code"}, both...), "token_endpoint_auth_method": "none", "application_type": "native"},
	},
	"VS Code, by its document, its port taken": {
		id: "https://vscode.dev/oauth/client-metadata.json", redirect: "http://127.0.0.1:61234/", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Visual Studio Code", "redirect_uris": []string{"http://127.0.0.1:33418/", "https://vscode.dev/redirect"}, "token_endpoint_auth_method": "none"},
	},
	"VS Code, in the browser": {
		id: "https://vscode.dev/oauth/client-metadata.json", redirect: "https://vscode.dev/redirect", auth: "none", granted: "read", origin: "https://vscode.dev",
		metadata: map[string]any{"client_name": "Visual Studio Code", "redirect_uris": []string{"http://127.0.0.1:33418/", "https://vscode.dev/redirect"}, "token_endpoint_auth_method": "none"},
	},
	"Codex": {
		id: "https://chatgpt.com/oauth/codex/client.json", redirect: "http://127.0.0.1:40123/callback", auth: "none", noResource: true, granted: "read",
		metadata: map[string]any{"client_name": "Codex", "redirect_uris": []string{"http://127.0.0.1/callback", "http://localhost/callback"}, "token_endpoint_auth_method": "none"},
	},
	"OpenCode": {
		id: "https://opencode.ai/oauth/opencode/client.json", redirect: "http://127.0.0.1:19876/callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "OpenCode", "redirect_uris": []string{"http://127.0.0.1/callback"}, "token_endpoint_auth_method": "none"},
	},
	"Zed": {
		id: "https://zed.dev/oauth/client-metadata.json", redirect: "http://127.0.0.1:54321/callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Zed", "redirect_uris": []string{"http://127.0.0.1/callback"}, "token_endpoint_auth_method": "none", "application_type": "native"},
	},
	"Cursor": {
		redirect: "http://localhost:8787/callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Cursor", "redirect_uris": []string{"cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback", "https://www.cursor.com/agents/mcp/oauth/callback"},
			"grant_types": both, "response_types": []string{"code"}, "token_endpoint_auth_method": "none"},
	},
	"Cursor, its agents": {
		redirect: "https://www.cursor.com/agents/mcp/oauth/callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "Cursor", "redirect_uris": []string{"cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback", "https://www.cursor.com/agents/mcp/oauth/callback"}, "token_endpoint_auth_method": "none"},
	},
	"Inspector, without its debugger": {
		redirect: "http://localhost:6274/oauth/callback", auth: "none", granted: "read", origin: "http://localhost:6274",
		metadata: map[string]any{"client_name": "MCP Inspector", "redirect_uris": []string{"http://localhost:6274/oauth/callback"}, "token_endpoint_auth_method": "none"},
	},
	"Inspector": {
		redirect: "http://localhost:6274/oauth/callback/debug", auth: "none", granted: "read", origin: "http://localhost:6274",
		metadata: map[string]any{"client_name": "MCP Inspector", "client_uri": "https://github.com/modelcontextprotocol/inspector", "redirect_uris": []string{"http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"},
			"grant_types": both, "response_types": []string{"code"}, "token_endpoint_auth_method": "none", "scope": "read"},
	},
	"TypeScript SDK 1": {
		redirect: "http://localhost:7777/callback", auth: "none", granted: "read",
		metadata: map[string]any{"client_name": "probe", "redirect_uris": []string{"http://localhost:7777/callback"}, "token_endpoint_auth_method": "none", "scope": "read"},
	},
	"TypeScript SDK 2, which says no method": {
		redirect: "http://localhost:7777/callback", scope: "read offline_access", prompt: "consent", auth: "basic", granted: "read offline_access",
		metadata: map[string]any{"client_name": "probe", "redirect_uris": []string{"http://localhost:7777/callback"}, "grant_types": both, "application_type": "native"},
	},
	"TypeScript SDK 2, with scopes of another server": {
		redirect: "http://localhost:7777/callback", scope: "openid offline_access", prompt: "consent", auth: "none", granted: "read write offline_access",
		metadata: map[string]any{"client_name": "probe", "redirect_uris": []string{"http://localhost:7777/callback"}, "token_endpoint_auth_method": "none", "scope": "openid offline_access"},
	},
	"Go SDK, with scopes of another server": {
		id: "https://client.example/other.json", redirect: "http://localhost:7777/callback", scope: "openid offline_access", auth: "empty", granted: "read write offline_access",
		metadata: map[string]any{"client_name": "probe", "redirect_uris": []string{"http://localhost:7777/callback"}, "scope": "openid offline_access"},
	},
	"Go SDK": {
		id: "https://client.example/cimd.json", redirect: "http://localhost:7777/callback", scope: "offline_access read", auth: "empty", noResource: true, granted: "offline_access read",
		metadata: map[string]any{"client_name": "probe", "redirect_uris": []string{"http://localhost:7777/callback"}},
	},
	"Go SDK by registration, at every 401": {
		redirect: "http://localhost:7777/callback", auth: "empty", noResource: true, granted: "read",
		metadata: map[string]any{"client_name": "probe", "redirect_uris": []string{"http://localhost:7777/callback"}, "token_endpoint_auth_method": "none", "grant_types": both},
	},
}

func TestVendors(t *testing.T) {
	for name, v := range vendors {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			first := h.connect(v)
			second := h.connect(v) // another installation, or another connection
			for range 3 {
				first.refresh()
				second.refresh()
			}
			assert.NotEqual(t, first.tokens.str("access_token"), second.tokens.str("access_token"))
			// Signing out of one leaves the other.
			assert.Equal(t, http.StatusOK, first.post("/oauth/revoke", url.Values{"token": {first.tokens.str("refresh_token")}}).status)
			assert.Equal(t, http.StatusUnauthorized, h.call("look", first.tokens.str("access_token")).status)
			second.refresh()
		})
	}
}

// Where documents cannot be fetched, because a firewall stops it, they are pinned.
func TestVendorsPinned(t *testing.T) {
	for name, v := range vendors {
		if v.id == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			h := newHost(t, func(h *host) {
				h.profile.Pinned = map[string][]byte{v.id: documentOf(t, v.id, v.metadata)}
			})
			h.connect(v).refresh()
			if v.auth != "jwt" { // whose keys are still where the document says
				assert.Zero(t, h.fetched)
			}
		})
	}
}

// The row about signed assertions, as its one deployed client makes them.
func TestVendorThatSigns(t *testing.T) {
	t.Run("A13 a client that can sign must, with the endpoint or the issuer as audience", func(t *testing.T) {
		h := newHost(t)
		c := h.connect(vendors["ChatGPT"])
		h.refused(h.form("/oauth/token", refresh(c.id, c.tokens.str("refresh_token"))), 401, "invalid_client")
		c.audience = issuer
		c.refresh()
		c.audience = issuer + "//oauth/token"
		h.refused(c.post("/oauth/token", refresh(c.id, c.tokens.str("refresh_token"))), 401, "invalid_client")
		c.audience = issuer + "/oauth/token"
		c.refresh()
	})
}

// connection is one installation's, after sign-in.
type connection struct {
	vendor
	h          *host
	id, secret string
	audience   string // of assertions
	tokens     answer
}

// connect goes from the first 401 to the first answer of a tool, as the client
// does.
func (h *host) connect(v vendor) *connection {
	h.t.Helper()
	c := &connection{vendor: v, h: h, id: v.id}
	refused := h.call("look", "")
	require.Equal(h.t, http.StatusUnauthorized, refused.status)
	_, at, _ := strings.Cut(refused.header.Get("WWW-Authenticate"), `resource_metadata="`)
	at, _, _ = strings.Cut(at, `"`)
	protected := h.get(at)
	server := h.get(protected.list("authorization_servers")[0] + "/.well-known/oauth-authorization-server")
	require.Equal(h.t, true, server.json["client_id_metadata_document_supported"])
	require.Contains(h.t, server.list("token_endpoint_auth_methods_supported"), "none")
	c.audience = server.str("token_endpoint")
	if v.id == "" {
		a := h.register(v.metadata)
		c.id, c.secret = a.str("client_id"), a.str("client_secret")
	} else {
		h.document(v.id, v.metadata)
		set, err := jose.MarshalJWKS([]jose.Key{{ID: "k", Alg: jose.RS256, Public: &vendorKey().PublicKey}})
		require.NoError(h.t, err)
		h.web["https://chatgpt.com/oauth/jwks.json"] = string(set)
	}
	scope := v.scope
	if scope == "" {
		scope = strings.Join(protected.list("scopes_supported"), " ")
	}
	code := h.codeOf(c.id, v.redirect, "scope", scope, "prompt", v.prompt, "resource", protected.str("resource"))
	c.tokens = h.ok(c.post("/oauth/token", exchange(c.id, v.redirect, code)))
	assert.Equal(h.t, v.granted, c.tokens.str("scope"))
	c.use()
	return c
}

// post sends a form, authenticated as the client does it.
func (c *connection) post(path string, v url.Values) answer {
	c.h.t.Helper()
	var header []string
	if c.origin != "" {
		header = []string{"Origin", c.origin}
	}
	v.Del("client_id")
	switch c.auth {
	case "none":
		v.Set("client_id", c.id)
	case "post":
		v.Set("client_id", c.id)
		v.Set("client_secret", c.secret)
	case "basic": // neither ID nor secret is form-encoded, as btoa leaves them
		header = append(header, "Authorization", basic(c.id, c.secret))
	case "empty": // x/oauth2 does encode
		header = append(header, "Authorization", basic(url.QueryEscape(c.id), ""))
	case "jwt":
		now := time.Now()
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": c.id, "sub": c.id, "aud": c.audience,
			"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": uuid.NewString()})
		token.Header["kid"] = "k"
		signed, err := token.SignedString(vendorKey())
		require.NoError(c.h.t, err)
		v.Set("client_id", c.id)
		v.Set("client_assertion", signed)
		v.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	}
	a := c.h.form(path, v, header...)
	if c.origin != "" {
		assert.Equal(c.h.t, "*", a.header.Get("Access-Control-Allow-Origin"))
	}
	return a
}

func (c *connection) refresh() {
	c.h.t.Helper()
	v := refresh(c.id, c.tokens.str("refresh_token"))
	if !c.noResource {
		v.Set("resource", endpoint)
	}
	c.tokens = c.h.ok(c.post("/oauth/token", v))
	assert.Equal(c.h.t, c.granted, c.tokens.str("scope"))
	c.use()
}

// use calls a tool.
func (c *connection) use() {
	c.h.t.Helper()
	require.Equal(c.h.t, http.StatusOK, c.h.call("look", c.tokens.str("access_token")).status)
	assert.Equal(c.h.t, c.id, c.h.seen.ClientID)
}
