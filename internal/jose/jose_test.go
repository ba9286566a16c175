package jose

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var algorithms = []string{ES256, ES384, RS256, PS256, EdDSA, HS256}

// generate makes a key, or fails the test.
func generate(tb testing.TB, alg string) Key {
	tb.Helper()
	k, err := Generate(alg)
	require.NoError(tb, err)
	return k
}

// sign signs claims, or fails the test.
func sign(tb testing.TB, k Key, typ, claims string) string {
	tb.Helper()
	s, err := Prepare(k)
	require.NoError(tb, err)
	token, err := s.Sign(context.Background(), typ, []byte(claims))
	require.NoError(tb, err)
	return token
}

// verify is Parse and Verify in one.
func verify(keys []Key, token string) ([]byte, error) {
	set, err := NewKeySet(keys...)
	if err != nil {
		return nil, err
	}
	t, err := Parse(token, 16<<10)
	if err != nil {
		return nil, err
	}
	claims, _, err := set.Verify(t)
	return claims, err
}

func TestWhatIsSignedVerifies(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			k, other := generate(t, alg), generate(t, alg)
			token := sign(t, k, "at+jwt", `{"sub":"a"}`)

			parsed, err := Parse(token, len(token))
			require.NoError(t, err)
			assert.Equal(t, alg, parsed.Alg)
			assert.Equal(t, k.ID, parsed.KeyID)
			assert.Equal(t, "at+jwt", parsed.Type)

			set, err := NewKeySet(other, k)
			require.NoError(t, err)
			claims, by, err := set.Verify(parsed)
			require.NoError(t, err)
			assert.Equal(t, `{"sub":"a"}`, string(claims))
			assert.Equal(t, k.ID, by.ID)

			other.ID = k.ID
			_, err = verify([]Key{other}, token)
			assert.ErrorIs(t, err, ErrSignature, "another key with the same ID")
			_, err = verify([]Key{generate(t, alg)}, token)
			assert.ErrorIs(t, err, ErrUnknownKey)
		})
	}
}
