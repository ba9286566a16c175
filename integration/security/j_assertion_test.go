package security

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// withAssertion asks for something with a client assertion; pairs change the form.
func (c *run) withAssertion(path, signed string, pairs ...string) answer {
	c.Helper()
	v := url.Values{"grant_type": {"client_credentials"}, "token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {signed}}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return c.do(form(issuer+path, v))
}

// signer registers a machine that authenticates by its key.
func (c *run) signer() (string, credential) {
	c.Helper()
	cred := credential{method: "private_key_jwt", key: newKey()}
	return c.register(oauth.Client{AuthMethod: "private_key_jwt", JWKS: jwks(cred.key, "k1"), GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}}), cred
}

// assertionCases: group J, client authentication, by signature.
var assertionCases = []caseOf{
	{"SEC-143 forged assertions", func(c *run) {
		client, cred := c.signer()
		now := time.Now()
		claims := map[string]any{"iss": client, "sub": client, "aud": issuer, "jti": "forged-once", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
		header := func(pairs ...any) map[string]any { return with(map[string]any{"alg": "ES256", "kid": "k1"}, pairs...) }
		public := string(jwks(cred.key, "k1"))
		hmacSigned := func(secret []byte) string {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims))
			token.Header["kid"] = "k1"
			s, err := token.SignedString(secret)
			require.NoError(c, err)
			return s
		}
		own := newKey()
		good := c.sign(cred.key, header(), claims)
		half := strings.Split(good, ".")
		const hook = "https://keys.evil.test/jwks"
		c.web.serveJSON(hook, map[string]any{})
		for name, forged := range map[string]string{
			"alg none":             part(header("alg", "none")) + "." + part(claims) + ".",
			"alg none, signed":     part(header("alg", "none")) + "." + half[1] + "." + half[2],
			"alg NONE":             part(header("alg", "NONE")) + "." + part(claims) + ".",
			"HS256 by the key set": hmacSigned([]byte(public)),
			"HS256 by nothing":     hmacSigned([]byte{}),
			"another's key":        c.sign(own, header(), claims),
			"another client's key": c.sign(c.credentials[pkj].key, header(), claims),
			"unknown kid":          c.sign(own, header("kid", "k2"), claims),
			"kid a path":           c.sign(own, header("kid", "../../dev/null"), claims),
			"kid SQL":              c.sign(own, header("kid", "' OR 1=1--"), claims),
			"kid URL":              c.sign(own, header("kid", hook), claims),
			"jwk":                  c.sign(own, header("jwk", json.RawMessage(jwks(own, "k1"))), claims),
			"jku":                  c.sign(own, header("jku", hook), claims),
			"x5u":                  c.sign(own, header("x5u", hook), claims),
			"crit":                 c.sign(cred.key, header("crit", []string{"exp"}), claims),
			"claims twice":         c.sign(cred.key, header(), strings.Replace(mustJSON(claims), `{`, `{"sub":"`+machine+`",`, 1)),
			"claims changed":       half[0] + "." + part(with(claims, "sub", machine, "iss", machine)) + "." + half[2],
			"no signature":         half[0] + "." + half[1] + ".",
			"signature changed":    flip(good, len(good)-10),
			"two parts":            half[0] + "." + half[1],
			"garbage":              "garbage",
			"with a space":         " " + good,
		} {
			for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
				a := c.withAssertion(path, forged)
				assert.Equal(c, "401 invalid_client", fmt.Sprint(a.status, " ", a.error().Error), name)
			}
		}
		assert.Zero(c, c.web.count(hook))
		c.ok(c.withAssertion("/oauth/token", good)) // its jti was not spent
	}},
	{"SEC-143 assertions of other contents", func(c *run) {
		client, cred := c.signer()
		now := time.Now()
		for name, pairs := range map[string][]any{
			"another audience": {"aud", evil}, "no audience": {"aud", nil}, "two audiences": {"aud", []string{issuer, evil}}, "issuer with a slash": {"aud", issuer + "/"}, "another endpoint": {"aud", issuer + "/oauth/revoke"},
			"another subject": {"sub", machine}, "another issuer": {"iss", machine}, "no issuer": {"iss", nil}, "issuer of the server": {"iss", issuer},
			"expired": {"exp", now.Add(-2 * time.Minute).Unix()}, "without end": {"exp", nil}, "too far": {"exp", now.Add(48 * time.Hour).Unix()}, "end in text": {"exp", "9999999999"}, "endless": {"exp", 1e300}, "not yet": {"nbf", now.Add(time.Hour).Unix()}, "from the future": {"iat", now.Add(time.Hour).Unix()},
			"without ID": {"jti", nil}, "ID a number": {"jti", 7}, "a long ID": {"jti", strings.Repeat("j", 4000)}, "an empty ID": {"jti", ""},
		} {
			a := c.withAssertion("/oauth/token", signAssertion(cred, client, pairs...))
			assert.Equal(c, "401 invalid_client", fmt.Sprint(a.status, " ", a.error().Error), name)
		}
		c.ok(c.withAssertion("/oauth/token", signAssertion(cred, client, "aud", issuer+"/oauth/token")))
	}},
	{"SEC-145 assertions are used once", func(c *run) {
		client, cred := c.signer()
		other, otherCred := c.signer()
		for _, jti := range []string{"same", "SAME", "same ", "s\u00e4me", "sa\u0308me", "' OR 1=1--", "{tag}:a", "*", "a\x00b", strings.Repeat("j", 200)} {
			once := signAssertion(cred, client, "jti", jti)
			c.ok(c.on(c.a).withAssertion("/oauth/token", once))
			for _, n := range []*node{c.b, c.a} { // also at another node, and by another endpoint
				c.refused(c.on(n).withAssertion("/oauth/token", once), 401, oauth.ErrInvalidClient)
				c.refused(c.on(n).withAssertion("/oauth/revoke", once), 401, oauth.ErrInvalidClient)
			}
			c.refused(c.withAssertion("/oauth/token", signAssertion(cred, client, "jti", jti)), 401, oauth.ErrInvalidClient)
			c.ok(c.withAssertion("/oauth/token", signAssertion(otherCred, other, "jti", jti)))
		}
	}},
	{"SEC-145 an assertion 64 times at once", func(c *run) {
		client, cred := c.signer()
		for range scaled(2, 100) {
			once := signAssertion(cred, client)
			won := 0
			for _, a := range c.burst(64, func(int) *http.Request {
				return form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {once}})
			}) {
				if a.status == http.StatusOK {
					won++
					continue
				}
				c.refused(a, 401, oauth.ErrInvalidClient)
			}
			require.Equal(c, 1, won)
		}
	}},
	{"SEC-145 a cleanup forgets nothing too early", func(c *run) {
		client, cred := c.signer()
		once := signAssertion(cred, client)
		c.ok(c.withAssertion("/oauth/token", once))
		_, err := c.b.p.Cleanup(c.Context())
		require.NoError(c, err)
		c.refused(c.withAssertion("/oauth/token", once), 401, oauth.ErrInvalidClient)
		c, f := c.faulty()
		f.fail("CreateCode") // nobody can say whether it was used
		unused := signAssertion(cred, client)
		c.refused(c.withAssertion("/oauth/token", unused), 503, oauth.ErrTemporarilyUnavailable)
		f.mend()
		c.ok(c.withAssertion("/oauth/token", unused))
	}},
	{"SEC-146 other things in the place of an assertion", func(c *run) {
		client, cred := c.signer()
		now := time.Now()
		claims := map[string]any{"iss": client, "sub": client, "aud": issuer, "jti": "kind", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
		for _, typ := range []string{"at+jwt", "application/at+jwt", "dpop+jwt", "logout+jwt", "oauth-authz-req+jwt", "secevent+jwt", "JWE", "token-introspection+jwt", "oauth-id-jag+jwt"} {
			signed := c.sign(cred.key, map[string]any{"alg": "ES256", "kid": "k1", "typ": typ}, claims)
			c.refused(c.withAssertion("/oauth/token", signed), 401, oauth.ErrInvalidClient)
		}
		got := c.login(app)
		c.refused(c.withAssertion("/oauth/token", got.AccessToken), 401, oauth.ErrInvalidClient)
		c.refused(c.withAssertion("/oauth/token", got.RefreshToken), 401, oauth.ErrInvalidClient)
		for _, kind := range []string{"urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer", strings.ToUpper(assertionType), assertionType + " ", ""} {
			a := c.withAssertion("/oauth/token", signAssertion(cred, client), "client_assertion_type", kind)
			require.Contains(c, []int{400, 401}, a.status, kind)
		}
		c.refused(c.withAssertion("/oauth/token", "", "client_id", client), 400, oauth.ErrInvalidRequest)
		c.ok(c.withAssertion("/oauth/token", c.sign(cred.key, map[string]any{"alg": "ES256", "kid": "k1"}, claims)))
	}},
	{"SEC-147 headers that only a proxy may send", func(c *run) {
		certificate := base64.StdEncoding.EncodeToString([]byte("certificate of " + machine))
		for _, client := range []string{machine, conf, pkj} {
			for _, name := range []string{"X-Client-Cert", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-SSL-Client-S-DN", "X-Forwarded-Client-Cert", "Client-Cert", "X-Client-Id", "X-Forwarded-User", "X-Remote-User"} {
				for _, value := range []string{client, "SUCCESS", "CN=" + client, certificate} {
					r := form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}})
					r.Header.Set(name, value)
					c.refused(c.do(r), 401, oauth.ErrInvalidClient)
				}
			}
		}
	}},
	{"SEC-148 keys at a URI", func(c *run) {
		old, next := newKey(), newKey()
		at := "https://rotate.example/" + c.person().user
		c.web.serve(at, serveSet(jwks(old, "k1")))
		client := c.register(oauth.Client{AuthMethod: "private_key_jwt", JWKSURI: at, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}})
		use := func(n *node, key credential, kid string) answer {
			now := time.Now()
			signed := c.sign(key.key, map[string]any{"alg": "ES256", "kid": kid}, map[string]any{"iss": client, "sub": client, "aud": issuer, "jti": c.person().user, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
			return c.on(n).withAssertion("/oauth/token", signed)
		}
		for range 3 {
			c.ok(use(c.a, credential{key: old}, "k1"))
		}
		require.Equal(c, 1, c.web.count(at))
		for i := range 30 { // a flood of unknown keys
			c.refused(use(c.a, credential{key: next}, fmt.Sprint("k", 2+i)), 401, oauth.ErrInvalidClient)
		}
		require.Equal(c, 1, c.web.count(at), "at most one request a minute")
		c.web.serve(at, serveSet(jwks(next, "k2")))
		c.ok(use(c.b, credential{key: next}, "k2"))
		c.refused(use(c.b, credential{key: old}, "k1"), 401, oauth.ErrInvalidClient)
		require.Equal(c, 2, c.web.count(at))
	}},
}

// serveSet serves a key set.
func serveSet(set []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		_, _ = w.Write(set)
	}
}
