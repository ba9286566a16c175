package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// What a key set from outside may have.
const (
	MaxJWKS     = 256 << 10 // bytes
	MaxJWKSKeys = 100
)

// ErrPrivate is wrapped, together with ErrKey, by the error about a JWK with
// private or symmetric members: whoever sends one has given the key away.
var ErrPrivate = errors.New("not a public key")

// jwk has the members of a JWK that are read or written. The private ones are
// only there to be refused.
type jwk struct {
	Kty string `json:"kty"`
	Kid string `json:"kid,omitempty"`
	Use string `json:"use,omitempty"`
	Alg string `json:"alg,omitempty"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`

	KeyOps []string `json:"key_ops,omitempty"`
}

// privateMembers are the members of private and symmetric keys (RFC 7518 §6).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

func publicJWK(public crypto.PublicKey) (jwk, error) {
	switch pub := public.(type) {
	case *ecdsa.PublicKey:
		if pub == nil || pub.Curve == nil {
			break
		}
		point, err := pub.Bytes() // 4, then x and y in full length
		if err != nil {
			return jwk{}, fmt.Errorf("%w: not a point of the curve", ErrKey)
		}
		half := len(point) / 2
		return jwk{Kty: "EC", Crv: pub.Curve.Params().Name, X: encode(point[1 : 1+half]), Y: encode(point[1+half:])}, nil
	case *rsa.PublicKey:
		if pub == nil || pub.N == nil {
			break
		}
		return jwk{Kty: "RSA", N: encode(pub.N.Bytes()), E: encode(big.NewInt(int64(pub.E)).Bytes())}, nil
	case ed25519.PublicKey:
		if len(pub) != ed25519.PublicKeySize {
			break
		}
		return jwk{Kty: "OKP", Crv: "Ed25519", X: encode(pub)}, nil
	}
	return jwk{}, fmt.Errorf("%w: no JWK for a %T", ErrKey, public)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// MarshalJWKS writes the public halves of the keys as a JWK Set (RFC 7517 §5),
// each with kid, use and alg. HS256 keys are left out. An error wraps ErrKey.
func MarshalJWKS(keys []Key) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range keys {
		if k.Alg == HS256 {
			continue
		}
		if k.Public == nil && k.Signer != nil {
			k.Public = k.Signer.Public()
		}
		if err := k.Check(); err != nil {
			return nil, err
		}
		j, err := publicJWK(k.Public)
		if err != nil {
			return nil, err
		}
		j.Kid, j.Use, j.Alg = k.ID, "sig", k.Alg
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}

// ParseJWK reads one public key that is for signatures. Without alg it has the
// default one of its type; without kid its ID is empty. An error wraps ErrKey,
// and ErrPrivate if the JWK has private or symmetric members.
func ParseJWK(data []byte) (Key, error) {
	members, err := strictjson.Object(data, strictjson.MaxDepth)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	for _, name := range privateMembers {
		if _, ok := members[name]; ok {
			return Key{}, fmt.Errorf("%w: %w", ErrKey, ErrPrivate)
		}
	}
	var j jwk
	if err := strictjson.Unmarshal(data, &j); err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return j.key()
}

// ParseJWKS reads a JWK Set of at most MaxJWKS bytes and MaxJWKSKeys keys. Keys
// that are not for us, or not well-formed, are left out, as RFC 7517 §5 asks:
// the set may have no key at the end. Anything else is an error that wraps
// ErrKey: what is not a JWK Set, a key that is not public (ErrPrivate), two
// keys with one ID.
func ParseJWKS(data []byte) ([]Key, error) {
	if len(data) > MaxJWKS {
		return nil, fmt.Errorf("%w: JWK Set longer than %d bytes", ErrKey, MaxJWKS)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := strictjson.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if set.Keys == nil || len(set.Keys) > MaxJWKSKeys {
		return nil, fmt.Errorf("%w: JWK Set without keys or with more than %d", ErrKey, MaxJWKSKeys)
	}
	keys := make([]Key, 0, len(set.Keys))
	ids := make(map[string]bool, len(set.Keys))
	for _, raw := range set.Keys {
		k, err := ParseJWK(raw)
		if errors.Is(err, ErrPrivate) {
			return nil, err
		}
		if err != nil {
			continue
		}
		if ids[k.ID] {
			return nil, fmt.Errorf("%w: two keys with one ID", ErrKey)
		}
		ids[k.ID] = true
		keys = append(keys, k)
	}
	return keys, nil
}

// unusable is the error about a JWK; what names a member or a rule, never a
// value.
func unusable(what string) error { return fmt.Errorf("%w: JWK: %s", ErrKey, what) }

func (j jwk) key() (Key, error) {
	if j.Use != "" && j.Use != "sig" || j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify") {
		return Key{}, unusable("use or key_ops")
	}
	var public crypto.PublicKey
	var err error
	switch j.Kty {
	case "EC":
		public, err = j.ec()
	case "RSA":
		public, err = j.rsa()
	case "OKP":
		public, err = j.okp()
	default:
		err = unusable("kty")
	}
	if err != nil {
		return Key{}, err
	}
	if j.Alg == "" {
		if j.Alg, err = DefaultAlg(public); err != nil {
			return Key{}, err
		}
	}
	k := Key{ID: j.Kid, Alg: j.Alg, Public: public}
	return k, k.Check()
}

func (j jwk) ec() (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch j.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	default:
		return nil, unusable("crv")
	}
	size := curve.Params().BitSize / 8
	x, err := decode(j.X)
	y, err2 := decode(j.Y)
	if err != nil || err2 != nil || len(x) != size || len(y) != size {
		return nil, unusable("x or y")
	}
	// It is also where a point off the curve is refused.
	public, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, unusable("not a point of the curve")
	}
	return public, nil
}

func (j jwk) rsa() (*rsa.PublicKey, error) {
	n, err := decode(j.N)
	e, err2 := decode(j.E)
	if err != nil || err2 != nil || len(n) == 0 || n[0] == 0 || len(e) == 0 || len(e) > 4 || e[0] == 0 {
		return nil, unusable("n or e")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

func (j jwk) okp() (ed25519.PublicKey, error) {
	if j.Crv != "Ed25519" {
		return nil, unusable("crv")
	}
	x, err := decode(j.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, unusable("x")
	}
	return ed25519.PublicKey(x), nil
}
