package registration

import (
	"context"
	"errors"
	"fmt"
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
type trust map[string]*jose.KeySet

func newTrust(issuers map[string][]byte) (trust, error) {
	t, errs := trust{}, []error{}
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
			t[issuer], err = jose.NewKeySet(keys...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("registration: Config.StatementIssuers: %q: %w", issuer, err))
		}
	}
	return t, errors.Join(errs...)
}

// verify returns the claims of a software statement (RFC 7591 §2.3). One of an
// issuer that nobody trusts is told from one that is wrong, as §3.2.2 does.
func (t trust) verify(_ context.Context, jwt string) ([]byte, error) {
	token, err := jose.Parse(jwt, maxStatement)
	if err != nil {
		return nil, err
	}
	if typ := strings.TrimPrefix(strings.ToLower(token.Type), "application/"); typ != "" && typ != "jwt" {
		return nil, errors.New("it is a token of another type")
	}
	var c struct {
		Issuer  string  `json:"iss"`
		Expires float64 `json:"exp"`
		Before  float64 `json:"nbf"`
	}
	if err := strictjson.Unmarshal(token.Unverified(), &c); err != nil {
		return nil, err
	}
	keys, ok := t[c.Issuer]
	if !ok {
		return nil, &oauth.Error{Code: ErrUnapprovedSoftwareStatement, Description: "the issuer of the software statement is not trusted here"}
	}
	claims, _, err := keys.Verify(token)
	if err != nil {
		return nil, err
	}
	at, leeway := float64(now().Unix()), statementLeeway.Seconds()
	if c.Expires != 0 && at >= c.Expires+leeway || c.Before > at+leeway {
		return nil, errors.New("it has expired, or is not valid yet")
	}
	return claims, nil
}
