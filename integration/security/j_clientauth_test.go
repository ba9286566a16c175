package security

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// basicOf are Basic credentials as they are (RFC 7617 §2).
func basicOf(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}

// wrongSecret looks like one.
var wrongSecret = strings.Repeat("wrong-", 7) + "x"

// The hashes of secrets that an operator chose, at bcrypt's least cost.
var chosenSecrets = map[string]string{
	"p%+:\u00fc":                      "$2a$04$hAyfS5GegWyjMYWcawooD.61E6Rts921wBLq6/IzA6/d9oAh2R9Ru",
	"a+b":                             "$2a$04$GnVcAQ6YqsSprHFixLihveleZY5YSbm3NvdFfS7tPFTnNRPvq53/2",
	strings.Repeat("long-secret-", 6): "$2a$04$wIqoSXqKuANnSt1cRIYIsuErjBjbS159VVjeS8IQmq1qU.A.iM/k2",
	"ab":                              "$2a$04$zNxBB048t7TDMavCsiaBSOUKVQOnhvKvf6P1yVPtKA1m7dc1iLLHi",
	"":                                "$2a$04$Z.pIbwQgY3K6JoWSV3MTN.Uur5zkU6EhIxS8STup33d3FGOWU8Jcm",
}

// chosen registers a client with a secret of chosenSecrets; like machine
// otherwise.
func (c *run) chosen(id, secret string, change ...func(k *oauth.Client)) string {
	c.Helper()
	k := oauth.Client{ID: id, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, Secrets: []store.Secret{{Hash: chosenSecrets[secret]}}}
	for _, f := range change {
		f(&k)
	}
	return c.register(k)
}

// withBasic asks for a token for the client itself, with these Authorization
// headers.
func (c *run) withBasic(v url.Values, headers ...string) answer {
	c.Helper()
	sent := url.Values{"grant_type": {"client_credentials"}}
	for name, values := range v {
		sent[name] = values
	}
	r := form(issuer+"/oauth/token", sent)
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	return c.do(r)
}

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

// clientAuthCases: group J, client authentication.
var clientAuthCases = []caseOf{
	{"SEC-131 both spellings of Basic", func(c *run) {
		id, secret := "client:id+1", "p%+:\u00fc"
		c.chosen(id, secret)
		c.ok(c.withBasic(nil, "Basic "+basicOf(url.QueryEscape(id), url.QueryEscape(secret))))
		c.refused(c.withBasic(nil, "Basic "+basicOf(id, secret)), 401, oauth.ErrInvalidClient) // its ID ends at the colon
		plain, plus := c.chosen("", secret), c.chosen("", "a+b")
		for _, right := range []string{basicOf(plain, secret), basicOf(plain, url.QueryEscape(secret)), basicOf(plus, "a+b"), basicOf(plus, "a%2Bb")} {
			c.ok(c.withBasic(nil, "Basic "+right))
		}
		for _, wrong := range []string{"a b", "a%2bb%00", "a+b+", "A+B", "a%252Bb"} {
			c.refused(c.withBasic(nil, "Basic "+basicOf(plus, wrong)), 401, oauth.ErrInvalidClient)
		}
	}},
	{"SEC-133 malformed Basic", func(c *run) {
		secret := c.credentials[machine].secret
		enc := base64.StdEncoding.EncodeToString
		good := basicOf(machine, secret)
		for _, header := range []string{"Basic", "Basic ", "Basic !!!", "Basic " + enc([]byte("nocolon")), "Basic " + enc([]byte(":"+secret)), "Basic " + enc([]byte(":")), "Basic " + enc([]byte(machine+":\xff")), "Basic " + enc([]byte(machine+":"+secret+"\x00")), "Basic " + machine + ":" + secret,
			"Basic " + strings.Repeat("QUFB", 3000), good, "Digest " + good, "Bearer " + good, "Basic=" + good, "Basic," + good, "Basic " + strings.TrimRight(good, "=") + "====", "Basic " + good + " " + good, "Basic " + enc([]byte(machine+":"+secret+"\n")), "Negotiate", "DPoP " + good} {
			a := c.withBasic(nil, header)
			c.refused(a, 401, oauth.ErrInvalidClient)
			require.Contains(c, a.header.Get("WWW-Authenticate"), "Basic realm=", header)
		}
		for _, scheme := range []string{"basic", "BASIC", "bAsIc"} {
			c.ok(c.withBasic(nil, scheme+" "+good))
		}
	}},
	{"SEC-134 two ways at once", func(c *run) {
		b := c.person()
		code := b.code(c.params(conf))
		secret := c.credentials[conf].secret
		basic := "Basic " + basicOf(conf, secret)
		v := c.exchangeForm(conf, code)
		for name, try := range map[string]struct {
			extra   url.Values
			headers []string
		}{
			"Basic and secret":          {url.Values{"client_secret": {secret}}, []string{basic}},
			"Basic and another secret":  {url.Values{"client_id": {post}, "client_secret": {c.credentials[post].secret}}, []string{basic}},
			"Basic and assertion":       {url.Values{"client_assertion_type": {assertionType}, "client_assertion": {signAssertion(c.credentials[pkj], pkj)}}, []string{basic}},
			"Basic and any assertion":   {url.Values{"client_assertion": {"x"}}, []string{basic}},
			"Basic twice":               {nil, []string{basic, basic}},
			"Basic and Bearer":          {nil, []string{basic, "Bearer x"}},
			"assertion and secret":      {url.Values{"client_id": {pkj}, "client_secret": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {signAssertion(c.credentials[pkj], pkj)}}, nil},
			"assertion and Basic of it": {url.Values{"client_assertion_type": {assertionType}, "client_assertion": {signAssertion(c.credentials[pkj], pkj)}}, []string{"Basic " + basicOf(pkj, "")}},
			"two secrets":               {url.Values{"client_id": {conf}, "client_secret": {secret, secret}}, nil},
		} {
			sent := url.Values{}
			for _, from := range []url.Values{v, try.extra} {
				for name, values := range from {
					sent[name] = values
				}
			}
			a := c.withBasic(sent, try.headers...)
			assert.Equal(c, "400 invalid_request", fmt.Sprint(a.status, " ", a.error().Error), name)
		}
		c.ok(c.exchange(conf, code))
	}},
	{"SEC-135 two names", func(c *run) {
		code := c.person().code(c.params(conf))
		basic := "Basic " + basicOf(machine, c.credentials[machine].secret)
		for _, other := range []string{conf, app, "nobody", strings.ToUpper(machine), machine + " ", c.dcr} {
			v := c.exchangeForm(conf, code)
			v.Set("client_id", other)
			a := c.withBasic(v, basic)
			require.Contains(c, []int{400, 401}, a.status)
			c.refused(c.withAssertion("/oauth/token", signAssertion(c.credentials[pkj], pkj), "client_id", other), 401, oauth.ErrInvalidClient)
		}
		c.ok(c.withBasic(url.Values{"client_id": {machine}}, basic))
		c.ok(c.exchange(conf, code))
	}},
	{"SEC-136 whatever is wrong looks the same", func(c *run) {
		off := c.chosen("", "ab", func(k *oauth.Client) { k.Disabled = true })
		gone := c.chosen("", "ab")
		require.NoError(c, c.b.p.DeleteClient(c.Context(), gone))
		want := c.withBasic(nil, "Basic "+basicOf("nobody", wrongSecret))
		c.refused(want, 401, oauth.ErrInvalidClient)
		want.header.Del("Date")
		got, code := c.login(conf), c.person().code(c.params(conf))
		for name, credentials := range map[string][2]string{
			"a wrong secret": {conf, wrongSecret}, "an empty secret": {conf, ""}, "disabled, the right one": {off, "ab"}, "disabled": {off, wrongSecret}, "deleted": {gone, "ab"},
			"without secret": {pkj, wrongSecret}, "public": {app, wrongSecret}, "a stranger": {c.dcr, wrongSecret}, "another client's": {conf, c.credentials[machine].secret}, "in upper case": {strings.ToUpper(conf), c.credentials[conf].secret},
			"shortened": {conf, c.credentials[conf].secret[1:]}, "with a space": {conf, c.credentials[conf].secret + " "}, "an unknown document": {"https://nowhere.example/app.json", wrongSecret},
		} {
			for _, v := range []url.Values{nil, c.exchangeForm(conf, code), {"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}} {
				a := c.withBasic(v, "Basic "+basicOf(credentials[0], credentials[1]))
				a.header.Del("Date")
				assert.Equal(c, want, a, name)
			}
			if credentials[1] == "" {
				continue
			}
			a := c.withBasic(url.Values{"client_id": {credentials[0]}, "client_secret": {credentials[1]}})
			assert.Equal(c, want.body, a.body, name)
			assert.Equal(c, 401, a.status, name)
		}
		c.ok(c.refresh(conf, got.RefreshToken))
		c.ok(c.exchange(conf, code))
	}},
	{"SEC-137 a wrong secret and an unknown client, in text", func(c *run) {
		for _, path := range formPaths {
			one := form(issuer+path, url.Values{"token": {"x"}, "client_id": {machine}, "client_secret": {wrongSecret}})
			two := form(issuer+path, url.Values{"token": {"x"}, "client_id": {"nobody"}, "client_secret": {wrongSecret}})
			a, b := c.do(one), c.do(two)
			a.header.Del("Date")
			b.header.Del("Date")
			require.Equal(c, a, b)
		}
	}},
	{"SEC-139 what bcrypt alone accepts", func(c *run) {
		full := strings.Repeat("long-secret-", 6)
		long, nul, empty := c.chosen("", full), c.chosen("", "ab"), "empty-hash"
		require.NoError(c, c.store.CreateClient(c.Context(), store.Client{ID: empty, GrantTypes: []string{"client_credentials"}, Secrets: []store.Secret{{Hash: chosenSecrets[""]}}, Version: 1}))
		c.ok(c.withBasic(nil, "Basic "+basicOf(long, full)))
		c.ok(c.withBasic(nil, "Basic "+basicOf(nul, "ab")))
		for _, wrong := range [][2]string{{long, full + "x"}, {long, full[1:]}, {nul, "ab\x00ab"}, {nul, "ab%00ab"}, {nul, "ab\x00"}, {nul, "ab%00"}, {empty, ""}, {empty, "\x00"}, {empty, "%00"}} {
			c.refused(c.withBasic(nil, "Basic "+basicOf(wrong[0], wrong[1])), 401, oauth.ErrInvalidClient)
			a := c.withBasic(url.Values{"client_id": {wrong[0]}, "client_secret": {wrong[1]}})
			require.Contains(c, []int{400, 401}, a.status) // NUL is in no form
		}
		for _, hash := range []string{"", "ab", "$2a$04$short", "$2a$31$" + chosenSecrets["ab"][7:], "$1$" + chosenSecrets["ab"]} {
			_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{ID: "bad-hash", GrantTypes: []string{"client_credentials"}, Secrets: []store.Secret{{Hash: hash}}})
			require.ErrorIs(c, err, oauth.ErrInvalidClientMetadata, hash)
		}
	}},
	{"SEC-140 a flood of wrong secrets", func(c *run) {
		c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}}))
		done := c.meanwhile(func() {
			var wg sync.WaitGroup
			for i := range scaled(40, 1000) {
				wg.Go(func() {
					_, _ = c.at.send(form(issuer+"/oauth/token", url.Values{"client_id": {machine}, "client_secret": {fmt.Sprint(wrongSecret, i)}, "grant_type": {"client_credentials"}}))
				})
			}
			wg.Wait()
		})
		for range 10 {
			c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}}))
		}
		<-done
	}},
	{"SEC-141 guesses lock nobody out", func(c *run) {
		client := c.chosen("", "ab")
		for _, a := range c.burst(scaled(40, 1000), func(i int) *http.Request {
			id := client
			if i%2 == 0 {
				id = fmt.Sprint("nobody-", i)
			}
			return form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {fmt.Sprint("guess-", i)}})
		}) {
			require.Contains(c, []int{401, 503, 429}, a.status)
		}
		for _, n := range []*node{c.a, c.b} {
			c.ok(c.on(n).withBasic(nil, "Basic "+basicOf(client, "ab")))
		}
	}},
	{"SEC-142 another method than the registered one", func(c *run) {
		postOnly := c.chosen("", "ab", func(k *oauth.Client) { k.AuthMethod = "client_secret_post" })
		basicOnly := c.chosen("", "ab", func(k *oauth.Client) { k.AuthMethod = "client_secret_basic" })
		inForm := func(id, secret string) url.Values { return url.Values{"client_id": {id}, "client_secret": {secret}} }
		c.ok(c.withBasic(inForm(postOnly, "ab")))
		c.ok(c.withBasic(nil, "Basic "+basicOf(basicOnly, "ab")))
		for _, a := range []answer{
			c.withBasic(nil, "Basic "+basicOf(postOnly, "ab")), c.withBasic(inForm(basicOnly, "ab")),
			c.withBasic(inForm(app, wrongSecret)), c.withBasic(nil, "Basic "+basicOf(app, wrongSecret)), c.withBasic(inForm(c.dcr, "x")),
			c.withBasic(inForm(pkj, wrongSecret)), c.withBasic(nil, "Basic "+basicOf(pkj, wrongSecret)), c.withBasic(inForm(cimdApp, wrongSecret)),
			c.withAssertion("/oauth/token", signAssertion(credential{key: newKey()}, basicOnly)), c.withAssertion("/oauth/token", signAssertion(credential{key: newKey()}, app)),
		} {
			c.refused(a, 401, oauth.ErrInvalidClient)
		}
		got := c.login(app) // an empty secret is none
		v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}, "client_id": {app}, "client_secret": {""}}
		c.ok(c.do(form(issuer+"/oauth/token", v)))
	}},
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
