package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// challengeS256 is the only method (OAuth 2.1 §4.1.1; RFC 7636 §4.2): "plain"
// protects nothing once the request has been seen.
const challengeS256 = "S256"

// checkChallenge judges the PKCE parameters of an authorization request. A
// challenge without a method means "plain" (RFC 7636 §4.3), so it is refused
// too.
func checkChallenge(challenge, method string, required bool) *Error {
	switch {
	case challenge == "" && method != "":
		return errorf(ErrInvalidRequest, "code_challenge_method without code_challenge")
	case challenge == "" && required:
		return errorf(ErrInvalidRequest, "code_challenge is required (PKCE, RFC 7636)")
	case challenge == "":
		return nil
	case method != challengeS256:
		return errorf(ErrInvalidRequest, "code_challenge_method must be S256")
	case len(challenge) != 43 || !isBase64URL(challenge):
		return errorf(ErrInvalidRequest, "code_challenge must be the 43 base64url characters of a SHA-256 digest")
	}
	return nil
}

// checkVerifier judges the code_verifier against the challenge that the code
// was issued with. That the one is there and the other is not is refused both
// ways (OAuth 2.1 §4.1.3; RFC 9700 §4.8.2: PKCE downgrade).
func checkVerifier(challenge, verifier string) *Error {
	switch {
	case challenge == "" && verifier == "":
		return nil
	case challenge == "":
		return errorf(ErrInvalidRequest, "code_verifier for a code that was requested without code_challenge")
	case verifier == "":
		return errorf(ErrInvalidGrant, "code_verifier is missing")
	case len(verifier) < 43 || len(verifier) > 128 || !isUnreserved(verifier):
		return errorf(ErrInvalidGrant, "code_verifier must be 43 to 128 unreserved characters")
	}
	sum := sha256.Sum256([]byte(verifier))
	var want [43]byte
	base64.RawURLEncoding.Encode(want[:], sum[:])
	if subtle.ConstantTimeCompare(want[:], []byte(challenge)) != 1 {
		return errorf(ErrInvalidGrant, "code_verifier does not match the code_challenge")
	}
	return nil
}

// isBase64URL reports whether s has only characters of RFC 4648 §5.
func isBase64URL(s string) bool { return inAlphabet(s, base64URL) }

// isUnreserved reports whether s has only RFC 3986 §2.3 unreserved characters.
func isUnreserved(s string) bool { return inAlphabet(s, unreserved) }

const (
	base64URL byte = 1 << iota
	unreserved
)

// inAlphabet looks bytes up instead of comparing them: in random text a processor
// guesses every other comparison wrong.
func inAlphabet(s string, alphabet byte) bool {
	all := alphabet
	for i := 0; i < len(s); i++ {
		all &= alphabets[s[i]]
	}
	return all != 0
}

var alphabets = func() (table [256]byte) {
	const both = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, c := range []byte(both) {
		table[c] = base64URL | unreserved
	}
	table['.'], table['~'] = unreserved, unreserved
	return table
}()
