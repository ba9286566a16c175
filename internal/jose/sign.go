package jose

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"maps"
	"sync/atomic"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// maxTypes is for how many values of typ a Signer keeps the header.
const maxTypes = 16

// Signer makes tokens with one key. It is safe for concurrent use.
type Signer struct {
	key     Key
	headers atomic.Pointer[map[string]string] // by typ: the encoded header and the dot; never changed, only replaced
}

// Prepare readies a key for signing. An error wraps ErrKey if the key fails its
// Check or has nothing to sign with. A nil Public is taken from the Signer.
func Prepare(key Key) (*Signer, error) {
	if key.Public == nil && key.Signer != nil {
		key.Public = key.Signer.Public()
	}
	if err := key.Check(); err != nil {
		return nil, err
	}
	if !key.CanSign() {
		return nil, fmt.Errorf("%w: nothing to sign with", ErrKey)
	}
	s := &Signer{key: key}
	s.headers.Store(&map[string]string{})
	return s, nil
}

// Key is the key that signs.
func (s *Signer) Key() Key { return s.key }

// Sign returns the compact serialization of claims, a JSON object, under a
// header with the key's alg and kid and this typ; an empty typ is left out. The
// claims are signed as they are. It fails if ctx has ended or the key's
// crypto.Signer does.
func (s *Signer) Sign(ctx context.Context, typ string, claims []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	header := s.header(typ)
	size := len(header) + base64.RawURLEncoding.EncodedLen(len(claims))
	token := make([]byte, 0, size+1+base64.RawURLEncoding.EncodedLen(s.signatureSize()))
	token = append(token, header...)
	token = base64.RawURLEncoding.AppendEncode(token, claims)
	signature, err := s.sign(token)
	if err != nil {
		return "", fmt.Errorf("signing with %s: %w", s.key.Alg, err)
	}
	token = append(token, '.')
	token = base64.RawURLEncoding.AppendEncode(token, signature)
	return string(token), nil
}

func (s *Signer) header(typ string) string {
	known := *s.headers.Load()
	if h, ok := known[typ]; ok {
		return h
	}
	b := append([]byte(nil), `{"alg":`...)
	b = strictjson.AppendString(b, s.key.Alg)
	if s.key.ID != "" {
		b = strictjson.AppendString(append(b, `,"kid":`...), s.key.ID)
	}
	if typ != "" {
		b = strictjson.AppendString(append(b, `,"typ":`...), typ)
	}
	h := base64.RawURLEncoding.EncodeToString(append(b, '}')) + "."
	if len(known) < maxTypes {
		// Two that add at once can lose one of the two: it is made again.
		more := maps.Clone(known)
		more[typ] = h
		s.headers.Store(&more)
	}
	return h
}

func (s *Signer) signatureSize() int {
	switch s.key.Alg {
	case HS256:
		return sha256.Size
	case ES384:
		return 2 * 48
	case RS256, PS256:
		return s.key.Public.(*rsa.PublicKey).Size()
	default:
		return 64
	}
}

func (s *Signer) sign(input []byte) ([]byte, error) {
	switch s.key.Alg {
	case HS256:
		mac := hmac.New(sha256.New, s.key.Secret)
		mac.Write(input)
		return mac.Sum(nil), nil
	case EdDSA:
		return s.key.Signer.Sign(rand.Reader, input, crypto.Hash(0))
	case RS256:
		digest := sha256.Sum256(input)
		return s.key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	case PS256:
		digest := sha256.Sum256(input)
		return s.key.Signer.Sign(rand.Reader, digest[:], pssOptions)
	case ES384:
		digest := sha512.Sum384(input)
		return s.ecdsa(digest[:], crypto.SHA384)
	default: // ES256: Check has refused all others
		digest := sha256.Sum256(input)
		return s.ecdsa(digest[:], crypto.SHA256)
	}
}

// pssOptions has the salt length of RFC 7518 §3.5: that of the hash.
var pssOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

// ecdsa signs a digest and turns the ASN.1 signature of a crypto.Signer into
// the two numbers side by side of RFC 7518 §3.4.
func (s *Signer) ecdsa(digest []byte, hash crypto.Hash) ([]byte, error) {
	der, err := s.key.Signer.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, err
	}
	var inner cryptobyte.String
	var r, t []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&t) || !inner.Empty() {
		return nil, fmt.Errorf("%w: its signatures are not in ASN.1", ErrKey)
	}
	half := s.signatureSize() / 2
	if len(r) > half || len(t) > half {
		return nil, fmt.Errorf("%w: its signatures are too long for the curve", ErrKey)
	}
	signature := make([]byte, 2*half)
	copy(signature[half-len(r):], r)
	copy(signature[2*half-len(t):], t)
	return signature, nil
}
