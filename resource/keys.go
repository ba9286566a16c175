package resource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/jose"
)

// How long keys of an issuer are used, and how often it is asked for them.
const (
	keysFresh   = 5 * time.Minute  // then they are fetched again, while requests go on with the old ones
	keysWait    = 10 * time.Minute // then requests wait for that, unless the issuer cannot be reached
	keysStale   = 24 * time.Hour   // then they are not used any more
	fetchPause  = time.Minute      // between two fetches
	firstPause  = time.Second      // after the first failed one, without keys; doubled to fetchPause
	maxFailures = 6                // doublings
)

// remoteKeys are the keys of an issuer, fetched when they are needed. Fetching
// runs in a goroutine of its own, one at a time, for at most two times
// fetchTimeout a document, so that no request's end ends it for the others.
type remoteKeys struct {
	remote remote
	issuer string
	uri    string // configured; empty: discovered

	mu       sync.Mutex
	set      *jose.KeySet // replaced when the issuer's keys have changed, and only then
	document []byte       // what set was made of
	fetched  time.Time    // when the issuer last gave keys
	tried    time.Time    // when the last fetch began
	failures int          // since fetched
	failed   error        // of the last fetch, nil if it succeeded
	found    string       // the discovered URI
	running  chan struct{}
}

// current returns the keys that may be used now; it waits if there are none yet,
// or they are old.
func (k *remoteKeys) current(ctx context.Context) (*jose.KeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := time.Since(k.fetched)
	if k.set == nil || age >= keysFresh {
		k.fetch()
	}
	if k.running != nil && (k.set == nil || age >= keysStale || age >= keysWait && k.failed == nil) {
		if err := k.await(ctx); err != nil {
			return nil, err
		}
	}
	if k.set == nil || time.Since(k.fetched) >= keysStale {
		return nil, k.outage()
	}
	return k.set, nil
}

// newer returns keys fetched later than set was, because a token names one that
// is not in it. nil means that there are none, and an error that this could not
// be found out.
func (k *remoteKeys) newer(ctx context.Context, set *jose.KeySet) (*jose.KeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set == set {
		k.fetch()
	}
	if k.running != nil {
		if err := k.await(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case k.set != set:
		return k.set, nil
	case k.failed != nil:
		return nil, k.outage()
	default:
		return nil, nil
	}
}

func (k *remoteKeys) outage() error {
	if k.failed == nil {
		return errors.New("resource: the issuer's keys are not known")
	}
	return k.failed
}

// await waits for the fetch that is running, or for the end of ctx. k.mu is held,
// and released in between.
func (k *remoteKeys) await(ctx context.Context) error {
	running := k.running
	k.mu.Unlock()
	defer k.mu.Lock()
	select {
	case <-running:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetch starts a fetch, unless one is running or the last was a short time ago.
// k.mu is held.
func (k *remoteKeys) fetch() {
	if k.running != nil || !k.tried.IsZero() && time.Since(k.tried) < k.pause() {
		return
	}
	done := make(chan struct{})
	k.running, k.tried = done, time.Now()
	uri := k.uri
	if uri == "" {
		uri = k.found
	}
	go func() {
		document, uri, err := k.download(uri)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.store(document, uri, err)
		k.running = nil
		close(done)
	}()
}

// pause is short while there are no keys at all: both servers may be starting.
func (k *remoteKeys) pause() time.Duration {
	if k.set != nil {
		return fetchPause
	}
	return min(firstPause<<min(max(k.failures-1, 0), maxFailures), fetchPause)
}

// download gets the issuer's JWK Set, and finds out first where it is if that is
// not known.
func (k *remoteKeys) download(uri string) (document []byte, from string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	if uri == "" {
		md, err := k.remote.discover(ctx, k.issuer)
		if err != nil {
			return nil, "", err
		}
		if uri, err = md.endpoint("jwks_uri", md.JWKS); err != nil {
			return nil, "", err
		}
	}
	document, err = k.remote.get(ctx, uri)
	return document, uri, err
}

// store takes a result in. A document that cannot be used is a failure like an
// outage: the keys before it are kept. k.mu is held.
func (k *remoteKeys) store(document []byte, uri string, err error) {
	set := k.set
	if err == nil && (set == nil || !bytes.Equal(document, k.document)) {
		set, err = parseKeys(document)
	}
	if k.failed = err; err != nil {
		k.failures++
		k.found = "" // it may have moved
		return
	}
	k.set, k.document, k.found = set, document, uri
	k.fetched, k.failures = time.Now(), 0
}

func parseKeys(document []byte) (*jose.KeySet, error) {
	keys, err := jose.ParseJWKS(document)
	if err != nil {
		return nil, fmt.Errorf("resource: the issuer's keys: %w", err)
	}
	return jose.NewKeySet(keys...)
}
