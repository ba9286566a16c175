package fetch

import (
	"strings"
	"sync"
	"time"
)

// Budget bounds how many requests go out in a minute, so that nobody can point
// this server at another one. It holds no more hosts than requests.
type Budget struct {
	perMinute, perHost int

	mu    sync.Mutex
	end   time.Time
	total int
	hosts map[string]int
}

// NewBudget returns a budget of so many requests a minute, and so many of them
// to one host.
func NewBudget(perMinute, perHost int) *Budget {
	return &Budget{perMinute: perMinute, perHost: perHost, hosts: map[string]int{}}
}

// Spend counts a request to a host, or says that it must not be made. A host is
// one in any case, and with or without the dot of the root.
func (b *Budget) Spend(host string, at time.Time) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	b.mu.Lock()
	defer b.mu.Unlock()
	if !at.Before(b.end) {
		b.end, b.total = at.Add(time.Minute), 0
		clear(b.hosts)
	}
	if b.total >= b.perMinute || b.hosts[host] >= b.perHost {
		return false
	}
	b.total++
	b.hosts[host]++
	return true
}
