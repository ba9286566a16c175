package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/seed-e797c9ce/oauth/store"
)

// refreshToken is id.family.secret. The record is found by id; that family
// matches shows that the token was once genuine, so that a guess at an id can do
// nothing; secret says which generation it is.
type refreshToken struct{ id, family, secret string }

func (t refreshToken) String() string { return t.id + "." + t.family + "." + t.secret }

const (
	familyBytes   = 16
	refreshSecret = 32 // bytes
)

// parseRefreshToken accepts exactly what String writes.
func parseRefreshToken(s string) (refreshToken, bool) {
	id, rest, _ := strings.Cut(s, ".")
	family, secret, _ := strings.Cut(rest, ".") // a part that is missing is empty
	if len(id) != 36 || !isBase64URL(id) ||
		len(family) != base64.RawURLEncoding.EncodedLen(familyBytes) || !isBase64URL(family) ||
		len(secret) != base64.RawURLEncoding.EncodedLen(refreshSecret) || !isBase64URL(secret) {
		return refreshToken{}, false
	}
	return refreshToken{id, family, secret}, true
}

// generation says what a token is to its record.
type generation int

const (
	genNoise    generation = iota // not of this record: whoever sent it knows an id, and no more
	genCurrent                    // the current one
	genPrevious                   // the one before
	genOld                        // older: it can only be a replay
)

func (t refreshToken) generation(r *store.Token) generation {
	family, secret := hashText(t.family), hashText(t.secret)
	if r.FamilyHash.IsZero() || subtle.ConstantTimeCompare(family[:], r.FamilyHash[:]) != 1 {
		return genNoise
	}
	if subtle.ConstantTimeCompare(secret[:], r.SecretHash[:]) == 1 {
		return genCurrent
	}
	if !r.PreviousHash.IsZero() && subtle.ConstantTimeCompare(secret[:], r.PreviousHash[:]) == 1 {
		return genPrevious
	}
	return genOld
}

// successor makes the next token and sets the record's hashes to it. The next
// secret is kept sealed under the one that it replaces, so that who presents
// that again, because the answer was lost, gets the same successor; nobody else
// can open it.
func (t refreshToken) successor(r *store.Token) refreshToken {
	next := refreshToken{t.id, t.family, randomText(refreshSecret)}
	r.PreviousHash, r.SecretHash = r.SecretHash, hashText(next.secret)
	r.Successor = newAEAD(successorKey(t)).Seal(nil, nil, []byte(next.secret), []byte(t.id))
	return next
}

// reopen returns the successor that t was replaced by.
func (t refreshToken) reopen(r *store.Token) (refreshToken, error) {
	secret, err := newAEAD(successorKey(t)).Open(nil, nil, r.Successor, []byte(t.id))
	if err != nil {
		return refreshToken{}, errors.New("the stored successor does not open")
	}
	return refreshToken{t.id, t.family, string(secret)}, nil
}

// successorKey is not the stored hash: it is derived for this use alone.
func successorKey(t refreshToken) [32]byte {
	return sha256.Sum256([]byte("oauth successor\x00" + t.secret))
}
