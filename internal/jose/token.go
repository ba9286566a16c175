package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// Why a token is not accepted. The errors of this package wrap one of them and
// quote nothing of the token.
var (
	ErrMalformed  = errors.New("malformed token")
	ErrUnknownKey = errors.New("no such key")
	ErrSignature  = errors.New("wrong signature or algorithm")
)

const (
	maxHeader   = 4096 // bytes of a decoded header
	headerDepth = 4
)

// Token is a token as it came: nothing in it is proven before Verify.
type Token struct {
	Alg, KeyID, Type string // alg, kid and typ of the header

	signed    string // the two parts that are signed, with their dot
	claims    []byte
	signature []byte
}

// Parse reads the compact serialization of a signed token of at most maxSize
// bytes. An error wraps ErrMalformed.
func Parse(token string, maxSize int) (*Token, error) {
	if len(token) > maxSize {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxSize)
	}
	header, rest, ok := strings.Cut(token, ".")
	claims, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(signature, ".") {
		return nil, fmt.Errorf("%w: not three parts", ErrMalformed)
	}
	t := &Token{signed: token[:len(header)+1+len(claims)]}
	h, err := decode(header)
	if err != nil {
		return nil, err
	}
	if err := t.readHeader(h); err != nil {
		return nil, err
	}
	if t.claims, err = decode(claims); err != nil {
		return nil, err
	}
	if t.signature, err = decode(signature); err != nil {
		return nil, err
	}
	return t, nil
}

// Unverified is the claims before any check. It is for finding out whose keys to
// verify with, and for nothing else.
func (t *Token) Unverified() []byte { return t.claims }

// decode reads canonical base64url: no padding, no line ends (which
// encoding/base64 skips), no bits set beyond the last byte.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	return b, nil
}

func (t *Token) readHeader(data []byte) error {
	if len(data) > maxHeader {
		return fmt.Errorf("%w: header longer than %d bytes", ErrMalformed, maxHeader)
	}
	err := strictjson.Each(data, headerDepth, func(name, value []byte) error {
		switch string(name) {
		case "alg":
			return text(&t.Alg, value)
		case "kid":
			return text(&t.KeyID, value)
		case "typ":
			return text(&t.Type, value)
		case "crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c":
			return fmt.Errorf("%w: header member that is not accepted", ErrMalformed)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if t.Alg == "" || len(t.KeyID) > MaxKeyID {
		return fmt.Errorf("%w: header without alg or with an overlong kid", ErrMalformed)
	}
	return nil
}

func text(dst *string, value []byte) error {
	s, ok := strictjson.String(value)
	if !ok {
		return fmt.Errorf("%w: header member that is not a string", ErrMalformed)
	}
	*dst = s
	return nil
}
