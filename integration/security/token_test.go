package security

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// registerAll makes the clients that are always there.
func (c *run) registerAll() {
	c.Helper()
	all, code := []string{"read", "write"}, []string{"authorization_code", "refresh_token"}
	key := newKey()
	c.register(oauth.Client{ID: app, Name: "App", Public: true, Scopes: all, DefaultScopes: []string{"read"}, RedirectURIs: []string{"https://app.example/cb"}})
	c.register(oauth.Client{ID: loop, Name: "Loop", Public: true, ApplicationType: "native", Scopes: all,
		RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"}})
	c.register(oauth.Client{ID: local, Name: "Local", Public: true, ApplicationType: "native", Scopes: all, RedirectURIs: []string{"http://localhost/cb"}})
	c.register(oauth.Client{ID: conf, Name: "Conf", Scopes: all, GrantTypes: code, AuthMethod: "client_secret_basic", RedirectURIs: []string{"https://conf.example/cb"}})
	c.register(oauth.Client{ID: post, Name: "Post", Scopes: all, GrantTypes: code, AuthMethod: "client_secret_post", RedirectURIs: []string{"https://post.example/cb"}})
	c.register(oauth.Client{ID: machine, Name: "Cron", Scopes: all, GrantTypes: []string{"client_credentials"}})
	c.register(oauth.Client{ID: api, Name: "API", GrantTypes: []string{}})
	c.credentials[pkj] = credential{method: "private_key_jwt", key: key}
	c.register(oauth.Client{ID: pkj, Name: "Key", Scopes: all, AuthMethod: "private_key_jwt", JWKS: jwks(key, "k1"), RedirectURIs: []string{"https://key.example/cb"}})
	c.serveDocument(cimdApp, nil)
	c.dcr = c.registerOver(map[string]any{"client_name": "Stranger", "redirect_uris": []string{"https://self.example/cb"}, "token_endpoint_auth_method": "none"})
}

// register stores a client through the Go API. An empty ID gets a random one.
func (c *run) register(client oauth.Client) string {
	c.Helper()
	if client.ID == "" {
		client.ID = "c-" + rand.Text()[:12]
	}
	created, secret, err := c.at.p.RegisterClient(c.Context(), client)
	require.NoError(c, err)
	method := created.AuthMethod
	if method == "" {
		method = "client_secret_basic"
	}
	c.know(created.ID, method, secret, created.RedirectURIs)
	return created.ID
}

// registerOver registers over HTTP and returns the client's ID.
func (c *run) registerOver(metadata map[string]any) string {
	c.Helper()
	a := c.postJSON("/oauth/register", metadata)
	require.Equal(c, http.StatusCreated, a.status, "%s", a)
	var got struct {
		ID           string   `json:"client_id"`
		Secret       string   `json:"client_secret"`
		Method       string   `json:"token_endpoint_auth_method"`
		RedirectURIs []string `json:"redirect_uris"`
	}
	require.NoError(c, json.Unmarshal([]byte(a.body), &got))
	c.know(got.ID, got.Method, got.Secret, got.RedirectURIs)
	return got.ID
}

// serveDocument puts a client metadata document on the web; changes are merged
// into a good one.
func (c *run) serveDocument(id string, changes map[string]any) {
	u, err := url.Parse(id)
	require.NoError(c, err)
	redirect := "https://" + u.Host + "/cb"
	document := map[string]any{"client_id": id, "client_name": "Document", "redirect_uris": []string{redirect}}
	for name, v := range changes {
		document[name] = v
	}
	c.web.serveJSON(id, document)
	c.know(id, "none", "", []string{redirect})
}

func (c *run) know(id, method, secret string, redirects []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cred := c.credentials[id]
	cred.method, cred.secret = method, secret
	c.credentials[id] = cred
	c.secret.add("client_secret", secret)
	if len(redirects) > 0 {
		c.redirects[id] = redirects[0]
	}
}

// change updates a stored client.
func (c *run) change(id string, f func(client *oauth.Client)) {
	c.Helper()
	client, err := c.at.p.Client(c.Context(), id)
	require.NoError(c, err)
	f(client)
	require.NoError(c, c.at.p.UpdateClient(c.Context(), *client))
}

func (c *run) postJSON(path string, v any) answer {
	c.Helper()
	body, err := json.Marshal(v)
	require.NoError(c, err)
	return c.do(request("POST", issuer+path, strings.NewReader(string(body)), "Content-Type", "application/json"))
}

// post sends a back-channel request, authenticated as the client is registered.
func (c *run) post(path, clientID string, v url.Values) answer {
	c.Helper()
	return c.do(c.authenticated(path, clientID, v))
}

func (c *run) authenticated(path, clientID string, v url.Values) *http.Request {
	c.mu.Lock()
	cred := c.credentials[clientID]
	c.mu.Unlock()
	body := url.Values{}
	for name, values := range v {
		body[name] = values
	}
	switch cred.method {
	case "client_secret_basic":
		r := form(issuer+path, body)
		r.SetBasicAuth(clientID, cred.secret)
		return r
	case "client_secret_post":
		body.Set("client_secret", cred.secret)
	case "private_key_jwt":
		body.Set("client_assertion_type", assertionType)
		body.Set("client_assertion", signAssertion(cred, clientID))
	}
	body.Set("client_id", clientID)
	return form(issuer+path, body)
}

// signAssertion makes a good assertion of the client; pairs of a claim's name
// and value change it, and nil removes one.
func signAssertion(cred credential, clientID string, pairs ...any) string {
	now := time.Now()
	claims := jwt.MapClaims{"iss": clientID, "sub": clientID, "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for i := 0; i < len(pairs); i += 2 {
		if claims[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(claims, pairs[i].(string))
		}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = "k1"
	signed, err := token.SignedString(cred.key)
	if err != nil {
		panic(err)
	}
	return signed
}

// tokens is a token response as a client reads it.
type tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
}

// ok asserts a token response and reads it.
func (c *run) ok(a answer) tokens {
	c.Helper()
	require.Equal(c, http.StatusOK, a.status, "%s", a)
	var out tokens
	require.NoError(c, json.Unmarshal([]byte(a.body), &out))
	require.Equal(c, "Bearer", out.TokenType)
	require.NotEmpty(c, out.AccessToken)
	return out
}

// exchangeForm redeems a code as a good client does; pairs change the form, and
// an empty value removes one.
func (c *run) exchangeForm(clientID, code string, pairs ...string) url.Values {
	c.mu.Lock()
	redirect := c.redirects[clientID]
	c.mu.Unlock()
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {redirect}}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (c *run) exchange(clientID, code string, pairs ...string) answer {
	c.Helper()
	return c.post("/oauth/token", clientID, c.exchangeForm(clientID, code, pairs...))
}

func (c *run) refresh(clientID, token string, pairs ...string) answer {
	c.Helper()
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return c.post("/oauth/token", clientID, v)
}

// login is a whole flow of a new user; pairs change the authorization request.
func (c *run) login(clientID string, pairs ...string) tokens {
	c.Helper()
	return c.loginAs(c.person(), clientID, pairs...)
}

func (c *run) loginAs(b *browser, clientID string, pairs ...string) tokens {
	c.Helper()
	v := c.params(clientID, pairs...)
	return c.ok(c.exchange(clientID, b.code(v), "redirect_uri", v.Get("redirect_uri")))
}

// introspect asks, as the API or as another client, what a token is worth.
func (c *run) introspect(as, token string) answer {
	c.Helper()
	return c.post("/oauth/introspect", as, url.Values{"token": {token}})
}

// call sends a token to the API that verifies in one of three ways; "api.example"
// is the one that knows of revocation at once.
func (c *run) call(host, token string) answer {
	c.Helper()
	return c.do(request("GET", "https://"+host+"/notes", nil, "Authorization", "Bearer "+token))
}

// alive asserts that an access token works, on both nodes.
func (c *run) alive(token string) {
	c.Helper()
	for _, n := range []*node{c.a, c.b} {
		require.Equal(c, http.StatusOK, c.on(n).call("api.example", token).status)
	}
	require.Contains(c, c.introspect(api, token).body, `"active":true`)
}

// dead asserts that an access token is worth nothing wherever revocation is
// asked for, on both nodes.
func (c *run) dead(token string) {
	c.Helper()
	for _, n := range []*node{c.a, c.b} {
		c := c.on(n)
		require.Equal(c, `{"active":false}`, c.introspect(api, token).body)
		for _, host := range []string{"api.example", "introspect.example"} {
			a := c.call(host, token)
			require.Equal(c, http.StatusUnauthorized, a.status, host)
			require.Contains(c, a.header.Get("WWW-Authenticate"), `error="invalid_token"`)
		}
	}
}

// ended asserts that nothing is left of an authorization, on both nodes.
func (c *run) ended(clientID string, got tokens) {
	c.Helper()
	c.dead(got.AccessToken)
	if got.RefreshToken == "" {
		return
	}
	for _, n := range []*node{c.a, c.b} {
		c := c.on(n)
		c.refused(c.refresh(clientID, got.RefreshToken), 400, oauth.ErrInvalidGrant)
	}
}

// record is the stored authorization that a refresh token belongs to.
func (c *run) record(refreshToken string) store.Token {
	c.Helper()
	id, _, _ := strings.Cut(refreshToken, ".")
	t, err := c.store.Token(c.Context(), id)
	require.NoError(c, err)
	return t
}

// age lets time pass for one authorization: everything about it happened that
// much earlier.
func (c *run) age(refreshToken string, by time.Duration) {
	c.Helper()
	t := c.record(refreshToken)
	for _, at := range []*time.Time{&t.CreatedAt, &t.LastUsedAt, &t.RotatedAt, &t.ExpiresAt} {
		if !at.IsZero() {
			*at = at.Add(-by)
		}
	}
	require.NoError(c, c.store.UpdateToken(c.Context(), t))
}

// ageCode lets time pass for one code.
func (c *run) ageCode(code string, by time.Duration) {
	c.Helper()
	record, err := c.store.Code(c.Context(), "code", s256(code))
	require.NoError(c, err)
	record.ExpiresAt = record.ExpiresAt.Add(-by)
	require.NoError(c, c.store.UpdateCode(c.Context(), record))
}
