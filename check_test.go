package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
)

// deployment is how the world reaches a provider: what stands at its issuer,
// with a proxy before it.
type deployment struct {
	h     http.Handler
	plain bool // http is served too
	asked int
}

func (d *deployment) RoundTrip(r *http.Request) (*http.Response, error) {
	d.asked++
	if r.URL.Scheme == "http" && !d.plain {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	d.h.ServeHTTP(w, r)
	return w.Result(), nil
}

const pathIssuer = issuer + "/tenant"

// deployed mounts a provider and an MCP server, whose metadata names server.
func deployed(t *testing.T, uri, server string, change ...func(*oauth.Config)) (*fixture, *http.ServeMux) {
	change = append([]func(*oauth.Config){func(c *oauth.Config) {
		c.Issuer, c.Resources = pathIssuer, []oauth.Resource{{URI: issuer + "/mcp"}, {URI: apiURI}}
	}}, change...)
	f := newFixture(t, change...)
	mux := http.NewServeMux()
	for path, h := range f.p.Routes() {
		mux.Handle(path, h)
	}
	rs, err := resource.New(resource.Config{Resource: uri, Issuers: []string{server}, Verifier: f.p.Verifier()})
	require.NoError(t, err)
	for path, h := range rs.MetadataRoutes() {
		mux.Handle(path, h)
	}
	mux.Handle("/mcp", rs.Require()(http.NotFoundHandler()))
	mux.HandleFunc("GET /login", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
		}
	})
	return f, mux
}

func check(t *testing.T, f *fixture, d *deployment) []string {
	t.Helper()
	err := f.p.Check(t.Context(), &http.Client{Transport: d})
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	var list []string
	for _, e := range joined.Unwrap() {
		list = append(list, e.Error())
	}
	return list
}

func TestCheckFindsNothingWhereAllIsWell(t *testing.T) {
	for _, plain := range []bool{false, true} {
		f, mux := deployed(t, issuer+"/mcp", pathIssuer)
		d := &deployment{plain: plain, h: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Scheme == "http" {
				http.Redirect(w, r, "https://"+r.Host, http.StatusPermanentRedirect)
				return
			}
			mux.ServeHTTP(w, r)
		})}
		assert.Empty(t, check(t, f, d))
		assert.Less(t, d.asked, 30)
	}
}

// A resource need not be an endpoint itself: a site may have a page for every path
// that is nothing else.
func TestCheckTakesNoPageForAResourceThatAsksForNoToken(t *testing.T) {
	f, mux := deployed(t, issuer+"/mcp", pathIssuer)
	page := broken("/mcp", answerText("text/html; charset=utf-8", "<!doctype html>"))
	assert.Empty(t, check(t, f, &deployment{h: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { page(w, r, mux) })}))
}

// proxy is what stands before the provider; next is the provider.
type proxy = func(w http.ResponseWriter, r *http.Request, next http.Handler)

// at breaks the requests whose path begins so.
func broken(prefix string, instead http.HandlerFunc) proxy {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, prefix) {
			instead(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// after changes the answers whose path begins so.
func after(prefix string, change func(h http.Header, body []byte) []byte) proxy {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.HasPrefix(r.URL.Path, prefix) {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := change(rec.Header(), rec.Body.Bytes())
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		w.Write(body)
	}
}

func headers(prefix, name string, values ...string) proxy {
	return after(prefix, func(h http.Header, body []byte) []byte {
		h.Del(name)
		for _, v := range values {
			h.Add(name, v)
		}
		return body
	})
}

func replaced(prefix, old, new string) proxy {
	return after(prefix, func(_ http.Header, body []byte) []byte {
		return bytes.ReplaceAll(body, []byte(old), []byte(new))
	})
}

func answerStatus(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

func answerText(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, body)
	}
}

const (
	rfc8414   = "/.well-known/oauth-authorization-server"
	prm       = "/.well-known/oauth-protected-resource"
	tokenPath = "/tenant/oauth/token"
	jwksPath  = "/tenant/oauth/jwks"
)

func TestCheckFindsWhatAProxyBreaks(t *testing.T) {
	for name, tt := range map[string]struct {
		broken proxy
		want   string
	}{
		"metadata is not routed":          {broken(rfc8414, answerStatus(404)), rfc8414 + "/tenant is not found: route this path, at the root of the host and with nothing stripped from it, to the provider"},
		"path-inserted OpenID form":       {broken("/.well-known/openid-configuration", answerStatus(404)), "/.well-known/openid-configuration/tenant is not found"},
		"form behind the path":            {broken("/tenant/.well-known/openid", answerStatus(404)), "/tenant/.well-known/openid-configuration is not found"},
		"second form behind the path":     {broken("/tenant/.well-known/oauth", answerStatus(404)), "/tenant" + rfc8414 + " is not found"},
		"metadata is redirected":          {broken(rfc8414, http.RedirectHandler("https://www.auth.example/", http.StatusMovedPermanently).ServeHTTP), `redirects to "https://www.auth.example/"`},
		"metadata behind a sign-in":       {broken(rfc8414, answerStatus(401)), "it must be public"},
		"metadata forbidden":              {broken(rfc8414, answerStatus(403)), "answers 403: it must be public"},
		"the upstream is down":            {broken(rfc8414, answerStatus(502)), "the proxy does not reach the provider"},
		"the server fails":                {broken(rfc8414, answerStatus(500)), "has an outage"},
		"an odd status":                   {broken(rfc8414, answerStatus(204)), "answers 204 instead of 200"},
		"a page of the app":               {broken(rfc8414, answerText("text/html", "<html>")), `answers with "text/html" instead of application/json`},
		"no JSON":                         {broken(rfc8414, answerText("application/json", "<html>")), "is not the JSON that it should be"},
		"issuer with a slash":             {replaced(rfc8414, `"`+pathIssuer+`"`, `"`+pathIssuer+`/"`), "a slash too many at its end"},
		"issuer is http":                  {replaced(rfc8414, `"`+pathIssuer+`"`, `"http://auth.example/tenant"`), "http where https must be"},
		"issuer in capitals":              {replaced(rfc8414, `"`+pathIssuer+`"`, `"https://AUTH.example/tenant"`), "upper and lower case"},
		"issuer of another":               {replaced(rfc8414, `"`+pathIssuer+`"`, `"https://other.example"`), `has the issuer "https://other.example" instead of "` + pathIssuer + `"`},
		"no issuer":                       {replaced(rfc8414, `"issuer"`, `"issuers"`), `has the issuer "" instead of`},
		"another token endpoint":          {replaced(rfc8414, "/oauth/token", "/oauth2/token"), `differs from this provider's in "token_endpoint"`},
		"metadata without CORS":           {headers(rfc8414, "Access-Control-Allow-Origin"), rfc8414 + "/tenant has no Access-Control-Allow-Origin"},
		"CORS for one origin":             {headers(rfc8414, "Access-Control-Allow-Origin", "https://app.example"), `"https://app.example" instead of *`},
		"CORS twice":                      {headers(tokenPath, "Access-Control-Allow-Origin", "*", "*"), tokenPath + " has Access-Control-Allow-Origin twice"},
		"CORS twice in one line":          {headers(jwksPath, "Access-Control-Allow-Origin", "*, *"), jwksPath + " has Access-Control-Allow-Origin twice"},
		"OPTIONS not routed":              {method("OPTIONS", tokenPath, answerStatus(405)), tokenPath + " refuses the method"},
		"OPTIONS answered by the proxy":   {method("OPTIONS", tokenPath, answerStatus(200)), tokenPath + " (OPTIONS) has no Access-Control-Allow-Origin"},
		"OPTIONS behind a sign-in":        {method("OPTIONS", tokenPath, answerStatus(401)), "answers OPTIONS with 401"},
		"preflight without Authorization": {headers(tokenPath, "Access-Control-Allow-Headers", "Content-Type"), "without Authorization in Access-Control-Allow-Headers"},
		"preflight without POST":          {headers(tokenPath, "Access-Control-Allow-Methods", "GET"), "without POST in Access-Control-Allow-Methods"},
		"keys are not routed":             {broken(jwksPath, answerStatus(404)), jwksPath + " is not found"},
		"keys of another":                 {broken(jwksPath, answerText("application/json", `{"keys":[{"kid":"other"}]}`)), `lacks the key that signs (kid "test")`},
		"token endpoint not routed":       {broken(tokenPath, answerStatus(404)), tokenPath + " is not found"},
		"token endpoint is a page":        {method("POST", tokenPath, answerText("text/html", "")), tokenPath + ` answers with "text/html"`},
		"token endpoint is redirected":    {method("POST", tokenPath, http.RedirectHandler("/x", http.StatusFound).ServeHTTP), tokenPath + ` redirects to "/x"`},
		"token endpoint has its own JSON": {method("POST", tokenPath, answerText("application/json", `{"message":"no"}`)), "no error in JSON"},
		"another error":                   {method("POST", tokenPath, answerText("application/json", `{"error":"nope"}`)), `answers an unknown client with "nope"`},
		"status is changed":               {mask(400), "answers invalid_client with 400 instead of 401"},
		"Authorization is dropped":        {dropAuthorization, tokenPath + " does not see the Authorization header"},
		"challenge is dropped":            {headers(tokenPath, "WWW-Authenticate"), "a proxy drops WWW-Authenticate"},
		"token answers may be cached":     {headers(tokenPath, "Cache-Control"), "has no Cache-Control: no-store"},
		"clock":                           {headers(tokenPath, "Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)), "differ by 1h0m"},
		"revocation not routed":           {broken("/tenant/oauth/revoke", answerStatus(404)), "/tenant/oauth/revoke is not found"},
		"introspection not routed":        {broken("/tenant/oauth/introspect", answerStatus(404)), "/tenant/oauth/introspect is not found"},
		"authorize not routed":            {broken("/tenant/oauth/authorize", answerStatus(404)), "/tenant/oauth/authorize is not found"},
		"authorize behind a sign-in":      {broken("/tenant/oauth/authorize", http.RedirectHandler("/login", http.StatusFound).ServeHTTP), "before the provider sees the request"},
		"authorize is a page of the app":  {broken("/tenant/oauth/authorize", answerText("text/html", "Hello")), "instead of the provider's error page"},
		"page without its policy":         {headers("/tenant/oauth/authorize", "Content-Security-Policy"), "has no Content-Security-Policy"},
		"resource metadata not routed":    {broken(prm, answerStatus(404)), prm + "/mcp is not found: route this path, at the root of the host and with nothing stripped from it, to the resource server"},
		"resource metadata of another":    {replaced(prm, `"`+issuer+`/mcp"`, `"`+issuer+`/mcp/"`), prm + `/mcp has the resource "https://auth.example/mcp/" instead of`},
		"resource metadata, other issuer": {replaced(prm, `"`+pathIssuer+`"`, `"`+issuer+`"`), "has the first of authorization_servers"},
		"resource metadata, no issuer":    {replaced(prm, `"`+pathIssuer+`"`, ``), "names no authorization_servers"},
		"resource that asks for no token": {broken("/mcp", answerStatus(405)), issuer + "/mcp answers 405 to who has no token: put resource.Server.Require"},
		"challenge of the resource":       {headers("/mcp", "WWW-Authenticate", "Bearer"), "answers 401 without resource_metadata="},
	} {
		t.Run(name, func(t *testing.T) {
			f, mux := deployed(t, issuer+"/mcp", pathIssuer)
			found := check(t, f, &deployment{h: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tt.broken(w, r, mux) })})
			assert.Contains(t, strings.Join(found, "\n"), tt.want)
			assert.LessOrEqual(t, len(found), 3, "one fault is not ten findings: %q", found)
		})
	}
}

// method breaks the requests of one method whose path begins so.
func method(name, prefix string, instead http.HandlerFunc) proxy {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == name && strings.HasPrefix(r.URL.Path, prefix) {
			instead(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func mask(code int) proxy {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path != tokenPath || r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(code)
		w.Write(rec.Body.Bytes())
	}
}

func dropAuthorization(w http.ResponseWriter, r *http.Request, next http.Handler) {
	r.Header.Del("Authorization")
	next.ServeHTTP(w, r)
}

func TestCheckFindsAHostWithoutTLS(t *testing.T) {
	f, mux := deployed(t, issuer+"/mcp", pathIssuer)
	assert.Equal(t, []string{"http://auth.example answers as well: codes and tokens could travel unencrypted; let the proxy redirect http to https"},
		check(t, f, &deployment{h: mux, plain: true}))
}

func TestCheckSaysOnceThatNothingAnswers(t *testing.T) {
	f, _ := deployed(t, issuer+"/mcp", pathIssuer)
	err := f.p.Check(t.Context(), &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })})
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, 1, strings.Count(err.Error(), "cannot be reached"))
	assert.NotContains(t, err.Error(), "\n")
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCheckEndsThoughNothingAnswers(t *testing.T) {
	f, _ := deployed(t, issuer+"/mcp", pathIssuer)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := f.p.Check(t.Context(), &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestCheckReadsNoEndlessAnswer(t *testing.T) {
	f, mux := deployed(t, issuer+"/mcp", pathIssuer)
	read := 0
	err := f.p.Check(t.Context(), &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		res, err := (&deployment{h: mux}).RoundTrip(r)
		if err == nil && strings.HasPrefix(r.URL.Path, rfc8414) {
			res.Body = io.NopCloser(readFunc(func(p []byte) (int, error) { read += len(p); clear(p); return len(p), nil }))
		}
		return res, err
	})})
	assert.ErrorContains(t, err, "is not the JSON that it should be")
	assert.Less(t, read, 4<<20)
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestCheckFindsWhatIsWrongWithTheConfiguration(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(c *oauth.Config)
		want   string
	}{
		"no Secret":        {func(c *oauth.Config) { c.Secret = nil }, "Config.Secret is not set"},
		"http resource":    {func(c *oauth.Config) { c.Resources[1].URI = "http://api.example" }, `the resource "http://api.example" is http`},
		"keys not to show": {func(c *oauth.Config) { c.Keys = oauth.StaticKeys{{ID: "h", Secret: make([]byte, 32)}} }, "shared secret (HS256)"},
	} {
		f, mux := deployed(t, issuer+"/mcp", pathIssuer, tt.change)
		found := check(t, f, &deployment{h: mux})
		require.Len(t, found, 1, name)
		assert.Contains(t, found[0], tt.want, name)
	}
}

func TestCheckSaysEachFindingOnce(t *testing.T) {
	f, _ := deployed(t, issuer+"/mcp", pathIssuer)
	found := check(t, f, &deployment{h: http.NotFoundHandler()})
	require.NotEmpty(t, found)
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(found))), len(found), strings.Join(found, "\n"))
}

func TestCheckFindsAScopeThatDoesNotExist(t *testing.T) {
	f, _ := deployed(t, issuer+"/mcp", pathIssuer)
	for scope, known := range map[string]bool{"read": true, "raed": false} {
		rs, err := resource.New(resource.Config{Resource: issuer + "/mcp", Issuers: []string{pathIssuer}, Verifier: f.p.Verifier(), Scopes: []string{scope}})
		require.NoError(t, err)
		mux := http.NewServeMux()
		mux.Handle("/", f.p)
		mux.HandleFunc("/login", func(http.ResponseWriter, *http.Request) {})
		mux.Handle(rs.MetadataRoute())
		found := check(t, f, &deployment{h: mux})
		if known {
			assert.Empty(t, found)
			continue
		}
		require.Len(t, found, 1)
		assert.Contains(t, found[0], `has the scope "raed", which is not in Config.Scopes`)
	}
}

func TestCheckFindsThatNobodyCanSignIn(t *testing.T) {
	f, mux := deployed(t, issuer+"/mcp", pathIssuer)
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed} {
		lost := broken("/login", answerStatus(status))
		found := check(t, f, &deployment{h: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { lost(w, r, mux) })})
		require.Len(t, found, 1)
		assert.Contains(t, found[0], issuer+"/login answers GET with")
	}
	for name, change := range map[string]func(c *oauth.Config){
		"elsewhere": func(c *oauth.Config) { c.LoginURL = "https://login.example/" },
		"Interact": func(c *oauth.Config) {
			c.Interact = func(http.ResponseWriter, *http.Request, *oauth.AuthorizationRequest) {}
		},
	} {
		f, mux := deployed(t, issuer+"/mcp", pathIssuer, change)
		lost := broken("/login", answerStatus(http.StatusNotFound))
		assert.Empty(t, check(t, f, &deployment{h: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { lost(w, r, mux) })}), name)
	}
}

type keysThatFail struct{ answers int }

func (k *keysThatFail) Keys(ctx context.Context) ([]oauth.Key, error) {
	if k.answers--; k.answers < 0 {
		return nil, errors.New("the key service is away")
	}
	return testKeys().Keys(ctx)
}

func TestCheckFindsASourceOfKeysThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, mux := deployed(t, issuer+"/mcp", pathIssuer, func(c *oauth.Config) { c.Keys = &keysThatFail{answers: 1} })
		time.Sleep(11 * time.Second)
		found := check(t, f, &deployment{h: mux})
		require.Len(t, found, 1)
		assert.Contains(t, found[0], "Config.Keys fails: the last keys stay in force, and no next one can follow them: the key service is away")
	})
}

func TestCheckFindsExtensionsThatAreNotRouted(t *testing.T) {
	f, mux := deployed(t, issuer+"/mcp", pathIssuer, func(c *oauth.Config) {
		c.Extensions = []oauth.Extension{func(r *oauth.Registry) error {
			r.Endpoint("/par", "pushed_authorization_request_endpoint", func(context.Context, *oauth.ClientRequest) (any, error) { return nil, nil })
			r.Handle("/register", "registration_endpoint", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			return nil
		}}
	})
	assert.Empty(t, check(t, f, &deployment{h: mux}))
	for _, path := range []string{"/tenant/oauth/par", "/tenant/oauth/register"} {
		lost := broken(path, answerStatus(404))
		found := check(t, f, &deployment{h: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { lost(w, r, mux) })})
		require.Len(t, found, 1)
		assert.Contains(t, found[0], path+" is not found")
	}
}

func TestCheckLeavesNoSecretAndSaysWhoAsked(t *testing.T) {
	f, mux := deployed(t, issuer+"/mcp", pathIssuer)
	var sent string
	broken := func(w http.ResponseWriter, r *http.Request) {
		if _, secret, ok := r.BasicAuth(); ok {
			sent = secret
			r.Header.Del("Authorization")
		}
		mux.ServeHTTP(w, r)
	}
	found := check(t, f, &deployment{h: http.HandlerFunc(broken)})
	require.NotEmpty(t, sent)
	assert.NotContains(t, strings.Join(found, "\n"), sent)
	found = check(t, f, &deployment{h: mux})
	assert.Empty(t, found)
	assert.NotContains(t, f.log.String(), sent)
	assert.Contains(t, f.log.String(), "client_id=oauth-check")
}
