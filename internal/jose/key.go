// Package jose signs and verifies compact JSON Web Signatures (RFC 7515) and
// reads and writes JSON Web Keys (RFC 7517). It knows nothing of OAuth. The
// algorithms are golang-jwt's; what is around them is stricter and smaller:
//
//   - the key decides the algorithm; a header that names another is refused,
//   - a header that brings a key (jwk, jku, x5u, x5c), an extension that must be
//     understood (crit), compression or encryption is refused,
//   - base64url is canonical, JSON is strict (package strictjson), sizes are
//     bounded, so that one token has one spelling.
package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// The signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	ES256 = "ES256" // ECDSA on P-256 with SHA-256
	ES384 = "ES384" // ECDSA on P-384 with SHA-384
	RS256 = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	PS256 = "PS256" // RSASSA-PSS with SHA-256
	EdDSA = "EdDSA" // Ed25519
	HS256 = "HS256" // HMAC with SHA-256; both sides hold the secret
)

// MaxKeyID is the longest key ID, in bytes.
const MaxKeyID = 512

const (
	minSecret  = 32 // bytes: RFC 7518 §3.2 wants the size of the hash
	minRSABits = 2048
	maxRSABits = 8192 // verification takes time that grows with the size
)

// ErrKey is wrapped by the errors about keys that cannot be used.
var ErrKey = errors.New("unusable key")

// Key signs, verifies, or both. A Key is checked by what uses it: Prepare,
// NewKeySet, MarshalJWKS.
type Key struct {
	ID  string // the kid; at most MaxKeyID bytes
	Alg string // one of this package's algorithms; fixed for this key

	// Public verifies; nil for HS256. *ecdsa.PublicKey, *rsa.PublicKey or
	// ed25519.PublicKey.
	Public crypto.PublicKey

	// Signer signs; nil for a key that only verifies, and for HS256. Any
	// implementation will do, a key management service included: ECDSA
	// signatures come in ASN.1, as crypto.Signer says.
	Signer crypto.Signer

	// Secret is the key of HS256, of at least 32 bytes.
	Secret []byte
}

// CanSign reports whether the key has what it takes to sign.
func (k Key) CanSign() bool { return k.Signer != nil || k.Alg == HS256 }

// Check returns an error that wraps ErrKey if the key cannot be used: an
// unknown algorithm, a key of another type or curve, one that is too short, or
// a Signer that belongs to another public key.
func (k Key) Check() error {
	if len(k.ID) > MaxKeyID {
		return fmt.Errorf("%w: ID longer than %d bytes", ErrKey, MaxKeyID)
	}
	if k.Alg == HS256 {
		return k.checkSecret()
	}
	if len(k.Secret) != 0 {
		return fmt.Errorf("%w: %s takes no secret", ErrKey, k.Alg)
	}
	if err := checkPublic(k.Alg, k.Public); err != nil {
		return err
	}
	if k.Signer != nil && !samePublic(k.Public, k.Signer.Public()) {
		return fmt.Errorf("%w: Signer and Public are not a pair", ErrKey)
	}
	return nil
}

func (k Key) checkSecret() error {
	if len(k.Secret) < minSecret {
		return fmt.Errorf("%w: HS256 takes a secret of at least %d bytes", ErrKey, minSecret)
	}
	if k.Public != nil || k.Signer != nil {
		return fmt.Errorf("%w: HS256 takes a secret and nothing else", ErrKey)
	}
	return nil
}

func checkPublic(alg string, public crypto.PublicKey) error {
	switch pub := public.(type) {
	case *ecdsa.PublicKey:
		if pub != nil && (alg == ES256 && pub.Curve == elliptic.P256() || alg == ES384 && pub.Curve == elliptic.P384()) {
			return checkPoint(pub)
		}
	case *rsa.PublicKey:
		if pub != nil && (alg == RS256 || alg == PS256) {
			return checkRSA(pub)
		}
	case ed25519.PublicKey:
		if len(pub) == ed25519.PublicKeySize && alg == EdDSA {
			return nil
		}
	}
	return fmt.Errorf("%w: a %T is no key for this algorithm", ErrKey, public)
}

// checkPoint refuses points that are not on the curve.
func checkPoint(pub *ecdsa.PublicKey) error {
	if pub.X == nil || pub.Y == nil {
		return fmt.Errorf("%w: no point", ErrKey)
	}
	if _, err := pub.ECDH(); err != nil {
		return fmt.Errorf("%w: not a point of the curve", ErrKey)
	}
	return nil
}

func checkRSA(pub *rsa.PublicKey) error {
	if pub.N == nil || pub.N.BitLen() < minRSABits || pub.N.BitLen() > maxRSABits || pub.N.Bit(0) == 0 {
		return fmt.Errorf("%w: RSA modulus must be odd, of %d to %d bits", ErrKey, minRSABits, maxRSABits)
	}
	if pub.E < 1<<16+1 || pub.E > 1<<31-1 || pub.E&1 == 0 {
		return fmt.Errorf("%w: RSA exponent must be odd, from 65537 to 2^31-1", ErrKey)
	}
	return nil
}

func samePublic(a, b crypto.PublicKey) bool {
	pub, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(b)
}

// DefaultAlg is the algorithm for a public key whose owner names none: ES256,
// ES384, RS256 or EdDSA by its type. An error wraps ErrKey.
func DefaultAlg(public crypto.PublicKey) (string, error) {
	for _, alg := range []string{ES256, ES384, RS256, EdDSA} {
		if checkPublic(alg, public) == nil {
			return alg, nil
		}
	}
	return "", fmt.Errorf("%w: no algorithm for a %T of this kind", ErrKey, public)
}

// Generate makes a new key: RSA keys have 2048 bits, HS256 secrets 32 bytes.
// The ID is the thumbprint, and random for HS256. An error wraps ErrKey for an
// unknown algorithm.
func Generate(alg string) (Key, error) {
	k := Key{Alg: alg}
	var err error
	switch alg {
	case ES256:
		k.Signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ES384:
		k.Signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RS256, PS256:
		k.Signer, err = rsa.GenerateKey(rand.Reader, minRSABits)
	case EdDSA:
		_, k.Signer, err = ed25519.GenerateKey(rand.Reader)
	case HS256:
		k.Secret = make([]byte, minSecret)
		rand.Read(k.Secret) // never fails: it ends the program instead
		k.ID = rand.Text()
		return k, nil
	default:
		return Key{}, fmt.Errorf("%w: unknown algorithm", ErrKey)
	}
	if err != nil {
		return Key{}, err
	}
	k.Public = k.Signer.Public()
	k.ID, err = Thumbprint(k.Public)
	return k, err
}

// Thumbprint is the base64url SHA-256 thumbprint of a public key (RFC 7638): a
// name that follows from the key alone. An error wraps ErrKey.
func Thumbprint(public crypto.PublicKey) (string, error) {
	j, err := publicJWK(public)
	if err != nil {
		return "", err
	}
	// The required members in the order of their names, without spaces; none of
	// the values needs escaping (RFC 7638 §3.2).
	var b bytes.Buffer
	b.WriteByte('{')
	for _, m := range [...]struct{ name, value string }{{"crv", j.Crv}, {"e", j.E}, {"kty", j.Kty}, {"n", j.N}, {"x", j.X}, {"y", j.Y}} {
		if m.value == "" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%q", m.name, m.value)
	}
	b.WriteByte('}')
	sum := sha256.Sum256(b.Bytes())
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
