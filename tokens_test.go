package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestAccessTokenIsAnRFC9068Token(t *testing.T) {
	f := newFixture(t)
	at := time.Now().Add(-time.Minute)
	b := alice()
	b.authTime = at
	got := f.ok(f.exchange("app", f.code(b, authorization("app", "scope", "read write"))))
	key := testKeys()[0]
	parsed, err := jwt.Parse(got.AccessToken, func(*jwt.Token) (any, error) { return key.Signer.Public(), nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuer), jwt.WithAudience(apiURI), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	require.NoError(t, err, "another library verifies it")
	assert.Equal(t, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "test"}, parsed.Header)
	c := parsed.Claims.(jwt.MapClaims)
	assert.Equal(t, []any{"alice", "app", "read write", apiURI}, []any{c["sub"], c["client_id"], c["scope"], c["aud"]})
	assert.Equal(t, float64(at.Unix()), c["auth_time"])
	assert.Equal(t, c["iat"], c["nbf"])
	assert.Equal(t, c["iat"].(float64)+3600, c["exp"])
	jti := c["jti"].(string)
	assert.Len(t, jti[strings.Index(jti, ".")+1:], 43, "256 random bits")
	names := slices.Sorted(mapsKeys(c))
	assert.Equal(t, []string{"aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"}, names)
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestUserClaimsDoNotOverride(t *testing.T) {
	f := newFixture(t)
	f.claims = map[string]any{"email": "a@example.com", "groups": []string{"x"}, "weird\"name": "\u2028"}
	for _, reserved := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "auth_time", "acr", "amr", "cnf", "act", "may_act"} {
		f.claims[reserved] = "evil"
	}
	got := f.login("app")
	_, c := claimsOf(t, got.AccessToken)
	assert.Equal(t, "a@example.com", c["email"])
	assert.Equal(t, []any{"x"}, c["groups"])
	assert.Equal(t, "\u2028", c["weird\"name"])
	for name, v := range c {
		assert.NotEqual(t, "evil", v, name)
	}
	assert.NotContains(t, c, "cnf")
	assert.True(t, f.active(got.AccessToken))
	assert.Equal(t, 1, strings.Count(decodePart(t, got.AccessToken), `"sub"`))
}

func decodePart(t *testing.T, token string) string {
	t.Helper()
	b, err := jwt.NewParser().DecodeSegment(strings.Split(token, ".")[1])
	require.NoError(t, err)
	return string(b)
}

func TestEveryKeyTypeSigns(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for alg, key := range map[string]oauth.Key{
		"RS256": {Signer: rsaKey, Alg: "RS256"}, "PS256": {Signer: rsaKey, Alg: "PS256"}, "ES384": {Signer: p384},
		"EdDSA": {Signer: ed}, "HS256": {ID: "h", Secret: []byte(strings.Repeat("k", 32))},
	} {
		t.Run(alg, func(t *testing.T) {
			f := newFixture(t, func(c *oauth.Config) { c.Keys = oauth.StaticKeys{key} })
			got := f.login("app")
			header, _ := claimsOf(t, got.AccessToken)
			assert.Equal(t, alg, header["alg"])
			assert.NotEmpty(t, header["kid"])
			assert.True(t, f.active(got.AccessToken))
			jwks := f.do(alice().request("GET", "/oauth/jwks", nil)).body
			if alg == "HS256" {
				assert.JSONEq(t, `{"keys":[]}`, jwks, "a shared key is not published")
			} else {
				assert.Contains(t, jwks, header["kid"])
			}
		})
	}
}

func TestClientCredentials(t *testing.T) {
	f := newFixture(t)
	got := f.ok(f.post("/oauth/token", "cc", ccForm))
	assert.Equal(t, "read write", got.Scope)
	assert.Empty(t, got.RefreshToken)
	_, c := claimsOf(t, got.AccessToken)
	assert.Equal(t, []any{"cc", "cc", apiURI}, []any{c["sub"], c["client_id"], c["aud"]})
	assert.NotContains(t, c["jti"], ".")
	assert.Len(t, f.kinds(oauth.EventTokenIssued), 1)
	assert.Empty(t, f.kinds(oauth.EventTokenRefreshed))
	i, err := f.p.Introspect(t.Context(), nil, got.AccessToken)
	require.NoError(t, err)
	assert.Empty(t, i.Username, "there is no user")
	f.fails = errors.New("user database is down")
	assert.True(t, f.active(f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken), "nor one to ask for")
	f.fails = nil
	assert.Equal(t, "read", f.ok(f.post("/oauth/token", "cc", with(ccForm, "scope", "read admin"))).Scope)
	assert.Equal(t, "read", f.ok(f.post("/oauth/token", "cc", with(ccForm, "resource", mcpURI))).Scope)
	f.refused(f.post("/oauth/token", "cc", with(ccForm, "scope", "admin")), 400, "invalid_scope")
	f.refused(f.post("/oauth/token", "cc", with(ccForm, "scope", `"`)), 400, "invalid_scope")
	f.refused(f.post("/oauth/token", "cc", with(ccForm, "resource", "https://x.example")), 400, "invalid_target")
	eleven := with(ccForm)
	for range 11 {
		eleven.Add("resource", apiURI)
	}
	f.refused(f.post("/oauth/token", "cc", eleven), 400, "invalid_target")
	f.refused(f.post("/oauth/token", "conf", ccForm), 400, "unauthorized_client")
	public := *f.client("app")
	public.GrantTypes = []string{"client_credentials"}
	_, err = f.p.ClientCredentials(t.Context(), &public, oauth.ClientCredentialsRequest{})
	assert.ErrorIs(t, err, oauth.ErrUnauthorizedClient)

	assert.True(t, f.active(got.AccessToken))
	other := f.ok(f.post("/oauth/token", "cc", ccForm))
	for range 2 {
		assert.Equal(t, 200, f.post("/oauth/revoke", "cc", url.Values{"token": {got.AccessToken}}).status)
	}
	assert.False(t, f.active(got.AccessToken), "it has a revoked record from then on")
	assert.True(t, f.active(other.AccessToken))
	f.change("cc", func(c *oauth.Client) { c.Disabled = true })
	assert.False(t, f.active(other.AccessToken))
	_, err = f.p.ClientCredentials(t.Context(), f.client("cc"), oauth.ClientCredentialsRequest{})
	assert.ErrorIs(t, err, oauth.ErrInvalidClient)
}

func TestRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		revoke := func(client string, pairs ...string) answer {
			return f.post("/oauth/revoke", client, with(url.Values{}, pairs...))
		}
		mine := f.login("conf")
		for _, token := range []string{mine.AccessToken, mine.RefreshToken} {
			for _, stranger := range []string{"app", "post", "cc"} {
				a := revoke(stranger, "token", token)
				assert.Equal(t, []any{200, ""}, []any{a.status, a.body})
			}
			ok, err := f.p.Revoke(t.Context(), f.client("app"), token)
			assert.NoError(t, err)
			assert.False(t, ok, "the Go method says so")
		}
		f.refused(f.send(url.Values{"token": {mine.AccessToken}, "client_id": {"conf"}}), 401, "invalid_client")
		f.refused(revoke("conf"), 400, "invalid_request")
		assert.True(t, f.active(mine.AccessToken))
		for _, token := range []string{"x", "a.b.c", strings.Repeat("A", 20000), mine.AccessToken + "A", mine.AccessToken[:len(mine.AccessToken)-4] + "AAAA"} {
			ok, err := f.p.Revoke(t.Context(), f.client("conf"), token)
			assert.NoError(t, err)
			assert.False(t, ok, "%.20s", token)
		}
		assert.True(t, f.active(mine.AccessToken))

		for hint, token := range map[string]func(tokens) string{
			"": func(g tokens) string { return g.RefreshToken }, "access_token": func(g tokens) string { return g.RefreshToken },
			"refresh_token": func(g tokens) string { return g.AccessToken }, "nonsense": func(g tokens) string { return g.AccessToken },
		} {
			got := f.login("conf")
			a := revoke("conf", "token", token(got), "token_type_hint", hint, "callback", "f")
			assert.Equal(t, []any{200, ""}, []any{a.status, a.body})
			assert.False(t, f.active(got.AccessToken))
			assert.False(t, f.active(got.RefreshToken))
			assert.Equal(t, 200, revoke("conf", "token", token(got)).status, "again")
		}
		public := f.login("app")
		assert.Equal(t, 200, revoke("app", "token", public.RefreshToken).status)
		assert.False(t, f.active(public.AccessToken))

		// An access token that has expired still ends its authorization.
		time.Sleep(2 * time.Hour)
		ok, err := f.p.Revoke(t.Context(), f.client("conf"), mine.AccessToken)
		assert.NoError(t, err)
		assert.True(t, ok)
		f.refused(f.refresh("conf", mine.RefreshToken), 400, "invalid_grant")
	})
}

func TestRevokedOnceIsOneEvent(t *testing.T) {
	f := newFixture(t)
	got := f.login("app")
	for range 2 {
		for _, token := range []string{got.AccessToken, got.RefreshToken} {
			ok, err := f.p.Revoke(t.Context(), f.client("app"), token)
			require.NoError(t, err)
			assert.True(t, ok)
		}
	}
	issued, revoked := f.kinds(oauth.EventTokenIssued), f.kinds(oauth.EventTokenRevoked)
	require.Len(t, issued, 1)
	require.Len(t, revoked, 1)
	assert.NotEmpty(t, issued[0].TokenID)
	assert.Equal(t, issued[0].TokenID, revoked[0].TokenID)
	assert.Equal(t, 1, revoked[0].Count)
}

func TestRevokeUser(t *testing.T) {
	f := newFixture(t)
	a1, a2, l := f.login("app"), f.login("app"), f.login("loop")
	f.code(alice(), authorization("first"))
	bob := &browser{user: "bob", cookies: map[string]string{}}
	theirs := f.ok(f.exchange("app", f.code(bob, authorization("app"))))
	n, err := f.p.RevokeUser(t.Context(), "alice", "app")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Equal(t, []bool{false, false, true}, []bool{f.active(a1.AccessToken), f.active(a2.AccessToken), f.active(l.AccessToken)})
	n, err = f.p.RevokeUser(t.Context(), "alice", "")
	require.NoError(t, err)
	assert.Equal(t, 2, n, "with the code that was not redeemed yet")
	assert.False(t, f.active(l.RefreshToken))
	assert.True(t, f.active(theirs.AccessToken))
	_, err = f.p.RevokeUser(t.Context(), "", "app")
	assert.ErrorIs(t, err, oauth.ErrInvalidRequest, "nobody means everybody")
	_, err = f.p.Consent(t.Context(), "alice", "app")
	assert.NoError(t, err, "consents stay")
}

func TestIntrospection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ask := func(client, token string, pairs ...string) answer {
			return f.post("/oauth/introspect", client, with(url.Values{"token": {token}}, pairs...))
		}
		got := f.login("conf", "scope", "read write")
		_, claims := claimsOf(t, got.AccessToken)
		for _, client := range []string{"conf", "rs"} {
			var i map[string]any
			require.NoError(t, json.Unmarshal([]byte(ask(client, got.AccessToken, "token_type_hint", "refresh_token").body), &i))
			want := map[string]any{"active": true, "scope": "read write", "client_id": "conf", "username": "name of alice", "token_type": "Bearer", "sub": "alice", "iss": issuer, "aud": []any{apiURI}}
			for _, name := range []string{"exp", "iat", "nbf", "jti"} {
				want[name] = claims[name]
			}
			assert.Equal(t, want, i, client)
		}
		inactive := func(a answer) {
			t.Helper()
			assert.Equal(t, []any{200, `{"active":false}`}, []any{a.status, a.body})
		}
		assert.Contains(t, ask("conf", got.RefreshToken).body, `"active":true`)
		inactive(ask("rs", got.RefreshToken))
		inactive(ask("post", got.AccessToken))
		inactive(ask("post", got.RefreshToken))
		inactive(ask("rs", f.login("conf", "resource", mcpURI).AccessToken))
		for _, token := range []string{"x", "a.b.c", got.AccessToken + "A", strings.Repeat("A", 20000)} {
			inactive(ask("conf", token))
		}
		f.refused(ask("conf", ""), 400, "invalid_request")
		f.refused(ask("app", got.AccessToken), 401, "invalid_client")
		r := f.postRequest("/oauth/introspect", "conf", url.Values{"token": {got.AccessToken}})
		r.Header.Del("Authorization")
		f.refused(f.do(r), 401, "invalid_client")

		second := f.ok(f.refresh("conf", got.RefreshToken))
		inactive(ask("conf", got.RefreshToken))
		f.setGone("alice", true)
		inactive(ask("conf", second.AccessToken))
		f.setGone("alice", false)
		f.change("conf", func(c *oauth.Client) { c.Disabled = true })
		inactive(ask("rs", second.AccessToken))
		f.change("conf", func(c *oauth.Client) { c.Disabled = false })
		time.Sleep(time.Hour - time.Second)
		assert.Contains(t, ask("rs", second.AccessToken).body, `"active":true`)
		time.Sleep(time.Second)
		inactive(ask("rs", second.AccessToken))
		time.Sleep(30 * 24 * time.Hour)
		inactive(ask("conf", second.RefreshToken))
	})
}

// An outage is not an answer: whoever asks must not take it for one.
func TestIntrospectionDuringAnOutageOfUsers(t *testing.T) {
	f := newFixture(t)
	got := f.login("conf")
	f.fails = errors.New("user database is down")
	for _, token := range []string{got.AccessToken, got.RefreshToken} {
		_, err := f.p.Introspect(t.Context(), nil, token)
		assert.ErrorIs(t, err, oauth.ErrTemporarilyUnavailable)
		f.refused(f.post("/oauth/introspect", "conf", url.Values{"token": {token}}), 503, oauth.ErrTemporarilyUnavailable)
	}
	f.fails = nil
	assert.True(t, f.active(got.AccessToken))
}

func TestIntrospectionOfARefreshTokenThatIsNone(t *testing.T) {
	f := newFixture(t)
	got := f.login("conf").RefreshToken
	assert.True(t, f.active(got))
	id, rest, _ := strings.Cut(got, ".")
	assert.False(t, f.active(strings.Repeat("0", len(id))+"."+rest), "nobody's")
	require.NoError(t, f.store.DeleteClient(t.Context(), "conf"))
	assert.False(t, f.active(got), "its client is gone")
}

func TestWhatAnAppKeepsWithAnAuthorizationIsBounded(t *testing.T) {
	f := newFixture(t)
	x := oauth.ExchangeRequest{Code: f.code(alice(), authorization("app")), RedirectURI: appURI, CodeVerifier: verifier, Resources: []string{apiURI, apiURI}}
	for _, tooLong := range []oauth.ExchangeRequest{{Device: strings.Repeat("d", 256)}, {IP: strings.Repeat("1", 256)}} {
		y := x
		y.Device, y.IP = tooLong.Device, tooLong.IP
		_, err := f.p.Exchange(t.Context(), f.client("app"), y)
		assert.ErrorIs(t, err, oauth.ErrInvalidRequest)
	}
	x.Device, x.IP = strings.Repeat("d", 255), strings.Repeat("1", 255)
	x.Resources = slices.Repeat([]string{apiURI}, 10)
	res, err := f.p.Exchange(t.Context(), f.client("app"), x)
	require.NoError(t, err)
	_, claims := claimsOf(t, res.AccessToken)
	assert.Equal(t, apiURI, claims["aud"], "named twice it is one")
	list, err := f.store.ListTokens(t.Context(), store.TokenQuery{Subject: "alice"}, "", 10)
	require.NoError(t, err)
	assert.Equal(t, []string{x.Device, x.IP}, []string{list[0].Device, list[0].IP})
}

// kmsKey is a key whose service may be down.
type kmsKey struct {
	crypto.Signer
	err error
}

func (k *kmsKey) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.Signer.Sign(r, digest, opts)
}

// Everything that can fail comes before the one change to the store.
func TestWhatCannotBeSignedSpendsNothing(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key := &kmsKey{Signer: private}
	f := newFixture(t, func(c *oauth.Config) { c.Keys = oauth.StaticKeys{{ID: "kms", Signer: key}} })
	code := f.code(alice(), authorization("app"))
	refresh := f.login("app").RefreshToken
	unavailable := func() {
		t.Helper()
		f.refused(f.exchange("app", code), 503, oauth.ErrTemporarilyUnavailable)
		f.refused(f.refresh("app", refresh), 503, oauth.ErrTemporarilyUnavailable)
	}
	key.err = errDown
	unavailable()
	key.err = nil
	f.claims = map[string]any{"x": make(chan int)} // nothing that JSON has
	unavailable()
	f.claims = nil
	f.ok(f.exchange("app", code))
	f.ok(f.refresh("app", refresh))
}

// Tokens that this provider did not make for this use.
func TestForeignTokensAreWorthNothing(t *testing.T) {
	f := newFixture(t)
	key := testKeys()[0]
	good := jwt.MapClaims{"iss": issuer, "sub": "alice", "aud": apiURI, "client_id": "app", "jti": "x", "iat": time.Now().Unix(), "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	sign := func(change func(tok *jwt.Token, c jwt.MapClaims), with any) string {
		c := jwt.MapClaims{}
		for k, v := range good {
			c[k] = v
		}
		tok := jwt.NewWithClaims(jwt.SigningMethodES256, c)
		tok.Header["typ"], tok.Header["kid"] = "at+jwt", "test"
		change(tok, c)
		s, err := tok.SignedString(with)
		require.NoError(t, err)
		return s
	}
	assert.True(t, f.active(sign(func(_ *jwt.Token, c jwt.MapClaims) { c["sub"], c["client_id"] = "cc", "cc" }, key.Signer)), "what every case starts from")
	assert.True(t, f.active(sign(func(_ *jwt.Token, c jwt.MapClaims) {
		at := time.Now().Add(50 * time.Second)
		c["sub"], c["client_id"], c["jti"], c["iat"], c["nbf"] = "cc", "cc", "y", at.Unix(), at.Unix()
	}, key.Signer)), "of an instance whose clock is ahead")
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for name, token := range map[string]string{
		"other issuer":  sign(func(_ *jwt.Token, c jwt.MapClaims) { c["iss"] = issuer + "/" }, key.Signer),
		"id token":      sign(func(tok *jwt.Token, _ jwt.MapClaims) { tok.Header["typ"] = "JWT" }, key.Signer),
		"no typ":        sign(func(tok *jwt.Token, _ jwt.MapClaims) { delete(tok.Header, "typ") }, key.Signer),
		"other key":     sign(func(*jwt.Token, jwt.MapClaims) {}, other),
		"unknown kid":   sign(func(tok *jwt.Token, _ jwt.MapClaims) { tok.Header["kid"] = "../x" }, key.Signer),
		"not yet valid": sign(func(_ *jwt.Token, c jwt.MapClaims) { c["nbf"] = time.Now().Add(65 * time.Second).Unix() }, key.Signer),
		"expired":       sign(func(_ *jwt.Token, c jwt.MapClaims) { c["exp"] = time.Now().Unix() }, key.Signer),
		"no exp":        sign(func(_ *jwt.Token, c jwt.MapClaims) { delete(c, "exp") }, key.Signer),
		"no iat":        sign(func(_ *jwt.Token, c jwt.MapClaims) { delete(c, "iat") }, key.Signer),
		"iat as text":   sign(func(_ *jwt.Token, c jwt.MapClaims) { c["iat"] = "1" }, key.Signer),
		"of tomorrow": sign(func(_ *jwt.Token, c jwt.MapClaims) {
			at := time.Now().Add(65 * time.Second)
			c["sub"], c["client_id"], c["iat"], c["nbf"], c["exp"] = "cc", "cc", at.Unix(), at.Unix(), at.Add(time.Hour).Unix()
		}, key.Signer),
		"exp as text":  sign(func(_ *jwt.Token, c jwt.MapClaims) { c["exp"] = "9999999999" }, key.Signer),
		"aud number":   sign(func(_ *jwt.Token, c jwt.MapClaims) { c["aud"] = 1 }, key.Signer),
		"scope number": sign(func(_ *jwt.Token, c jwt.MapClaims) { c["scope"] = 1 }, key.Signer),
		"no record":    sign(func(_ *jwt.Token, c jwt.MapClaims) { c["jti"] = "a.b" }, key.Signer),
		"alg none":     unsigned(good),
	} {
		assert.False(t, f.active(token), name)
	}
}

func unsigned(c jwt.MapClaims) string {
	tok := jwt.NewWithClaims(jwt.SigningMethodNone, c)
	tok.Header["typ"] = "at+jwt"
	s, _ := tok.SignedString(jwt.UnsafeAllowNoneSignatureType)
	return s
}

func TestTokenResponseExtraCannotOverride(t *testing.T) {
	b, err := json.Marshal(oauth.TokenResponse{AccessToken: "a\"b", TokenType: "Bearer", ExpiresIn: 5, Extra: map[string]any{"access_token": "evil", "scope": "evil", "id_token": "x"}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"access_token":"a\"b","token_type":"Bearer","expires_in":5,"id_token":"x"}`, string(b))
	_, err = oauth.TokenResponse{Extra: map[string]any{"x": make(chan int)}}.MarshalJSON()
	assert.Error(t, err)
}
