package jose

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzVerify: nothing verifies but what was signed, in the spelling in which it
// was signed (or with the twin of an ECDSA signature).
func FuzzVerify(f *testing.F) {
	signed := map[string]bool{}
	var sets []*KeySet
	for token, k := range map[string]Key{
		rfc7515HS256:  {Alg: HS256, Secret: unbase64(f, rfc7515HS256Secret)},
		rfc7515RS256:  parseKey(f, rfc7515RS256Key),
		rfc7515ES256:  parseKey(f, rfc7515ES256Key),
		rfc8037Signed: parseKey(f, rfc8037Key),
	} {
		f.Add(token)
		f.Add(token + "\n")
		f.Add(token[:len(token)-1])
		signed[token[:strings.LastIndexByte(token, '.')]] = true
		set, err := NewKeySet(k)
		require.NoError(f, err)
		sets = append(sets, set)
	}
	f.Add(b64(`{"alg":"none","typ":"at+jwt","kid":"a","crit":[]}`) + ".e30.")
	f.Fuzz(func(t *testing.T, token string) {
		parsed, err := Parse(token, 4096)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, token, parsed.signed+"."+base64.RawURLEncoding.EncodeToString(parsed.signature), "one spelling")
		for _, set := range sets {
			if _, _, err := set.Verify(parsed); err == nil {
				require.True(t, signed[parsed.signed], "a forgery")
			}
		}
	})
}

// FuzzParseJWKS: whatever is read can be used, and is the same when it is
// written and read again.
func FuzzParseJWKS(f *testing.F) {
	for _, key := range []string{rfc7515ES256Key, rfc7515RS256Key, rfc8037Key} {
		f.Add([]byte(`{"keys":[` + key + `]}`))
	}
	f.Add([]byte(rfc7517Set))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseJWKS(data)
		if err != nil {
			require.ErrorIs(t, err, ErrKey)
			return
		}
		require.True(t, json.Valid(data))
		_, err = NewKeySet(keys...)
		require.NoError(t, err)
		again, err := MarshalJWKS(keys)
		require.NoError(t, err)
		same, err := ParseJWKS(again)
		require.NoError(t, err)
		assert.Equal(t, keys, same)
	})
}
