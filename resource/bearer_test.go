package resource_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

// only accepts the token "good" and fails the test when asked for one that has
// spaces or is empty.
func only(tb testing.TB) resource.VerifierFunc {
	return func(ctx context.Context, token string) (*resource.Token, error) {
		assert.NotContains(tb, token, " ")
		assert.NotEmpty(tb, token)
		if token != "good" {
			return nil, resource.ErrInvalidToken
		}
		return good(ctx, token)
	}
}

func TestAuthorizationHeader(t *testing.T) {
	a := newAPI(t, only(t), nil)
	for name, tt := range map[string]struct {
		header []string
		want   int
	}{
		"as usual":                        {[]string{"Bearer good"}, 200},
		"SEC-163 scheme in any case":      {[]string{"bEaReR good"}, 200},
		"two spaces":                      {[]string{"Bearer  good"}, 200},
		"SEC-161 none":                    {nil, 401},
		"SEC-163 two headers":             {[]string{"Bearer good", "Bearer good"}, 400},
		"SEC-163 two, one of another":     {[]string{"Basic Zm9v", "Bearer good"}, 400},
		"SEC-163 two, one empty":          {[]string{"", "Bearer good"}, 400},
		"SEC-163 no token":                {[]string{"Bearer"}, 400},
		"SEC-163 no token but a space":    {[]string{"Bearer "}, 400},
		"SEC-163 two tokens":              {[]string{"Bearer good good"}, 400},
		"SEC-163 comma":                   {[]string{"Bearer good,Bearer good"}, 400},
		"SEC-163 a parameter":             {[]string{`Bearer token="good"`}, 400},
		"SEC-163 quoted":                  {[]string{`Bearer "good"`}, 400},
		"SEC-163 not ASCII":               {[]string{"Bearer gööd"}, 400},
		"SEC-163 NUL":                     {[]string{"Bearer good\x00"}, 400},
		"SEC-163 only padding":            {[]string{"Bearer =="}, 400},
		"SEC-163 padding within":          {[]string{"Bearer go=od"}, 400},
		"padding at the end is a token":   {[]string{"Bearer good=="}, 401},
		"a token of another kind":         {[]string{"Bearer a-b._~+/c"}, 401},
		"another scheme":                  {[]string{"Basic Zm9vOmJhcg=="}, 401},
		"DPoP":                            {[]string{"DPoP good"}, 401},
		"no scheme":                       {[]string{"good"}, 401},
		"empty":                           {[]string{""}, 401},
		"a scheme that only begins so":    {[]string{"BearerX good"}, 401},
		"a tab between":                   {[]string{"Bearer\tgood"}, 401},
		"SEC-159 a token over the length": {[]string{"Bearer " + strings.Repeat("a", resource.MaxToken+1)}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			a.tb, a.reached = t, 0
			ans := a.get(tt.header...)
			assert.Equal(t, tt.want, ans.StatusCode)
			if tt.want == 200 {
				assert.Equal(t, 1, a.reached)
				return
			}
			assert.Zero(t, a.reached)
			if tt.want == 400 {
				assert.Contains(t, ans.Header.Get("WWW-Authenticate"), `Bearer error="invalid_request"`)
				assert.Contains(t, ans.body, `"error":"invalid_request"`)
			}
		})
	}
}

func TestEveryByteOfAToken(t *testing.T) {
	a := newAPI(t, resource.VerifierFunc(good), nil)
	const token68 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	for b := range 256 {
		want := http.StatusBadRequest
		if strings.IndexByte(token68, byte(b)) >= 0 {
			want = http.StatusOK
		}
		assert.Equal(t, want, a.bearer("a"+string([]byte{byte(b)})+"c").StatusCode, "byte %d", b)
	}
}

func TestTokensElsewhere(t *testing.T) {
	a := newAPI(t, only(t), nil)
	form := func(body string) func() *http.Request {
		return func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, resourceURL, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			return r
		}
	}
	query := func(q string) func() *http.Request {
		return func() *http.Request {
			r := httptest.NewRequest(http.MethodGet, resourceURL, nil)
			r.URL.RawQuery = q
			return r
		}
	}
	for name, request := range map[string]func() *http.Request{
		"in the query":             query("access_token=good"),
		"in the query, second":     query("a=b&access_token=good"),
		"in the query, empty":      query("access_token"),
		"in the query, escaped":    query("access%5Ftoken=good"),
		"in the query, semicolon":  query("a;access_token=good"),
		"in a form":                form("access_token=good"),
		"in a form, second":        form("a=b&access_token=good"),
		"in a form, behind 60 KiB": form("a=" + strings.Repeat("b", 60<<10) + "&access_token=good"),
	} {
		for _, header := range []string{"", "Bearer good"} {
			t.Run("SEC-163 "+name+" and header "+header, func(t *testing.T) {
				a.tb = t
				r := request()
				if header != "" {
					r.Header.Set("Authorization", header)
				}
				assert.Equal(t, http.StatusBadRequest, a.do(r).StatusCode)
				assert.ErrorIs(t, a.refused[len(a.refused)-1], resource.ErrInvalidRequest)
			})
		}
	}
	assert.Zero(t, a.reached)
}

func TestBodiesReachTheHandlerAsTheyWere(t *testing.T) {
	a := newAPI(t, only(t), nil)
	var got []string
	a.handler = a.server.Require()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.NoError(t, r.Body.Close())
		got = append(got, string(body))
	}))
	long := url.Values{"a": {strings.Repeat("b", 200<<10)}}.Encode()
	var want []string
	for _, contentType := range []string{"application/x-www-form-urlencoded", "application/json", "", "multipart/form-data; boundary=x"} {
		for _, body := range []string{"", "a=b&c=d&not_access_token=x", long} {
			r := httptest.NewRequest(http.MethodPost, resourceURL, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer good")
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			require.Equal(t, http.StatusOK, a.do(r).StatusCode)
			want = append(want, body)
		}
	}
	assert.Equal(t, want, got)
}

func TestAFormWithoutBody(t *testing.T) {
	a := newAPI(t, only(t), nil)
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		r := httptest.NewRequest(http.MethodPost, resourceURL, nil)
		r.Body = body
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer good")
		assert.Equal(t, http.StatusOK, a.do(r).StatusCode)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestAFormThatCannotBeRead(t *testing.T) {
	a := newAPI(t, only(t), nil)
	r := httptest.NewRequest(http.MethodPost, resourceURL, broken{})
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer good")
	assert.Equal(t, http.StatusBadRequest, a.do(r).StatusCode)
}

// FuzzAuthorization: what is accepted has one token, which stands in the header
// as it is.
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"Bearer good", "bearer  a.b-c_d~e+f/g==", "Bearer", "Bearer a b", "Basic x", "Bearer \x00", "Bearer =", "\tBearer x"} {
		f.Add(s)
	}
	var seen string
	s, err := resource.New(resource.Config{Resource: resourceURL, Issuers: []string{issuerURL},
		Verifier: resource.VerifierFunc(func(ctx context.Context, token string) (*resource.Token, error) {
			seen = token
			return good(ctx, token)
		})})
	require.NoError(f, err)
	h := s.Require()(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	f.Fuzz(func(t *testing.T, header string) {
		seen = ""
		r := httptest.NewRequest(http.MethodGet, resourceURL, nil)
		r.Header["Authorization"] = []string{header}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusNoContent:
			require.NotEmpty(t, seen)
			require.NotContains(t, seen, " ")
			require.True(t, strings.HasSuffix(header, " "+seen))
			require.Equal(t, "bearer", strings.ToLower(strings.TrimRight(strings.TrimSuffix(header, seen), " ")))
		case http.StatusUnauthorized, http.StatusBadRequest:
			require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
		default:
			t.Fatalf("status %d", w.Code)
		}
	})
}
