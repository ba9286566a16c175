package security

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
)

// apiHosts are the API under the names of the three ways to verify a token.
var apiHosts = []string{"api.example", "jwt.example", "introspect.example"}

// worthless asserts that a token is refused in every way of verifying it.
func (c *run) worthless(name, token string) {
	c.Helper()
	for _, host := range apiHosts {
		r := request("GET", "https://"+host+"/notes", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		a, err := c.at.send(r)
		if err != nil {
			continue // net/http does not send it
		}
		if assert.Contains(c, []int{400, 401}, a.status, "%s at %s", name, host) && a.status == 401 {
			assert.Contains(c, a.header.Get("WWW-Authenticate"), `error="invalid_token"`, "%s at %s", name, host)
		}
		assert.NotContains(c, a.String(), token, name)
	}
}

// genuine is a token of a login at a node whose key the case has, and its claims.
func (c *run) genuine() (tokens, map[string]any) {
	c.Helper()
	got := c.login(app)
	claims := claimsOf(c, got.AccessToken)
	for _, host := range apiHosts {
		require.Equal(c, 200, c.call(host, c.forged(claims)).status, "what is forged would be accepted, by %s", host)
	}
	return got, claims
}

func atHeader(pairs ...any) map[string]any {
	return with(map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": signingKID}, pairs...)
}

// apiCases: group K, access tokens at the API.
var apiCases = []caseOf{
	{"SEC-149 no signature", func(c *run) {
		c = c.knowing()
		got, claims := c.genuine()
		half := strings.Split(got.AccessToken, ".")
		for _, alg := range []any{"none", "None", "nOnE", "NONE", "", nil, "es256", "ES256 ", []string{"ES256"}, 256} {
			header := atHeader("alg", alg)
			c.worthless(fmt.Sprint(alg, " unsigned"), part(header)+"."+half[1]+".")
			c.worthless(fmt.Sprint(alg, " with a signature"), part(header)+"."+half[1]+"."+half[2])
			c.worthless(fmt.Sprint(alg, " signed"), c.sign(signingKey(), header, claims))
		}
		c.worthless("an empty signature", half[0]+"."+half[1]+".")
	}},
	{"SEC-151 keys that a token brings or names", func(c *run) {
		c = c.knowing()
		_, claims := c.genuine()
		own := newKey()
		const hook = "https://keys.evil.test/jwks"
		c.web.serve(hook, serveSet(jwks(own, "evil")))
		var set struct{ Keys []any }
		require.NoError(c, json.Unmarshal(jwks(own, signingKID), &set))
		for name, pairs := range map[string][]any{
			"jwk": {"jwk", set.Keys[0]}, "jku": {"jku", hook}, "jku and kid": {"jku", hook, "kid", "evil"}, "x5u": {"x5u", hook}, "x5c": {"x5c", []string{"AA"}}, "kid a path": {"kid", "../../dev/null"}, "kid SQL": {"kid", "' OR 1=1--"},
			"kid a URL": {"kid", hook}, "kid unknown": {"kid", "k9"}, "kid of 12 KiB": {"kid", strings.Repeat("k", 12<<10)}, "kid a number": {"kid", 1}, "kid in upper case": {"kid", strings.ToUpper(signingKID)}, "no kid": {"kid", nil}, "kid with NUL": {"kid", signingKID + "\x00"}, "the real one": nil,
		} {
			c.worthless(name+", a stranger's key", c.sign(own, atHeader(pairs...), claims))
			if pairs != nil && name != "no kid" { // where there is one key, none need be named
				c.worthless(name+", the real key", c.sign(signingKey(), atHeader(pairs...), claims))
			}
		}
		c.worthless("crit", c.sign(signingKey(), atHeader("crit", []string{"exp"}), claims))
		c.worthless("b64", c.sign(signingKey(), atHeader("b64", false, "crit", []string{"b64"}), claims))
		require.Zero(c, c.web.count(hook))
	}},
	{"SEC-152 other kinds of JWT", func(c *run) {
		c = c.knowing()
		_, claims := c.genuine()
		for _, typ := range []any{nil, "", "JWT", "jwt", "id_token", "logout+jwt", "dpop+jwt", "oauth-authz-req+jwt", "client-authentication+jwt", "secevent+jwt", "at+jwt2", "at jwt", "application/jwt", "at+jwt; x", []string{"at+jwt"}, 1} {
			c.worthless(fmt.Sprint("typ ", typ), c.sign(signingKey(), atHeader("typ", typ), claims))
		}
		cred := c.credentials[pkj]
		c.worthless("a client assertion", signAssertion(cred, pkj))
		c.worthless("an assertion for the API", signAssertion(cred, pkj, "aud", apiURI, "client_id", pkj))
	}},
	{"SEC-153 other audiences", func(c *run) {
		c = c.knowing()
		_, claims := c.genuine()
		for _, aud := range []any{nil, "", []string{}, "https://other.example", []string{"https://other.example", app}, apiURI + "2", apiURI + "/", apiURI + "/x", "https://api.example", "https://api.example.evil.test/notes", "HTTPS://API.EXAMPLE/notes", app, api, issuer, mcpURI, 1, []any{apiURI, 1}, map[string]any{apiURI: apiURI}, "https://api.example/notes#", "https://api.example:443/notes", "*"} {
			c.worthless(fmt.Sprint("aud ", aud), c.forged(claims, "aud", aud))
		}
		c.worthless("AUD", c.forged(claims, "aud", nil, "AUD", apiURI))
		for _, twice := range []string{`{"aud":"` + evil + `",`, `{"aud":"` + apiURI + `",`, `{"\u0061ud":"` + apiURI + `",`} {
			c.worthless("aud twice", c.sign(signingKey(), atHeader(), strings.Replace(mustJSON(claims), "{", twice, 1)))
		}
		c.worthless("for the other resource", c.login(app, "resource", mcpURI, "scope", "read").AccessToken)
		c.worthless("for the issuer", c.forged(claims, "aud", issuer))
	}},
	{"SEC-154 other issuers", func(c *run) {
		c = c.knowing()
		_, claims := c.genuine()
		for _, iss := range []any{nil, "", evil, issuer + "/", strings.ToUpper(issuer), "http://auth.example", issuer + ":443", "https://auth.example.", []string{issuer}, 1, " " + issuer, issuer + "\n"} {
			c.worthless(fmt.Sprint("iss ", iss), c.forged(claims, "iss", iss))
		}
		c.worthless("Iss", c.forged(claims, "iss", nil, "Iss", issuer))
	}},
	{"SEC-155 times", func(c *run) {
		c = c.knowing()
		_, claims := c.genuine()
		raw := func(s string) json.RawMessage { return json.RawMessage(s) }
		times := func(now int64) map[string][]any {
			return map[string][]any{
				"exp absent": {"exp", nil}, "exp past": {"exp", now - 61}, "exp now": {"exp", now}, "exp text": {"exp", fmt.Sprint(now + 60)}, "exp 1e300": {"exp", raw("1e300")}, "exp 1e12": {"exp", raw("1e12")}, "exp -1": {"exp", -1}, "exp 2^63": {"exp", raw("9223372036854775808")},
				"exp 2^63-1": {"exp", raw("9223372036854775807")}, "exp NaN": {"exp", "NaN"}, "exp 0": {"exp", 0}, "exp true": {"exp", true}, "exp a list": {"exp", []int64{now + 60}}, "Exp": {"exp", nil, "Exp", now + 60}, "exp null": {"exp", raw("null")},
				"nbf in an hour": {"nbf", now + 3600}, "nbf in 65 s": {"nbf", now + 65}, "nbf text": {"nbf", "0"}, "iat in a day": {"iat", now + 86400, "exp", now + 90000}, "iat absent": {"iat", nil}, "iat text": {"iat", "0"},
			}
		}
		for name := range times(0) { // each at its own moment, since all together take a while
			c.worthless(name, c.forged(claims, times(time.Now().Unix())[name]...))
		}
		now := time.Now().Unix()
		// An API that asks nobody believes no token for ever; the others ask.
		for _, end := range []int64{now + 2*86400, 253402300799} {
			require.Equal(c, http.StatusUnauthorized, c.call("jwt.example", c.forged(claims, "exp", end)).status)
		}
	}},
	{"SEC-157 signatures", func(c *run) {
		c = c.knowing()
		got, claims := c.genuine()
		token := got.AccessToken
		half := strings.Split(token, ".")
		signature, err := base64.RawURLEncoding.DecodeString(half[2])
		require.NoError(c, err)
		signed := func(b []byte) string { return half[0] + "." + half[1] + "." + base64.RawURLEncoding.EncodeToString(b) }
		zeros := make([]byte, 32)
		order := elliptic.P256().Params().N.Bytes()
		beyond := new(big.Int).Add(new(big.Int).SetBytes(signature[:32]), elliptic.P256().Params().N).Bytes()
		for name, forged := range map[string]string{
			"truncated": token[:len(token)-2], "half of it": signed(signature[:32]), "a byte more": token + "AA", "a byte before": signed(append([]byte{0}, signature...)), "zero": signed(make([]byte, 64)), "r zero": signed(append(zeros, signature[32:]...)), "s zero": signed(append(append([]byte{}, signature[:32]...), zeros...)),
			"r the order": signed(append(append([]byte{}, order...), signature[32:]...)), "r beyond it": signed(append(beyond, signature[32:]...)), "padding": token + "==", "one padding": token + "=", "a space in it": half[0] + ". " + half[1] + "." + half[2], "4 parts": token + "." + half[2], "2 parts": half[0] + "." + half[1], "5 parts": token + ".a.b",
			"a dot more": token + ".", "dots": "..", "other claims": half[0] + "." + part(with(claims, "scope", "read write")) + "." + half[2], "another header": part(atHeader("x", 1)) + "." + half[1] + "." + half[2], "one bit": flip(token, len(token)-12), "standard base64": half[0] + "." + half[1] + "." + base64.RawStdEncoding.EncodeToString(append([]byte{0xfb, 0xff}, signature[2:]...)),
			"bits beyond the end": token[:len(token)-1] + string(token[len(token)-1]+1), "percent": strings.Replace(token, ".", "%2E", 1), "twice": token + "," + token,
		} {
			c.worthless(name, forged)
		}
		mirrored := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(signature[32:]))
		other := signed(append(append([]byte{}, signature[:32]...), mirrored.FillBytes(make([]byte, 32))...))
		require.Equal(c, 200, c.call("api.example", other).status, "as good: JWS has no low s (RFC 7515 §3.4)")
		require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {token}}).status)
		require.Equal(c, http.StatusUnauthorized, c.call("api.example", other).status, "and ended with it")
	}},
	{"SEC-158 algorithms that are not the key's", func(c *run) {
		c = c.knowing()
		got, claims := c.genuine()
		half := strings.Split(got.AccessToken, ".")
		for _, alg := range []string{"RS256", "PS256", "ES384", "ES512", "EdDSA", "HS256", "ES256K", "RSA1_5", "dir"} {
			c.worthless(alg, c.sign(signingKey(), atHeader("alg", alg), claims))
			c.worthless(alg+" in the header only", part(atHeader("alg", alg))+"."+half[1]+"."+half[2])
		}
		public, err := signingKey().PublicKey.Bytes()
		require.NoError(c, err)
		for name, secret := range map[string][]byte{"the key set": jwks(signingKey(), signingKID), "the point": public, "nothing": {}, "what the server serves": []byte(c.do(request("GET", issuer+"/oauth/jwks", nil)).body)} {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims))
			token.Header["kid"], token.Header["typ"] = signingKID, "at+jwt"
			forged, err := token.SignedString(secret)
			require.NoError(c, err)
			c.worthless("HS256 by "+name, forged)
		}
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		require.NoError(c, err)
		token := jwt.NewWithClaims(jwt.SigningMethodES384, jwt.MapClaims(claims))
		token.Header["kid"], token.Header["typ"] = signingKID, "at+jwt"
		forged, err := token.SignedString(p384)
		require.NoError(c, err)
		c.worthless("ES384", forged)
	}},
	{"SEC-159 tokens that are work", func(c *run) {
		c = c.knowing()
		_, claims := c.genuine()
		start := time.Now()
		for name, forged := range map[string]string{
			"zip": c.sign(signingKey(), atHeader("zip", "DEF"), claims), "JWE": strings.Repeat(part(map[string]any{"alg": "dir", "enc": "A256GCM"})+".", 4) + "AA", "900 KiB": strings.Repeat("a", 900<<10), "dots": strings.Repeat(".", 900<<10),
			"deep header": part(strings.Repeat("[", 10_000)) + ".e30.AA", "deep claims": c.sign(signingKey(), atHeader(), `{"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+"}"), "long header": c.sign(signingKey(), atHeader("x", strings.Repeat("x", 11<<10)), claims), "many members": c.sign(signingKey(), atHeader(), `{"a":1`+strings.Repeat(`,"a":1`, 1500)+"}"),
		} {
			c.worthless(name, forged)
		}
		assert.Less(c, time.Since(start), 10*time.Second)
	}},
	{"SEC-160 too few scopes", func(c *run) {
		got := c.login(app, "scope", "write")
		for _, host := range apiHosts {
			a := c.call(host, got.AccessToken)
			require.Equal(c, http.StatusForbidden, a.status)
			challenge := a.header.Get("WWW-Authenticate")
			for _, piece := range []string{"Bearer ", `error="insufficient_scope"`, `scope="read"`, `resource_metadata="https://api.example/.well-known/oauth-protected-resource/notes"`} {
				require.Contains(c, challenge, piece)
			}
		}
		c = c.knowing()
		_, claims := c.genuine()
		for _, scope := range []any{nil, "", "READ", "read2", "xread", "write"} {
			require.Equal(c, http.StatusForbidden, c.call("api.example", c.forged(claims, "scope", scope)).status, scope)
		}
	}},
	{"SEC-161 no token", func(c *run) {
		for _, host := range apiHosts {
			for _, headers := range [][]string{nil, {"Authorization", "Basic " + basicOf(api, "x")}, {"Cookie", "access_token=x"}, {"X-Access-Token", "x"}} {
				a := c.do(request("GET", "https://"+host+"/notes", nil, headers...))
				require.Equal(c, http.StatusUnauthorized, a.status)
				challenge := a.header.Get("WWW-Authenticate")
				require.True(c, strings.HasPrefix(challenge, "Bearer "), challenge)
				require.Contains(c, challenge, "resource_metadata=")
				require.Contains(c, challenge, `scope="read"`)
				require.NotContains(c, challenge, "error")
			}
		}
	}},
	{"SEC-163 where a token is", func(c *run) {
		token := c.login(app).AccessToken
		good := "Bearer " + token
		for _, host := range apiHosts {
			for name, try := range map[string]struct {
				want    []int
				headers []string
			}{
				"two":              {[]int{400}, []string{good, good}},
				"two, one Basic":   {[]int{400}, []string{good, "Basic eDp5"}},
				"Bearer":           {[]int{400}, []string{"Bearer"}},
				"Bearer a b":       {[]int{400}, []string{good + " b"}},
				"a comma":          {[]int{400}, []string{good + "," + good}},
				"quoted":           {[]int{400}, []string{`Bearer "` + token + `"`}},
				"any case":         {[]int{200}, []string{"bEaReR " + token}},
				"another scheme":   {[]int{401}, []string{"DPoP " + token}},
				"without scheme":   {[]int{400, 401}, []string{token}},
				"a tab":            {[]int{400, 401}, []string{"Bearer\t" + token}},
				"many spaces":      {[]int{200, 400}, []string{"Bearer    " + token}},
				"a parameter":      {[]int{400}, []string{"Bearer token=" + token + ", x=y"}},
				"a control before": {[]int{400, 401}, []string{"\x7fBearer " + token}},
			} {
				r := request("GET", "https://"+host+"/notes", nil)
				r.Header["Authorization"] = try.headers
				a, err := c.at.send(r)
				if err != nil {
					continue // net/http does not send it
				}
				assert.Contains(c, try.want, a.status, "%s at %s", name, host)
			}
			r := form("https://"+host+"/notes", url.Values{"access_token": {token}})
			r.Header.Set("Authorization", good)
			require.Equal(c, 400, c.do(r).status, "header and body")
			require.Contains(c, []int{400, 401}, c.do(form("https://"+host+"/notes", url.Values{"access_token": {token}})).status)
			a, err := c.at.send(request("GET", "https://"+host+"/notes?access_token="+token, nil))
			require.NoError(c, err)
			require.Contains(c, []int{400, 401}, a.status)
		}
	}},
	{"SEC-164 revoked", func(c *run) {
		for name, end := range map[string]func(b *browser, got tokens){
			"by the client": func(_ *browser, got tokens) {
				require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {got.RefreshToken}}).status)
			},
			"by the user": func(b *browser, _ tokens) {
				_, err := c.b.p.RevokeConsent(c.Context(), b.user, app)
				require.NoError(c, err)
			},
			"by replay": func(b *browser, got tokens) {
				code := b.code(c.params(app))
				c.ok(c.exchange(app, code))
				c.refused(c.exchange(app, code), 400, oauth.ErrInvalidGrant)
				require.Equal(c, 200, c.post("/oauth/revoke", app, url.Values{"token": {got.AccessToken}}).status)
			},
		} {
			b := c.person()
			got := c.loginAs(b, app)
			for _, host := range apiHosts { // all have seen it
				require.Equal(c, 200, c.call(host, got.AccessToken).status, name)
			}
			end(b, got)
			c.dead(got.AccessToken)
			require.Equal(c, 200, c.call("jwt.example", got.AccessToken).status, "an API that asks nobody learns of it when the token expires")
		}
	}},
	{"SEC-165 hostile text in a challenge", func(c *run) {
		s, err := resource.New(resource.Config{Resource: apiURI, Issuers: []string{issuer}, Verifier: c.at.p.Verifier()})
		require.NoError(c, err)
		token := c.login(app).AccessToken
		for _, scopes := range [][]string{{`a"b`}, {`a\`}, {"a\r\nX: y"}, {"\u00e9"}, {"a b"}, {""}, {"read\x00"}, {`x", error="none`}} {
			h := s.RequireFunc(func(*http.Request) ([]string, error) { return scopes, nil })(http.NotFoundHandler())
			r := httptest.NewRequest("GET", apiURI, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.NotEqual(c, 404, w.Code, "%q let it through", scopes)
			require.LessOrEqual(c, len(w.Header().Values("WWW-Authenticate")), 1)
			for _, line := range w.Header().Values("WWW-Authenticate") {
				require.NotRegexp(c, "[\r\n\x00]|[^\x20-\x7e]", line)
				require.Zero(c, strings.Count(line, `"`)%2, line)
				require.NotContains(c, line, `error="none`)
			}
			require.Empty(c, w.Header().Get("X"))
		}
	}},
	{"SEC-166 a user who is called like a client", func(c *run) {
		own := c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}})).AccessToken
		claims := claimsOf(c, own)
		require.Equal(c, []any{machine, machine}, []any{claims["sub"], claims["client_id"]})
		for _, client := range []string{app, conf} { // the user has the name of the client that asks
			v := c.params(client)
			a := c.browserOf(client).authorize(v)
			if a.status == http.StatusOK {
				a = c.browserOf(client).allow(a)
			}
			require.NotContains(c, a.header.Get("Location"), "code=")
		}
		got := c.loginAs(c.browserOf(machine), app) // of another client: told apart by client_id
		require.NotEqual(c, claimsOf(c, got.AccessToken)["client_id"], claimsOf(c, got.AccessToken)["sub"])
		a := c.postJSON("/oauth/register", map[string]any{"client_id": "u-victim", "redirect_uris": []string{"https://self.example/cb"}})
		require.Equal(c, 201, a.status)
		require.NotContains(c, a.body, "u-victim", "nobody chooses an ID")
		for _, host := range apiHosts {
			require.Equal(c, 200, c.call(host, own).status)
		}
	}},
	{"SEC-167 keys that cannot be had", func(c *run) {
		c = c.knowing()
		got, claims := c.genuine()
		// jwt.example has the keys; whoever floods it with others makes it fetch none.
		for i := range 50 {
			forged := c.sign(newKey(), atHeader("kid", fmt.Sprint("flood-", i)), claims)
			a := c.call("jwt.example", forged)
			require.Equal(c, http.StatusUnauthorized, a.status)
		}
		require.Equal(c, 200, c.call("jwt.example", got.AccessToken).status)
		s, err := resource.New(resource.Config{Resource: apiURI, Issuers: []string{issuer}, Verifier: resource.JWT(issuer, &http.Client{Transport: c.web})})
		require.NoError(c, err)
		r := httptest.NewRequest("GET", apiURI, nil)
		r.Header.Set("Authorization", "Bearer "+got.AccessToken)
		w := httptest.NewRecorder()
		s.Require()(http.NotFoundHandler()).ServeHTTP(w, r)
		require.Equal(c, http.StatusServiceUnavailable, w.Code, "without keys nobody can tell")
		require.NotEmpty(c, w.Header().Get("Retry-After"))
		require.NotContains(c, w.Header().Get("WWW-Authenticate"), "invalid_token")
	}},
	{"SEC-271 a token that expires now has expired", func(c *run) {
		c = c.knowing()
		_, claims := c.genuine()
		end := time.Now().Unix()
		expired := c.forged(claims, "iat", end-60, "nbf", end-60, "exp", end)
		c.worthless("exp now", expired)
		require.Equal(c, inactive, c.introspect(api, expired).body)
		for _, host := range apiHosts {
			require.Equal(c, 200, c.call(host, c.forged(claims, "exp", time.Now().Unix()+30)).status)
		}
	}},
}
