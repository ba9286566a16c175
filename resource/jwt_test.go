package resource_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/resource"
)

// jwtAPI is a resource that trusts one issuer, and a token of it that is good.
func jwtAPI(tb testing.TB) (*issuer, *api) {
	tb.Helper()
	is := newIssuer(tb, issuerURL)
	return is, newAPI(tb, resource.JWT(issuerURL, is.client()), nil)
}

func TestGoodTokens(t *testing.T) {
	is, a := jwtAPI(t)
	for _, alg := range []string{jose.ES256, jose.ES384, jose.RS256, jose.PS256, jose.EdDSA} {
		is := newIssuer(t, issuerURL)
		is.addKey(alg)
		newAPI(t, resource.JWT(issuerURL, is.client()), nil).accepts(is.token(nil))
	}
	for name, changes := range map[string]map[string]any{
		"as they come":       nil,
		"audience of one":    {"aud": []string{resourceURL}},
		"audience of two":    {"aud": []string{"https://other.example", resourceURL}},
		"without nbf":        {"nbf": nil},
		"without scope":      {"scope": nil},
		"with a fraction":    {"exp": json.Number(fmt.Sprintf("%d.75", time.Now().Unix()+60))},
		"with other claims":  {"email": "a@b.example", "AUD": "x", "Exp": 1, "deep": []any{map[string]any{"a": 1}}},
		"iat a minute ahead": {"iat": time.Now().Unix() + 55, "exp": time.Now().Unix() + 600},
		"nbf a minute ahead": {"nbf": time.Now().Unix() + 55},
	} {
		t.Run(name, func(t *testing.T) {
			a.accepts(is.token(changes))
			a.accepts(is.token(changes))
		})
	}
	t.Run("typ written as a media type", func(t *testing.T) {
		for _, typ := range []string{"application/at+jwt", "AT+JWT"} {
			a.accepts(sign(t, is.keys[0], typ, is.claims(nil)))
		}
	})
	t.Run("what the handler sees", func(t *testing.T) {
		var got resource.Token
		require.NoError(t, json.Unmarshal([]byte(a.bearer(is.token(map[string]any{"scope": "read write", "email": "a@b.example"})).body), &got))
		assert.Equal(t, []any{issuerURL, "user-1", "client-1", "token-1"}, []any{got.Issuer, got.Subject, got.ClientID, got.ID})
		assert.Equal(t, []string{resourceURL}, got.Audience)
		assert.Equal(t, []string{"read", "write"}, got.Scopes)
		assert.WithinDuration(t, time.Now().Add(time.Hour), got.ExpiresAt, 5*time.Second)
		assert.WithinDuration(t, time.Now(), got.IssuedAt, 5*time.Second)
		assert.False(t, got.Machine())
		var email string
		ok, err := got.Claim("email", &email)
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, "a@b.example", email)
	})
}

// Each of these tokens has a signature of the issuer's own key, so that only the
// claim that is changed can be why it is refused.
func TestClaimsThatAreRefused(t *testing.T) {
	is, a := jwtAPI(t)
	now := time.Now().Unix()
	for name, changes := range map[string]map[string]any{
		"SEC-153 aud absent":              {"aud": nil},
		"SEC-153 aud null":                {"aud": json.RawMessage("null")},
		"SEC-153 aud empty":               {"aud": ""},
		"SEC-153 aud empty list":          {"aud": []string{}},
		"SEC-153 aud other":               {"aud": "https://other.example"},
		"SEC-153 aud list without us":     {"aud": []string{"https://other.example", "client-1"}},
		"SEC-153 aud longer":              {"aud": resourceURL + "2"},
		"SEC-153 aud below us":            {"aud": resourceURL + "/v1"},
		"SEC-153 aud shorter":             {"aud": "https://api.example"},
		"SEC-153 aud with a slash":        {"aud": resourceURL + "/"},
		"SEC-153 aud host longer":         {"aud": "https://api.example.evil/mcp"},
		"SEC-153 aud in capitals":         {"aud": strings.ToUpper(resourceURL)},
		"SEC-153 aud is the client":       {"aud": "client-1"},
		"SEC-153 aud is the issuer":       {"aud": issuerURL},
		"SEC-153 aud a number":            {"aud": 1},
		"SEC-153 aud list with a number":  {"aud": []any{resourceURL, 1}},
		"SEC-153 aud list with null":      {"aud": []any{resourceURL, nil}},
		"SEC-153 aud an object":           {"aud": map[string]any{resourceURL: resourceURL}},
		"SEC-153 AUD instead":             {"aud": nil, "AUD": resourceURL},
		"SEC-154 iss absent":              {"iss": nil},
		"SEC-154 iss other":               {"iss": "https://evil.example"},
		"SEC-154 iss with a slash":        {"iss": issuerURL + "/"},
		"SEC-154 iss in capitals":         {"iss": "https://LOGIN.example"},
		"SEC-154 iss http":                {"iss": "http://login.example"},
		"SEC-154 iss a list":              {"iss": []string{issuerURL}},
		"SEC-154 iss null":                {"iss": json.RawMessage("null")},
		"SEC-154 Iss instead":             {"iss": nil, "Iss": issuerURL},
		"SEC-155 exp absent":              {"exp": nil},
		"SEC-155 exp null":                {"exp": json.RawMessage("null")},
		"SEC-155 exp past by 61 s":        {"exp": now - 61},
		"SEC-155 exp past by 1 s":         {"exp": now - 1},
		"SEC-155 exp a string":            {"exp": fmt.Sprint(now + 60)},
		"SEC-155 exp 1e300":               {"exp": json.RawMessage("1e300")},
		"SEC-155 exp 1e10":                {"exp": json.RawMessage("1e10")},
		"SEC-155 exp with an exponent":    {"exp": json.RawMessage(fmt.Sprint(now+60) + ".0e0")},
		"SEC-155 exp -1":                  {"exp": -1},
		"SEC-155 exp -0":                  {"exp": json.RawMessage("-0")},
		"SEC-155 exp 0":                   {"exp": 0},
		"SEC-155 exp 2^63":                {"exp": json.RawMessage("9223372036854775808")},
		"SEC-155 exp 2^63-1":              {"exp": json.RawMessage("9223372036854775807")},
		"SEC-155 exp 2^64 and a minute":   {"exp": json.RawMessage(fmt.Sprint(uint64(now)+60) + "00000000000")},
		"SEC-155 exp NaN text":            {"exp": "NaN"},
		"SEC-155 exp true":                {"exp": true},
		"SEC-155 exp a list":              {"exp": []int64{now + 60}},
		"SEC-155 Exp instead":             {"exp": nil, "Exp": now + 60},
		"SEC-155 nbf in 61 s":             {"nbf": now + 65},
		"SEC-155 nbf a string":            {"nbf": "0"},
		"SEC-155 nbf null":                {"nbf": json.RawMessage("null")},
		"SEC-155 iat absent":              {"iat": nil},
		"SEC-155 iat in a day":            {"iat": now + 86400, "exp": now + 86400 + 60},
		"SEC-155 iat in 61 s":             {"iat": now + 65},
		"SEC-155 iat a string":            {"iat": fmt.Sprint(now)},
		"SEC-155 valid for over a day":    {"iat": now, "exp": now + 86401},
		"SEC-155 valid for 10 years":      {"exp": now + 10*365*86400},
		"SEC-155 until the year 9999":     {"exp": 253402300799},
		"sub absent":                      {"sub": nil},
		"sub empty":                       {"sub": ""},
		"sub a number":                    {"sub": 1},
		"client_id absent":                {"client_id": nil},
		"client_id empty":                 {"client_id": ""},
		"client_id a list":                {"client_id": []string{"client-1"}},
		"jti absent":                      {"jti": nil},
		"jti empty":                       {"jti": ""},
		"scope a list":                    {"scope": []string{"read"}},
		"scope with a quote":              {"scope": `read "`},
		"scope with a tab":                {"scope": "read\twrite"},
		"scope not ASCII":                 {"scope": "réad"},
		"cnf: bound to a key":             {"cnf": map[string]string{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
		"cnf null":                        {"cnf": json.RawMessage("null")},
		"SEC-159 claims nested 17 deep":   {"x": json.RawMessage(strings.Repeat("[", 17) + strings.Repeat("]", 17))},
		"SEC-159 claims nested 5000 deep": {"x": json.RawMessage(strings.Repeat("[", 5000) + strings.Repeat("]", 5000))},
	} {
		t.Run(name, func(t *testing.T) {
			a.tb = t
			a.refuses(is.token(changes))
		})
	}
	for name, claims := range map[string]string{
		"no JSON":          `x`,
		"no object":        `[]`,
		"null":             `null`,
		"empty":            ``,
		"NaN":              `{"exp":NaN}`,
		"aud twice":        strings.Replace(string(is.claims(nil)), `{`, `{"aud":"https://other.example",`, 1),
		"exp twice":        strings.Replace(string(is.claims(nil)), `{`, `{"exp":1,`, 1),
		"trailing":         string(is.claims(nil)) + `{}`,
		"invalid UTF-8":    strings.Replace(string(is.claims(nil)), `user-1`, "user-\xff", 1),
		"half a surrogate": strings.Replace(string(is.claims(nil)), `user-1`, `\ud800`, 1),
	} {
		t.Run("claims: "+name, func(t *testing.T) {
			a.tb = t
			a.refuses(sign(t, is.keys[0], "at+jwt", []byte(claims)))
		})
	}
	a.tb = t
	a.accepts(is.token(nil))
	assert.Equal(t, 1, is.fetches("/jwks"))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestHeadersAndSignaturesThatAreRefused(t *testing.T) {
	is, a := jwtAPI(t)
	k := is.keys[0]
	token := is.token(nil)
	a.accepts(token)
	parts := strings.Split(token, ".")
	claims, sig := parts[1], parts[2]
	header := func(format string, args ...any) string {
		return b64(fmt.Sprintf(format, args...)) + "." + claims + "." + sig
	}
	stranger := newIssuer(t, issuerURL)
	own := stranger.keys[0]
	own.ID = k.ID
	jwks, err := jose.MarshalJWKS(stranger.keys)
	require.NoError(t, err)
	hmac := jose.Key{ID: k.ID, Alg: jose.HS256, Secret: jwks}
	other := func(alg string) jose.Key {
		k, err := jose.Generate(alg)
		require.NoError(t, err)
		k.ID = own.ID
		return k
	}

	for name, token := range map[string]string{
		"SEC-149 alg none":              header(`{"alg":"none","typ":"at+jwt","kid":%q}`, k.ID),
		"SEC-149 alg None":              header(`{"alg":"None","typ":"at+jwt","kid":%q}`, k.ID),
		"SEC-149 alg nOnE":              header(`{"alg":"nOnE","typ":"at+jwt","kid":%q}`, k.ID),
		"SEC-149 alg absent":            header(`{"typ":"at+jwt","kid":%q}`, k.ID),
		"SEC-149 empty signature":       parts[0] + "." + claims + ".",
		"SEC-149 none, empty signature": b64(`{"alg":"none","typ":"at+jwt"}`) + "." + claims + ".",
		"SEC-151 jwk":                   header(`{"alg":"ES256","typ":"at+jwt","kid":%q,"jwk":%s}`, k.ID, jwks),
		"SEC-151 jku":                   header(`{"alg":"ES256","typ":"at+jwt","kid":%q,"jku":"http://evil.example/"}`, k.ID),
		"SEC-151 x5u":                   header(`{"alg":"ES256","typ":"at+jwt","kid":%q,"x5u":"http://evil.example/"}`, k.ID),
		"SEC-151 x5c":                   header(`{"alg":"ES256","typ":"at+jwt","kid":%q,"x5c":["AA"]}`, k.ID),
		"SEC-151 kid a path":            header(`{"alg":"ES256","typ":"at+jwt","kid":"../../dev/null"}`),
		"SEC-151 kid SQL":               header(`{"alg":"ES256","typ":"at+jwt","kid":"' OR 1=1--"}`),
		"SEC-151 kid a URL":             header(`{"alg":"ES256","typ":"at+jwt","kid":"http://evil.example/"}`),
		"SEC-151 kid of 1 MiB":          header(`{"alg":"ES256","typ":"at+jwt","kid":%q}`, strings.Repeat("a", 1<<20)),
		"SEC-151 a stranger's key":      sign(t, own, "at+jwt", is.claims(nil)),
		"SEC-152 typ absent":            sign(t, k, "", is.claims(nil)),
		"SEC-152 typ JWT":               sign(t, k, "JWT", is.claims(nil)),
		"SEC-152 typ of a logout token": sign(t, k, "logout+jwt", is.claims(nil)),
		"SEC-152 typ of a DPoP proof":   sign(t, k, "dpop+jwt", is.claims(nil)),
		"SEC-152 typ of a request":      sign(t, k, "oauth-authz-req+jwt", is.claims(nil)),
		"SEC-152 typ of an assertion":   sign(t, k, "client-authentication+jwt", is.claims(nil)),
		"SEC-152 typ of introspection":  sign(t, k, "token-introspection+jwt", is.claims(nil)),
		"SEC-152 typ with a parameter":  sign(t, k, "at+jwt; x=y", is.claims(nil)),
		"SEC-152 typ only begins so":    sign(t, k, "at+jwt2", is.claims(nil)),
		"SEC-157 truncated":             token[:len(token)-2],
		"SEC-157 extra byte":            token + "AA",
		"SEC-157 r and s are 0":         parts[0] + "." + claims + "." + strings.Repeat("A", 86),
		"SEC-157 padding":               token + "==",
		"SEC-157 4 parts":               token + "." + sig,
		"SEC-157 2 parts":               parts[0] + "." + claims,
		"SEC-158 RS256 header":          header(`{"alg":"RS256","typ":"at+jwt","kid":%q}`, k.ID),
		"SEC-158 RS256":                 sign(t, other(jose.RS256), "at+jwt", is.claims(nil)),
		"SEC-158 ES384":                 sign(t, other(jose.ES384), "at+jwt", is.claims(nil)),
		"SEC-158 HS256 by the JWKS":     sign(t, hmac, "at+jwt", is.claims(nil)),
		"SEC-159 zip":                   header(`{"alg":"ES256","typ":"at+jwt","kid":%q,"zip":"DEF"}`, k.ID),
		"SEC-159 JWE":                   strings.Repeat(b64(`{"alg":"RSA-OAEP","enc":"A256GCM"}`)+".", 4) + "AA",
		"SEC-159 1 MiB":                 strings.Repeat("a", 1<<20),
		"SEC-159 1 MiB of dots":         strings.Repeat(".", 1<<20),
		"SEC-159 10,000 deep":           b64(strings.Repeat("[", 10_000)) + "." + claims + "." + sig,
		"crit":                          header(`{"alg":"ES256","typ":"at+jwt","kid":%q,"crit":["exp"]}`, k.ID),
		"an opaque token":               "2YotnFZFEjr1zCsicMWpAA",
	} {
		t.Run(name, func(t *testing.T) {
			a.tb = t
			a.refuses(token)
		})
	}
	for name, token := range map[string]string{
		"SEC-157 whitespace in it": parts[0] + ". " + claims + "." + sig,
		"SEC-157 a tab in it":      parts[0] + ".\t" + claims + "." + sig,
		"SEC-157 a comma":          token + "," + token,
	} {
		t.Run(name, func(t *testing.T) {
			a.tb = t
			assert.Equal(t, http.StatusBadRequest, a.bearer(token).StatusCode)
		})
	}
	a.tb = t
	a.accepts(token)
	assert.Equal(t, 2, is.fetches(""), "SEC-151: metadata and keys once, and nothing a token named")
	for _, err := range a.refused {
		assert.NotContains(t, err.Error(), sig[:20])
	}
}

func TestExpiryIsOnTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := jwtAPI(t)
		token := is.token(map[string]any{"exp": time.Now().Unix() + 10})
		a.accepts(token)
		time.Sleep(10*time.Second - time.Nanosecond)
		a.accepts(token) // remembered
		time.Sleep(time.Nanosecond)
		a.refuses(token) // SEC-271
		a.refuses(is.token(map[string]any{"exp": time.Now().Unix()}))
	})
	synctest.Test(t, func(t *testing.T) { // of the verifier alone
		is := newIssuer(t, issuerURL)
		v := resource.JWT(issuerURL, is.client())
		token := is.token(map[string]any{"exp": time.Now().Unix() + 10})
		_, err := v.VerifyToken(t.Context(), token)
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		_, err = v.VerifyToken(t.Context(), token)
		assert.ErrorIs(t, err, resource.ErrInvalidToken)
	})
}

func TestATokenSeenBeforeIsNotVerifiedAgain(t *testing.T) {
	is := newIssuer(t, issuerURL)
	v := resource.JWT(issuerURL, is.client())
	n := 0
	verify := func(token string) {
		_, err := v.VerifyToken(context.Background(), token)
		assert.NoError(t, err)
	}
	tokens := make([]string, 12)
	for i := range tokens {
		tokens[i] = is.token(jti(i))
	}
	verify(tokens[0])
	first := testing.AllocsPerRun(10, func() { n++; verify(tokens[n%len(tokens)]) })
	again := testing.AllocsPerRun(10, func() { verify(tokens[0]) })
	assert.Less(t, again, 10.0)
	assert.Greater(t, first, 30.0, "what a signature costs")
}

func TestClockDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := jwtAPI(t)
		now := time.Now().Unix()
		for _, name := range []string{"nbf", "iat"} {
			token := is.token(map[string]any{name: now + 61})
			a.refuses(token)
			a.accepts(is.token(map[string]any{name: now + 60}))
		}
		token := is.token(map[string]any{"nbf": now + 120})
		time.Sleep(time.Minute)
		a.accepts(token)
	})
}

func TestMaxLifetime(t *testing.T) {
	is := newIssuer(t, issuerURL)
	a := newAPI(t, resource.NewJWT(resource.JWTConfig{Issuer: issuerURL, Client: is.client(), MaxLifetime: 10 * time.Minute}), nil)
	now := time.Now().Unix()
	a.accepts(is.token(map[string]any{"iat": now - 5, "exp": now + 595}))
	a.refuses(is.token(map[string]any{"iat": now - 5, "exp": now + 596}))
	assert.Equal(t, 24*time.Hour, resource.DefaultMaxLifetime)
}

func TestATokenIsTheRequestsOwn(t *testing.T) {
	is, a := jwtAPI(t)
	token := is.token(map[string]any{"scope": "read"})
	a.handler = a.server.Require()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ := resource.FromContext(r.Context())
		assert.Equal(t, []string{"read"}, got.Scopes)
		assert.True(t, json.Valid(got.Claims))
		got.Scopes[0], got.Audience[0], got.Claims[0], got.ExpiresAt = "admin", "x", 'x', time.Now().Add(1000*time.Hour)
	}))
	for range 3 {
		assert.Equal(t, http.StatusOK, a.bearer(token).StatusCode)
	}
}

func TestSeveralIssuers(t *testing.T) {
	const otherURL = "https://other.example/tenant"
	first, second := newIssuer(t, issuerURL), newIssuer(t, otherURL)
	a := newAPI(t, resource.Verifiers{
		resource.JWT(issuerURL, first.client()),
		resource.NewJWT(resource.JWTConfig{Issuer: otherURL, JWKS: otherURL + "/jwks", Client: second.client()}),
	}, func(cfg *resource.Config) { cfg.Issuers = append(cfg.Issuers, otherURL) })
	second.override["/tenant/jwks"] = func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/jwks"
		second.serve(w, r)
	}
	a.accepts(second.token(nil))
	assert.Equal(t, 0, first.fetches(""), "a token of another issuer is no reason to ask")
	a.accepts(first.token(nil))

	forged := sign(t, first.keys[0], "at+jwt", second.claims(nil))
	a.refuses(forged)

	first.set(func() { first.down = errDown })
	a.accepts(second.token(map[string]any{"jti": "2"}))
}

func TestOneVerifierOfSeveralCannotTell(t *testing.T) {
	down, up := newIssuer(t, issuerURL), newIssuer(t, "https://other.example")
	down.set(func() { down.down = errDown })
	for _, order := range []resource.Verifiers{
		{resource.JWT(issuerURL, down.client()), resource.JWT("https://other.example", up.client())},
		{resource.JWT("https://other.example", up.client()), resource.JWT(issuerURL, down.client())},
	} {
		a := newAPI(t, order, func(cfg *resource.Config) { cfg.Issuers = append(cfg.Issuers, "https://other.example") })
		a.cannotTell(down.token(nil))
		a.accepts(up.token(nil))
		a.refuses("x.y.z")
	}
	t.Run("and then nobody else gets to see the token", func(t *testing.T) {
		is, seen := newIssuer(t, issuerURL), 0
		is.set(func() { is.down = errDown })
		elsewhere := resource.VerifierFunc(func(context.Context, string) (*resource.Token, error) {
			seen++
			return nil, resource.ErrInvalidToken
		})
		a := newAPI(t, resource.Verifiers{resource.JWT(issuerURL, is.client()), elsewhere}, nil)
		a.cannotTell(is.token(nil))
		assert.Zero(t, seen)
		a.refuses("opaque")
		assert.Equal(t, 1, seen)
	})
}
