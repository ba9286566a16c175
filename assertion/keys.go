package assertion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
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
	maxInFlight = 16 // requests under way, of each cache
	perMinute   = 100
	perHost     = 10
)

var (
	errKeys = errors.New("the keys cannot be had")
	errBusy = errors.New("too many requests for keys")
)

// keyCache holds the key sets behind the jwks_uris of clients. Strangers name
// theirs at will: they have a cache of their own, and can use up what is fetched
// for strangers only.
type keyCache struct {
	http   *http.Client
	slots  chan struct{}
	budget *fetch.Budget

	mu   sync.Mutex
	sets map[string]*keySet
}

func newKeyCache(c *http.Client) *keyCache {
	return &keyCache{http: c, budget: fetch.NewBudget(perMinute, perHost), slots: make(chan struct{}, maxInFlight), sets: map[string]*keySet{}}
}

// verify checks the signature with the client's own keys, wherever the header
// says that others are, and returns the claims.
func (k *keyCache) verify(ctx context.Context, c *oauth.Client, t *jose.Token) ([]byte, error) {
	if c.JWKSURI == "" {
		r, err := newRing(c.JWKS)
		if err != nil {
			return nil, err
		}
		return r.verify(t)
	}
	return k.set(c.JWKSURI).verify(ctx, t)
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
	s := newKeySet(func(ctx context.Context) ([]byte, error) { return k.get(ctx, uri) }, 0)
	k.sets[uri] = s
	return s
}

func (k *keyCache) get(ctx context.Context, uri string) ([]byte, error) {
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	default:
		return nil, errBusy
	}
	u, err := url.Parse(uri)
	if err != nil || !k.budget.Spend(u.Hostname(), time.Now()) {
		return nil, errBusy
	}
	body, _, err := fetch.Get(ctx, k.http, uri, maxJWKS)
	return body, err
}

// keySet is one key set that is fetched. Its lock is held during a request, so
// that one at a time goes out.
type keySet struct {
	get   func(ctx context.Context) ([]byte, error)
	stale time.Duration // how much longer it is used while it cannot be asked for

	lock  chan struct{}
	ring  *ring // nil: never had, or no longer
	asked time.Time
	good  time.Time // when ring came
	down  bool      // the last request failed

	// latest is what came last, for those who need not ask: a stranger's assertion,
	// by naming an unknown key, must not make them wait for a slow origin.
	latest atomic.Pointer[received]
}

// received is a key set and when it came.
type received struct {
	ring *ring
	at   time.Time
}

func newKeySet(get func(ctx context.Context) ([]byte, error), stale time.Duration) *keySet {
	return &keySet{get: get, stale: stale, lock: make(chan struct{}, 1)}
}

// verify checks a signature and returns the claims. The error wraps errKeys, or
// the context's, if the keys that could say so are not to be had.
func (s *keySet) verify(ctx context.Context, t *jose.Token) ([]byte, error) {
	r, err := s.load(ctx, false)
	if err != nil {
		return nil, err
	}
	claims, err := r.verify(t)
	if !errors.Is(err, jose.ErrUnknownKey) {
		return claims, err
	}
	// A key that is not there may be new (OpenID Connect Core §10.1.1).
	if r, err = s.load(ctx, true); err != nil {
		return nil, err
	}
	return r.verify(t)
}

// load returns the key set; with again it asks for a newer one, if it has not
// just done so.
func (s *keySet) load(ctx context.Context, again bool) (*ring, error) {
	if got := s.latest.Load(); got != nil && !again && time.Since(got.at) < keysFresh {
		return got.ring, nil
	}
	select {
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	at := time.Now()
	if s.ring != nil && !again && at.Sub(s.good) < keysFresh {
		return s.ring, nil
	}
	if at.Sub(s.asked) < fetchEvery {
		return s.have(again)
	}
	// Others wait for this answer: it does not end with the first who asked.
	body, err := s.get(context.WithoutCancel(ctx))
	if errors.Is(err, errBusy) {
		return nil, errors.Join(errKeys, err) // says nothing of the key set
	}
	var r *ring
	if err == nil {
		r, err = newRing(body)
	}
	s.asked, s.down = at, err != nil
	if err == nil {
		s.ring, s.good = r, at
		s.latest.Store(&received{r, at})
		return r, nil
	}
	if at.Sub(s.good) >= keysFresh+s.stale {
		s.ring = nil // what cannot be asked for any more may have been withdrawn
	}
	if r, old := s.have(again); old == nil {
		return r, nil
	}
	return nil, errors.Join(errKeys, err)
}

// have returns what there is. Whoever asks again has seen it, and nobody knows
// whether it is all while its origin does not answer.
func (s *keySet) have(again bool) (*ring, error) {
	if s.ring == nil || again && s.down {
		return nil, errKeys
	}
	return s.ring, nil
}

// ring is a key set, ready for use.
type ring struct {
	keys *jose.KeySet
	pss  *jose.KeySet // for PS256
}

func newRing(body []byte) (*ring, error) {
	keys, err := jose.ParseJWKS(body)
	if err != nil {
		return nil, err
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	r := new(ring)
	if r.keys, err = jose.NewKeySet(keys...); err != nil {
		return nil, err
	}
	allowPSS(body, keys)
	r.pss, err = jose.NewKeySet(keys...)
	return r, err
}

func (r *ring) verify(t *jose.Token) ([]byte, error) {
	keys := r.keys
	if t.Alg == jose.PS256 {
		keys = r.pss
	}
	claims, _, err := keys.Verify(t)
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
