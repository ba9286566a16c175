package resource_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

const exampleClaims = `{"iss":"https://login.example","sub":"user-1","aud":["https://api.example/mcp"],"client_id":"client-1",` +
	`"iat":1700000000,"nbf":1700000000,"exp":1700003600,"jti":"token-1","scope":"read write","email":"a@b.example"}`

func TestParseClaims(t *testing.T) {
	at := time.Unix(1700000000, 0)
	token, err := resource.ParseClaims([]byte(exampleClaims), issuerURL, at)
	require.NoError(t, err)
	assert.Equal(t, &resource.Token{Issuer: issuerURL, Subject: "user-1", ClientID: "client-1", ID: "token-1",
		Audience: []string{resourceURL}, Scopes: []string{"read", "write"},
		IssuedAt: at, NotBefore: at, ExpiresAt: at.Add(time.Hour), Claims: json.RawMessage(exampleClaims)}, token)

	for name, now := range map[string]time.Time{"on the second": at.Add(time.Hour), "long after": at.Add(1000 * time.Hour), "long before": at.Add(-61 * time.Second)} {
		_, err := resource.ParseClaims([]byte(exampleClaims), issuerURL, now)
		assert.ErrorIs(t, err, resource.ErrInvalidToken, name)
	}
	_, err = resource.ParseClaims([]byte(exampleClaims), issuerURL, at.Add(time.Hour-time.Nanosecond))
	assert.NoError(t, err)
	_, err = resource.ParseClaims([]byte(exampleClaims), issuerURL, at.Add(-60*time.Second))
	assert.NoError(t, err)
}

func TestParseClaimsRefuses(t *testing.T) {
	var all map[string]any
	require.NoError(t, json.Unmarshal([]byte(exampleClaims), &all))
	for _, name := range []string{"iss", "sub", "aud", "client_id", "iat", "exp", "jti"} {
		t.Run("without "+name, func(t *testing.T) {
			some := maps.Clone(all)
			delete(some, name)
			claims, err := json.Marshal(some)
			require.NoError(t, err)
			_, err = resource.ParseClaims(claims, issuerURL, time.Unix(1700000000, 0))
			assert.ErrorIs(t, err, resource.ErrInvalidToken)
			some[name] = all[name]
			claims, err = json.Marshal(some)
			require.NoError(t, err)
			_, err = resource.ParseClaims(claims, issuerURL, time.Unix(1700000000, 0))
			assert.NoError(t, err)
		})
	}
}

func TestParseClaimsReadsAllScopesAndTimes(t *testing.T) {
	parse := func(old, replacement string) (*resource.Token, error) {
		require.Contains(t, exampleClaims, old)
		return resource.ParseClaims([]byte(strings.Replace(exampleClaims, old, replacement, 1)), issuerURL, time.Unix(1700000000, 0))
	}
	for scope, want := range map[string][]string{
		"":                  nil,
		" ":                 nil,
		"read  write ":      {"read", "write"},
		"! # [ ] ~ a:b/c.d": {"!", "#", "[", "]", "~", "a:b/c.d"},
	} {
		token, err := parse("read write", scope)
		require.NoError(t, err)
		assert.Equal(t, want, token.Scopes)
	}
	token, err := parse("1700003600", "253402300799")
	require.NoError(t, err)
	assert.Equal(t, int64(253402300799), token.ExpiresAt.Unix())
	for _, exp := range []string{"253402300800", "9223372036854775807", "18446744073709551616", "1700003600e0", "+1700003600", "0x1700003600", "1_700_003_600"} {
		_, err = parse("1700003600", exp)
		assert.ErrorIs(t, err, resource.ErrInvalidToken, exp)
	}
	for _, iat := range []string{"0", "00", "0.5", "-1"} {
		_, err := parse(`"iat":1700000000`, `"iat":`+iat)
		assert.ErrorIs(t, err, resource.ErrInvalidToken, "iat %s", iat)
	}
}

// FuzzParseClaims: what is accepted has all that a decision needs, and means the
// same to encoding/json.
func FuzzParseClaims(f *testing.F) {
	f.Add([]byte(exampleClaims))
	f.Add([]byte(`{"iss":"https://login.example","exp":1e300,"aud":[null]}`))
	f.Add([]byte(`{"iss":"https://login.example","exp":-1,"scope":"a  b"}`))
	now := time.Unix(1700000000, 0)
	f.Fuzz(func(t *testing.T, claims []byte) {
		token, err := resource.ParseClaims(claims, issuerURL, now)
		if err != nil {
			require.ErrorIs(t, err, resource.ErrInvalidToken)
			require.Nil(t, token)
			return
		}
		require.Equal(t, issuerURL, token.Issuer)
		require.NotEmpty(t, token.Subject)
		require.NotEmpty(t, token.ClientID)
		require.NotEmpty(t, token.ID)
		require.True(t, token.ExpiresAt.After(now))
		require.False(t, token.NotBefore.After(now.Add(time.Minute)))
		var same map[string]any
		require.NoError(t, json.Unmarshal(claims, &same))
		require.Equal(t, same["sub"], token.Subject)
		require.InDelta(t, same["exp"], token.ExpiresAt.Unix(), 1)
		for _, s := range token.Scopes {
			require.NotContains(t, s, " ")
			require.NotEmpty(t, s)
		}
	})
}
