package security

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// outage is a store of which one call fails: before it has had its effect, or
// after, as when a connection breaks behind the commit.
type outage struct {
	store.Store
	mu    sync.Mutex
	left  int // calls before the one that fails; negative: none does
	after bool
	hit   string // the method that failed
}

// set makes the call after the next n fail.
func (o *outage) set(n int, after bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left, o.after, o.hit = n, after, ""
}

// mend returns what failed since set.
func (o *outage) mend() (hit string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = -1
	return o.hit
}

func (o *outage) do(method string, call func() error) error {
	o.mu.Lock()
	fails, after := o.left == 0, o.after
	o.left--
	if fails {
		o.hit = method
	}
	o.mu.Unlock()
	if fails && !after {
		return errBroken
	}
	if err := call(); !fails {
		return err
	}
	return errBroken
}

// got is do for methods that return something.
func got[T any](o *outage, method string, call func() (T, error)) (v T, err error) {
	err = o.do(method, func() (err error) {
		v, err = call()
		return err
	})
	if err == errBroken {
		v = *new(T)
	}
	return v, err
}

func (o *outage) Client(ctx context.Context, id string) (store.Client, error) {
	return got(o, "Client", func() (store.Client, error) { return o.Store.Client(ctx, id) })
}

func (o *outage) Code(ctx context.Context, kind, key string) (store.Code, error) {
	return got(o, "Code", func() (store.Code, error) { return o.Store.Code(ctx, kind, key) })
}

func (o *outage) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
	return got(o, "ConsumeCode", func() (store.Code, error) { return o.Store.ConsumeCode(ctx, kind, key, at) })
}

func (o *outage) Token(ctx context.Context, id string) (store.Token, error) {
	return got(o, "Token", func() (store.Token, error) { return o.Store.Token(ctx, id) })
}

func (o *outage) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	return got(o, "Consent", func() (store.Consent, error) { return o.Store.Consent(ctx, subject, clientID) })
}

func (o *outage) ListTokens(ctx context.Context, q store.TokenQuery, after string, n int) ([]store.Token, error) {
	return got(o, "ListTokens", func() ([]store.Token, error) { return o.Store.ListTokens(ctx, q, after, n) })
}

func (o *outage) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
	return got(o, "RevokeTokens", func() (int, error) { return o.Store.RevokeTokens(ctx, q, at, purgeAt) })
}

func (o *outage) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	return got(o, "RevokeConsents", func() (int, error) { return o.Store.RevokeConsents(ctx, q) })
}

func (o *outage) CreateClient(ctx context.Context, v store.Client) error {
	return o.do("CreateClient", func() error { return o.Store.CreateClient(ctx, v) })
}

func (o *outage) UpdateClient(ctx context.Context, v store.Client) error {
	return o.do("UpdateClient", func() error { return o.Store.UpdateClient(ctx, v) })
}

func (o *outage) DeleteClient(ctx context.Context, id string) error {
	return o.do("DeleteClient", func() error { return o.Store.DeleteClient(ctx, id) })
}

func (o *outage) CreateCode(ctx context.Context, v store.Code) error {
	return o.do("CreateCode", func() error { return o.Store.CreateCode(ctx, v) })
}

func (o *outage) UpdateCode(ctx context.Context, v store.Code) error {
	return o.do("UpdateCode", func() error { return o.Store.UpdateCode(ctx, v) })
}

func (o *outage) CreateToken(ctx context.Context, v store.Token) error {
	return o.do("CreateToken", func() error { return o.Store.CreateToken(ctx, v) })
}

func (o *outage) UpdateToken(ctx context.Context, v store.Token) error {
	return o.do("UpdateToken", func() error { return o.Store.UpdateToken(ctx, v) })
}

func (o *outage) GrantConsent(ctx context.Context, v store.Consent) error {
	return o.do("GrantConsent", func() error { return o.Store.GrantConsent(ctx, v) })
}

// A flow is a request during which the store fails, and what must hold then: of
// an answer that is not that of an outage, and of another try.
type flow struct {
	name    string
	prepare func(c *run) (r *http.Request, truth func(c *run, a answer), again func(c *run))
}

// failEachCall lets one call of the store fail after another, before and after
// its effect. The answer is that of an outage or the truth; and to try again ends
// right.
func (c *run) failEachCall(o *outage, f flow) {
	c.Helper()
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			r, truth, again := f.prepare(c)
			o.set(n, after)
			a := c.do(r)
			method := o.mend()
			if method == "" {
				require.Positive(c, n, "the store was never asked")
				truth(c, a)
				break
			}
			c.sub(fmt.Sprint(map[bool]string{false: "before ", true: "after "}[after], n, " ", method), func(c *run) {
				if !isOutage(c, a) {
					truth(c, a)
				}
				again(c)
			})
		}
	}
}

// isOutage reports whether a client is told to come back.
func isOutage(c *run, a answer) bool {
	c.Helper()
	outages := []string{string(oauth.ErrTemporarilyUnavailable), string(oauth.ErrServerError)}
	if a.status == http.StatusSeeOther {
		code := c.locationOf(a).Query().Get("error")
		if code != "" {
			require.Contains(c, outages, code)
		}
		return code != ""
	}
	if a.status != http.StatusServiceUnavailable {
		return false
	}
	if strings.HasPrefix(a.body, "{") {
		require.Contains(c, outages, a.error().Error)
	}
	return true
}

// liveOf counts the user's authorizations that are active and not revoked.
func (c *run) liveOf(user string) (active int) {
	c.Helper()
	list, err := c.store.ListTokens(c.Context(), store.TokenQuery{Subject: user}, "", 100)
	require.NoError(c, err)
	for _, t := range list {
		if t.State == store.TokenActive && t.RevokedAt.IsZero() {
			active++
		}
	}
	return active
}

func refreshOf(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// revocation is a request to revoke one of the tokens, after which all is dead.
func revocation(clientID string, of func(tokens) string) func(c *run) (*http.Request, func(*run, answer), func(*run)) {
	return func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		had := c.login(clientID)
		v := url.Values{"token": {of(had)}}
		dead := func(c *run, a answer) {
			require.Equal(c, http.StatusOK, a.status)
			c.ended(clientID, had)
		}
		return c.authenticated("/oauth/revoke", clientID, v), dead, func(c *run) { dead(c, c.post("/oauth/revoke", clientID, v)) }
	}
}

var flows = []flow{
	{"authorize", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		b := c.person()
		c.loginAs(b, app)
		v := c.params(app)
		return b.request("GET", "/oauth/authorize?"+v.Encode(), nil), func(c *run, a answer) {
			c.ok(c.exchange(app, c.redirected(a, v.Get("redirect_uri"), v.Get("state")).Get("code")))
		}, func(c *run) { c.loginAs(b, app) }
	}},
	{"approve", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		b, v := c.person(), c.params(app)
		page := b.authorize(v)
		return b.request("POST", "/oauth/consent", b.consentForm(page)), func(c *run, a answer) {
				c.ok(c.exchange(app, c.redirected(a, v.Get("redirect_uri"), v.Get("state")).Get("code")))
			}, func(c *run) {
				require.Zero(c, c.liveOf(b.user), "an authorization whose code nobody was given is active")
				c.loginAs(b, app)
			}
	}},
	{"exchange", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		b := c.person()
		code := b.code(c.params(conf))
		return c.authenticated("/oauth/token", conf, c.exchangeForm(conf, code)), func(c *run, a answer) { c.alive(c.ok(a).AccessToken) }, func(c *run) {
			if c.liveOf(b.user) == 0 { // nothing was spent
				c.alive(c.ok(c.exchange(conf, code)).AccessToken)
				return
			}
			c.refused(c.exchange(conf, code), 400, oauth.ErrInvalidGrant)
			require.Zero(c, c.liveOf(b.user), "tokens that nobody was given are good")
		}
	}},
	{"exchange of a used code", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		b := c.person()
		code := b.code(c.params(app))
		had := c.ok(c.exchange(app, code))
		replay := func(c *run, a answer) {
			c.refused(a, 400, oauth.ErrInvalidGrant)
			c.ended(app, had)
		}
		return c.authenticated("/oauth/token", app, c.exchangeForm(app, code)), replay, func(c *run) { replay(c, c.exchange(app, code)) }
	}},
	{"refresh", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		had := c.login(app)
		return c.authenticated("/oauth/token", app, refreshOf(had.RefreshToken)), func(c *run, a answer) { c.alive(c.ok(a).AccessToken) }, func(c *run) {
			one, other := c.ok(c.refresh(app, had.RefreshToken)), c.ok(c.on(c.b).refresh(app, had.RefreshToken))
			require.Equal(c, one.RefreshToken, other.RefreshToken)
			c.ok(c.refresh(app, one.RefreshToken))
		}
	}},
	{"refresh with a replaced token", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		had := c.login(app)
		next := c.ok(c.refresh(app, had.RefreshToken))
		last := c.ok(c.refresh(app, next.RefreshToken))
		replay := func(c *run, a answer) {
			c.refused(a, 400, oauth.ErrInvalidGrant)
			c.ended(app, last)
		}
		return c.authenticated("/oauth/token", app, refreshOf(had.RefreshToken)), replay, func(c *run) { replay(c, c.refresh(app, had.RefreshToken)) }
	}},
	{"refresh with a client assertion", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		had := c.login(pkj)
		return c.authenticated("/oauth/token", pkj, refreshOf(had.RefreshToken)), func(c *run, a answer) { c.alive(c.ok(a).AccessToken) }, func(c *run) {
			c.alive(c.ok(c.refresh(pkj, had.RefreshToken)).AccessToken)
		}
	}},
	{"client credentials", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		v := url.Values{"grant_type": {"client_credentials"}}
		return c.authenticated("/oauth/token", machine, v), func(c *run, a answer) { c.ok(a) }, func(c *run) { c.alive(c.ok(c.post("/oauth/token", machine, v)).AccessToken) }
	}},
	{"revoke a refresh token", revocation(app, func(t tokens) string { return t.RefreshToken })},
	{"revoke an access token", revocation(conf, func(t tokens) string { return t.AccessToken })},
	{"revoke a client's own token", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		v := url.Values{"token": {c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}})).AccessToken}}
		dead := func(c *run, a answer) {
			require.Equal(c, http.StatusOK, a.status)
			c.dead(v.Get("token"))
		}
		return c.authenticated("/oauth/revoke", machine, v), dead, func(c *run) { dead(c, c.post("/oauth/revoke", machine, v)) }
	}},
	{"introspect", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		token := c.login(app).AccessToken
		active := func(c *run, a answer) { require.Contains(c, a.body, `"active":true`) }
		return c.authenticated("/oauth/introspect", api, url.Values{"token": {token}}), active, func(c *run) { active(c, c.introspect(api, token)) }
	}},
	{"a call of the API", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		token := c.login(app).AccessToken
		good := func(c *run, a answer) { require.Equal(c, http.StatusOK, a.status, "%s", a) }
		r := request("GET", "https://api.example/notes", nil, "Authorization", "Bearer "+token)
		return r, good, func(c *run) { good(c, c.call("api.example", token)) }
	}},
	{"register", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		created := func(c *run, a answer) { require.Equal(c, http.StatusCreated, a.status, "%s", a) }
		r := request("POST", issuer+"/oauth/register", strings.NewReader(mustJSON(metadata())), "Content-Type", jsonType)
		return r, created, func(c *run) { created(c, c.postJSON("/oauth/register", metadata())) }
	}},
	{"delete a registration", func(c *run) (*http.Request, func(*run, answer), func(*run)) {
		registered := c.registered(metadata())
		id := registered["client_id"].(string)
		remove := func() *http.Request {
			return request("DELETE", registered["registration_client_uri"].(string), nil, "Authorization", "Bearer "+registered["registration_access_token"].(string))
		}
		gone := func(c *run, a answer) {
			require.Contains(c, []int{http.StatusNoContent, http.StatusUnauthorized}, a.status, "%s", a)
			_, err := c.store.Client(c.Context(), id)
			require.ErrorIs(c, err, store.ErrNotFound)
		}
		return remove(), gone, func(c *run) { gone(c, c.do(remove())) }
	}},
}

// outageCases: what is left of group T.
var outageCases = []caseOf{
	{"SEC-265 a store that fails, before and after each effect", func(c *run) {
		o := &outage{left: -1}
		c = c.with("outage", func(cfg *oauth.Config) { o.Store, cfg.Store = cfg.Store, o })
		for _, f := range flows {
			c.sub(f.name, func(c *run) { c.failEachCall(o, f) })
		}
	}},
}
