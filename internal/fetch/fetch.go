// Package fetch gets small JSON documents from URLs that strangers name, without
// lending them the server's place in its network: it connects to public
// addresses only, and follows nothing.
package fetch

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Timeout is the most that one document may take, from the name to the last
// byte.
const Timeout = 5 * time.Second

var (
	// ErrBlocked is wrapped by errors about addresses that are not connected to.
	ErrBlocked = errors.New("the address is not public")

	// ErrAnswer is wrapped by errors about answers that are no document, and that
	// asking again would not change.
	ErrAnswer = errors.New("the answer is not a JSON document")
)

//go:embed special.txt
var special string

// blocked is the table of special.txt. A line that cannot be read would open a
// hole, so it ends the program's start, and every test.
var blocked = sync.OnceValue(func() []netip.Prefix {
	var list []netip.Prefix
	for line := range strings.Lines(special) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			list = append(list, netip.MustParsePrefix(fields[0]))
		}
	}
	return list
})

// Public reports whether the address is one of the public internet. IPv4 inside
// of IPv6 is judged as what it is.
func Public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	return !slices.ContainsFunc(blocked(), func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Options change what a client may reach.
type Options struct {
	Ports    []uint16      // nil: 443
	Resolver *net.Resolver // nil: the system's
}

// Client makes a client that connects to public addresses only. Each address is
// judged when it is connected to, after all look-ups, so that no name can change
// its mind in between. Proxies of the environment are not used.
func Client(o Options) *http.Client {
	ports := o.Ports
	if ports == nil {
		ports = []uint16{443}
	}
	dialer := &net.Dialer{
		Timeout: Timeout, Resolver: o.Resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !Public(to.Addr()) || !slices.Contains(ports, to.Port()) {
				return ErrBlocked
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: Timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// Get returns the JSON document at an https URL, of at most limit bytes, and the
// header it came with. It is an error that wraps ErrAnswer if the answer is not
// 200 with a JSON type, or is larger. Redirects are not followed.
func Get(ctx context.Context, c *http.Client, url string, limit int64) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	if r.URL.Scheme != "https" {
		return nil, nil, fmt.Errorf("%w: the URL is not https", ErrBlocked)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "oauth-document-fetcher")
	bare := *c // whoever's client it is: no cookies, no redirects
	bare.Jar = nil
	bare.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := bare.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return nil, nil, fmt.Errorf("status %d", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("%w: status %d", ErrAnswer, res.StatusCode)
	case !isJSON(res.Header.Get("Content-Type")):
		return nil, nil, fmt.Errorf("%w: its type is not JSON", ErrAnswer)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(body)) > limit {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", ErrAnswer, limit)
	}
	return body, res.Header, nil
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"))
}
