package assertion

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/fetch"
	"github.com/seed-e797c9ce/oauth/internal/jose"
)

const (
	maxKeys     = 20
	maxJWKS     = 64 << 10
	keysFresh   = 10 * time.Minute // how long a fetched key set is used without asking
	fetchEvery  = time.Minute      // the least time between two requests for one key set
	maxSets     = 1000
	maxInFlight = 32 // requests under way
)

var errKeys = errors.New("the client's keys cannot be had")

// keyCache holds the key sets behind jwks_uris.
type keyCache struct {
	http   *http.Client
	slots  chan struct{}
	budget *fetch.Budget

	mu   sync.Mutex
	sets map[string]*keySet
}

// keySet is what is behind one jwks_uri. Its lock is held during a request, so
// that one at a time goes out.
type keySet struct {
	lock  chan struct{}
	body  []byte // nil: never had, or no longer
	asked time.Time
	good  time.Time // when body came
}

func newKeyCache(c *http.Client) *keyCache {
	return &keyCache{http: c, budget: fetch.NewBudget(), slots: make(chan struct{}, maxInFlight), sets: map[string]*keySet{}}
}

// verify checks the signature with the client's own keys, wherever the header
// says that others are, and returns the claims.
func (k *keyCache) verify(ctx context.Context, c *oauth.Client, t *jose.Token) ([]byte, error) {
	if c.JWKSURI == "" {
		return verify(c.JWKS, t)
	}
	body, err := k.load(ctx, c.JWKSURI, false)
	if err != nil {
		return nil, err
	}
	claims, err := verify(body, t)
	if !errors.Is(err, jose.ErrUnknownKey) {
		return claims, err
	}
	// A key that is not there may be new (OpenID Connect Core §10.1.1).
	if body, err = k.load(ctx, c.JWKSURI, true); err != nil {
		return nil, err
	}
	return verify(body, t)
}

func verify(body []byte, t *jose.Token) ([]byte, error) {
	keys, err := jose.ParseJWKS(body)
	if err != nil {
		return nil, err
	}
	if len(keys) > maxKeys {
		return nil, errKeys
	}
	if t.Alg == jose.PS256 {
		allowPSS(body, keys)
	}
	set, err := jose.NewKeySet(keys...)
	if err != nil {
		return nil, err
	}
	claims, _, err := set.Verify(t)
	return claims, err
}

// allowPSS lets RSA keys whose owner names no algorithm make PS256 signatures:
// the default of such a key is RS256.
func allowPSS(body []byte, keys []jose.Key) {
	var raw struct {
		Keys []struct {
			ID  string `json:"kid"`
			Alg string `json:"alg"`
		} `json:"keys"`
	}
	if json.Unmarshal(body, &raw) != nil {
		return
	}
	named := map[string]bool{}
	for _, k := range raw.Keys {
		named[k.ID] = named[k.ID] || k.Alg != ""
	}
	for i, k := range keys {
		if k.Alg == jose.RS256 && !named[k.ID] {
			keys[i].Alg = jose.PS256
		}
	}
}

// load returns the key set at a URI; with again it asks for a newer one, if it
// has not just done so.
func (k *keyCache) load(ctx context.Context, uri string, again bool) ([]byte, error) {
	s := k.set(uri)
	select {
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	at := time.Now()
	fresh := s.body != nil && at.Sub(s.good) < keysFresh
	if fresh && !again || at.Sub(s.asked) < fetchEvery {
		if s.body == nil {
			return nil, errKeys
		}
		return s.body, nil
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	default:
		return nil, errKeys
	}
	if u, err := url.Parse(uri); err != nil || !k.budget.Spend(u.Hostname(), at) {
		return nil, errKeys
	}
	s.asked = at
	// Others wait for this answer: it does not end with the first who asked.
	body, _, err := fetch.Get(context.WithoutCancel(ctx), k.http, uri, maxJWKS)
	if err == nil {
		_, err = jose.ParseJWKS(body)
	}
	if err != nil {
		if !fresh {
			s.body = nil // what cannot be asked for any more may have been withdrawn
		}
		return nil, errors.Join(errKeys, err)
	}
	s.body, s.good = body, at
	return body, nil
}

// set finds or makes the entry of a URI. If there are too many, one makes room.
func (k *keyCache) set(uri string) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.sets[uri]; s != nil {
		return s
	}
	if len(k.sets) >= maxSets {
		for other := range k.sets {
			delete(k.sets, other) // any: it costs whose it was one request
			break
		}
	}
	s := &keySet{lock: make(chan struct{}, 1)}
	k.sets[uri] = s
	return s
}
