package security

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

// metadata describes a good client; pairs change it, and nil removes a member.
func metadata(pairs ...any) map[string]any {
	return with(map[string]any{"client_name": "Self", "redirect_uris": []string{"https://self.example/cb"}, "token_endpoint_auth_method": "none"}, pairs...)
}

// registered registers a client, which reads what it is told.
func (c *run) registered(m map[string]any) map[string]any {
	c.Helper()
	a := c.postJSON("/oauth/register", m)
	require.Equal(c, http.StatusCreated, a.status, "%s", a)
	return object(c, a)
}

func object(c *run, a answer) (v map[string]any) {
	c.Helper()
	require.NoError(c, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

// manage sends a request to a client's configuration endpoint (RFC 7592).
func (c *run) manage(method, uri, token string, m map[string]any) answer {
	c.Helper()
	var body string
	if m != nil {
		body = mustJSON(m)
	}
	r := request(method, uri, strings.NewReader(body), "Content-Type", jsonType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return c.do(r)
}

// countClients is how many clients are stored.
func (c *run) countClients() (n int) {
	c.Helper()
	after := ""
	for {
		page, err := c.store.ListClients(c.Context(), after, store.MaxPage)
		require.NoError(c, err)
		if len(page) == 0 {
			return n
		}
		n, after = n+len(page), page[len(page)-1].ID
	}
}

// refusedRegistrations: whatever one of these bodies says, no client is made.
func (c *run) refusedRegistrations(bodies map[string]string, codes ...oauth.ErrorCode) {
	c.Helper()
	before := c.countClients()
	for name, body := range bodies {
		a := c.do(request("POST", issuer+"/oauth/register", strings.NewReader(body), "Content-Type", jsonType))
		assert.Contains(c, []int{400, 413}, a.status, "%s: %s", name, a)
		assert.Contains(c, codes, oauth.ErrorCode(a.error().Error), "%s: %s", name, a)
	}
	require.Equal(c, before, c.countClients())
}

// registrationCases: group Q, dynamic client registration.
var registrationCases = []caseOf{
	{"SEC-217 private-use schemes", func(c *run) {
		bodies := map[string]string{}
		for _, uri := range []string{"myapp:/cb", "cursor://x", "com.example.app:/cb", "myapp://localhost/cb", "x:y", "MyApp:/cb"} {
			for _, kind := range []any{nil, "native", "web"} {
				bodies[fmt.Sprint(uri, kind)] = mustJSON(metadata("redirect_uris", []string{uri}, "application_type", kind))
			}
		}
		c.refusedRegistrations(bodies, oauth.ErrInvalidRedirectURI)
		c = c.with("private use", func(cfg *oauth.Config) { cfg.Policy.PrivateUseSchemes = []string{"cursor"} })
		id := c.registerOver(metadata("redirect_uris", []string{"cursor://anysphere.cursor-mcp/oauth/callback"}))
		c.person().code(c.params(id))
		c.page400(c.person().authorize(c.params(id, "redirect_uri", "cursor://other")))
		c.refusedRegistrations(map[string]string{"another": mustJSON(metadata("redirect_uris", []string{"myapp:/cb"}))}, oauth.ErrInvalidRedirectURI)
	}},
	{"SEC-218 application types", func(c *run) {
		c.refusedRegistrations(map[string]string{
			"web, loopback":  mustJSON(metadata("application_type", "web", "redirect_uris", []string{"http://127.0.0.1/cb"})),
			"web, localhost": mustJSON(metadata("application_type", "web", "redirect_uris", []string{"http://localhost/cb"})),
			"web, [::1]":     mustJSON(metadata("application_type", "web", "redirect_uris", []string{"http://[::1]/cb"})),
			"native, http":   mustJSON(metadata("application_type", "native", "redirect_uris", []string{"http://self.example/cb"})),
			"http":           mustJSON(metadata("redirect_uris", []string{"http://self.example/cb"})),
		}, oauth.ErrInvalidRedirectURI)
		c.refusedRegistrations(map[string]string{"another": mustJSON(metadata("application_type", "x"))}, oauth.ErrInvalidClientMetadata)
		c.registered(metadata("application_type", "native"))
		require.Equal(c, "native", c.registered(metadata("redirect_uris", []string{"http://127.0.0.1/cb"}))["application_type"])
		require.Equal(c, "web", c.registered(metadata())["application_type"])
	}},
	{"SEC-219 bodies", func(c *run) {
		many := make([]string, 21)
		for i := range many {
			many[i] = fmt.Sprint("https://self.example/", i)
		}
		good := mustJSON(metadata())
		c.refusedRegistrations(map[string]string{
			"64 KiB and more": good + strings.Repeat(" ", 64<<10), "21 addresses": mustJSON(metadata("redirect_uris", many)), "a long name": mustJSON(metadata("client_name", strings.Repeat("n", 2048))), "a long address": mustJSON(metadata("redirect_uris", []string{"https://self.example/" + strings.Repeat("a", 5000)})),
			"nested": `{"redirect_uris":["https://self.example/cb"],"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "open": strings.Repeat(`{"a":`, 10_000), "twice": `{"redirect_uris":["https://self.example/cb"],"redirect_uris":["` + evil + `"]}`, "twice, escaped": `{"redirect_uris":["https://self.example/cb"],"redirect\u005furis":["` + evil + `"]}`,
			"trailing": good + "x", "two": good + good, "a list": "[" + good + "]", "null": "null", "a string": `"x"`, "a number": "1", "nothing": "", "BOM": "\ufeff" + good, "NaN": `{"redirect_uris":["https://self.example/cb"],"client_name":NaN}`, "not UTF-8": `{"redirect_uris":["https://self.example/cb"],"client_name":"` + "\xff" + `"}`,
			"name a number": mustJSON(metadata("client_name", 1)), "addresses a string": mustJSON(metadata("redirect_uris", "https://self.example/cb")), "address a number": mustJSON(metadata("redirect_uris", []any{1})), "no address": mustJSON(metadata("redirect_uris", []string{})), "none": mustJSON(metadata("redirect_uris", nil)), "null address": mustJSON(metadata("redirect_uris", []any{nil})),
			"grants a string": mustJSON(metadata("grant_types", "authorization_code")), "contacts an object": mustJSON(metadata("contacts", map[string]any{"a": 1})), "a comment": "/*x*/" + good, "another case only": `{"Redirect_URIs":["https://self.example/cb"]}`,
		}, oauth.ErrInvalidClientMetadata, oauth.ErrInvalidRedirectURI)
	}},
	{"SEC-220 links to the inside", func(c *run) {
		links := []string{"http://self.example/", "javascript:alert(1)", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "https://localhost/", "https://x.localhost./", "https://2130706433/", "https://0x7f.1/", "https://metadata.google.internal/", "https://user@self.example/", "data:text/html,x", "file:///etc/passwd"}
		bodies := map[string]string{}
		for _, name := range []string{"jwks_uri", "logo_uri", "sector_identifier_uri", "backchannel_logout_uri", "initiate_login_uri", "client_uri", "policy_uri", "tos_uri", "request_uris"} {
			for _, link := range links {
				value := any(link)
				if name == "request_uris" {
					value = []string{link}
				}
				bodies[name+" "+link] = mustJSON(metadata(name, value))
			}
		}
		c.refusedRegistrations(bodies, oauth.ErrInvalidClientMetadata)
		const keys = "https://keys.self.example/jwks"
		c.registered(metadata("jwks_uri", keys, "token_endpoint_auth_method", "private_key_jwt", "logo_uri", "https://self.example/l.png", "client_uri", "https://self.example/"))
		require.Zero(c, c.web.count(keys), "nothing is fetched for a registration")
	}},
	{"SEC-221 keys", func(c *run) {
		key := newKey()
		private := strings.Replace(string(jwks(key, "k1")), `"kty"`, `"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","kty"`, 1)
		one := strings.TrimSuffix(strings.TrimPrefix(string(jwks(key, "k1")), `{"keys":[`), `]}`)
		var many []string
		for i := range 100 {
			many = append(many, strings.Replace(one, `"k1"`, fmt.Sprintf(`"k%d"`, i), 1))
		}
		raw := func(s string) json.RawMessage { return json.RawMessage(s) }
		bodies := map[string]string{}
		for name, set := range map[string]any{"private": raw(private), "symmetric": raw(`{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`), "many": raw(`{"keys":[` + strings.Join(many, ",") + `]}`), "none": raw(`{"keys":[]}`), "a list": []any{}, "a string": "x", "off the curve": raw(strings.Replace(string(jwks(key, "k1")), `"x":"`, `"x":"AAAA`, 1))} {
			bodies[name] = mustJSON(metadata("jwks", set, "token_endpoint_auth_method", "private_key_jwt"))
		}
		bodies["both"] = mustJSON(metadata("jwks", raw(string(jwks(key, "k1"))), "jwks_uri", "https://self.example/jwks", "token_endpoint_auth_method", "private_key_jwt"))
		bodies["no keys"] = mustJSON(metadata("token_endpoint_auth_method", "private_key_jwt"))
		c.refusedRegistrations(bodies, oauth.ErrInvalidClientMetadata)
		c.registered(metadata("jwks", raw(string(jwks(key, "k1"))), "token_endpoint_auth_method", "private_key_jwt"))
	}},
	{"SEC-223 what strangers ask for", func(c *run) {
		got := c.registered(metadata("grant_types", []string{"authorization_code", "refresh_token", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "response_types", []string{"code", "token"}, "scope", "admin read",
			"require_consent", false, "trusted", true, "first_party", true, "FirstParty", true, "trust", "registered", "disabled", false, "scopes", []string{"admin"}, "default_scopes", []string{"admin"}, "resources", []string{evil}, "access_token_lifetime", 1e15, "purge_at", "2099-01-01T00:00:00Z", "data", "eA==",
			"client_id", "admin", "client_secret", wrongSecret, "secrets", []any{map[string]any{"hash": chosenSecrets["ab"]}}, "version", 9, "registration_access_token", wrongSecret, "client_id_issued_at", 1))
		id := got["client_id"].(string)
		require.NotEqual(c, "admin", id)
		require.NotEqual(c, wrongSecret, got["registration_access_token"])
		stored, err := c.store.Client(c.Context(), id)
		require.NoError(c, err)
		require.Equal(c, []string{"authorization_code", "refresh_token"}, stored.GrantTypes)
		require.Equal(c, store.TrustSelf, stored.Trust)
		require.False(c, stored.FirstParty)
		require.Empty(c, stored.Secrets)
		require.Empty(c, stored.Resources)
		require.NotContains(c, stored.Scopes, "admin")
		c.know(id, "none", "", []string{"https://self.example/cb"})
		page := c.person().authorize(c.params(id, "scope", "read admin"))
		require.NotContains(c, page.body, "Do anything")
		require.Equal(c, "read", c.login(id, "scope", "read admin").Scope)
		for _, grant := range []string{"client_credentials", "password"} {
			require.Equal(c, 400, c.post("/oauth/token", id, url.Values{"grant_type": {grant}}).status)
		}
		bodies := map[string]string{}
		for _, method := range []string{"client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth", "NONE", "x"} {
			bodies[method] = mustJSON(metadata("token_endpoint_auth_method", method))
		}
		c.refusedRegistrations(bodies, oauth.ErrInvalidClientMetadata)
	}},
	{"SEC-224 many registrations", func(c *run) {
		c = c.with("few registrations", func(cfg *oauth.Config) {
			address := func(r *http.Request) string { return r.Header.Get("Test-Address") }
			cfg.Extensions = []oauth.Extension{registration.New(registration.Config{Scopes: []string{"read"}, PerAddress: 3, PerHour: 10, Address: address})}
		})
		ask := func(address string) answer {
			return c.do(request("POST", issuer+"/oauth/register", strings.NewReader(mustJSON(metadata())), "Content-Type", jsonType, "Test-Address", address, "X-Forwarded-For", address+"9"))
		}
		count := func(answers []answer) (created int) {
			for _, a := range answers {
				if a.status == http.StatusCreated {
					created++
					continue
				}
				require.Equal(c, http.StatusTooManyRequests, a.status, "%s", a)
			}
			return created
		}
		var one, others []answer
		for range 20 {
			one = append(one, ask("192.0.2.1"))
		}
		require.Equal(c, 3, count(one))
		for i := range 20 {
			others = append(others, ask(fmt.Sprintf("192.0.2.%d", 10+i)))
		}
		require.Equal(c, 7, count(others))
		v := c.params(app) // whoever is registered is not held up
		require.Equal(c, 200, c.person().authorize(v).status)
	}},
	{"SEC-224 registrations that are not used end", func(c *run) {
		got := c.registered(metadata())
		id := got["client_id"].(string)
		c.know(id, "none", "", []string{"https://self.example/cb"})
		stored, err := c.store.Client(c.Context(), id)
		require.NoError(c, err)
		require.False(c, stored.PurgeAt.IsZero(), "it is kept for ever")
		c.login(id)
		used, err := c.store.Client(c.Context(), id)
		require.NoError(c, err)
		require.True(c, used.PurgeAt.After(stored.PurgeAt), "use renews it")
	}},
	{"SEC-225 initial access tokens", func(c *run) {
		var mu sync.Mutex
		good := map[string]bool{"initial-token-that-is-good-once": true}
		c = c.with("initial tokens", func(cfg *oauth.Config) {
			cfg.Extensions = []oauth.Extension{registration.New(registration.Config{Scopes: []string{"read"}, InitialAccessToken: func(_ context.Context, token string) (bool, error) {
				mu.Lock()
				defer mu.Unlock()
				ok := good[token]
				delete(good, token)
				return ok, nil
			}})}
		})
		ask := func(headers ...string) answer {
			return c.do(request("POST", issuer+"/oauth/register", strings.NewReader(mustJSON(metadata())), append([]string{"Content-Type", jsonType}, headers...)...))
		}
		refused := func(a answer) {
			c.Helper()
			c.refused(a, 401, registration.ErrInvalidToken)
			require.True(c, strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer"), a.header)
		}
		const token = "initial-token-that-is-good-once"
		before := c.countClients()
		refused(ask())
		refused(ask("Authorization", "Bearer another-token-altogether"))
		refused(ask("Authorization", "Basic "+basicOf("x", token)))
		refused(ask("Authorization", "Bearer "+c.login(app).AccessToken))
		require.Equal(c, before, c.countClients())
		bad := request("POST", issuer+"/oauth/register", strings.NewReader("{}"), "Content-Type", jsonType, "Authorization", "Bearer "+token)
		c.refused(c.do(bad), 400, oauth.ErrInvalidRedirectURI) // and the token is not spent
		require.Equal(c, 201, ask("Authorization", "Bearer "+token).status)
		refused(ask("Authorization", "Bearer "+token))
	}},
	{"SEC-226 what a client is told", func(c *run) {
		public, secretive := c.registered(metadata()), c.registered(metadata("token_endpoint_auth_method", "client_secret_basic"))
		require.NotContains(c, public, "client_secret")
		require.NotContains(c, public, "client_secret_expires_at")
		require.Equal(c, 0.0, secretive["client_secret_expires_at"])
		secret := secretive["client_secret"].(string)
		require.GreaterOrEqual(c, len(secret), 43)
		again := c.manage("GET", secretive["registration_client_uri"].(string), secretive["registration_access_token"].(string), nil)
		require.Equal(c, 200, again.status)
		require.NotContains(c, again.body, secret, "the secret is told once")
		require.NotContains(c, object(c, again), "client_secret")
		require.True(c, strings.HasPrefix(public["registration_client_uri"].(string), issuer+"/oauth/register"))
		require.NotEqual(c, public["client_id"], secretive["client_id"])
		require.NotEqual(c, public["registration_access_token"], secretive["registration_access_token"])
	}},
	{"SEC-227 a client's own affairs", func(c *run) {
		mine, other := c.registered(metadata()), c.registered(metadata())
		uri, token := mine["registration_client_uri"].(string), mine["registration_access_token"].(string)
		id, otherToken := mine["client_id"].(string), other["registration_access_token"].(string)
		accessToken := c.login(app).AccessToken
		update := metadata("client_id", id, "client_name", "Taken over")
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			var body map[string]any
			if method == "PUT" {
				body = update
			}
			for name, a := range map[string]answer{
				"no token": c.manage(method, uri, "", body), "another's": c.manage(method, uri, otherToken, body), "made up": c.manage(method, uri, wrongSecret, body), "an access token": c.manage(method, uri, accessToken, body), "changed": c.manage(method, uri, flip(token, 5), body), "shorter": c.manage(method, uri, token[1:], body),
				"in the query": c.manage(method, uri+"&access_token="+token, "", body), "a client that is not there": c.manage(method, strings.Replace(uri, id, "nobody", 1), token, body), "the operator's client": c.manage(method, strings.Replace(uri, id, app, 1), token, body),
				"two clients": c.manage(method, uri+"&client_id="+other["client_id"].(string), token, body), "no client": c.manage(method, strings.Split(uri, "?")[0], token, body), "Basic": c.do(request(method, uri, strings.NewReader(mustJSON(update)), "Authorization", "Basic "+basicOf(id, token), "Content-Type", jsonType)),
				"twice": c.do(request(method, uri, strings.NewReader(mustJSON(update)), "Authorization", "Bearer "+token, "Authorization", "Bearer "+token, "Content-Type", jsonType)),
			} {
				assert.Contains(c, []int{400, 401}, a.status, "%s %s: %s", method, name, a)
				assert.NotContains(c, a.body, "redirect_uris", name)
			}
		}
		stored, err := c.store.Client(c.Context(), id)
		require.NoError(c, err)
		require.Equal(c, "Self", stored.Name)

		require.Equal(c, 200, c.manage("GET", uri, token, nil).status)
		for name, m := range map[string]map[string]any{"another's ID": metadata("client_id", other["client_id"]), "a bad address": metadata("client_id", id, "redirect_uris", []string{"javascript:alert(1)"}), "a secret": metadata("client_id", id, "client_secret", wrongSecret), "no ID": metadata()} {
			a := c.manage("PUT", uri, token, m)
			assert.Contains(c, []int{400}, a.status, "%s: %s", name, a)
		}
		a := c.manage("PUT", uri, token, metadata("client_id", id, "scope", "read admin", "grant_types", []string{"authorization_code", "client_credentials"}, "first_party", true))
		require.Equal(c, 200, a.status, "%s", a)
		stored, err = c.store.Client(c.Context(), id)
		require.NoError(c, err)
		require.NotContains(c, stored.Scopes, "admin")
		require.NotContains(c, stored.GrantTypes, "client_credentials")
		require.False(c, stored.FirstParty)
		if next, ok := object(c, a)["registration_access_token"].(string); ok {
			token = next
		}
		c.know(id, "none", "", []string{"https://self.example/cb"})
		got := c.login(id)
		require.Equal(c, 204, c.manage("DELETE", uri, token, nil).status)
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			c.refused(c.manage(method, uri, token, update), 401, registration.ErrInvalidToken)
		}
		c.dead(got.AccessToken)
		require.Equal(c, 401, c.refresh(id, got.RefreshToken).status)
		c.page400(c.person().authorize(c.params(id)))
		require.Equal(c, 200, c.manage("GET", other["registration_client_uri"].(string), otherToken, nil).status, "the other one stands")
	}},
	{"SEC-229 software statements", func(c *run) {
		before := c.countClients()
		claims := map[string]any{"iss": "https://vouch.example", "software_id": "x", "redirect_uris": []string{evil}, "client_name": "Your bank"}
		for name, statement := range map[string]any{
			"unsigned": part(map[string]any{"alg": "none"}) + "." + part(claims) + ".", "signed by anybody": c.sign(newKey(), map[string]any{"alg": "ES256"}, claims), "not a JWT": "x", "empty": "", "a number": 1, "an object": claims,
		} {
			a := c.postJSON("/oauth/register", metadata("software_statement", statement))
			if name == "empty" && a.status == 201 {
				before++
				continue
			}
			assert.Equal(c, 400, a.status, name)
			assert.Contains(c, []oauth.ErrorCode{registration.ErrInvalidSoftwareStatement, registration.ErrUnapprovedSoftwareStatement, oauth.ErrInvalidClientMetadata}, oauth.ErrorCode(a.error().Error), name)
		}
		require.Equal(c, before, c.countClients())
	}},
}
