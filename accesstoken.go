package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// accessTokenType is the typ header of access tokens (RFC 9068 §2.1).
const accessTokenType = "at+jwt"

// reservedClaims are what only the provider says. proofClaims may come from an
// extension, never from the app's user data.
var (
	reservedClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "auth_time", "acr", "amr"}
	proofClaims    = []string{"cnf", "act", "may_act"}
)

// accessClaims writes the claims of an access token (RFC 9068 §2.2).
func (p *Provider) accessClaims(is *Issuance, user User, jti string, at, end time.Time) ([]byte, error) {
	b := append(make([]byte, 0, 512), `{"iss":`...)
	b = append(b, p.issuerJSON...)
	subject := is.Subject
	if subject == "" {
		subject = is.Client.ID // RFC 9068 §2.2: the client itself
	}
	b = appendStringMember(b, "sub", subject)
	b = append(b, `,"aud":`...)
	switch len(is.Resources) {
	case 0:
		b = append(b, p.issuerJSON...)
	case 1:
		b = appendJSONString(b, is.Resources[0])
	default:
		b = appendStrings(b, is.Resources)
	}
	b = appendStringMember(b, "client_id", is.Client.ID)
	b = appendIntMember(b, "iat", at.Unix())
	b = appendIntMember(b, "nbf", at.Unix())
	b = appendIntMember(b, "exp", end.Unix())
	b = appendStringMember(b, "jti", jti)
	if len(is.Scopes) > 0 {
		b = appendStringMember(b, "scope", strings.Join(is.Scopes, " "))
	}
	if !is.Session.AuthTime.IsZero() {
		b = appendIntMember(b, "auth_time", is.Session.AuthTime.Unix())
	}
	if is.Session.ACR != "" {
		b = appendStringMember(b, "acr", is.Session.ACR)
	}
	if len(is.Session.AMR) > 0 {
		b = append(b, `,"amr":`...)
		b = appendStrings(b, is.Session.AMR)
	}
	b, err := appendClaims(b, user.Claims, is.Claims)
	if err != nil {
		return nil, outage("claims", err)
	}
	return append(b, '}'), nil
}

// appendClaims adds what the app and extensions say. Of two with one name the
// extension's counts.
func appendClaims(b []byte, user, extension map[string]any) ([]byte, error) {
	if len(user)+len(extension) == 0 {
		return b, nil
	}
	all := make(map[string]any, len(user)+len(extension))
	for name, v := range user {
		if !hasFold(proofClaims, name) {
			all[name] = v
		}
	}
	maps.Copy(all, extension)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if hasFold(reservedClaims, name) {
			continue
		}
		value, err := json.Marshal(all[name])
		if err != nil {
			return nil, fmt.Errorf("claim %q: %w", name, err)
		}
		b = append(b, ',')
		b = appendJSONString(b, name)
		b = append(append(b, ':'), value...)
	}
	return b, nil
}

// hasFold reports whether list has name in any case: many decoders do not mind
// the case of a member, and the last one counts.
func hasFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

func marshalClaims(claims map[string]any) ([]byte, error) {
	if len(claims) == 0 {
		return nil, errors.New("oauth: a token without claims")
	}
	return json.Marshal(claims)
}

func appendStringMember(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendJSONString(b, value)
}

func appendIntMember(b []byte, name string, value int64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendInt(b, value, 10)
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, s)
	}
	return append(b, ']')
}

// appendJSONString writes a JSON string; what is not plain ASCII takes the long
// way.
func appendJSONString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always marshals
				quoted = []byte(`""`)
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func mapKeys[V any](m map[string]V) func(func(string) bool) { return maps.Keys(m) }
