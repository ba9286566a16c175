package resource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// leeway is how far the issuer's clock may be ahead of ours: for nbf and iat
// only. A token whose exp has come is expired, on the second: leeway there would
// lengthen what somebody decided.
const leeway = 60 * time.Second

const claimsDepth = 16

// ParseClaims reads the claims of a JWT access token (RFC 9068 §2.2) and checks
// those that need no further knowledge: iss is the issuer given, the token has
// not expired at now, and it is not from the future (60 seconds of clock
// difference are allowed for iat and nbf, none for exp). It is for verifiers: they
// check the signature and that the token's typ is at+jwt, and Server the audience.
//
// It is strict: iss, sub, aud, exp, iat, jti and client_id must be there and of
// their types, names are exact and not repeated, times are plain numbers of
// seconds. Every error wraps ErrInvalidToken.
func ParseClaims(claims []byte, issuer string, now time.Time) (*Token, error) {
	t, err := readClaims(claims)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Issuer != issuer:
		return nil, invalid("iss is not the expected issuer")
	case t.Subject == "" || t.ClientID == "" || t.ID == "":
		return nil, invalid("sub, client_id or jti is missing")
	case len(t.Audience) == 0:
		return nil, invalid("aud is missing")
	case t.IssuedAt.IsZero():
		return nil, invalid("iat is missing")
	}
	if err := t.checkTimes(now); err != nil {
		return nil, err
	}
	return t, nil
}

// checkTimes: RFC 7519 §4.1.4 wants the current time before exp.
func (t *Token) checkTimes(now time.Time) error {
	switch {
	case !now.Before(t.ExpiresAt): // the zero time too
		return invalid("expired, or without exp")
	case t.NotBefore.After(now.Add(leeway)):
		return invalid("nbf is in the future")
	case t.IssuedAt.After(now.Add(leeway)):
		return invalid("iat is in the future")
	}
	return nil
}

func invalid(why string) error { return fmt.Errorf("%w: %s", ErrInvalidToken, why) }

// readClaims reads what is there.
func readClaims(claims []byte) (*Token, error) {
	t := &Token{Claims: json.RawMessage(claims)}
	err := strictjson.Each(claims, claimsDepth, func(name, value []byte) error {
		ok := true
		switch string(name) {
		case "iss":
			t.Issuer, ok = strictjson.String(value)
		case "sub":
			t.Subject, ok = strictjson.String(value)
		case "client_id":
			t.ClientID, ok = strictjson.String(value)
		case "jti":
			t.ID, ok = strictjson.String(value)
		case "aud":
			t.Audience = audience(value)
		case "scope":
			t.Scopes, ok = scopes(value)
		case "exp":
			t.ExpiresAt, ok = numericDate(value)
		case "nbf":
			t.NotBefore, ok = numericDate(value)
		case "iat":
			t.IssuedAt, ok = numericDate(value)
		case "cnf":
			t.Confirmation = value
		}
		if !ok {
			return invalid(string(name) + " is not of its type") // name is one of the above
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: claims: %w", ErrInvalidToken, err)
	}
	return t, nil
}

// audience is one string or several (RFC 7519 §4.1.3). It is nobody, which is
// refused, if it is anything else.
func audience(value []byte) []string {
	if one, ok := strictjson.String(value); ok {
		return []string{one}
	}
	var several []*string
	if json.Unmarshal(value, &several) != nil || slices.Contains(several, nil) {
		return nil
	}
	list := make([]string, 0, len(several))
	for _, s := range several {
		list = append(list, *s)
	}
	return list
}

func scopes(value []byte) ([]string, bool) {
	s, ok := strictjson.String(value)
	if !ok {
		return nil, false
	}
	var list []string
	for name := range strings.SplitSeq(s, " ") {
		if name == "" {
			continue
		}
		if !validScope(name) {
			return nil, false
		}
		list = append(list, name)
	}
	return list, true
}

// validScope: scope-token of RFC 6749 §3.3.
func validScope(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// lastDate is the end of the year 9999.
const lastDate = 253402300799

// numericDate reads a number of seconds since 1970 in plain digits. A fraction
// is cut off. Zero is refused: as a time it would look like one that is missing.
func numericDate(value []byte) (time.Time, bool) {
	digits, fraction, _ := strings.Cut(string(value), ".")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n == 0 || n > lastDate || strings.ContainsAny(fraction, "eE") {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0), true
}
