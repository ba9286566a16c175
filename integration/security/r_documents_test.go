package security

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/cimd"
)

// documents is a node of its own, so that what other cases fetched does not
// count; a change to its configuration is named.
func (c *run) documents(name string, change func(cfg *cimd.Config)) *run {
	c.Helper()
	return c.with("documents: "+name, func(cfg *oauth.Config) {
		fetch := &http.Client{Transport: c.web}
		d := cimd.Config{Scopes: []string{"read", "write"}, HTTPClient: fetch}
		change(&d)
		cfg.Extensions = []oauth.Extension{cimd.New(d), assertion.New(assertion.Config{HTTPClient: fetch})}
	})
}

// document is a good one; pairs change it, and nil removes a member.
func document(id string, pairs ...any) string {
	return mustJSON(with(map[string]any{"client_id": id, "client_name": "Document", "redirect_uris": []string{redirectOf(id)}}, pairs...))
}

// answering serves a body; headers come in pairs.
func answering(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// askFor makes authorization requests for these client IDs, at once: what
// fails takes a second, whatever the reason.
func (c *run) askFor(ids ...string) []answer {
	c.Helper()
	var all []answer
	for len(ids) > 0 {
		some := ids[:min(25, len(ids))] // 32 are fetched at a time
		ids = ids[len(some):]
		all = append(all, c.burst(len(some), func(i int) *http.Request {
			return c.person().request("GET", "/oauth/authorize?"+c.params(app, "client_id", some[i], "redirect_uri", redirectOf(some[i])).Encode(), nil)
		})...)
	}
	return all
}

func redirectOf(id string) string {
	u, err := url.Parse(id)
	if err != nil {
		return evil
	}
	return "https://" + u.Host + "/cb"
}

// refusedDocuments serves each answer at a host of its own: it is fetched once,
// and no client comes of it.
func (c *run) refusedDocuments(group string, answers map[string]func(id string) http.HandlerFunc) {
	c.Helper()
	var ids, names []string
	for name, f := range answers {
		id := fmt.Sprintf("https://d%d.%s.example/app.json", len(ids), group)
		c.web.serve(id, f(id))
		ids, names = append(ids, id), append(names, name)
	}
	before := make([]int, len(ids))
	for i, id := range ids {
		before[i] = c.web.count(id)
	}
	for i, a := range c.askFor(ids...) {
		assert.Equal(c, 400, a.status, "%s: %s", names[i], a)
		assert.Empty(c, a.header.Values("Location"), names[i])
		assert.NotContains(c, a.body, "href=", names[i])
		assert.Equal(c, 1, c.web.count(ids[i])-before[i], "requests for: %s", names[i])
	}
	for i, a := range c.askFor(ids[:min(3, len(ids))]...) { // a failure is believed for a minute
		assert.Equal(c, 400, a.status, names[i])
		assert.Equal(c, 1, c.web.count(ids[i])-before[i], names[i])
	}
}

// documentCases: group R, client ID metadata documents, where something is kept.
var documentCases = []caseOf{
	{"SEC-239 addresses that the document does not have", func(c *run) {
		const id = "https://only.example/app.json"
		c.serveDocument(id, map[string]any{"redirect_uris": []string{"https://only.example/cb", "http://127.0.0.1/cb", "cursor://x/cb", "javascript:alert(1)"}})
		for _, uri := range []string{evil, "https://only.example/cb/", "https://only.example/", "https://client.example/cb", "cursor://x/cb", "javascript:alert(1)", "http://localhost:1/cb", id} {
			c.page400(c.person().authorize(c.params(id, "redirect_uri", uri)), uri)
		}
		c.person().code(c.params(id, "redirect_uri", "http://127.0.0.1:4711/cb"))
	}},
	{"SEC-244 documents of clients that sign", func(c *run) {
		c = c.documents("signing", func(*cimd.Config) {})
		key := newKey()
		const id, keys = "https://sign.example/app.json", "https://sign.example/jwks"
		c.web.serve(keys, serveSet(jwks(key, "k1")))
		c.web.serve(id, answering(200, document(id, "token_endpoint_auth_method", "private_key_jwt", "jwks_uri", keys)))
		c.know(id, "private_key_jwt", "", []string{"https://sign.example/cb"})
		c.mu.Lock()
		c.credentials[id] = credential{method: "private_key_jwt", key: key}
		c.mu.Unlock()
		code := c.person().code(c.params(id))
		v := c.exchangeForm(id, code)
		v.Set("client_id", id)
		c.refused(c.do(form(issuer+"/oauth/token", v)), 401, oauth.ErrInvalidClient)
		v.Set("client_assertion_type", assertionType)
		v.Set("client_assertion", signAssertion(credential{key: newKey()}, id))
		c.refused(c.do(form(issuer+"/oauth/token", v)), 401, oauth.ErrInvalidClient)
		got := c.ok(c.exchange(id, code))
		for _, path := range []string{"/oauth/revoke", "/oauth/introspect"} {
			c.refused(c.do(form(issuer+path, url.Values{"client_id": {id}, "token": {got.RefreshToken}})), 401, oauth.ErrInvalidClient)
		}
		c.refused(c.do(form(issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {got.RefreshToken}})), 401, oauth.ErrInvalidClient)
		c.ok(c.refresh(id, got.RefreshToken))

		const moved, target = "https://moved.example/app.json", "https://moved.example/real"
		c.web.serve(target, serveSet(jwks(key, "k1")))
		c.web.serve("https://moved.example/jwks", answering(302, "", "Location", target))
		c.web.serve(moved, answering(200, document(moved, "token_endpoint_auth_method", "private_key_jwt", "jwks_uri", "https://moved.example/jwks")))
		c.know(moved, "private_key_jwt", "", []string{"https://moved.example/cb"})
		c.mu.Lock()
		c.credentials[moved] = credential{method: "private_key_jwt", key: key}
		c.mu.Unlock()
		before := c.web.count(target)
		code = c.person().code(c.params(moved))
		a := c.exchange(moved, code)
		require.Contains(c, []int{401, 503}, a.status, "%s", a)
		require.Equal(c, before, c.web.count(target), "no redirect is followed")
	}},
	{"SEC-251 a document that changes meanwhile", func(c *run) {
		id := "https://" + strings.ToLower(c.person().user) + ".example/app.json"
		c.serveDocument(id, nil)
		b := c.person()
		code, other := b.code(c.params(id)), b.code(c.params(id))
		c.serveDocument(id, map[string]any{"client_name": "Your bank", "redirect_uris": []string{redirectOf(id), evil}})
		c.ok(c.exchange(id, code)) // at this node the document is the one that was shown
		a := c.on(c.b).exchange(id, other)
		require.Contains(c, []int{400, 401}, a.status, "a node that sees another document gives nothing for it: %s", a)
	}},
	{"SEC-247 the back channel fetches nothing for strangers", func(c *run) {
		c = c.documents("back channel", func(*cimd.Config) {})
		stranger := c.person().user
		for i := range 10 {
			id := fmt.Sprintf("https://back%d.example/%s", i, stranger)
			c.web.serve(id, answering(200, document(id)))
			for _, path := range formPaths {
				a := c.do(form(issuer+path, url.Values{"client_id": {id}, "grant_type": {"authorization_code"}, "code": {"x"}, "code_verifier": {verifier}, "token": {"x"}}))
				c.refused(a, 401, oauth.ErrInvalidClient)
			}
			require.Zero(c, c.web.count(id))
		}
	}},
}
