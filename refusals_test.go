package oauth_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// lastRefusal is the last event that says why something was refused, as it is
// logged.
func (f *fixture) lastRefusal() (kind oauth.EventKind, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.events) - 1; i >= 0; i-- {
		if e := f.events[i]; e.Err != nil {
			return e.Kind, e.Err.Error()
		}
	}
	return "", ""
}

// told asserts that do is refused with an event of this kind, that its text names
// the rule, and that the log has the same.
func (f *fixture) told(t *testing.T, kind oauth.EventKind, rule string, do func()) {
	t.Helper()
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	do()
	gotKind, text := f.lastRefusal()
	assert.Equal(t, kind, gotKind, text)
	assert.Contains(t, text, rule)
	assert.True(t, strings.Contains(f.log.String(), rule), "the log has it too")
	assert.Len(t, f.kinds(kind), 1, "one refusal is one event")
}

func TestRefusedAuthorizationsNameTheRule(t *testing.T) {
	f := newFixture(t)
	f.register(oauth.Client{ID: "off", Public: true, Disabled: true, RedirectURIs: []string{appURI}})
	f.register(oauth.Client{ID: "machine", Public: true, GrantTypes: []string{"refresh_token"}, RedirectURIs: []string{appURI}})
	f.register(oauth.Client{ID: "mcp", Public: true, RedirectURIs: []string{appURI}, Resources: []string{mcpURI}, Scopes: []string{"read"}})
	f.register(oauth.Client{ID: "two", Public: true, RedirectURIs: []string{appURI, appURI + "2"}})
	f.register(oauth.Client{ID: "webloop", Public: true, RedirectURIs: []string{"http://localhost/cb"}})
	f.change("webloop", func(c *oauth.Client) { c.RedirectURIs = []string{"https://app.example/cb"} })
	for rule, v := range map[string]url.Values{
		"client_id is missing":                            authorization("app", "client_id", ""),
		"client is unknown":                               authorization("app", "client_id", "nobody"),
		"client is disabled":                              authorization("app", "client_id", "off"),
		"client_id is repeated":                           {"client_id": {"app", "app"}},
		"registered for this client: Client.RedirectURIs": authorization("app", "redirect_uri", appURI+"/x"),
		"redirect_uri is missing":                         authorization("two", "redirect_uri", ""),
		"response_mode is not supported":                  authorization("app", "response_mode", "fragment"),
		"response_type is missing":                        authorization("app", "response_type", ""),
		"response_type must be code":                      authorization("app", "response_type", "token"),
		"may not use the authorization code grant":        authorization("machine", "redirect_uri", appURI),
		"code_challenge is required (PKCE":                authorization("app", "code_challenge", "", "code_challenge_method", ""),
		"code_challenge_method without code_challenge":    authorization("app", "code_challenge", ""),
		"code_challenge_method must be S256":              authorization("app", "code_challenge_method", "plain"),
		"code_challenge must be the 43 base64url":         authorization("app", "code_challenge", "short"),
		"it is not in Config.Resources":                   authorization("app", "resource", "https://other.example"),
		"it is not one of the client's":                   authorization("mcp", "redirect_uri", appURI, "resource", apiURI),
		"none of the requested scopes can be granted":     authorization("app", "scope", "admin"),
		"scope must be names separated by one space":      authorization("app", "scope", "read  write"),
		"scope has more than 200 names":                   authorization("app", "scope", strings.TrimSpace(strings.Repeat("read ", 201))),
		"more than 10 resources":                          withValues(authorization("app"), "resource", slices.Repeat([]string{apiURI}, 11)...),
		"prompt must be none, login, consent":             authorization("app", "prompt", "create"),
		"prompt none cannot be combined":                  authorization("app", "prompt", "none login"),
		"max_age must be a number":                        authorization("app", "max_age", "soon"),
		"the user must be asked":                          authorization("app", "prompt", "none"),
		"a parameter is repeated: nonce":                  withValues(authorization("app"), "nonce", "a", "b"),
		"a parameter is repeated: one without a plain":    withValues(authorization("app"), "N0nce", "a", "b"),
		"a parameter is too long or not UTF-8 text: ui":   authorization("app", "ui", strings.Repeat("x", 5000)),
	} {
		t.Run(rule, func(t *testing.T) {
			f.told(t, oauth.EventRequestRefused, rule, func() { f.authorize(alice(), v) })
		})
	}
	for rule, do := range map[string]func(){
		"the user is not signed in":      func() { f.authorize(&browser{}, authorization("app", "prompt", "none")) },
		"the request is too long":        func() { f.authorize(alice(), authorization("app", "x", strings.Repeat("x", 17000))) },
		"the method must be GET or POST": func() { f.visit(alice(), "PUT", "/oauth/authorize", nil) },
		"Content-Type must be":           func() { f.visit(alice(), "POST", "/oauth/authorize", nil) },
		"the method must be POST":        func() { f.visit(alice(), "GET", "/oauth/consent", nil) },
		"form has no field interaction":  func() { f.visit(alice(), "POST", "/oauth/consent", url.Values{"decision": {"allow"}}) },
		"not one of this provider": func() {
			f.visit(alice(), "POST", "/oauth/consent", url.Values{"decision": {"allow"}, "interaction": {"x"}})
		},
		"cross-origin request": func() {
			f.do(header(alice().request("POST", "/oauth/consent", url.Values{}), "Sec-Fetch-Site", "cross-site"))
		},
		"oauth-browser did not come back": func() {
			f.visit(alice(), "POST", "/oauth/consent", consentForm(t, f.authorize(alice(), authorization("app"))))
		},
		"interaction of another browser": func() {
			another := alice()
			f.authorize(another, authorization("app"))
			f.visit(another, "POST", "/oauth/consent", consentForm(t, f.authorize(alice(), authorization("app"))))
		},
		"interaction of another session": func() { f.decideAs("bob", nil) },
		"nothing was granted":            func() { f.decideAs("alice", []string{}) },
	} {
		t.Run(rule, func(t *testing.T) { f.told(t, oauth.EventRequestRefused, rule, do) })
	}
}

func withValues(v url.Values, name string, values ...string) url.Values {
	v[name] = values
	return v
}

// decideAs lets another user press Allow, for these scopes.
func (f *fixture) decideAs(user string, scopes []string) {
	b := alice()
	form := consentForm(f.t, f.authorize(b, authorization("app")))
	if scopes != nil {
		form["scope"] = scopes
	}
	b.user = user
	f.visit(b, "POST", "/oauth/consent", form)
}

func TestRefusedClientsNameTheRule(t *testing.T) {
	f := newFixture(t)
	f.register(oauth.Client{ID: "off", GrantTypes: []string{"client_credentials"}, Disabled: true})
	form := func(pairs ...string) url.Values { return with(ccForm, pairs...) }
	for rule, do := range map[string]func(){
		"no client_id":                       func() { f.send(form()) },
		"client is unknown":                  func() { f.send(form("client_id", "nobody", "client_secret", "x")) },
		"client is disabled":                 func() { f.send(form("client_id", "off", "client_secret", f.secrets["off"])) },
		"client is public but sent a secret": func() { f.send(form("client_id", "app", "client_secret", "x")) },
		"secret is missing":                  func() { f.send(form("client_id", "cc")) },
		"registered for client_secret_basic and used client_secret_post": func() { f.send(form("client_id", "conf", "client_secret", f.secrets["conf"])) },
		"the secret is wrong":                   func() { f.send(form(), basic("cc", "wrong")) },
		"more than one way of client":           func() { f.send(form("client_secret", "x"), basic("cc", "x")) },
		"is not Basic credentials":              func() { f.send(form(), "Bearer x") },
		"client_id differs from the one in the": func() { f.send(form("client_id", "app"), basic("cc", "x")) },
		"a public client cannot introspect":     func() { f.post("/oauth/introspect", "app", url.Values{"token": {"x"}}) },
	} {
		t.Run(rule, func(t *testing.T) { f.told(t, oauth.EventClientAuthFailed, rule, do) })
	}
}

func TestRefusedTokenRequestsNameTheRule(t *testing.T) {
	f := newFixture(t)
	token := func(client string, pairs ...string) func() {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return func() { f.post("/oauth/token", client, v) }
	}
	code := func() string { return f.code(alice(), authorization("app")) }
	used := code()
	f.ok(f.exchange("app", used))
	other := f.login("conf").RefreshToken
	ended := f.login("app").RefreshToken
	f.post("/oauth/revoke", "app", url.Values{"token": {ended}})
	for rule, do := range map[string]func(){
		"grant_type is missing":              token("app"),
		"grant_type is not supported":        token("app", "grant_type", "password"),
		"this client may not use this grant": token("app", "grant_type", "client_credentials"),
		"code is missing":                    token("app", "grant_type", "authorization_code"),
		"code is unknown":                    token("app", "grant_type", "authorization_code", "code", "x"),
		"code of another client":             func() { f.exchange("conf", code()) },
		"redirect_uri is not the one of":     func() { f.exchange("app", code(), "redirect_uri", "https://other.example") },
		"code_verifier is missing":           func() { f.exchange("app", code(), "code_verifier", "") },
		"code_verifier does not match":       func() { f.exchange("app", code(), "code_verifier", verifier+"x") },
		"code_verifier must be 43 to 128":    func() { f.exchange("app", code(), "code_verifier", "x") },
		"more than 10 resources": func() {
			f.post("/oauth/token", "app", withValues(exchangeForm("app", code()), "resource", slices.Repeat([]string{apiURI}, 11)...))
		},
		"its redirect_uri is not registered any more": func() {
			c := code()
			f.change("app", func(c *oauth.Client) { c.RedirectURIs = []string{appURI + "/new"} })
			f.exchange("app", c)
			f.change("app", func(c *oauth.Client) { c.RedirectURIs = []string{appURI} })
		},
		"scope is too long":                      func() { f.refresh("conf", other, "scope", strings.Repeat("s", 200*128+1)) },
		"a resource is not one that was granted": func() { f.exchange("app", code(), "resource", mcpURI) },
		"the code was used before":               func() { f.exchange("app", used) },
		"refresh_token is missing":               token("app", "grant_type", "refresh_token"),
		"not a refresh token of this provider":   func() { f.refresh("app", "x") },
		"token of another client":                func() { f.refresh("app", other) },
		"authorization was revoked":              func() { f.refresh("app", ended) },
		"scope is wider than what was granted":   func() { f.refresh("conf", other, "scope", "admin") },
		"family does not match": func() {
			parts := strings.Split(other, ".")
			parts[1] = strings.Repeat("A", len(parts[1]))
			f.refresh("conf", strings.Join(parts, "."))
		},
		"the user is not active":                 func() { c := code(); f.setGone("alice", true); f.exchange("app", c); f.setGone("alice", false) },
		"it is not in Config.Resources":          func() { f.post("/oauth/token", "cc", with(ccForm, "resource", "https://other.example")) },
		"token is missing":                       func() { f.post("/oauth/revoke", "app", nil) },
		"belong in the body, not in the URL":     func() { f.post("/oauth/token?code=x", "app", nil) },
		"the method must be POST":                func() { f.do(httptest.NewRequest("GET", "/oauth/token", nil)) },
		"Content-Type must be application/x-www": func() { f.do(httptest.NewRequest("POST", "/oauth/token", strings.NewReader("{}"))) },
		"a parameter is repeated: scope":         func() { f.send(url.Values{"client_id": {"app"}, "scope": {"a", "b"}}) },
	} {
		t.Run(rule, func(t *testing.T) { f.told(t, oauth.EventRequestRefused, rule, do) })
	}
}

func TestScopesThatAreNoneNameTheRule(t *testing.T) {
	f := newFixture(t)
	const syntax, unknown = "scope must be names separated by one space", "none of the requested scopes can be granted"
	for scope, rule := range map[string]string{
		`re"ad`: syntax, `re\ad`: syntax, "r\u00e9ad": syntax, "re\x7fad": syntax, "re\tad": syntax, "read ": syntax, " read": syntax, strings.Repeat("s", 129): syntax,
		"~": unknown, "!": unknown, "#": unknown, "[": unknown, "]": unknown, strings.Repeat("s", 128): unknown,
		(strings.Repeat(strings.Repeat("s", 128)+" ", 200))[:200*128]: unknown,
	} {
		t.Run(scope, func(t *testing.T) {
			f.told(t, oauth.EventRequestRefused, rule, func() { f.post("/oauth/token", "cc", with(ccForm, "scope", scope)) })
		})
	}
}

// A token that is not spelled as one says so; it is looked up nowhere and is
// nobody's replay.
func TestMalformedRefreshTokensNameTheRule(t *testing.T) {
	f := newFixture(t)
	got := f.login("app").RefreshToken
	parts := strings.Split(got, ".")
	bad := map[string]string{"no part": "x", "one part": parts[0], "two parts": parts[0] + "." + parts[1], "four parts": got + ".x", "empty parts": ".."}
	for i, name := range []string{"id", "family", "secret"} {
		change := func(s string) string {
			p := slices.Clone(parts)
			p[i] = s
			return strings.Join(p, ".")
		}
		bad[name+" empty"], bad[name+" short"] = change(""), change(parts[i][1:])
		bad[name+" long"], bad[name+" with a space"] = change(parts[i]+"A"), change(" "+parts[i][1:])
		bad[name+" padded"], bad[name+" not base64url"] = change(parts[i][1:]+"="), change(parts[i][1:]+"+")
	}
	for name, token := range bad {
		t.Run(name, func(t *testing.T) {
			f.told(t, oauth.EventRequestRefused, "not a refresh token of this provider", func() { f.refresh("app", token) })
		})
	}
	f.ok(f.refresh("app", got))
}

func TestRefusalsOfWhatHasExpiredNameTheRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		b := alice()
		code, form := f.code(b, authorization("app")), consentForm(t, f.authorize(b, authorization("conf")))
		refresh := f.login("app").RefreshToken
		old := f.login("app").RefreshToken
		f.ok(f.refresh("app", old))
		time.Sleep(time.Hour)
		f.told(t, oauth.EventRequestRefused, "the code has expired", func() { f.exchange("app", code) })
		f.told(t, oauth.EventRequestRefused, "interaction has expired", func() { f.visit(b, "POST", "/oauth/consent", form) })
		f.told(t, oauth.EventRequestRefused, "the refresh token was used before", func() { f.refresh("app", old) })
		require.Len(t, f.kinds(oauth.EventReplayDetected), 1)
		time.Sleep(31 * 24 * time.Hour)
		f.told(t, oauth.EventRequestRefused, "token has expired", func() { f.refresh("app", refresh) })
	})
}
