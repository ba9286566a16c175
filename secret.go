package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// secretChecker verifies client secrets. bcrypt is slow by design, tens of
// milliseconds, so it remembers which secret matched which hash, under a key
// that dies with the process, and never that one did not match. How many bcrypt
// runs go on at once, and how many callers wait for one, is bounded: a flood of
// wrong secrets must not take the processors from everybody else.
type secretChecker struct {
	key   [32]byte
	dummy []byte        // a hash for clients that do not exist, so that they cost the same
	slots chan struct{} // bcrypt runs under way
	queue chan struct{} // callers waiting for one

	mu    sync.Mutex
	known map[[32]byte]struct{}
}

const (
	maxKnownSecrets  = 10_000
	maxWaitingSecret = 128
	maxBcryptCost    = 16 // seconds
	maxSecret        = 72 // what bcrypt looks at; it silently ignores the rest
)

func newSecretChecker(cost int) (*secretChecker, error) {
	s := &secretChecker{
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		queue: make(chan struct{}, maxWaitingSecret),
		known: map[[32]byte]struct{}{},
	}
	rand.Read(s.key[:])
	var err error
	s.dummy, err = bcrypt.GenerateFromPassword([]byte(randomText(32)), cost)
	return s, err
}

var (
	errBadSecret  = errors.New("the secret is wrong")
	errNotBcrypt  = errors.New("the stored secret is not a bcrypt hash: regenerate the client's credentials with RotateClientSecret")
	errSecretBusy = errors.New("too many secrets are being verified at once")
)

// usableSecret closes bcrypt's traps, when a secret is set and when one is
// verified: bytes after the 72nd are ignored, "ab" also matches "ab\0ab", and an
// empty secret can match.
func usableSecret(secret string) error {
	if secret == "" || len(secret) > maxSecret || strings.IndexByte(secret, 0) >= 0 {
		return errors.New("a secret must have 1 to 72 bytes without NUL")
	}
	return nil
}

func hashSecret(secret string, cost int) (string, error) {
	if err := usableSecret(secret); err != nil {
		return "", err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), cost)
	return string(hash), err
}

// verify reports whether secret matches one of the hashes. With no hashes, or a
// secret that cannot match, it goes the way of one that does not match.
func (s *secretChecker) verify(ctx context.Context, secret string, hashes []string) error {
	if len(hashes) == 0 || usableSecret(secret) != nil {
		secret, hashes = "no such secret", []string{string(s.dummy)}
	}
	if s.knows(secret, hashes) {
		return nil
	}
	result := errBadSecret
	for _, hash := range hashes {
		err := s.compare(ctx, hash, secret)
		if err == nil {
			s.remember(secret, hash)
			return nil
		}
		if !errors.Is(err, errBadSecret) {
			result = err
		}
	}
	return result
}

// knows reports whether secret has matched one of the hashes before.
func (s *secretChecker) knows(secret string, hashes []string) bool {
	return usableSecret(secret) == nil && slices.ContainsFunc(hashes, func(hash string) bool { return s.remembers(secret, hash) })
}

// compare runs bcrypt in one of the slots.
func (s *secretChecker) compare(ctx context.Context, hash, secret string) error {
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		return errSecretBusy
	}
	select {
	case s.slots <- struct{}{}: // even if nobody waits for the answer any more: it is soon known
	default:
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.slots }()
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(secret))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return errBadSecret
	}
	return fmt.Errorf("%w: %w", errNotBcrypt, err)
}

// tag is what is remembered. It covers the hash, so that a secret that was
// replaced is forgotten at once. The key makes it worthless outside of this
// process; it stands first, and as no tag is ever shown, nobody can extend one.
func (s *secretChecker) tag(secret, hash string) [32]byte {
	b := make([]byte, 0, 192) // enough for a bcrypt hash and a usable secret
	b = append(append(append(b, s.key[:]...), hash...), 0)
	return sha256.Sum256(append(b, secret...))
}

func (s *secretChecker) remembers(secret, hash string) bool {
	tag := s.tag(secret, hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.known[tag]
	return ok
}

func (s *secretChecker) remember(secret, hash string) {
	tag := s.tag(secret, hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnownSecrets {
		for old := range s.known { // any one will do: it costs one bcrypt run
			delete(s.known, old)
			break
		}
	}
	s.known[tag] = struct{}{}
}
