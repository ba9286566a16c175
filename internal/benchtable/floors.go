package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"net/http"
	"runtime"
	"strings"
)

// A primitive is a part of a request that no implementation can do without.
type primitive func(r *http.Request)

// floor is a handler that reads the form, does what cannot be avoided, and
// gives the right answer: the same headers and the same bytes, made before.
func floor(primitives ...primitive) func(right answer) http.Handler {
	return func(right answer) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				panic(err)
			}
			for _, do := range primitives {
				do(r)
			}
			h := w.Header()
			for name, values := range right.header {
				h.Set(name, values[0])
			}
			w.WriteHeader(right.status)
			w.Write(right.body)
		})
	}
}

func random(n int) primitive {
	return func(*http.Request) {
		b := make([]byte, n)
		rand.Read(b)
		runtime.KeepAlive(base64.RawURLEncoding.EncodeToString(b))
	}
}

// hash is the SHA-256 of something as long as a code or a refresh token's part.
func hash(times int) primitive {
	text := strings.Repeat("x", 43)
	return func(*http.Request) {
		for range times {
			sum := sha256.Sum256([]byte(text))
			runtime.KeepAlive(sum)
		}
	}
}

// hashToken is the SHA-256 of the access token that came.
func hashToken(r *http.Request) {
	sum := sha256.Sum256([]byte(accessToken(r)))
	runtime.KeepAlive(sum)
}

// accessToken is in the form or in the header.
func accessToken(r *http.Request) string {
	if token := r.PostForm.Get("token"); token != "" {
		return token
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func basic(r *http.Request) {
	if id, _, ok := r.BasicAuth(); !ok || id == "" {
		panic("no Basic credentials")
	}
}

// sign makes one ES256 signature (RFC 7518 §3.4) over claims as long as those of
// the token, behind a header that was encoded before.
func sign(key *ecdsa.PrivateKey, token string) primitive {
	header, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	claims, err := base64.RawURLEncoding.DecodeString(encoded)
	must(err)
	return func(*http.Request) {
		b := append(append(make([]byte, 0, len(token)), header...), '.')
		b = base64.RawURLEncoding.AppendEncode(b, claims)
		digest := sha256.Sum256(b)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		must(err)
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		runtime.KeepAlive(string(base64.RawURLEncoding.AppendEncode(append(b, '.'), signature)))
	}
}

// verify makes one ES256 verification (RFC 7518 §3.4) of the access token that
// came: the SHA-256 of what is signed, and ECDSA.
func verify(key *ecdsa.PrivateKey) primitive {
	return func(r *http.Request) {
		token := accessToken(r)
		dot := strings.LastIndexByte(token, '.')
		digest := sha256.Sum256([]byte(token[:dot]))
		signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
		must(err)
		if !ecdsa.Verify(&key.PublicKey, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
			panic("wrong signature")
		}
	}
}
