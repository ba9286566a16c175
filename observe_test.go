package oauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// observer keeps what it was told, as "endpoint outcome status".
type observer struct {
	mu   sync.Mutex
	seen []string
}

type observerKey struct{}

func (o *observer) observe(ctx context.Context, endpoint string) (context.Context, func(string, int)) {
	return context.WithValue(ctx, observerKey{}, endpoint), func(outcome string, status int) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.seen = append(o.seen, fmt.Sprint(endpoint, " ", outcome, " ", status))
	}
}

func (o *observer) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) == 0 {
		return ""
	}
	return o.seen[len(o.seen)-1]
}

func TestObserveIsToldOfEveryRequest(t *testing.T) {
	o := &observer{}
	var contexts []any
	f := newFixture(t, func(c *oauth.Config) {
		c.Observe = o.observe
		onEvent := c.OnEvent
		c.OnEvent = func(ctx context.Context, e oauth.Event) {
			contexts = append(contexts, ctx.Value(observerKey{}))
			onEvent(ctx, e)
		}
		c.Extensions = []oauth.Extension{func(r *oauth.Registry) error {
			r.Endpoint("/par", "", func(context.Context, *oauth.ClientRequest) (any, error) { return nil, nil })
			r.Handle("/page", "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.RawQuery {
				case "early":
					w.WriteHeader(http.StatusEarlyHints)
					io.WriteString(w, "page")
				case "flush":
					assert.NoError(t, http.NewResponseController(w).Flush())
				case "refuse":
					w.WriteHeader(http.StatusTeapot)
				}
			}))
			return nil
		}}
	})
	b := alice()
	get := func(path string) func() answer {
		return func() answer { return f.do(httptest.NewRequest("GET", path, nil)) }
	}
	page := func(path string) func() answer { // headers of pages of extensions are their own
		return func() answer {
			w := httptest.NewRecorder()
			f.p.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			return answer{}
		}
	}
	authorize := func(pairs ...string) func() answer {
		return func() answer { return f.authorize(b, authorization("app", pairs...)) }
	}
	decide := func(decision string) func() answer {
		return func() answer {
			form := consentForm(t, f.authorize(b, authorization("app", "prompt", "consent")))
			form.Set("decision", decision)
			return f.visit(b, "POST", "/oauth/consent", form)
		}
	}
	broken := alice()
	for _, tt := range []struct {
		do   func() answer
		want string
	}{
		{get("/.well-known/oauth-authorization-server"), "metadata ok 200"},
		{get("/oauth/jwks"), "jwks ok 200"},
		{authorize(), "authorize ok 200"},
		{authorize("scope", "none"), "authorize invalid_scope 303"},
		{authorize("client_id", "nobody"), "authorize invalid_client 400"},
		{authorize("response_mode", "form_post", "response_type", "x"), "authorize unsupported_response_type 200"},
		{decide("deny"), "consent access_denied 303"},
		{decide("allow"), "consent ok 303"},
		{func() answer { return f.visit(broken, "POST", "/oauth/consent", url.Values{"interaction": {"x"}}) }, "consent access_denied 403"},
		{func() answer { return f.post("/oauth/token", "cc", ccForm) }, "token ok 200"},
		{func() answer { return f.exchange("app", "wrong") }, "token invalid_grant 400"},
		{func() answer { return f.send(ccForm, basic("cc", "wrong")) }, "token invalid_client 401"},
		{get("/oauth/token"), "token invalid_request 405"},
		{func() answer { return f.post("/oauth/revoke", "cc", url.Values{"token": {"x"}}) }, "revoke ok 200"},
		{func() answer { return f.post("/oauth/introspect", "cc", nil) }, "introspect invalid_request 400"},
		{func() answer { return f.post("/oauth/par", "cc", nil) }, "par ok 200"},
		{page("/oauth/page"), "page ok 200"},
		{page("/oauth/page?early"), "page ok 200"},
		{page("/oauth/page?flush"), "page ok 200"},
		{page("/oauth/page?refuse"), "page invalid_request 418"},
	} {
		before := len(o.seen)
		tt.do()
		assert.Equal(t, tt.want, o.last())
		assert.Less(t, before, len(o.seen))
	}
	get("/elsewhere")()
	assert.Equal(t, "page invalid_request 418", o.last(), "what is no endpoint is not observed")
	assert.True(t, slices.Contains(contexts, any("token")), "what follows has the observer's context")
}

func TestObserveIsToldOfOutages(t *testing.T) {
	o := &observer{}
	f := newFixture(t, func(c *oauth.Config) { c.Observe = o.observe })
	r := alice().request("GET", "/oauth/authorize?"+authorization("app").Encode(), nil)
	r.Header.Set("X-Broken", "yes")
	f.do(r)
	assert.Equal(t, "authorize temporarily_unavailable 303", o.last(), "also where the client is told by a redirect")
}

func TestObserveIsToldOfAPanic(t *testing.T) {
	o := &observer{}
	f := newFixture(t, func(c *oauth.Config) {
		c.Observe = o.observe
		c.Extensions = []oauth.Extension{func(r *oauth.Registry) error {
			r.Handle("/page", "", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
			return nil
		}}
	})
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
		f.p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/oauth/page", nil))
	})
	assert.Equal(t, "page server_error 500", o.last())
}

func TestObserveMayReturnNoFunction(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) {
		c.Observe = func(ctx context.Context, _ string) (context.Context, func(string, int)) { return ctx, nil }
	})
	f.ok(f.post("/oauth/token", "cc", ccForm))
}

// A provider without Observe must not pay for it: nothing wraps its handlers.
func TestWithoutObserveNothingIsAllocatedForIt(t *testing.T) {
	with := func(observe func(context.Context, string) (context.Context, func(string, int))) float64 {
		f := newFixture(t, func(c *oauth.Config) {
			c.Observe = observe
			c.Extensions = []oauth.Extension{func(r *oauth.Registry) error {
				r.Handle("/page", "", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				return nil
			}}
		})
		r, w := httptest.NewRequest("GET", "/oauth/page", nil), httptest.NewRecorder()
		return testing.AllocsPerRun(100, func() { f.p.ServeHTTP(w, r) })
	}
	assert.Zero(t, with(nil))
	require.Positive(t, with((&observer{}).observe), "the measurement measures")
}
