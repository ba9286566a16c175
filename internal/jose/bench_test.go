package jose

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"testing"
)

var benchClaims = []byte(`{"iss":"https://issuer.example","sub":"user-1","aud":"https://api.example/","exp":1700000000,"iat":1700000000,"nbf":1700000000,"jti":"abcdefghijklmnopqrstuvwxyz","client_id":"client-1","scope":"read write"}`)

// BenchmarkSignES256/floor is what cannot be avoided: the hash, the signature
// and base64url.
func BenchmarkSignES256(b *testing.B) {
	k := generate(b, ES256)
	private := k.Signer.(*ecdsa.PrivateKey)
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			claims := base64.RawURLEncoding.EncodeToString(benchClaims)
			digest := sha256.Sum256([]byte(claims))
			der, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
			if err != nil {
				b.Fatal(err)
			}
			_ = base64.RawURLEncoding.EncodeToString(der)
		}
	})
	b.Run("Sign", func(b *testing.B) {
		s, err := Prepare(k)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Sign(context.Background(), "at+jwt", benchClaims); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkVerifyES256/floor is the hash and the verification.
func BenchmarkVerifyES256(b *testing.B) {
	k := generate(b, ES256)
	public := k.Public.(*ecdsa.PublicKey)
	token := sign(b, k, "at+jwt", string(benchClaims))
	b.Run("floor", func(b *testing.B) {
		digest := sha256.Sum256([]byte(token))
		der, err := ecdsa.SignASN1(rand.Reader, k.Signer.(*ecdsa.PrivateKey), digest[:])
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256([]byte(token))
			if !ecdsa.VerifyASN1(public, digest[:], der) {
				b.Fatal("wrong signature")
			}
		}
	})
	b.Run("ParseAndVerify", func(b *testing.B) {
		set, err := NewKeySet(k)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			t, err := Parse(token, 16<<10)
			if err != nil {
				b.Fatal(err)
			}
			if _, _, err := set.Verify(t); err != nil {
				b.Fatal(err)
			}
		}
	})
}
