package registration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

const (
	maxStatement    = 32 << 10
	statementLeeway = time.Minute // that the clocks of issuers may be wrong
)

// trust holds the keys of those whose software statements are believed.
type trust struct {
	own  string // this provider's issuer
	keys map[string]*jose.KeySet
}

func newTrust(own string, issuers map[string][]byte) (*trust, error) {
	t, errs := &trust{own: own, keys: map[string]*jose.KeySet{}}, []error{}
	for issuer, set := range issuers {
		keys, err := jose.ParseJWKS(set)
		switch {
		case err != nil:
		case issuer == "":
			err = errors.New("an issuer has a name")
		case len(keys) == 0:
			err = errors.New("no key for signatures")
		}
		if err == nil {
			t.keys[issuer], err = jose.NewKeySet(keys...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("registration: Config.StatementIssuers: %q: %w", issuer, err))
		}
	}
	return t, errors.Join(errs...)
}

// verify returns the claims of a software statement (RFC 7591 §2.3). One of an
// issuer that nobody trusts is told from one that is wrong, as §3.2.2 does. One
// that is for somebody must be for this provider (RFC 7519 §4.1.3): the issuer may
// sign other tokens with its keys, such as ID tokens, which users have.
func (t *trust) verify(_ context.Context, jwt string) ([]byte, error) {
	token, err := jose.Parse(jwt, maxStatement)
	if err != nil {
		return nil, err
	}
	if typ := strings.TrimPrefix(strings.ToLower(token.Type), "application/"); typ != "" && typ != "jwt" {
		return nil, errors.New("it is a token of another type")
	}
	var c struct {
		Issuer   string          `json:"iss"`
		Audience json.RawMessage `json:"aud"`
		Expires  *float64        `json:"exp"`
		Before   float64         `json:"nbf"`
	}
	if err := strictjson.Unmarshal(token.Unverified(), &c); err != nil {
		return nil, err
	}
	keys, ok := t.keys[c.Issuer]
	if !ok {
		return nil, &oauth.Error{Code: ErrUnapprovedSoftwareStatement, Description: "the issuer of the software statement is not trusted here"}
	}
	claims, _, err := keys.Verify(token)
	if err != nil {
		return nil, err
	}
	if len(c.Audience) > 0 && !names(c.Audience, t.own) {
		return nil, errors.New("its aud is somebody else")
	}
	at, leeway := float64(now().Unix()), statementLeeway.Seconds()
	if c.Expires != nil && at >= *c.Expires+leeway || c.Before > at+leeway {
		return nil, errors.New("it has expired, or is not valid yet")
	}
	return claims, nil
}

// names reports whether an aud, a string or a list of them, has the issuer.
func names(aud json.RawMessage, issuer string) bool {
	if one, ok := strictjson.String(aud); ok {
		return one == issuer
	}
	var list []string
	return json.Unmarshal(aud, &list) == nil && slices.Contains(list, issuer)
}
