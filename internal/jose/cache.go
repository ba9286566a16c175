package jose

import (
	"crypto/sha256"
	"sync"
)

// Cache remembers what became of tokens, by their SHA-256, so that a token seen
// before need not be verified again. It is bounded: it holds at most the number
// of entries it was made for, and drops those not asked for lately. It keeps no
// time and knows no key: whoever takes an entry out decides whether it still
// holds. It is safe for concurrent use.
type Cache[V any] struct {
	half int

	mu       sync.Mutex
	now, old map[[sha256.Size]byte]V // an entry is in one or both; now is never more than half full
}

// maxCachedToken is the longest token that a Cache remembers, in bytes, so that
// few long ones cannot take the memory of many.
const maxCachedToken = 4 << 10

// NewCache makes a cache of at most size entries, at least two.
func NewCache[V any](size int) *Cache[V] {
	return &Cache[V]{half: max(size/2, 1), now: map[[sha256.Size]byte]V{}}
}

// digest is the token's SHA-256. What is as long as most tokens is not copied to
// the heap for it.
func digest(token string) [sha256.Size]byte {
	var buffer [1 << 10]byte
	return sha256.Sum256(append(buffer[:0], token...))
}

// Get returns what Put was given for the token.
func (c *Cache[V]) Get(token string) (v V, ok bool) {
	if len(token) > maxCachedToken {
		return v, false
	}
	key := digest(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok = c.now[key]; ok {
		return v, true
	}
	if v, ok = c.old[key]; ok {
		c.put(key, v)
	}
	return v, ok
}

// Put remembers v for the token.
func (c *Cache[V]) Put(token string, v V) {
	if len(token) > maxCachedToken {
		return
	}
	key := digest(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, v)
}

// put makes room by forgetting the older half at once: no list, no clock.
func (c *Cache[V]) put(key [sha256.Size]byte, v V) {
	if _, ok := c.now[key]; !ok && len(c.now) >= c.half {
		c.old, c.now = c.now, make(map[[sha256.Size]byte]V, c.half)
	}
	c.now[key] = v
}

// Delete forgets the token.
func (c *Cache[V]) Delete(token string) {
	key := digest(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.now, key)
	delete(c.old, key)
}
