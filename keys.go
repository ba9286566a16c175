package oauth

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/resource"
)

// KeySource yields the provider's keys. The first one that has a Signer (or a
// Secret) signs; all of them verify and, Secrets excepted, are published. It is
// asked by New, and again when a minute has passed since it last was, so that
// keys can change while the provider runs. A key must be among its answers for an
// hour and a minute before it signs: the key set may be cached for an hour, and
// what an instance knows is up to a minute old. For the same reason it must stay,
// after the next one signs, for a minute longer than any access token lives. There
// can be 100 keys at most.
type KeySource interface {
	Keys(ctx context.Context) ([]Key, error)
}

// Key is a signing key, or one that only verifies any more.
type Key struct {
	ID  string // kid; empty: the thumbprint of the public key (RFC 7638)
	Alg string // ES256, ES384, RS256, PS256, EdDSA or HS256; empty: by the type of the key

	Public crypto.PublicKey // nil: the Signer's
	Signer crypto.Signer    // nil: the key only verifies. Any implementation, a KMS or HSM included

	// Secret, of at least 32 bytes, makes an HS256 key, for a single app that
	// verifies its own tokens: it cannot be published.
	Secret []byte
}

// StaticKeys is a KeySource whose keys do not change.
type StaticKeys []Key

// Keys returns the keys.
func (k StaticKeys) Keys(context.Context) ([]Key, error) { return k, nil }

const (
	// keyLead is how long a managed key is published before it signs: longer
	// than any cache keeps the key set.
	keyLead = 24 * time.Hour
	// keySkew is added to the time for which an old key still verifies.
	keySkew = 5 * time.Minute
	// maxAccessTokenLifetime bounds what a client's own lifetime can be, so that
	// it is known when the last token of a key has expired.
	maxAccessTokenLifetime = 24 * time.Hour

	keyReload      = time.Minute      // how often a source is asked
	unknownKeyWait = 10 * time.Second // how often for an unknown kid
	keyTimeout     = 10 * time.Second // how long the source may take
)

// keys asks the source and keeps its answer. A source that fails later on leaves
// the last answer in force: an outage must not sign everybody out.
type keys struct {
	source  KeySource
	failed  func(error)
	current atomic.Pointer[keyring]
	loading sync.Mutex
	asked   atomic.Int64 // when it last answered, in Unix nanoseconds
	broken  error        // what it answered then; loading guards it
}

func (k *keys) ring(ctx context.Context) (*keyring, error) {
	ring := k.current.Load()
	if ring != nil && k.answered(keyReload) {
		return ring, nil
	}
	if ring == nil {
		k.loading.Lock()
	} else if !k.loading.TryLock() {
		return ring, nil // someone is asking; what is known is good enough
	}
	defer k.loading.Unlock()
	loaded, err := k.load(ctx, ring)
	if ring != nil {
		return loaded, nil
	}
	return loaded, err
}

// answered reports whether the source has answered within this time. A clock that
// was set back since cannot say.
func (k *keys) answered(within time.Duration) bool {
	ago := time.Now().UnixNano() - k.asked.Load()
	return ago >= 0 && ago < int64(within)
}

// forUnknown asks again because a token names a key that is not known: another
// instance may have made it. While the source fails, nobody can say.
func (k *keys) forUnknown(ctx context.Context) (*keyring, error) {
	k.loading.Lock()
	defer k.loading.Unlock()
	ring := k.current.Load()
	if ring != nil && k.answered(unknownKeyWait) {
		return ring, k.broken
	}
	return k.load(ctx, ring)
}

// load asks on behalf of everybody, so it goes on if the one who asks hangs up.
func (k *keys) load(ctx context.Context, old *keyring) (*keyring, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyTimeout)
	defer cancel()
	list, err := k.source.Keys(ctx)
	k.asked.Store(time.Now().UnixNano()) // not before: those who wait need not ask again
	var ring *keyring
	if err == nil {
		ring, err = newKeyring(list, old)
	}
	switch k.broken = err; {
	case err == nil:
		k.current.Store(ring)
		return ring, nil
	case old != nil:
		k.failed(err)
		return old, err
	}
	k.asked.Store(0)
	return nil, err
}

// keyring is the provider's keys at one moment, ready for use.
type keyring struct {
	signer *jose.Signer
	verify *jose.KeySet
	jwks   document
	keys   []Key // as they came, to see whether they have changed

	// seen are the tokens that verify has verified. They are forgotten when any
	// key changes: nothing outlives the key that signed it.
	seen *jose.Cache[*resource.Token]
}

// rememberedTokens is how many verified tokens are remembered: a few megabytes.
const rememberedTokens = 4096

// newKeyring prepares the keys for use, or returns old if they are the same.
func newKeyring(list []Key, old *keyring) (*keyring, error) {
	if old != nil && slices.EqualFunc(list, old.keys, sameKey) {
		return old, nil
	}
	if len(list) > jose.MaxJWKSKeys {
		return nil, fmt.Errorf("oauth: the key source has %d keys: leave out those that have not signed for longer than an access token lives, since APIs read key sets of at most %d", len(list), jose.MaxJWKSKeys)
	}
	ring := &keyring{keys: slices.Clone(list), seen: jose.NewCache[*resource.Token](rememberedTokens)}
	all := make([]jose.Key, 0, len(list))
	for _, key := range list {
		k, err := normalKey(key)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
		if ring.signer == nil && k.CanSign() {
			if ring.signer, err = jose.Prepare(k); err != nil {
				return nil, err
			}
		}
	}
	if ring.signer == nil {
		return nil, errors.New("oauth: the key source has no key that signs")
	}
	var err error
	if ring.verify, err = jose.NewKeySet(all...); err != nil {
		return nil, err
	}
	jwks, err := jose.MarshalJWKS(all)
	ring.jwks = newDocument(jwks)
	return ring, err
}

// sameKey compares what a key is, not only what it is called: one that was
// replaced under its old name is another.
func sameKey(a, b Key) bool {
	return a.ID == b.ID && a.Alg == b.Alg && (a.Signer != nil) == (b.Signer != nil) &&
		string(a.Secret) == string(b.Secret) && samePublic(a.public(), b.public())
}

func samePublic(a, b crypto.PublicKey) bool {
	if a == nil || b == nil {
		return a == b
	}
	known, ok := a.(interface{ Equal(crypto.PublicKey) bool }) // those of the standard library
	return ok && known.Equal(b)
}

func (k Key) public() crypto.PublicKey {
	if k.Public == nil && k.Signer != nil {
		return k.Signer.Public()
	}
	return k.Public
}

func normalKey(key Key) (jose.Key, error) {
	k := jose.Key{ID: key.ID, Alg: key.Alg, Public: key.public(), Signer: key.Signer, Secret: key.Secret}
	var err error
	if k.Alg == "" {
		if k.Secret != nil {
			k.Alg = jose.HS256
		} else if k.Alg, err = jose.DefaultAlg(k.Public); err != nil {
			return k, err
		}
	}
	if k.ID == "" {
		if k.Public == nil {
			return k, fmt.Errorf("oauth: a key without public key needs an ID")
		}
		k.ID, err = jose.Thumbprint(k.Public)
	}
	return k, err
}

func (p *Provider) signingKeys(ctx context.Context) (*keyring, error) {
	ring, err := p.keys.ring(ctx)
	if err != nil {
		return nil, outage("signing keys", err)
	}
	return ring, nil
}
