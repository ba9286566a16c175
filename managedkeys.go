package oauth

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/store"
)

// managedKeys is the KeySource that New makes: it generates keys, keeps them
// sealed in the store, and replaces them on schedule. The schedule is in the
// stored set, and every change is a compare-and-swap, so that all instances
// agree. Without a secret to seal with, the set is kept in memory only.
type managedKeys struct {
	store    store.Codes // nil: in memory
	seal     *sealer
	alg      string
	lifetime time.Duration // how long a key signs
	verify   time.Duration // how long it verifies after that

	mu     sync.Mutex
	memory []managedKey
	parsed map[string]crypto.Signer // by ID, so that a key is parsed once
}

// managedKey is a key as it is kept. From SignsFrom on it signs, until the next
// one does.
type managedKey struct {
	ID        string    `json:"kid"`
	Alg       string    `json:"alg"`
	Private   []byte    `json:"pkcs8"`
	SignsFrom time.Time `json:"signs_from"`
}

const (
	keysKind = "keys"
	keysKey  = "signing"
)

// Keys brings the set up to date and returns it: the key that signs first, then
// the next one and the old ones, which only verify.
func (m *managedKeys) Keys(ctx context.Context) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UTC()
	set, err := m.current(ctx, now)
	if err != nil {
		return nil, err
	}
	signs := 0
	for i, k := range set {
		if !k.SignsFrom.After(now) {
			signs = i
		}
	}
	keys := make([]Key, 0, len(set))
	for i, k := range set {
		signer, err := m.signer(k)
		if err != nil {
			return nil, err
		}
		key := Key{ID: k.ID, Alg: k.Alg, Public: signer.Public()}
		if i == signs {
			key.Signer = signer
			keys = append([]Key{key}, keys...)
		} else {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (m *managedKeys) current(ctx context.Context, now time.Time) ([]managedKey, error) {
	if m.store == nil {
		next, changed, err := m.advance(m.memory, now)
		if changed {
			m.memory = next
		}
		return m.memory, err
	}
	for range 5 {
		record, err := m.store.Code(ctx, keysKind, keysKey)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		var set []managedKey
		exists, retired := err == nil, false
		if exists {
			if set, retired, err = m.decode(record.Data); err != nil {
				return nil, err
			}
		}
		next, changed, err := m.advance(set, now)
		if err != nil || !changed && !retired {
			return next, err
		}
		plain, err := json.Marshal(next)
		if err != nil {
			return nil, err
		}
		record.Kind, record.Key, record.Data = keysKind, keysKey, m.seal.seal(plain)
		record.ExpiresAt = now.Add(100 * 365 * 24 * time.Hour)
		if exists {
			err = m.store.UpdateCode(ctx, record)
		} else {
			err = m.store.CreateCode(ctx, record)
		}
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrExists) {
			return nil, err
		}
	}
	return nil, errors.New("oauth: the stored signing keys keep changing")
}

// advance is the schedule: the next key is made keyLead before it is due, and a
// key goes when the last token it can have signed has expired. Keys are in order
// of SignsFrom.
func (m *managedKeys) advance(set []managedKey, now time.Time) ([]managedKey, bool, error) {
	changed := false
	for len(set) > 1 && now.After(set[1].SignsFrom.Add(m.verify)) {
		set, changed = set[1:], true
	}
	var from time.Time
	switch n := len(set); {
	case n == 0:
		from = now
	case now.Before(set[n-1].SignsFrom.Add(m.lifetime - keyLead)):
		return set, changed, nil
	default:
		from = set[n-1].SignsFrom.Add(m.lifetime)
		if soonest := now.Add(keyLead); from.Before(soonest) {
			from = soonest // nothing ran when it was due; the old one signs on
		}
	}
	key, err := jose.Generate(m.alg)
	if err != nil {
		return nil, false, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	if err != nil {
		return nil, false, err
	}
	set = append(set[:len(set):len(set)], managedKey{ID: key.ID, Alg: m.alg, Private: private, SignsFrom: from.Truncate(time.Microsecond)})
	return set, true, nil
}

// decode also says whether the set is sealed under a retired secret: then it is
// sealed anew, so that the old secret can be dropped.
func (m *managedKeys) decode(sealed []byte) (set []managedKey, retired bool, err error) {
	plain, retired, err := m.seal.openAged(sealed)
	if err != nil {
		return nil, false, errors.New("oauth: the signing keys in the store were sealed under another secret: set Config.Secret, or RetiredSecrets, to the one they were made with")
	}
	if err := json.Unmarshal(plain, &set); err != nil {
		return nil, false, fmt.Errorf("oauth: the signing keys in the store cannot be read: %w", err)
	}
	return set, retired, nil
}

func (m *managedKeys) signer(k managedKey) (crypto.Signer, error) {
	if s, ok := m.parsed[k.ID]; ok {
		return s, nil
	}
	private, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, fmt.Errorf("oauth: a signing key in the store cannot be read: %w", err)
	}
	s, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("oauth: a signing key in the store cannot sign")
	}
	if len(m.parsed) > 16 {
		clear(m.parsed)
	}
	m.parsed[k.ID] = s
	return s, nil
}

func newManagedKeys(policy Policy, seal *sealer) *managedKeys {
	longest := max(policy.AccessTokenLifetime, maxAccessTokenLifetime)
	return &managedKeys{
		seal: seal, alg: policy.SigningAlg, lifetime: policy.KeyLifetime,
		verify: longest + keySkew, parsed: map[string]crypto.Signer{},
	}
}
