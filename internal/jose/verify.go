package jose

import (
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// KeySet holds the keys that may have signed a token. It does not change after
// NewKeySet and is safe for concurrent use.
type KeySet struct {
	keys  []Key
	byID  map[string]int
	check []verifier
}

type verifier struct {
	method jwt.SigningMethod
	key    any
}

// NewKeySet checks the keys and makes a set of them. Two keys with the same ID
// are an error: which one verifies must never be a guess. An error wraps
// ErrKey.
func NewKeySet(keys ...Key) (*KeySet, error) {
	s := &KeySet{byID: make(map[string]int, len(keys))}
	for _, k := range keys {
		if k.Public == nil && k.Signer != nil {
			k.Public = k.Signer.Public()
		}
		if err := k.Check(); err != nil {
			return nil, err
		}
		if _, taken := s.byID[k.ID]; taken {
			return nil, fmt.Errorf("%w: two keys with one ID", ErrKey)
		}
		s.byID[k.ID] = len(s.keys)
		s.keys = append(s.keys, k)
		s.check = append(s.check, verifierOf(k))
	}
	return s, nil
}

func verifierOf(k Key) verifier {
	switch k.Alg {
	case ES256:
		return verifier{jwt.SigningMethodES256, k.Public}
	case ES384:
		return verifier{jwt.SigningMethodES384, k.Public}
	case RS256:
		return verifier{jwt.SigningMethodRS256, k.Public}
	case PS256:
		// golang-jwt's own takes salts of any length; RFC 7518 §3.5 takes one.
		return verifier{&jwt.SigningMethodRSAPSS{SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA, Options: pssOptions}, k.Public}
	case EdDSA:
		return verifier{jwt.SigningMethodEdDSA, k.Public}
	default: // HS256: Check has refused all others
		return verifier{jwt.SigningMethodHS256, k.Secret}
	}
}

// Len is the number of keys.
func (s *KeySet) Len() int { return len(s.keys) }

// Verify checks the signature with the key that the header's kid names, or, if
// it has none, with the only key of the set, and returns that key and the bytes
// that were signed: the claims. An error wraps ErrUnknownKey if there is no
// such key, ErrSignature if the header names another algorithm than the key's,
// or the signature is wrong.
func (s *KeySet) Verify(t *Token) (claims []byte, key Key, err error) {
	i, ok := s.byID[t.KeyID]
	if !ok && t.KeyID == "" && len(s.keys) == 1 {
		i, ok = 0, true
	}
	if !ok {
		return nil, Key{}, ErrUnknownKey
	}
	if t.Alg != s.keys[i].Alg {
		return nil, Key{}, fmt.Errorf("%w: the key is for another algorithm", ErrSignature)
	}
	v := s.check[i]
	if err := v.method.Verify(t.signed, t.signature, v.key); err != nil {
		return nil, Key{}, ErrSignature
	}
	return t.claims, s.keys[i], nil
}
