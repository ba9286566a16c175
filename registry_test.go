package oauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// extended builds a provider with one extension.
func extended(t *testing.T, extend func(r *oauth.Registry)) *fixture {
	return newFixture(t, func(c *oauth.Config) {
		c.Extensions = []oauth.Extension{func(r *oauth.Registry) error { extend(r); return nil }}
	})
}

func TestRegisteringTwiceIsAnError(t *testing.T) {
	grant := func(context.Context, *oauth.ClientRequest) (*oauth.Issuance, error) { return nil, nil }
	endpoint := func(context.Context, *oauth.ClientRequest) (any, error) { return nil, nil }
	mode := func(http.ResponseWriter, *http.Request, oauth.RedirectURI, url.Values) {}
	auth := func(context.Context, oauth.Credentials) (*oauth.Client, error) { return nil, nil }
	for name, extend := range map[string]func(r *oauth.Registry){
		"core grant":         func(r *oauth.Registry) { r.GrantType("refresh_token", grant) },
		"grant":              func(r *oauth.Registry) { r.GrantType("x", grant); r.GrantType("x", grant) },
		"grant without name": func(r *oauth.Registry) { r.GrantType("", grant) },
		"mode":               func(r *oauth.Registry) { r.ResponseMode("query", mode) },
		"scope":              func(r *oauth.Registry) { r.Scope("x", ""); r.Scope("x", "") },
		"scope of Config":    func(r *oauth.Registry) { r.Scope("read", "") },
		"scope name":         func(r *oauth.Registry) { r.Scope("a b", "") },
		"auth":               func(r *oauth.Registry) { r.ClientAuth("x", auth); r.ClientAuth("x", auth) },
		"endpoint path":      func(r *oauth.Registry) { r.Endpoint("/par", "a", endpoint); r.Endpoint("/par", "b", endpoint) },
		"endpoint name":      func(r *oauth.Registry) { r.Endpoint("/a", "a", endpoint); r.Handle("/b", "a", http.NotFoundHandler()) },
		"handler":            func(r *oauth.Registry) { r.Handle("/a", "", http.NotFoundHandler()); r.Endpoint("/a", "", endpoint) },
		"path":               func(r *oauth.Registry) { r.Endpoint("par", "", endpoint) },
		"path pattern":       func(r *oauth.Registry) { r.Handle("/{x}", "", http.NotFoundHandler()) },
		"core endpoint":      func(r *oauth.Registry) { r.Endpoint("/token", "", endpoint) },
		"core well-known":    func(r *oauth.Registry) { r.Handle("/.well-known/openid-configuration", "", http.NotFoundHandler()) },
	} {
		cfg := (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config()
		cfg.Extensions = []oauth.Extension{func(r *oauth.Registry) error { extend(r); return nil }}
		_, err := oauth.New(cfg)
		assert.Error(t, err, name)
	}
	cfg := (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config()
	want := errors.New("not configured")
	cfg.Extensions = []oauth.Extension{func(*oauth.Registry) error { return want }}
	_, err := oauth.New(cfg)
	assert.ErrorIs(t, err, want)
}

func TestExtensionEndpointsAreInTheMetadata(t *testing.T) {
	var reg *oauth.Registry
	f := extended(t, func(r *oauth.Registry) {
		reg = r
		assert.Equal(t, issuer, r.Config().Issuer)
		r.Endpoint("/whoami", "whoami_endpoint", func(_ context.Context, q *oauth.ClientRequest) (any, error) {
			if q.Form.Get("fail") != "" {
				return nil, &oauth.Error{Code: "slow_down", Description: "wait", URI: "https://x.example", Status: 429}
			}
			return map[string]string{"client": q.Client.ID}, nil
		})
		r.Handle("/page", "page_endpoint", http.NotFoundHandler())
		r.Handle("/.well-known/thing", "", http.NotFoundHandler())
		r.Scope("offline_access", "Stay signed in")
		r.OnMetadata(func(m oauth.Metadata) { m["extra"] = true })
	})
	assert.Same(t, f.p, reg.Provider())
	m := f.p.Metadata()
	assert.Equal(t, []any{issuer + "/oauth/whoami", issuer + "/oauth/page", true}, []any{m["whoami_endpoint"], m["page_endpoint"], m["extra"]})
	assert.Contains(t, m["scopes_supported"], "offline_access")
	a := f.post("/oauth/whoami", "conf", url.Values{})
	assert.JSONEq(t, `{"client":"conf"}`, a.body)
	a = f.post("/oauth/whoami", "conf", url.Values{"fail": {"1"}})
	assert.Equal(t, 429, a.status)
	assert.JSONEq(t, `{"error":"slow_down","error_description":"wait","error_uri":"https://x.example"}`, a.body)
	assert.Equal(t, "2", a.header.Get("Retry-After"))
	f.refused(f.send(url.Values{}), 401, "invalid_client")

	f.change("app", func(c *oauth.Client) { c.Scopes = append(c.Scopes, "offline_access") })
	a = f.authorize(alice(), authorization("app", "scope", "read offline_access", "resource", mcpURI))
	assert.Contains(t, a.body, "Stay signed in", "belongs to no resource")

	reg.Emit(t.Context(), oauth.Event{Kind: "custom"})
	assert.Len(t, f.kinds("custom"), 1)
	signed, err := reg.Sign(t.Context(), "thing+jwt", map[string]any{"a": 1})
	require.NoError(t, err)
	h, _ := claimsOf(t, signed)
	assert.Equal(t, "thing+jwt", h["typ"])
	assert.False(t, f.active(signed))
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"} {
		_, err = reg.Sign(t.Context(), typ, map[string]any{"a": 1})
		assert.Error(t, err, typ)
	}
	_, err = reg.Sign(t.Context(), "thing+jwt", nil)
	assert.Error(t, err)
}

func TestHooks(t *testing.T) {
	const foreign = "evil-of-an-extension" // too long to be by chance part of a token
	var refuse, veto error
	f := extended(t, func(r *oauth.Registry) {
		r.OnRequest(func(_ context.Context, v url.Values) (url.Values, error) {
			if v.Get("request_uri") == "bad" {
				return nil, &oauth.Error{Code: oauth.ErrInvalidRequest, Description: "request_uri is not known"}
			}
			if v.Get("request_uri") == "good" {
				return authorization("app", "scope", "read write"), nil
			}
			return v, nil
		})
		r.OnAuthorize(func(_ context.Context, req *oauth.AuthorizationRequest) error {
			if req.Params.Get("veto") != "" {
				return &oauth.Error{Code: oauth.ErrAccessDenied, Description: "vetoed"}
			}
			return nil
		})
		r.OnIssue(func(_ context.Context, is *oauth.Issuance) error {
			if is.GrantType == "authorization_code" {
				assert.Equal(t, []string{"app", "alice", "n"}, []string{is.Client.ID, is.Subject, is.Nonce})
			}
			is.Claims = map[string]any{"cnf": map[string]any{"jkt": "x"}, "sub": foreign, "scope": foreign}
			is.Scopes = is.Scopes[:1]
			return veto
		})
		r.OnResponse(func(_ context.Context, _ *oauth.Issuance, res *oauth.TokenResponse) error {
			res.Extra = map[string]any{"extra": "x", "access_token": foreign}
			return refuse
		})
	})
	f.told(t, oauth.EventRequestRefused, "request_uri is not known", func() {
		f.page(f.authorize(alice(), authorization("app", "request_uri", "bad")), 400)
	})
	f.sentBack(f.authorize(alice(), authorization("app", "veto", "1")), "access_denied")
	code := f.code(alice(), authorization("app", "scope", "read write", "nonce", "n"))
	refuse = &oauth.Error{Code: oauth.ErrInvalidGrant, Description: "refused"}
	f.refused(f.exchange("app", code), 400, "invalid_grant")
	refuse, veto = nil, refuse
	f.refused(f.exchange("app", code), 400, "invalid_grant")
	veto = nil
	a := f.exchange("app", code)
	got := f.ok(a)
	assert.Equal(t, "read", got.Scope)
	assert.Contains(t, a.body, `"extra":"x"`)
	assert.NotContains(t, a.body, foreign)
	_, claims := claimsOf(t, got.AccessToken)
	assert.Equal(t, []any{"alice", "read", map[string]any{"jkt": "x"}}, []any{claims["sub"], claims["scope"], claims["cnf"]})
	i, err := f.p.Introspect(t.Context(), nil, got.AccessToken)
	require.NoError(t, err)
	b, err := json.Marshal(i.Confirm)
	require.NoError(t, err)
	assert.JSONEq(t, `{"jkt":"x"}`, string(b))
	_, q := f.visit(alice(), "GET", "/oauth/authorize?request_uri=good&client_id=app", nil).location(t)
	assert.NotEmpty(t, q.Get("code"), "the rewritten request is what counts")
	_, q = f.visit(&browser{}, "GET", "/oauth/authorize?request_uri=good&client_id=app", nil).location(t)
	back, err := url.Parse(q.Get("return_to"))
	require.NoError(t, err)
	assert.Equal(t, "good", back.Query().Get("request_uri"))
	assert.NotContains(t, back.Query(), "scope", "the request as it came is what sign-in returns to")
}

func TestClientSourceAndAuthMethodOfAnExtension(t *testing.T) {
	ephemeral := &oauth.Client{ID: "https://doc.example/c", Public: true, Trust: store.TrustDocument, RedirectURIs: []string{"https://doc.example/cb"},
		GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, Scopes: []string{"read"}}
	down := false
	f := extended(t, func(r *oauth.Registry) {
		r.ClientSource(func(_ context.Context, id string) (*oauth.Client, error) {
			if down {
				return nil, errors.New("down")
			}
			if id == ephemeral.ID {
				return ephemeral, nil
			}
			return nil, store.ErrNotFound
		})
		r.ClientAuth("magic", func(ctx context.Context, c oauth.Credentials) (*oauth.Client, error) {
			switch c.Form.Get("magic") {
			case "":
				return nil, nil
			case "broken":
				return nil, oauth.ErrTemporarilyUnavailable
			case "wand":
				return r.Provider().Client(ctx, c.Form.Get("client_id"))
			}
			return nil, &oauth.Error{Code: oauth.ErrInvalidClient}
		})
	})
	v := authorization("x", "client_id", ephemeral.ID, "redirect_uri", "https://doc.example/cb")
	code := f.code(alice(), v)
	assert.Empty(t, f.ok(f.post("/oauth/token", ephemeral.ID, exchangeForm("x", code, "redirect_uri", "https://doc.example/cb"))).RefreshToken)

	f.register(oauth.Client{ID: "wizard", AuthMethod: "magic", GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, JWKSURI: "https://x.example/j"})
	form := with(ccForm, "client_id", "wizard", "magic", "wand")
	f.ok(f.send(form))
	f.refused(f.send(with(form, "magic", "stick")), 401, "invalid_client")
	f.refused(f.send(with(form, "magic", "broken", "client_id", "app")), 503, "temporarily_unavailable")
	f.refused(f.send(form, basic("wizard", "")), 400, "invalid_request")
	f.refused(f.send(with(form, "client_secret", "x")), 400, "invalid_request")
	f.refused(f.send(with(form, "client_id", "cc")), 401, "invalid_client")
	f.change("wizard", func(c *oauth.Client) { c.Disabled = true })
	f.told(t, oauth.EventClientAuthFailed, "client is disabled, or not registered for magic", func() { f.refused(f.send(form), 401, "invalid_client") })
	assert.Contains(t, f.p.Metadata()["token_endpoint_auth_methods_supported"], "magic")
	down = true
	f.refused(f.send(with(ccForm, "client_id", "app")), 503, "temporarily_unavailable")
}

func TestGrantOfAnExtension(t *testing.T) {
	f := extended(t, func(r *oauth.Registry) {
		r.GrantType("urn:x", func(_ context.Context, q *oauth.ClientRequest) (*oauth.Issuance, error) {
			if q.Form.Get("ticket") != "good" {
				return nil, oauth.ErrInvalidGrant
			}
			return &oauth.Issuance{Subject: "alice", Scopes: []string{"read"}, Refresh: q.Form.Get("once") == ""}, nil
		})
	})
	f.register(oauth.Client{ID: "x", GrantTypes: []string{"urn:x", "refresh_token"}, Scopes: []string{"read"}})
	form := url.Values{"grant_type": {"urn:x"}, "ticket": {"good"}}
	got := f.ok(f.post("/oauth/token", "x", form))
	assert.True(t, f.active(got.AccessToken))
	_, c := claimsOf(t, got.AccessToken)
	assert.Equal(t, issuer, c["aud"], "the issuer where the grant names no resource")
	f.ok(f.refresh("x", got.RefreshToken))
	assert.Empty(t, f.ok(f.post("/oauth/token", "x", with(form, "once", "1"))).RefreshToken, "the grant gives none")
	f.refused(f.post("/oauth/token", "x", with(form, "ticket", "bad")), 400, "invalid_grant")
	f.refused(f.post("/oauth/token", "conf", form), 400, "unauthorized_client")
	f.setGone("alice", true)
	f.refused(f.post("/oauth/token", "x", form), 400, "invalid_grant")
}

// A grant that hands on what was asked for gives no more than the client's
// registration does.
func TestGrantOfAnExtensionCannotExceedTheClient(t *testing.T) {
	f := extended(t, func(r *oauth.Registry) {
		r.GrantType("urn:x", func(_ context.Context, q *oauth.ClientRequest) (*oauth.Issuance, error) {
			return &oauth.Issuance{Subject: "alice", Scopes: strings.Fields(q.Form.Get("scope")), Resources: q.Form["resource"], Refresh: true}, nil
		})
	})
	f.register(oauth.Client{ID: "x", GrantTypes: []string{"urn:x"}, Scopes: []string{"read"}, Resources: []string{apiURI}})
	form := url.Values{"grant_type": {"urn:x"}, "scope": {"read write admin made-up"}, "resource": {apiURI}}
	got := f.ok(f.post("/oauth/token", "x", form))
	assert.Equal(t, "read", got.Scope)
	assert.Empty(t, got.RefreshToken, "the client has no refresh_token grant")
	f.refused(f.post("/oauth/token", "x", with(form, "scope", "admin")), 400, "invalid_scope")
	f.refused(f.post("/oauth/token", "x", with(form, "resource", mcpURI)), 400, "invalid_target")
	f.refused(f.post("/oauth/token", "x", with(form, "resource", "https://evil.example")), 400, "invalid_target")
	none := f.ok(f.post("/oauth/token", "x", with(form, "scope", "")))
	assert.Empty(t, none.Scope, "nothing was decided, nothing is added")
}
