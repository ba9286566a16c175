package cimd

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth"
)

// entry is what is known of a client ID.
type entry struct {
	client  *oauth.Client // nil: no document
	fresh   time.Time     // until then it is not asked for again
	expires time.Time     // until then it may be used
}

// cache is a bounded memory of entries. The one that is the first to become
// stale makes room, and what is no document before any document.
type cache struct {
	mu      sync.Mutex
	entries map[string]entry
}

func (e entry) goesBefore(other entry) bool {
	if (e.client == nil) != (other.client == nil) {
		return e.client == nil
	}
	return e.fresh.Before(other.fresh)
}

const maxEntries = 1000

func newCache() *cache { return &cache{entries: map[string]entry{}} }

func (c *cache) get(id string) entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[id]
}

func (c *cache) put(id string, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.entries[id]; !known && len(c.entries) >= maxEntries {
		var oldest string
		for other, e := range c.entries {
			if oldest == "" || e.goesBefore(c.entries[oldest]) {
				oldest = other
			}
		}
		delete(c.entries, oldest)
	}
	c.entries[id] = e
}

const defaultAge = time.Hour // of a document whose headers say nothing

// age is how long an answer may be used by its headers (RFC 9111 §4.2), within
// the bounds of the configuration.
func age(h http.Header, low, high time.Duration) time.Duration {
	life := defaultAge
	if control := h.Values("Cache-Control"); len(control) > 0 {
		life = maxAge(strings.Join(control, ","), life)
	} else if expires := h.Get("Expires"); expires != "" {
		at, err := http.ParseTime(expires)
		date, err2 := http.ParseTime(h.Get("Date"))
		if life = 0; err == nil && err2 == nil {
			life = at.Sub(date)
		}
	}
	// An age that is too large to be read is read as the largest (RFC 9111 §1.2.2).
	if seconds, err := strconv.ParseUint(h.Get("Age"), 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		life = max(life, 0) - time.Duration(seconds)*time.Second // not below what a duration holds
	}
	return min(max(life, low), high)
}

// maxAge reads Cache-Control. Of two max-age the first counts (RFC 9111 §4.2.1).
func maxAge(control string, life time.Duration) time.Duration {
	read := false
	for directive := range strings.SplitSeq(control, ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if read {
				continue
			}
			read = true
			seconds, err := strconv.ParseFloat(strings.Trim(value, `"`), 64)
			if err != nil || seconds < 0 || math.IsNaN(seconds) {
				return 0
			}
			life = time.Duration(min(seconds, 1e8)) * time.Second
		}
	}
	return life
}
