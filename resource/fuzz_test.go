package resource_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

// challengeOf takes apart a challenge of quoted strings without escapes, which
// is all that some clients can read.
var challengeOf = regexp.MustCompile(`^Bearer (?:error="([^"\\]*)", error_description="([^"\\]*)", )?(?:scope="([^"\\]*)", )?resource_metadata="([^"\\]+)"$`)

// FuzzConfig: whatever a resource is called, it is refused, or http.ServeMux
// takes its routes, the challenge can be read, and the place that it names has
// the metadata as they were configured.
func FuzzConfig(f *testing.F) {
	f.Add(resourceURL, issuerURL, "Notes", "https://api.example/docs", "read", "write")
	f.Add("https://api.example", issuerURL+"/a", "\u2028<b>\xff", "", "", "")
	f.Add("https://api.example/", issuerURL, `"`, "http://x", "a b", `"`)
	f.Add("http://127.0.0.1:8080/a/?x=%22&y", issuerURL, "", "x:", "a", "a")
	f.Add("https://api.example/{x}/%7Bx%7D/", issuerURL, "", "", "~", "!")
	f.Add("https://[::1]/a//b/../c%2F..", "https://", "", "//x", "\\", "é")
	f.Add("https://api.example//", issuerURL, "", "", "", "")
	f.Add("https://a%25b/c", issuerURL, "", "", "", "")
	f.Add("https://api.example:443/a%0d%0ab?", issuerURL+"?", "", "", "offline_access", "\x7f")
	f.Fuzz(func(t *testing.T, uri, issuer, name, docs, scope, needed string) {
		cfg := resource.Config{Resource: uri, Issuers: []string{issuer}, Name: name, Documentation: docs, Verifier: resource.VerifierFunc(good)}
		if scope != "" {
			cfg.Scopes = []string{scope}
		}
		s, err := resource.New(cfg)
		if err != nil {
			return
		}
		mux := http.NewServeMux()
		for pattern, h := range s.MetadataRoutes() {
			mux.Handle(pattern, h) // panics for a pattern that is none
		}
		get := func(h http.Handler, target *url.URL) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL, r.Host = target, target.Host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		u, err := url.Parse(uri)
		require.NoError(t, err)
		w := get(s.Require()(http.NotFoundHandler()), u)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		challenge := w.Header()["Www-Authenticate"]
		require.Len(t, challenge, 1)
		parts := challengeOf.FindStringSubmatch(challenge[0])
		require.NotNil(t, parts, "%q", challenge[0])
		require.Equal(t, []string{"", "", scope}, parts[1:4])

		at, err := url.Parse(parts[4])
		require.NoError(t, err)
		require.Equal(t, u.Scheme+"://"+u.Host, at.Scheme+"://"+at.Host)
		w = get(mux, at)
		require.Equal(t, http.StatusOK, w.Code, "%s: %s", at, w.Header().Get("Location"))
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		var document struct {
			Resource string   `json:"resource"`
			Issuers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
			Name     string   `json:"resource_name"`
			Docs     string   `json:"resource_documentation"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &document))
		require.Equal(t, []string{uri, issuer}, append([]string{document.Resource}, document.Issuers...))
		require.Equal(t, cfg.Scopes, document.Scopes)
		if utf8.ValidString(name) && utf8.ValidString(docs) {
			require.Equal(t, []string{name, docs}, []string{document.Name, document.Docs})
		}

		w = httptest.NewRecorder()
		s.InsufficientScope(w, httptest.NewRequest(http.MethodGet, "/", nil), needed, scope, needed)
		require.Equal(t, http.StatusForbidden, w.Code)
		parts = challengeOf.FindStringSubmatch(w.Header().Get("WWW-Authenticate"))
		require.NotNil(t, parts, "%q", w.Header())
		require.Equal(t, "insufficient_scope", parts[1])
		for _, s := range strings.Fields(parts[3]) {
			require.Contains(t, []string{needed, scope}, s)
		}
	})
}

// FuzzIntrospection answers the question about a token with anything. Let
// through is what every reader of JSON sees to be an access token, active now,
// of this issuer and for this resource.
func FuzzIntrospection(f *testing.F) {
	const start = `{"active":true,"iss":"https://login.example","sub":"user-1","aud":"https://api.example/mcp","client_id":"client-1"`
	for _, more := range []string{
		`}`, `,"scope":"read","exp":4102444800,"token_type":"Bearer"}`, `,"exp":1}`, `,"exp":4102444800.9e1}`, `,"exp":"4102444800"}`, `,"nbf":4102444800}`, `,"token_type":"refresh_token"}`,
		`,"Active":false}`, `,"active":false}`, `,"cnf":{"jkt":"x"}}`, `,"cnf":{}}`, `} {}`, `,"scope":["read"]}`,
	} {
		f.Add([]byte(start+more), "application/json", uint16(0))
	}
	for _, active := range []string{`"true"`, "1", "null", "[true]", "false"} {
		f.Add([]byte(strings.Replace(start, "true", active, 1)+"}"), "application/json", uint16(0))
	}
	f.Add([]byte(start+"}"), "application/json", uint16(1))
	f.Add([]byte(`{"active":true,"aud":["https://api.example/mcp",null],"client_id":"c"}`), "application/json;charset=utf-8", uint16(0))
	f.Add([]byte(`{"active":1,"aud":[],"client_id":""}`), "application/token-introspection+json", uint16(0))
	f.Add([]byte(`{"active":"true"}`), "text/html", uint16(0))
	f.Add([]byte(`{"active":false}`), "", uint16(201))
	is := newIssuer(f, issuerURL)
	var body []byte
	var media string
	var status int
	is.override["/introspect"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
	a := newAPI(f, resource.Introspection(issuerURL, "api", "secret", is.client()), func(cfg *resource.Config) { cfg.OnRefusal = nil })
	f.Fuzz(func(t *testing.T, answer []byte, contentType string, code uint16) {
		a.tb, body, media, status = t, answer, contentType, 200+int(code)%400
		ans := a.bearer("opaque")
		if ans.StatusCode != http.StatusOK {
			if ans.StatusCode != http.StatusUnauthorized && ans.StatusCode != http.StatusServiceUnavailable {
				t.Fatalf("%d: %s", ans.StatusCode, ans.body)
			}
			return
		}
		var m map[string]any // names as they are, of two the last
		require.NoError(t, json.Unmarshal(answer, &m))
		kind, hasKind := m["token_type"].(string)
		issuer, hasIssuer := m["iss"].(string)
		expires, hasExpires := m["exp"].(float64)
		before, _ := m["nbf"].(float64)
		list, _ := m["aud"].([]any)
		client, _ := m["client_id"].(string)
		now := float64(time.Now().Unix())
		if status != 200 || m["active"] != true || client == "" || m["cnf"] != nil || hasIssuer && issuer != issuerURL && issuer != "" || before > now+61 ||
			m["aud"] != resourceURL && !slices.Contains(list, any(resourceURL)) || m["exp"] != nil && (!hasExpires || expires < now) ||
			hasKind && !strings.EqualFold(kind, "Bearer") && !strings.EqualFold(kind, "DPoP") {
			t.Fatalf("%d %s was let through", status, answer)
		}
	})
}

// FuzzServerMetadata answers the search for an issuer with anything. The token,
// and the secret beside it, go to the https address that the issuer's own
// document names, and nowhere else.
func FuzzServerMetadata(f *testing.F) {
	for _, text := range []string{
		`{"issuer":"https://login.example","introspection_endpoint":"https://login.example/introspect"}`,
		`{"issuer":"https://login.example","introspection_endpoint":"https://elsewhere.example/introspect?a=%20b"}`,
		`{"issuer":"https://login.example","introspection_endpoint":"http://localhost/introspect"}`,
		`{"issuer":"https://login.example","introspection_endpoint":"https://login.example:/introspect"}`,
		`{"issuer":"https://login.example","introspection_endpoint":"https://u:p@login.example/#x"}`,
		`{"issuer":"https://login.example/","introspection_endpoint":"https://login.example/introspect"}`,
		`{"issuer":"https://login.example","introspection_endpoint":"https://a.example/","Introspection_endpoint":"https://b.example/"}`,
		`{"issuer":"https://login.example","introspection_endpoint":"https://login.example\\@evil.example/"}`,
		`{"issuer":"https://login.example","introspection_endpoint":"HTTPS://LOGIN.example:443/../x"}`,
		`{"issuer":"https://login.example"}`, `[]`, `{"issuer":1}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var sent []string
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json")
			if r.Method == http.MethodGet {
				require.Equal(t, "", r.Header.Get("Authorization"))
				require.Equal(t, "https://login.example", r.URL.Scheme+"://"+r.URL.Host)
				_, _ = w.Write(text)
				return w.Result(), nil
			}
			sent = append(sent, r.URL.String())
			_, _ = io.WriteString(w, `{"active":false}`)
			return w.Result(), nil
		})}
		_, err := resource.Introspection(issuerURL, "api", "secret", client).VerifyToken(t.Context(), "opaque")
		require.Error(t, err)
		require.Equal(t, len(sent) == 1, errors.Is(err, resource.ErrInvalidToken), "%v", err)
		if len(sent) == 0 {
			return
		}
		var same struct {
			Issuer   string `json:"issuer"`
			Endpoint string `json:"introspection_endpoint"`
		}
		require.NoError(t, json.Unmarshal(text, &same))
		require.Equal(t, []string{issuerURL, same.Endpoint}, []string{same.Issuer, sent[0]})
		require.True(t, strings.HasPrefix(sent[0], "https://"), sent[0])
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzReadJSON: a policy and the handler behind it read one and the same thing:
// the handler all of the body, however much of it the policy has read, and what
// ReadJSON accepts, any other reader would read so too.
func FuzzReadJSON(f *testing.F) {
	for _, text := range []string{`{"name":"a","n":1,"list":["x"]}`, `{"name":"a","name":"b"}`, `{"name":"a","Name":"b"}`, `{"NAME":"b"}`, `{"name":"\ud800"}`, "{\"name\":\"\xff\"}", `{} {}`, `[]`, `null`, ``, `{"n":1e2}`, `{"list":null}`, `{"other":{"name":"b"}}`} {
		f.Add([]byte(text), uint8(0), true)
		f.Add([]byte(text), uint8(7), false)
	}
	type args struct {
		Name string   `json:"name"`
		N    int      `json:"n"`
		List []string `json:"list"`
	}
	f.Fuzz(func(t *testing.T, body []byte, some uint8, strict bool) {
		var got args
		var refused error
		server := newAPI(t, resource.VerifierFunc(good), nil).server
		reached := false
		h := server.RequireFunc(func(r *http.Request) ([]string, error) {
			if strict {
				refused = resource.ReadJSON(r, &got)
				return nil, refused
			}
			_, err := io.CopyN(io.Discard, r.Body, int64(some))
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return nil, r.Body.Close()
		})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reached = true
			again, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, string(body), string(again))
		}))
		r := httptest.NewRequest(http.MethodPost, resourceURL, bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, refused == nil, reached)
		if refused != nil {
			require.ErrorIs(t, refused, resource.ErrInvalidRequest)
			require.Equal(t, http.StatusBadRequest, w.Code)
			return
		}
		if !strict {
			return
		}
		var same args
		require.NoError(t, json.Unmarshal(body, &same))
		require.Equal(t, same, got)
		var exact map[string]json.RawMessage // a reader that takes names as they are
		require.NoError(t, json.Unmarshal(body, &exact))
		name, err := json.Marshal(got.Name)
		require.NoError(t, err)
		if raw, ok := exact["name"]; ok && string(raw) != "null" {
			require.JSONEq(t, string(raw), string(name))
		} else {
			require.Empty(t, got.Name)
		}
	})
}
