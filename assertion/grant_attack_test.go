package assertion_test

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/internal/jose"
)

// raw signs with a header of one's own.
func raw(t testing.TB, c map[string]any, header map[string]any, key any, m jwt.SigningMethod) string {
	t.Helper()
	tok := jwt.NewWithClaims(m, jwt.MapClaims(c))
	maps.Copy(tok.Header, header)
	out, err := tok.SignedString(key)
	require.NoError(t, err)
	return out
}

// withClaims replaces the claims, signature kept.
func withClaims(token, claims string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2]
}

func TestForgedIDJAGsAreRefused(t *testing.T) {
	w := newWorld(t)
	es, ed, other := keys()["ES256"], keys()["EdDSA"], keys()["other"]
	renamed := func(k jose.Key, id string) jose.Key { k.ID = id; return k }
	public := jwks(t, es)
	fine := jag(t)
	parts := strings.Split(fine, ".")
	typed := func(more ...any) map[string]any {
		h := map[string]any{"typ": idJAG, "kid": es.ID}
		for i := 0; i < len(more); i += 2 {
			h[more[i].(string)] = more[i+1]
		}
		return h
	}
	attacker := func(h map[string]any) string {
		return raw(t, jagClaims(), h, other.Signer, jwt.SigningMethodES256)
	}
	for name, a := range map[string]string{
		"alg none":                           raw(t, jagClaims(), typed(), jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodNone),
		"HS256 with the public key":          raw(t, jagClaims(), typed(), public, jwt.SigningMethodHS256),
		"HS256 with the coordinates":         raw(t, jagClaims(), typed(), []byte(es.ID), jwt.SigningMethodHS256),
		"key of nobody":                      sign(t, other, idJAG, jagClaims()),
		"key of nobody, kid of acme":         sign(t, renamed(other, es.ID), idJAG, jagClaims()),
		"key of another trusted issuer":      sign(t, ed, idJAG, jagClaims()),
		"its kid on it, too":                 sign(t, renamed(ed, es.ID), idJAG, jagClaims()),
		"acme's key for another issuer":      sign(t, es, idJAG, jagClaims("iss", globex)),
		"acme's key, kid of the other":       sign(t, renamed(es, ed.ID), idJAG, jagClaims("iss", globex)),
		"a platform's key for an enterprise": sign(t, keys()["RS256"], idJAG, jagClaims()),
		"an ID-JAG of a platform":            sign(t, keys()["RS256"], idJAG, jagClaims("iss", runner)),
		"jwk":                                attacker(typed("jwk", map[string]string{"kty": "EC"})),
		"jku":                                attacker(typed("jku", "https://evil.example/jwks")),
		"x5u":                                attacker(typed("x5u", "https://evil.example/cert")),
		"x5c":                                attacker(typed("x5c", []string{"AAAA"})),
		"crit":                               raw(t, jagClaims(), typed("crit", []string{"x"}, "x", 1), es.Signer, jwt.SigningMethodES256),
		"b64":                                raw(t, jagClaims(), typed("b64", false), es.Signer, jwt.SigningMethodES256),
		"kid traversal":                      attacker(typed("kid", "../../dev/null")),
		"kid that is a number":               attacker(typed("kid", 1)),
		"typ that is a list":                 raw(t, jagClaims(), typed("typ", []string{idJAG}), es.Signer, jwt.SigningMethodES256),
		"claims changed":                     withClaims(fine, `{"iss":"https://acme.example","sub":"U1"}`),
		"iss twice":                          withClaims(fine, `{"iss":"https://evil.example","iss":"https://acme.example"}`),
		"iss in another case, too":           withClaims(fine, `{"ISS":"https://acme.example","iss":"https://evil.example"}`),
		"claims that are a list":             withClaims(fine, `[]`),
		"claims that are deep":               withClaims(fine, strings.Repeat(`{"a":`, 1000)+"1"+strings.Repeat("}", 1000)),
		"claims with a tail":                 withClaims(fine, `{"iss":"https://acme.example"} {}`),
		"no signature":                       parts[0] + "." + parts[1] + ".",
		"padded":                             fine + "=",
		"two parts":                          parts[0] + "." + parts[1],
		"four parts":                         fine + "." + parts[2],
		"JSON serialization":                 `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"encrypted":                          parts[0] + "....",
		"garbage":                            "garbage",
		"too long":                           fine + strings.Repeat("A", 16<<10),
		"long, and well signed":              jag(t, "x", strings.Repeat("x", 16<<10)),
	} {
		assert.Equal(t, badGrant, w.ask(w.p, "ide", a).answer(), name)
	}
	// Signed as they are, but of a form that two readers read in two ways.
	for name, body := range map[string]string{
		"control":             `"sub":"U1"`,
		"sub twice":           `"sub":"U1","sub":"U2"`,
		"sub twice, escaped":  `"sub":"U2","s\u0075b":"U1"`,
		"sub in another case": `"sub":"U1","Sub":"U2"`,
		"nested twice":        `"sub":"U1","x":{"a":1,"a":2}`,
	} {
		s, err := jose.Prepare(es)
		require.NoError(t, err)
		a, err := s.Sign(t.Context(), idJAG, []byte(`{"iss":"`+acme+`","aud":"`+issuer+`","client_id":"ide","jti":"`+name+`","iat":`+strconv.FormatInt(in(0), 10)+`,"exp":`+strconv.FormatInt(in(time.Minute), 10)+`,`+body+`}`))
		require.NoError(t, err)
		want := badGrant
		if name == "control" {
			want = ok
		}
		assert.Equal(t, want, w.ask(w.p, "ide", a).answer(), name)
	}
	assert.EqualValues(t, 1, w.store.codes.Load(), "no state change but the control's")
	assert.Zero(t, w.gets.Load(), "no outbound request")
	assert.Equal(t, ok, w.ask(w.p, "ide", fine).answer())
}

func TestTokensOfOneKindAreNotUsedAsAnother(t *testing.T) {
	w := newWorld(t)
	es, rs := keys()["ES256"], keys()["RS256"]
	// An enterprise's other tokens for its users, and an ID-JAG by other names.
	for _, typ := range []string{"", "JWT", "at+jwt", "logout+jwt", "dpop+jwt", "oauth-id-jag", "id-jag+jwt", "client-authentication+jwt"} {
		assert.Equal(t, badGrant, w.ask(w.p, "ide", sign(t, es, typ, jagClaims())).answer(), typ)
		assert.Equal(t, badGrant, w.ask(w.p, "", sign(t, es, typ, jagClaims())).answer(), typ)
	}
	for _, typ := range []string{"OAUTH-ID-JAG+JWT", "application/oauth-id-jag+jwt"} { // RFC 7515 §4.1.9
		assert.Equal(t, ok, w.ask(w.p, "ide", sign(t, es, typ, jagClaims())).answer(), typ)
	}
	// A platform's tokens: credentials have no type, or a general one.
	for typ, want := range map[string]answer{"": ok, "JWT": ok, "JOSE": ok, "authorization-grant+jwt": ok, "at+jwt": badGrant, "application/at+jwt": badGrant,
		"dpop+jwt": badGrant, "logout+jwt": badGrant, "client-authentication+jwt": badGrant, "secevent+jwt": badGrant, idJAG: invalid} {
		assert.Equal(t, want, w.ask(w.p, "", sign(t, rs, typ, credentialClaims())).answer(), typ)
	}
	// What this provider signed itself.
	own := keys()["other"]
	for _, typ := range []string{"", "JWT", idJAG, "at+jwt"} {
		mine := sign(t, own, typ, claims("", "iss", issuer, "sub", "U1", "client_id", "ide", "repository", "acme/site"))
		assert.Equal(t, badGrant, w.ask(w.p, "ide", mine).answer(), typ)
		assert.NotEqual(t, 200, w.ask(w.p, "", mine).Status, typ)
	}
	got := w.ask(w.p, "", credential(t))
	assert.Equal(t, badGrant, w.ask(w.p, "", got.Token).answer(), "a workload's own access token")
	// A client's assertion is no grant, and a grant no client's assertion.
	assert.Equal(t, badGrant, w.ask(w.p, "ide", good(t, "signer")).answer())
	assert.Equal(t, badGrant, w.ask(w.p, "", good(t, "signer")).answer())
	assert.Equal(t, invalid, token(w.p, jag(t, "client_id", "signer", "sub", "signer")))
	assert.Equal(t, invalid, token(w.p, sign(t, es, idJAG, claims("signer"))), "signed by the client, of the wrong type")
	assert.Equal(t, invalid, token(w.p, credential(t, "sub", "signer")))
}

func TestAnAssertionIsForOneProvider(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, badGrant, w.ask(w.provider("https://auth2.example"), "ide", jag(t)).answer())
	a := jag(t)
	require.Equal(t, ok, w.ask(w.p, "ide", a).answer())
	assert.Equal(t, badGrant, w.ask(w.provider(issuer), "ide", a).answer(), "another process of the same one")
}

func TestOfAllUsesOfAnAssertionOneSucceeds(t *testing.T) {
	w := newWorld(t)
	other := w.provider(issuer)
	both := []*oauth.Provider{w.p, other}
	for client, a := range map[string]string{"ide": jag(t), "": credential(t)} {
		t.Run("client "+client, func(t *testing.T) {
			var won, lost atomic.Int32
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					switch w.ask(both[i%2], client, a).answer() {
					case ok:
						won.Add(1)
					case badGrant:
						lost.Add(1)
					}
				})
			}
			wg.Wait()
			assert.EqualValues(t, 1, won.Load())
			assert.EqualValues(t, 63, lost.Load())
		})
	}
}

func TestAJTIIsItsIssuers(t *testing.T) {
	w := newWorld(t)
	same := []any{"jti", "same"}
	require.Equal(t, ok, w.ask(w.p, "ide", jag(t, same...)).answer())
	assert.Equal(t, badGrant, w.ask(w.p, "ide", jag(t, same...)).answer(), "another assertion with its jti")
	assert.Equal(t, badGrant, w.ask(w.p, "desk", jag(t, append(same, "client_id", "desk")...)).answer(), "for another client, too")
	assert.Equal(t, ok, w.ask(w.p, "ide", sign(t, keys()["EdDSA"], idJAG, jagClaims(append(same, "iss", globex)...))).answer())
	assert.Equal(t, ok, w.ask(w.p, "", credential(t, same...)).answer())
	assert.Equal(t, ok, token(w.p, good(t, "signer", same...), "grant_type", jwtBearer, "assertion", jag(t, "client_id", "signer")), "nor a client's")
}

func TestAnAssertionIsRememberedUntilItCannotComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, c := jag(t, "exp", in(10*time.Minute)), credential(t, "exp", in(10*time.Minute))
		require.Equal(t, ok, w.ask(w.p, "ide", a).answer())
		require.Equal(t, ok, w.ask(w.p, "", c).answer())
		for range 12 { // exp, leeway, a minute for other clocks
			_, err := w.p.Cleanup(t.Context())
			require.NoError(t, err)
			require.Equal(t, badGrant, w.ask(w.p, "ide", a).answer())
			require.Equal(t, badGrant, w.ask(w.p, "", c).answer())
			time.Sleep(time.Minute)
		}
		n, err := w.p.Cleanup(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, n.Codes, "and not for ever")
	})
}

func TestAnOutageOfTheStoreIsNotARefusal(t *testing.T) {
	w := newWorld(t)
	w.store.err = errDown
	a, c := jag(t), credential(t)
	assert.Equal(t, down, w.ask(w.p, "ide", a).answer())
	assert.Equal(t, down, w.ask(w.p, "", c).answer())
	w.store.err = nil
	assert.Equal(t, ok, w.ask(w.p, "ide", a).answer())
	assert.Equal(t, ok, w.ask(w.p, "", c).answer())
}

// An assertion of nobody's that names an unknown key makes the provider ask for
// keys: everybody else goes on with those that there are.
func TestAStrangerDoesNotMakeOthersWaitForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fetched("https://keys.example/acme"))
		set, slow := jwks(t, keys()["ES256"]), time.Duration(0)
		w.serve = func(rw http.ResponseWriter, _ *http.Request) { time.Sleep(slow); rw.Write(set) }
		require.Equal(t, ok, w.ask(w.p, "ide", jag(t)).answer())
		time.Sleep(2 * time.Minute)
		slow = 4 * time.Second
		stranger := make(chan answer)
		go func() { stranger <- w.ask(w.p, "ide", sign(t, keys()["other"], idJAG, jagClaims())).answer() }()
		synctest.Wait()
		require.EqualValues(t, 2, w.gets.Load(), "it is under way")
		begun := time.Now()
		assert.Equal(t, ok, w.ask(w.p, "ide", jag(t)).answer())
		assert.Zero(t, time.Since(begun))
		assert.Equal(t, badGrant, <-stranger)
	})
}

// Where the app decides about workloads, every name with their prefix is a
// client's. It is one for nothing but an assertion.
func TestANameOfAWorkloadOpensNothing(t *testing.T) {
	w := newWorld(t, func(c *assertion.Config) {
		c.Platforms[0].Decide = func(context.Context, assertion.Claims) (assertion.Workload, error) { return assertion.Workload{}, nil }
	})
	for _, name := range []string{"x", "deployer", "", "<script>alert(1)</script>", "\"><b>", strings.Repeat("a", 300), "a b", "\u202eevil", "../../x"} {
		id := "workload:" + name
		for path, form := range map[string]url.Values{
			"/oauth/token":      {"grant_type": {"authorization_code"}, "code": {"x"}, "code_verifier": {"x"}},
			"/oauth/token#cc":   {"grant_type": {"client_credentials"}},
			"/oauth/token#rt":   {"grant_type": {"refresh_token"}, "refresh_token": {"x"}},
			"/oauth/token#jwt":  {"grant_type": {jwtBearer}, "assertion": {credential(t)}},
			"/oauth/introspect": {"token": {"x"}},
			"/oauth/revoke":     {"token": {"x"}},
		} {
			path, _, _ = strings.Cut(path, "#")
			for _, secret := range []string{"", "x"} {
				form.Set("client_id", id)
				form.Set("client_secret", secret)
				assert.Equal(t, invalid, post(w.p, path, form), "%s %s", path, id)
			}
		}
		rec := httptest.NewRecorder()
		w.p.ServeHTTP(rec, httptest.NewRequest("GET", "/oauth/authorize?"+url.Values{"client_id": {id}, "response_type": {"code"},
			"redirect_uri": {"https://evil.example/cb"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}}.Encode(), nil))
		assert.Equal(t, 400, rec.Code, id)
		assert.Empty(t, rec.Header().Get("Location"))
		assert.NotContains(t, rec.Body.String(), "<script>alert")
		assert.NotContains(t, rec.Body.String(), "<b>")
	}
	assert.Zero(t, w.store.codes.Load())
}
