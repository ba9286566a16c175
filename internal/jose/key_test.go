package jose

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGenerate(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			k := generate(t, alg)
			assert.NoError(t, k.Check())
			assert.True(t, k.CanSign())
			assert.NotEmpty(t, k.ID)
			assert.NotEqual(t, k.ID, generate(t, alg).ID)
			if alg == HS256 {
				assert.Len(t, k.Secret, 32)
				return
			}
			thumbprint, err := Thumbprint(k.Public)
			require.NoError(t, err)
			assert.Equal(t, thumbprint, k.ID)
			want := alg
			if alg == PS256 {
				want = RS256
			}
			byDefault, err := DefaultAlg(k.Public)
			require.NoError(t, err)
			assert.Equal(t, want, byDefault)
		})
	}
	_, err := Generate("none")
	assert.ErrorIs(t, err, ErrKey)
}

// small makes an RSA public key of any size, without the time of finding primes.
func small(bits, e int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: e}
}

func TestKeysThatAreRefused(t *testing.T) {
	ec, rs, ed, hs := generate(t, ES256), generate(t, RS256), generate(t, EdDSA), generate(t, HS256)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	p256 := ec.Public.(*ecdsa.PublicKey)
	even := small(2048, 65537)
	even.N.SetBit(even.N, 0, 0)

	for name, k := range map[string]Key{
		"nothing":                {},
		"no algorithm":           {Public: ec.Public},
		"alg none":               {Alg: "none", Public: ec.Public},
		"no public key":          {Alg: ES256},
		"nil public key":         {Alg: ES256, Public: (*ecdsa.PublicKey)(nil)},
		"nil RSA key":            {Alg: RS256, Public: (*rsa.PublicKey)(nil)},
		"empty EC key":           {Alg: ES256, Public: &ecdsa.PublicKey{}},
		"EC key without point":   {Alg: ES256, Public: &ecdsa.PublicKey{Curve: elliptic.P256()}},
		"EC key without X":       {Alg: ES256, Public: &ecdsa.PublicKey{Curve: elliptic.P256(), Y: p256.Y}},
		"EC key without Y":       {Alg: ES256, Public: &ecdsa.PublicKey{Curve: elliptic.P256(), X: p256.X}},
		"EC point off the curve": {Alg: ES256, Public: &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}},
		"EC point negative":      {Alg: ES256, Public: &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).Neg(p256.X), Y: p256.Y}},
		"EC point at infinity":   {Alg: ES256, Public: &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}},
		"EC key by value":        {Alg: ES256, Public: *p256},
		"ES384 on P-256":         {Alg: ES384, Public: ec.Public},
		"ES256 on P-521":         {Alg: ES256, Public: p521.Public()},
		"ES512":                  {Alg: "ES512", Public: p521.Public()},
		"RS256 with an EC key":   {Alg: RS256, Public: ec.Public},
		"ES256 with an RSA key":  {Alg: ES256, Public: rs.Public},
		"EdDSA with an EC key":   {Alg: EdDSA, Public: ec.Public},
		"RSA of 1024 bits":       {Alg: RS256, Public: small(1024, 65537)},
		"RSA of 2047 bits":       {Alg: RS256, Public: small(2047, 65537)},
		"RSA of 8193 bits":       {Alg: PS256, Public: small(8193, 65537)},
		"RSA without modulus":    {Alg: RS256, Public: &rsa.PublicKey{E: 65537}},
		"RSA modulus even":       {Alg: RS256, Public: even},
		"RSA exponent 1":         {Alg: RS256, Public: small(2048, 1)},
		"RSA exponent 3":         {Alg: RS256, Public: small(2048, 3)},
		"RSA exponent even":      {Alg: RS256, Public: small(2048, 65538)},
		"RSA exponent negative":  {Alg: RS256, Public: small(2048, -65537)},
		"short Ed25519":          {Alg: EdDSA, Public: ed25519.PublicKey(make([]byte, 31))},
		"no secret":              {Alg: HS256},
		"secret of 31 bytes":     {Alg: HS256, Secret: make([]byte, 31)},
		"secret and public key":  {Alg: HS256, Secret: hs.Secret, Public: ec.Public},
		"secret and signer":      {Alg: HS256, Secret: hs.Secret, Signer: ec.Signer},
		"secret with ES256":      {Alg: ES256, Public: ec.Public, Secret: hs.Secret},
		"another's signer":       {Alg: ES256, Public: generate(t, ES256).Public, Signer: ec.Signer},
		"a signer of other type": {Alg: ES256, Public: ec.Public, Signer: ed.Signer},
		"ID too long":            {ID: strings.Repeat("a", MaxKeyID+1), Alg: ES256, Public: ec.Public},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorIs(t, k.Check(), ErrKey)
			_, err := NewKeySet(k)
			assert.ErrorIs(t, err, ErrKey)
			_, err = Prepare(k)
			assert.ErrorIs(t, err, ErrKey)
			if k.Alg != HS256 { // those are left out
				_, err = MarshalJWKS([]Key{k})
				assert.ErrorIs(t, err, ErrKey)
			}
		})
	}
	assert.NoError(t, Key{ID: strings.Repeat("a", MaxKeyID), Alg: ES256, Public: ec.Public}.Check())
	assert.NoError(t, Key{Alg: RS256, Public: small(8192, 65537)}.Check())
	assert.NoError(t, Key{Alg: RS256, Public: small(2048, 1<<31-1)}.Check())
}

func TestThumbprintsOfWhatIsNoKey(t *testing.T) {
	for name, public := range map[string]crypto.PublicKey{
		"nothing":                nil,
		"nil EC key":             (*ecdsa.PublicKey)(nil),
		"EC key without curve":   &ecdsa.PublicKey{},
		"EC point off the curve": &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)},
		"nil RSA key":            (*rsa.PublicKey)(nil),
		"RSA without modulus":    &rsa.PublicKey{E: 65537},
		"short Ed25519":          ed25519.PublicKey(make([]byte, 31)),
		"a private key":          ed25519.NewKeyFromSeed(make([]byte, 32)),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Thumbprint(public)
			assert.ErrorIs(t, err, ErrKey)
			assert.Empty(t, got)
		})
	}
}

func TestKeysWithoutSignerOnlyVerify(t *testing.T) {
	k := generate(t, ES256)
	token := sign(t, k, "", `{}`)
	k.Signer = nil
	assert.False(t, k.CanSign())
	_, err := Prepare(k)
	assert.ErrorIs(t, err, ErrKey)
	_, err = verify([]Key{k}, token)
	assert.NoError(t, err)
}

func TestPublicKeyComesFromTheSigner(t *testing.T) {
	k := generate(t, ES256)
	token := sign(t, Key{ID: "1", Alg: ES256, Signer: k.Signer}, "", `{}`)
	_, err := verify([]Key{{ID: "1", Alg: ES256, Signer: k.Signer}}, token)
	assert.NoError(t, err)
	jwks, err := MarshalJWKS([]Key{{ID: "1", Alg: ES256, Signer: k.Signer}})
	require.NoError(t, err)
	assert.Contains(t, string(jwks), `"x":`)
}

func TestKeySetRefusesTwoKeysWithOneID(t *testing.T) {
	for _, id := range []string{"same", ""} {
		a, b := generate(t, ES256), generate(t, EdDSA)
		a.ID, b.ID = id, id
		_, err := NewKeySet(a, b)
		assert.ErrorIs(t, err, ErrKey)
	}
}

func TestTokensWithoutKeyID(t *testing.T) {
	a, b := generate(t, ES256), generate(t, ES256)
	token := forge(t, a, `{"alg":"ES256"}`, `{}`)
	_, err := verify([]Key{a}, token)
	assert.NoError(t, err, "the only key")
	_, err = verify([]Key{a, b}, token)
	assert.ErrorIs(t, err, ErrUnknownKey, "which one is not said")
	_, err = verify([]Key{}, token)
	assert.ErrorIs(t, err, ErrUnknownKey)
	a.ID = ""
	_, err = verify([]Key{a, b}, token)
	assert.NoError(t, err, "the one without ID")
	_, err = verify([]Key{a}, forge(t, a, `{"alg":"ES256","kid":"x"}`, `{}`))
	assert.ErrorIs(t, err, ErrUnknownKey, "a named key is never guessed")
}

// kms is a signer that is no private key in memory.
type kms struct {
	crypto.Signer
	sign func(digest []byte) ([]byte, error)
}

func (k kms) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return k.sign(digest)
}

func TestSignersOutsideOfTheProcess(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sequence := func(r, s *big.Int) []byte {
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		require.NoError(t, err)
		return der
	}
	prepare := func(f func([]byte) ([]byte, error)) *Signer {
		s, err := Prepare(Key{ID: "kms", Alg: ES256, Signer: kms{private, f}})
		require.NoError(t, err)
		return s
	}

	t.Run("short numbers are padded", func(t *testing.T) {
		// One signature in 256 has a leading zero in r; another in s.
		s := prepare(func(digest []byte) ([]byte, error) { return private.Sign(rand.Reader, digest, crypto.SHA256) })
		for range 1000 {
			token, err := s.Sign(context.Background(), "", []byte(`{}`))
			require.NoError(t, err)
			_, err = verify([]Key{s.Key()}, token)
			require.NoError(t, err)
		}
	})
	for name, tt := range map[string]struct {
		signature []byte
		want      string
	}{
		"empty":        {nil, "ASN.1"},
		"raw":          {make([]byte, 64), "ASN.1"},
		"trailing":     {append(sequence(big.NewInt(1), big.NewInt(1)), 0), "ASN.1"},
		"negative":     {sequence(big.NewInt(-1), big.NewInt(1)), "ASN.1"},
		"one number":   {[]byte{0x30, 3, 2, 1, 1}, "ASN.1"},
		"three":        {append([]byte{0x30, 9}, bytes.Repeat([]byte{2, 1, 1}, 3)...), "ASN.1"},
		"r too long":   {sequence(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)), "too long"},
		"s too long":   {sequence(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 256)), "too long"},
		"from a P-384": {sequence(new(big.Int).Lsh(big.NewInt(1), 380), new(big.Int).Lsh(big.NewInt(1), 380)), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(func([]byte) ([]byte, error) { return tt.signature, nil })
			token, err := s.Sign(context.Background(), "", []byte(`{}`))
			assert.ErrorContains(t, err, tt.want)
			assert.Empty(t, token)
		})
	}
	t.Run("its error is passed on", func(t *testing.T) {
		outage := errors.New("unreachable")
		s := prepare(func([]byte) ([]byte, error) { return nil, outage })
		_, err := s.Sign(context.Background(), "", []byte(`{}`))
		assert.ErrorIs(t, err, outage)
	})
}

func TestSignHonoursTheContext(t *testing.T) {
	s, err := Prepare(generate(t, ES256))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = s.Sign(ctx, "", []byte(`{}`))
	assert.ErrorIs(t, err, context.Canceled)
}

func TestHeadersArePreparedPerType(t *testing.T) {
	k := generate(t, EdDSA)
	k.ID = `a"b` + "\n"
	s, err := Prepare(k)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 3 * maxTypes {
				typ := fmt.Sprint("type ", (i+worker)%(2*maxTypes))
				token, err := s.Sign(context.Background(), typ, []byte(`{}`))
				if !assert.NoError(t, err) {
					return
				}
				parsed, err := Parse(token, 1000)
				if assert.NoError(t, err) {
					assert.Equal(t, []string{typ, k.ID, EdDSA}, []string{parsed.Type, parsed.KeyID, parsed.Alg})
				}
			}
		})
	}
	wg.Wait()
	assert.Len(t, *s.headers.Load(), maxTypes, "they are kept, up to a bound")
	for typ := range *s.headers.Load() {
		assert.Zero(t, testing.AllocsPerRun(10, func() { s.header(typ) }))
	}
}

// What is signed here verifies in golang-jwt, and the other way round.
func TestGolangJWTAgrees(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			k := generate(t, alg)
			private, public := any(k.Signer), any(k.Public)
			if alg == HS256 {
				private, public = k.Secret, k.Secret
			}
			_, err := jwt.Parse(sign(t, k, "JWT", `{"a":"b"}`), func(*jwt.Token) (any, error) { return public, nil }, jwt.WithValidMethods([]string{alg}))
			assert.NoError(t, err)

			theirs := jwt.NewWithClaims(jwt.GetSigningMethod(alg), jwt.MapClaims{"a": "b"})
			theirs.Header["kid"] = k.ID
			token, err := theirs.SignedString(private)
			require.NoError(t, err)
			claims, err := verify([]Key{k}, token)
			require.NoError(t, err)
			assert.Equal(t, `{"a":"b"}`, string(claims))
		})
	}
}

func TestMarshalJWKS(t *testing.T) {
	var keys []Key
	for _, alg := range algorithms {
		keys = append(keys, generate(t, alg))
	}
	data, err := MarshalJWKS(keys)
	require.NoError(t, err)

	t.Run("SEC-268 nothing private, kid, use and alg in each", func(t *testing.T) {
		var set struct{ Keys []map[string]any }
		require.NoError(t, json.Unmarshal(data, &set))
		require.Len(t, set.Keys, len(algorithms)-1, "no HS256 key")
		for i, k := range set.Keys {
			for _, name := range privateMembers {
				assert.NotContains(t, k, name)
			}
			assert.Equal(t, []any{keys[i].ID, "sig", keys[i].Alg}, []any{k["kid"], k["use"], k["alg"]})
		}
		for _, secret := range []string{encode(keys[5].Secret), encode(keys[4].Signer.(ed25519.PrivateKey).Seed())} {
			assert.NotContains(t, string(data), secret)
		}
	})
	t.Run("read again it is the same", func(t *testing.T) {
		got, err := ParseJWKS(data)
		require.NoError(t, err)
		require.Len(t, got, len(algorithms)-1)
		for i, k := range got {
			assert.Equal(t, keys[i].ID, k.ID)
			assert.Equal(t, keys[i].Alg, k.Alg)
			assert.True(t, samePublic(k.Public, keys[i].Public))
			assert.Nil(t, k.Signer)
		}
	})
	t.Run("no keys", func(t *testing.T) {
		data, err := MarshalJWKS(nil)
		require.NoError(t, err)
		assert.Equal(t, `{"keys":[]}`, string(data))
	})
	t.Run("an unusable key", func(t *testing.T) {
		_, err := MarshalJWKS([]Key{{Alg: ES256}})
		assert.ErrorIs(t, err, ErrKey)
	})
}
