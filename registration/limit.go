package registration

import (
	"errors"
	"net/netip"
	"sync"
	"time"
)

// limiter counts registrations in windows of an hour. It holds no more addresses
// than may register in one, because what is refused leaves no trace.
type limiter struct {
	perAddress, perHour int

	mu    sync.Mutex
	end   time.Time
	total int
	from  map[string]int
}

const window = time.Hour

var (
	errPerHour    = errors.New("Config.PerHour is used up")
	errPerAddress = errors.New("Config.PerAddress is used up")
)

func newLimiter(perAddress, perHour int) *limiter {
	return &limiter{perAddress: perAddress, perHour: perHour, from: map[string]int{}}
}

// allow reports what is used up, and how long to wait for the next window, or that
// there is room for a registration, which it counts if it is to. A time that
// time.Now returned goes on when the clock is set back.
func (l *limiter) allow(address string, at time.Time, count bool) (wait time.Duration, usedUp error) {
	address = network(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !at.Before(l.end) {
		l.end, l.total = at.Add(window), 0
		clear(l.from)
	}
	switch {
	case l.total >= l.perHour:
		return l.end.Sub(at), errPerHour
	case l.from[address] >= l.perAddress:
		return l.end.Sub(at), errPerAddress
	}
	if count {
		l.total++
		l.from[address]++
	}
	return 0, nil
}

// network is what one subscriber has: an IPv4 address, or 64 bits of IPv6.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
