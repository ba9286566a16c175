package assertion

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

const (
	leeway  = time.Minute // that the clocks of others may be wrong
	maxSize = 16 << 10    // bytes of an assertion
	maxJTI  = 512
)

// claims are those of RFC 7523 §3. Times are seconds, possibly with a fraction.
type claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	Expires  float64         `json:"exp"`
	Issued   float64         `json:"iat"`
	Before   float64         `json:"nbf"`
	ID       string          `json:"jti"`
}

// inTime checks exp, iat and nbf, and returns until when the assertion could be
// used; exp may be so far in the future at most.
func (c *claims) inTime(most time.Duration, at time.Time) (until time.Time, err error) {
	now, slack := float64(at.UnixNano())/1e9, leeway.Seconds()
	switch {
	case c.Expires <= now-slack:
		return until, errors.New("it has expired, or has no exp")
	case c.Expires > now+most.Seconds()+slack:
		return until, errors.New("exp is too far in the future")
	case c.Issued > now+slack || c.Before > now+slack:
		return until, errors.New("iat or nbf is in the future")
	}
	return at.Add(time.Duration((c.Expires - now + slack) * float64(time.Second))), nil
}

var errSpent = errors.New("it was used before")

// checkJTI says whether a jti can be remembered.
func checkJTI(jti string) error {
	if jti == "" || len(jti) > maxJTI {
		return fmt.Errorf("jti must have 1 to %d bytes", maxJTI)
	}
	return nil
}

// spend remembers the assertion for as long as it could come again, and a minute
// more, for machines whose clocks are ahead and that clean up. Of concurrent
// uses, on all machines, the store lets one through; the others get errSpent. A
// jti is its owner's: another one's is another.
func spend(ctx context.Context, codes store.Codes, kind, owner, jti string, until time.Time) error {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(owner), owner, jti))
	until = until.UTC().Truncate(time.Microsecond).Add(leeway)
	err := codes.CreateCode(ctx, store.Code{
		Kind: kind, Key: base64.RawURLEncoding.EncodeToString(sum[:]), ExpiresAt: until, PurgeAt: until,
	})
	if errors.Is(err, store.ErrExists) {
		return errSpent
	}
	if err != nil {
		return fmt.Errorf("assertion: %w", err)
	}
	return nil
}
