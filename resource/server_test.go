package resource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

const resourceMetadata = `resource_metadata="` + metadataURL + `"`

func TestChallenges(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), func(cfg *resource.Config) { cfg.Scopes = []string{"read", "write"} })
	bad := newAPI(t, only(t), nil)

	t.Run("SEC-161 no token: no error", func(t *testing.T) {
		ans := a.get()
		assert.Equal(t, http.StatusUnauthorized, ans.StatusCode)
		assert.Equal(t, `Bearer scope="read write", `+resourceMetadata, ans.Header.Get("WWW-Authenticate"))
		assert.NotContains(t, ans.body, `"error":`)
		assert.ErrorIs(t, a.refused[0], resource.ErrNoToken)
	})
	t.Run("SEC-161 what the operation needs is asked for at once", func(t *testing.T) {
		a.handler = a.server.Require("write", "delete")(a)
		assert.Equal(t, `Bearer scope="read write delete", `+resourceMetadata, a.get().Header.Get("WWW-Authenticate"))
	})
	t.Run("an invalid token", func(t *testing.T) {
		ans := bad.bearer("bad")
		assert.Equal(t, http.StatusUnauthorized, ans.StatusCode)
		assert.Equal(t, `Bearer error="invalid_token", error_description="the access token is invalid, expired, revoked, or for another resource", scope="read", `+resourceMetadata,
			ans.Header.Get("WWW-Authenticate"))
	})
	t.Run("SEC-160 too few scopes: all of the operation in one challenge", func(t *testing.T) {
		a.handler = a.server.Require("read", "delete", "purge")(a)
		ans := a.bearer("read")
		assert.Equal(t, http.StatusForbidden, ans.StatusCode)
		assert.Equal(t, `Bearer error="insufficient_scope", error_description="the access token does not have the scopes that this needs", scope="read delete purge", `+resourceMetadata,
			ans.Header.Get("WWW-Authenticate"))
		assert.JSONEq(t, `{"error":"insufficient_scope","error_description":"the access token does not have the scopes that this needs"}`, ans.body)
		assert.ErrorIs(t, a.refused[len(a.refused)-1], resource.ErrInsufficientScope)
		assert.Equal(t, http.StatusForbidden, a.bearer("delete+purge").StatusCode)
		assert.Equal(t, http.StatusForbidden, a.bearer("READ+delete+purge").StatusCode, "scopes are compared exactly")
		assert.Equal(t, http.StatusOK, a.bearer("read+delete+purge+more").StatusCode)
	})
	t.Run("a resource without scopes", func(t *testing.T) {
		a := newAPI(t, only(t), func(cfg *resource.Config) { cfg.Scopes = nil })
		assert.Equal(t, `Bearer `+resourceMetadata, a.get().Header.Get("WWW-Authenticate"))
	})
}

func TestRefusalsTellTheOperatorWhatDiffers(t *testing.T) {
	token := resource.Token{Issuer: "https://login.example.com", Audience: []string{"https://api.example.com/v1"}, Scopes: []string{"read"}, ExpiresAt: time.Now().Add(time.Hour)}
	for want, change := range map[string]func(cfg *resource.Config){
		`its issuer "https://login.example.com" is not one of Config.Issuers`:                                      func(cfg *resource.Config) { cfg.Issuers = []string{"https://login.example.com/tenant"} },
		`its audience ["https://api.example.com/v1"] does not have Config.Resource, "https://api.example.com/v1/"`: func(cfg *resource.Config) { cfg.Resource += "/" },
		`["write"] needed, the token has ["read"]`:                                                                 func(*resource.Config) {},
	} {
		var refused error
		cfg := resource.Config{
			Resource: "https://api.example.com/v1", Issuers: []string{"https://login.example.com"}, OnRefusal: func(_ *http.Request, err error) { refused = err },
			Verifier: resource.VerifierFunc(func(context.Context, string) (*resource.Token, error) { return token.Clone(), nil }),
		}
		change(&cfg)
		api, err := resource.New(cfg)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/v1", nil)
		r.Header.Set("Authorization", "Bearer x")
		api.Require("write")(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		assert.ErrorContains(t, refused, want)
	}
}

func TestHostileScopesStayInsideTheChallenge(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(good), nil)
	hostile := []string{"ok", `a"b`, "a\r\nX-Evil: 1", `a\`, "é", "", "a b", "ok", "x\x00y", "fine"}
	for name, h := range map[string]http.Handler{
		"SEC-165 by RequireFunc": a.server.RequireFunc(func(*http.Request) ([]string, error) { return hostile, nil })(a),
		"SEC-165 by a handler": a.server.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.server.InsufficientScope(w, r, hostile...)
		})),
	} {
		t.Run(name, func(t *testing.T) {
			a.tb, a.handler = t, h
			ans := a.bearer("x")
			assert.Equal(t, http.StatusForbidden, ans.StatusCode)
			assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `scope="ok fine", `+resourceMetadata)
			assert.Empty(t, ans.Header.Get("X-Evil"))
		})
	}
	assert.Zero(t, a.reached)
	assert.Panics(t, func() { a.server.Require(`a"b`) }, "in the program's own text it is a mistake")
	assert.Panics(t, func() { a.server.Require("read write") })
}

func TestHierarchy(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), func(cfg *resource.Config) {
		cfg.Implies = map[string][]string{"admin": {"write", "audit"}, "write": {"read"}, "loop": {"pool"}, "pool": {"loop", "loop"}}
	})
	for _, tt := range []struct {
		has, needs string
		want       bool
	}{
		{"read", "read", true}, {"write", "read", true}, {"admin", "read", true}, {"admin", "audit", true}, {"admin", "admin", true},
		{"read", "write", false}, {"write", "admin", false}, {"write", "audit", false}, {"audit", "read", false},
		{"loop", "pool", true}, {"pool", "loop", true}, {"loop", "read", false}, {"other", "other", true}, {"other", "read", false},
		{"write+audit", "read+audit", true}, {"read", "read+audit", false},
	} {
		t.Run(tt.has+" for "+tt.needs, func(t *testing.T) {
			a.tb = t
			needs := strings.Split(tt.needs, "+")
			a.handler = a.server.Require(needs...)(a)
			want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[tt.want]
			assert.Equal(t, want, a.bearer(tt.has).StatusCode)
			token, err := scoped(context.Background(), tt.has)
			require.NoError(t, err)
			assert.Equal(t, tt.want, a.server.Allows(token, needs...))
		})
	}
	assert.True(t, a.server.Allows(&resource.Token{}))
	assert.False(t, a.server.Allows(nil))
	assert.False(t, a.server.Allows(nil, "read"))
}

// The server's own checks hold whatever a verifier says.
func TestVerifiersAreNotTrustedBlindly(t *testing.T) {
	for name, change := range map[string]func(*resource.Token){
		"SEC-153 another audience": func(t *resource.Token) { t.Audience = []string{"https://other.example"} },
		"SEC-153 no audience":      func(t *resource.Token) { t.Audience = nil },
		"SEC-154 another issuer":   func(t *resource.Token) { t.Issuer = "https://evil.example" },
		"SEC-154 no issuer":        func(t *resource.Token) { t.Issuer = "" },
		"SEC-155 expired":          func(t *resource.Token) { t.ExpiresAt = time.Now().Add(-time.Second) },
		"SEC-155 no expiry":        func(t *resource.Token) { t.ExpiresAt = time.Time{} },
		"SEC-155 not yet":          func(t *resource.Token) { t.NotBefore = time.Now().Add(2 * time.Minute) },
		"SEC-155 from the future":  func(t *resource.Token) { t.IssuedAt = time.Now().Add(2 * time.Minute) },
		"bound to a key":           func(t *resource.Token) { t.Confirmation = json.RawMessage(`{"jkt":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, resource.VerifierFunc(func(ctx context.Context, token string) (*resource.Token, error) {
				tok, err := good(ctx, token)
				change(tok)
				return tok, err
			}), nil)
			a.refuses("x")
			got, err := a.server.VerifyToken(t.Context(), "x")
			assert.ErrorIs(t, err, resource.ErrInvalidToken)
			assert.Nil(t, got)
		})
	}
	t.Run("SEC-159 a token of any length", func(t *testing.T) {
		a := newAPI(t, resource.VerifierFunc(good), nil)
		a.accepts(strings.Repeat("a", resource.MaxToken))
		a.refuses(strings.Repeat("a", resource.MaxToken+1))
		_, err := a.server.VerifyToken(t.Context(), "")
		assert.ErrorIs(t, err, resource.ErrInvalidToken)
	})
	t.Run("neither token nor error", func(t *testing.T) {
		newAPI(t, resource.VerifierFunc(func(context.Context, string) (*resource.Token, error) { return nil, nil }), nil).cannotTell("x")
	})
}

func TestOutagesAreNotTheTokensFault(t *testing.T) {
	for _, err := range []error{errDown, context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF,
		resource.ErrNoToken, resource.ErrInvalidRequest, resource.ErrInsufficientScope} {
		a := newAPI(t, resource.VerifierFunc(func(context.Context, string) (*resource.Token, error) { return nil, err }), nil)
		a.cannotTell("x")
		assert.ErrorIs(t, a.refused[0], err)
	}
	a := newAPI(t, resource.VerifierFunc(func(context.Context, string) (*resource.Token, error) {
		return nil, fmt.Errorf("revoked: %w", resource.ErrInvalidToken)
	}), nil)
	a.refuses("x")
}

func TestMachine(t *testing.T) {
	for _, tt := range []struct {
		subject, client string
		want            bool
	}{{"user-1", "client-1", false}, {"client-1", "client-1", true}, {"", "client-1", true}, {"Client-1", "client-1", false}} {
		assert.Equal(t, tt.want, (&resource.Token{Subject: tt.subject, ClientID: tt.client}).Machine(), "SEC-166 %+v", tt)
	}
}

func TestClaim(t *testing.T) {
	token := &resource.Token{Claims: json.RawMessage(`{"email":"a@b.example","Email":"x","n":1,"null":null}`)}
	var s string
	ok, err := token.Claim("email", &s)
	assert.True(t, ok)
	assert.NoError(t, err)
	assert.Equal(t, "a@b.example", s)
	ok, err = token.Claim("missing", &s)
	assert.False(t, ok)
	assert.NoError(t, err)
	ok, err = token.Claim("n", &s)
	assert.True(t, ok)
	assert.Error(t, err)
	ok, err = (&resource.Token{}).Claim("email", &s)
	assert.False(t, ok)
	assert.NoError(t, err)
	_, err = (&resource.Token{Claims: json.RawMessage(`[`)}).Claim("email", &s)
	assert.Error(t, err)
}

func TestContext(t *testing.T) {
	_, ok := resource.FromContext(context.Background())
	assert.False(t, ok)
	_, ok = resource.FromContext(resource.NewContext(context.Background(), nil))
	assert.False(t, ok)
	token := &resource.Token{Subject: "a"}
	got, ok := resource.FromContext(resource.NewContext(context.Background(), token))
	assert.True(t, ok)
	assert.Same(t, token, got)
}

// call is what the policy of these tests reads.
type call struct {
	Method string `json:"method"`
	Params struct {
		Name string `json:"name"`
	} `json:"params"`
}

func perTool(r *http.Request) ([]string, error) {
	var c call
	if err := resource.ReadJSON(r, &c); err != nil {
		return nil, err
	}
	switch {
	case c.Method != "tools/call":
		return nil, nil
	case c.Params.Name == "delete":
		return []string{"read", "write"}, nil
	default:
		return []string{"read"}, nil
	}
}

func TestRequireFunc(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), nil)
	var got []string
	a.handler = a.server.RequireFunc(perTool)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		got = append(got, string(body))
	}))
	post := func(t *testing.T, token string, body io.Reader) answer {
		a.tb, got = t, nil
		r := httptest.NewRequest(http.MethodPost, resourceURL, body)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("Content-Type", "application/json")
		return a.do(r)
	}
	tool := func(name string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","arguments":{"a":[1,2]}}}`
	}

	t.Run("the handler reads the same body again", func(t *testing.T) {
		for _, body := range []string{tool("list"), `{"method":"initialize"}`, tool(strings.Repeat("x", 300<<10))} {
			assert.Equal(t, http.StatusOK, post(t, "read", strings.NewReader(body)).StatusCode)
			assert.Equal(t, []string{body}, got)
		}
	})
	t.Run("SEC-160 an operation that needs more", func(t *testing.T) {
		ans := post(t, "read", strings.NewReader(tool("delete")))
		assert.Equal(t, http.StatusForbidden, ans.StatusCode)
		assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
		assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `scope="read write", `+resourceMetadata)
		assert.Empty(t, got)
		assert.Equal(t, http.StatusOK, post(t, "read+write", strings.NewReader(tool("delete"))).StatusCode)
	})
	t.Run("without a token the body is not read", func(t *testing.T) {
		body := strings.NewReader(tool("delete"))
		ans := post(t, "", body)
		assert.Equal(t, http.StatusUnauthorized, ans.StatusCode)
		assert.Equal(t, `Bearer scope="read", `+resourceMetadata, ans.Header.Get("WWW-Authenticate"))
		assert.Equal(t, len(tool("delete")), body.Len())
	})
	for name, body := range map[string]string{
		"not JSON":                 `x`,
		"a list":                   `[` + tool("list") + `]`,
		"a name twice":             `{"method":"tools/call","params":{"name":"list","name":"delete"}}`,
		"a name in another case":   `{"method":"tools/call","params":{"name":"list","Name":"delete"}}`,
		"the method twice":         `{"method":"initialize","method":"tools/call","params":{"name":"delete"}}`,
		"two objects":              tool("list") + tool("delete"),
		"params of another type":   `{"method":"tools/call","params":"delete"}`,
		"empty":                    ``,
		"not UTF-8":                "{\"method\":\"\xff\"}",
		"deeper than is looked at": `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
	} {
		t.Run("400: "+name, func(t *testing.T) {
			ans := post(t, "read", strings.NewReader(body))
			assert.Equal(t, http.StatusBadRequest, ans.StatusCode)
			assert.Empty(t, got)
		})
	}
	t.Run("a body at the limit, and one over it", func(t *testing.T) {
		empty := len(tool(""))
		full := tool(strings.Repeat("x", resource.MaxBody-empty))
		assert.Equal(t, http.StatusOK, post(t, "read", strings.NewReader(full)).StatusCode)
		assert.Equal(t, []string{full}, got)
		over := tool(strings.Repeat("x", resource.MaxBody-empty+1))
		assert.Equal(t, http.StatusRequestEntityTooLarge, post(t, "read", strings.NewReader(over)).StatusCode)
		assert.Empty(t, got)
	})
	t.Run("an endless body", func(t *testing.T) {
		assert.Equal(t, http.StatusRequestEntityTooLarge, post(t, "read", endless{}).StatusCode)
		assert.Empty(t, got)
	})
	t.Run("a body that breaks off", func(t *testing.T) {
		assert.Equal(t, http.StatusBadRequest, post(t, "read", io.MultiReader(strings.NewReader(`{"method":"initialize"}`), broken{})).StatusCode)
		assert.Equal(t, http.StatusBadRequest, post(t, "read", io.MultiReader(strings.NewReader(`{"meth`), broken{})).StatusCode)
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestPoliciesOfAllKinds(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), nil)
	post := func(policy func(*http.Request) ([]string, error)) answer {
		a.reached = 0
		a.handler = a.server.RequireFunc(policy)(a)
		r := httptest.NewRequest(http.MethodPost, resourceURL, strings.NewReader(strings.Repeat("x", 2*resource.MaxBody)))
		r.Header.Set("Authorization", "Bearer read")
		return a.do(r)
	}
	t.Run("one that fails is an outage", func(t *testing.T) {
		ans := post(func(*http.Request) ([]string, error) { return nil, errDown })
		assert.Equal(t, http.StatusServiceUnavailable, ans.StatusCode)
		assert.Zero(t, a.reached)
	})
	t.Run("one that knows the token to be dead", func(t *testing.T) {
		ans := post(func(*http.Request) ([]string, error) { return []string{"write"}, resource.ErrInvalidToken })
		assert.Equal(t, http.StatusUnauthorized, ans.StatusCode)
		assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `scope="read"`)
		assert.Zero(t, a.reached)
	})
	t.Run("one that reads the token and not the body", func(t *testing.T) {
		ans := post(func(r *http.Request) ([]string, error) {
			token, ok := resource.FromContext(r.Context())
			assert.True(t, ok)
			return token.Scopes, nil
		})
		assert.Equal(t, http.StatusOK, ans.StatusCode)
	})
	t.Run("one that closes the body", func(t *testing.T) {
		ans := post(func(r *http.Request) ([]string, error) { return nil, r.Body.Close() })
		assert.Equal(t, http.StatusOK, ans.StatusCode)
	})
	t.Run("one that ignores that the body is too large", func(t *testing.T) {
		ans := post(func(r *http.Request) ([]string, error) {
			n, err := io.Copy(io.Discard, r.Body)
			assert.LessOrEqual(t, n, int64(resource.MaxBody))
			assert.Error(t, err)
			for range 3 {
				n, err := r.Body.Read(make([]byte, 1))
				assert.Error(t, err)
				assert.Zero(t, n)
			}
			return nil, nil
		})
		assert.Equal(t, http.StatusRequestEntityTooLarge, ans.StatusCode)
		assert.Zero(t, a.reached)
	})
	t.Run("on a request without body", func(t *testing.T) {
		a.handler = a.server.RequireFunc(func(r *http.Request) ([]string, error) {
			var c call
			return nil, resource.ReadJSON(r, &c)
		})(a)
		assert.Equal(t, http.StatusBadRequest, a.bearer("read").StatusCode)
		r := httptest.NewRequest(http.MethodPost, resourceURL, nil)
		r.Body = nil
		r.Header.Set("Authorization", "Bearer read")
		assert.Equal(t, http.StatusBadRequest, a.do(r).StatusCode)
	})
	t.Run("on a body that breaks off", func(t *testing.T) {
		a.handler = a.server.RequireFunc(perTool)(a)
		r := httptest.NewRequest(http.MethodPost, resourceURL, io.MultiReader(strings.NewReader(`{"name":"get"}`), iotest.ErrReader(io.ErrUnexpectedEOF)))
		r.Header.Set("Authorization", "Bearer read")
		assert.Equal(t, http.StatusBadRequest, a.do(r).StatusCode)
		assert.Zero(t, a.reached)
	})
	t.Run("behind a http.MaxBytesReader", func(t *testing.T) {
		h := a.server.RequireFunc(perTool)(a)
		a.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 10)
			h.ServeHTTP(w, r)
		})
		r := httptest.NewRequest(http.MethodPost, resourceURL, bytes.NewReader(make([]byte, 100)))
		r.Header.Set("Authorization", "Bearer read")
		assert.Equal(t, http.StatusRequestEntityTooLarge, a.do(r).StatusCode)
	})
}

// Outside of RequireFunc too: what stands behind a megabyte is not left unread.
func TestReadJSONIsBounded(t *testing.T) {
	for size, want := range map[int]string{resource.MaxBody: "", resource.MaxBody + 1: "a body of more than"} {
		body := `{"name":"get"}` + strings.Repeat(" ", size-len(`{"name":"get"}`))
		var c call
		err := resource.ReadJSON(httptest.NewRequest(http.MethodPost, resourceURL, strings.NewReader(body)), &c)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		assert.ErrorIs(t, err, resource.ErrInvalidRequest)
		assert.ErrorContains(t, err, want)
	}
}

func TestHandlersCanAskForMore(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(scoped), nil)
	a.handler = a.server.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, _ := resource.FromContext(r.Context()); !a.server.Allows(token, "write") {
			a.server.InsufficientScope(w, r, "read", "write")
		}
	}))
	assert.Equal(t, http.StatusOK, a.bearer("write").StatusCode)
	ans := a.bearer("read")
	assert.Equal(t, http.StatusForbidden, ans.StatusCode)
	assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `scope="read write"`)
	assert.True(t, errors.Is(a.refused[0], resource.ErrInsufficientScope))
}

func TestCloneSharesNothing(t *testing.T) {
	full := resource.Token{
		Issuer: "i", Subject: "s", Audience: []string{"a", "b"}, Scopes: []string{"1", "2", "3", "4", "5", "6", "7"},
		ExpiresAt: time.Unix(1, 0), Confirmation: []byte(`{}`), Claims: []byte(`{"a":1}`),
	}
	for name, token := range map[string]resource.Token{
		"full": full, "nothing": {}, "few": {Audience: []string{"a"}, Scopes: []string{"s"}}, "no scopes": {Audience: []string{"a"}},
		"empty": {Audience: []string{}, Scopes: []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			before := token
			c := token.Clone()
			assert.Equal(t, token, *c)
			other := token.Clone()
			for _, list := range [][]string{c.Audience, c.Scopes, append(c.Audience, "more"), append(c.Scopes, "more")} {
				for i := range list {
					list[i] = "changed"
				}
			}
			clear(c.Confirmation)
			clear(c.Claims)
			assert.Equal(t, before, token)
			assert.Equal(t, before, *other)
		})
	}
	c := full.Clone()
	_ = append(c.Audience, "added")
	assert.Equal(t, full.Scopes, c.Scopes, "what is added to one list is not in another")
}

// The headers of an answer share an allocation, and nothing else.
func TestHandlersChangeOneHeaderAtATime(t *testing.T) {
	s, err := resource.New(resource.Config{
		Resource: resourceURL, Issuers: []string{issuerURL}, Verifier: resource.VerifierFunc(good),
	})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, resourceURL, nil)
	r.Header.Set("Authorization", "Bearer good")
	s.Require()(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		exposed := w.Header().Get("Access-Control-Expose-Headers")
		w.Header().Add("Access-Control-Allow-Origin", "added")
		assert.Equal(t, []string{exposed}, w.Header().Values("Access-Control-Expose-Headers"))
		w.Header().Add("Access-Control-Expose-Headers", "X-More")
		assert.Equal(t, []string{"*", "added"}, w.Header().Values("Access-Control-Allow-Origin"))
	})).ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)
}
