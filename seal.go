package oauth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/seed-e797c9ce/oauth/store"
)

// sealer encrypts what leaves the process and comes back: pending requests in
// consent pages, keys in the store. What was sealed for one purpose does not
// open for another.
type sealer struct{ aeads []cipher.AEAD } // the first seals, all open

func newSealer(purpose string, secrets [][]byte) (*sealer, error) {
	s := &sealer{}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, "oauth "+purpose, 32)
		if err != nil {
			return nil, err
		}
		s.aeads = append(s.aeads, newAEAD([32]byte(key)))
	}
	return s, nil
}

// newAEAD cannot fail: AES takes 32 bytes, and GCM takes AES.
func newAEAD(key [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

var errSeal = errors.New("not sealed here, or changed since")

func (s *sealer) seal(plain []byte) []byte { return s.aeads[0].Seal(nil, nil, plain, nil) }

func (s *sealer) open(sealed []byte) ([]byte, error) {
	plain, _, err := s.openAged(sealed)
	return plain, err
}

// openAged also says whether it took a secret that is retired.
func (s *sealer) openAged(sealed []byte) (plain []byte, retired bool, err error) {
	for i, aead := range s.aeads {
		if plain, err := aead.Open(nil, nil, sealed, nil); err == nil {
			return plain, i > 0, nil
		}
	}
	return nil, false, errSeal
}

func (s *sealer) sealText(plain []byte) string {
	return base64.RawURLEncoding.EncodeToString(s.seal(plain))
}

func (s *sealer) openText(text string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errSeal
	}
	return s.open(sealed)
}

// randomText returns n random bytes in base64url. crypto/rand never fails: it
// ends the process instead.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashText(s string) store.Hash { return sha256.Sum256([]byte(s)) }

// hashKey is the key of a code record: the digest of what the client holds.
func hashKey(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
