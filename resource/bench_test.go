package resource_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

// BenchmarkBearer measures a request through Require, with the parts that cannot
// be avoided beside it: verify is one ES256 verification, handler the same
// request without protection, floor that and the hash of a remembered token.
func BenchmarkBearer(b *testing.B) {
	is := newIssuer(b, issuerURL)
	public, private := is.keys[0].Public.(*ecdsa.PublicKey), is.keys[0].Signer.(*ecdsa.PrivateKey)
	const many = 4096
	tokens := make([]string, many)
	for i := range tokens {
		tokens[i] = is.token(jti(i))
	}
	protected := func() http.Handler {
		s, err := resource.New(resource.Config{Resource: resourceURL, Issuers: []string{issuerURL}, Verifier: resource.JWT(issuerURL, is.client())})
		require.NoError(b, err)
		return s.Require("read")(handler)
	}
	serve := func(b *testing.B, h http.Handler, token func(i int) string) {
		r := httptest.NewRequest(http.MethodGet, resourceURL, nil)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			r.Header.Set("Authorization", "Bearer "+token(i))
			i++
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusNoContent {
				b.Fatal(w.Code)
			}
		}
	}
	b.Run("handler", func(b *testing.B) { serve(b, handler, func(int) string { return tokens[0] }) })
	b.Run("floor", func(b *testing.B) { // handler and the hash of the token
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sum := sha256.Sum256([]byte(r.Header.Get("Authorization")[7:]))
			if sum[0] == 0 && sum[1] == 0 && sum[2] == 0 && sum[3] == 0 {
				b.Error("unlikely")
			}
			handler(w, r)
		})
		serve(b, h, func(int) string { return tokens[0] })
	})
	b.Run("verify", func(b *testing.B) {
		digest := sha256.Sum256([]byte(tokens[0]))
		der, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256([]byte(tokens[0]))
			if !ecdsa.VerifyASN1(public, digest[:], der) {
				b.Fatal("wrong signature")
			}
		}
	})
	b.Run("first", func(b *testing.B) { // many more tokens than are remembered
		serve(b, protected(), func(i int) string { return tokens[i%many] })
	})
	b.Run("again", func(b *testing.B) { serve(b, protected(), func(int) string { return tokens[0] }) })
	b.Run("refused", func(b *testing.B) {
		s, err := resource.New(resource.Config{Resource: resourceURL, Issuers: []string{issuerURL}, Verifier: resource.JWT(issuerURL, is.client())})
		require.NoError(b, err)
		expired := is.token(map[string]any{"exp": 1})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.VerifyToken(context.Background(), expired); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

var handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
