package fetch_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/fetch"
)

// trap is a listener on every address of this machine that counts
// connections.
func trap(t *testing.T) (port uint16, count *atomic.Int32) {
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	count = new(atomic.Int32)
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			c.Close()
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port), count
}

// addresses that a name may resolve to, or be, and that nothing is sent to.
const specialAddresses = `
	0.0.0.0 0.0.0.1 0.1.2.3 0.255.255.255 10.0.0.0 10.0.0.1 10.1.2.3 10.255.255.255 100.64.0.0 100.64.0.1 100.100.100.200 100.127.255.255
	127.0.0.0 127.0.0.1 127.0.0.53 127.1.1.1 127.255.255.254 127.255.255.255 169.254.0.1 169.254.169.123 169.254.169.254 169.254.170.2 169.254.255.255
	172.16.0.0 172.16.0.1 172.17.0.1 172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.170 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1
	192.168.0.0 192.168.0.1 192.168.1.254 192.168.255.255 192.175.48.1 198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
	224.0.0.1 224.0.0.251 239.255.255.250 239.255.255.255 240.0.0.0 240.0.0.1 254.255.255.255 255.255.255.254 255.255.255.255
	:: ::1 ::2 ::7f00:1 ::127.0.0.1 ::10.0.0.1 ::169.254.169.254
	::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:192.168.0.1 ::ffff:7f00:1 ::ffff:a9fe:a9fe
	::ffff:0:127.0.0.1 ::ffff:0:169.254.169.254
	64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1::7f00:1 64:ff9b:1:fffe::a9fe:a9fe
	100::1 100::ffff 100:0:0:1::1 2001::1 2001:0:7f00:1::1 2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:db8::1 2001:db8:ffff::1
	2002:7f00:1:: 2002:7f00:1::1 2002:a00:1:: 2002:a9fe:a9fe:: 2002:c0a8:1:: 2620:4f:8000::1 3fff::1 3fff:fff::1 5f00::1 4000::1 8000::1 a000::1
	fc00::1 fc00:ec2::254 fd00::1 fd00:ec2::254 fd20:ce::254 fdff:ffff::1 fe00::1 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff02::fb ff05::1:3 ff0e::1`

// hosts that some program reads as an address of this machine. What a resolver
// would make of the rest is given: this machine.
const spelledHosts = `
	127.0.0.1 127.0.0.2 127.255.255.254 0.0.0.0 127.0.0.1. 127.1 127.0.1 127.1. 0 0. 00 0x0 0.0 2130706433 2130706433. 02130706433 3232235521 2852039166 4294967295
	0x7f000001 0x7F000001 0X7f.1 0x7f.1 0x7f.0x0.0x0.0x1 0x7f.0.0.1 0xa9fea9fe 0x7f.0x000001 017700000001 0177.0.0.1 0177.0.0.01 0177.1 00000177.1 127.0.0.0x1 127.0.0.01
	0251.0376.0251.0376 0xa9.0xfe.0xa9.0xfe 169.254.43518 169.16689662 10.1 0xa.1 012.1 192.168.257 192.11010305 127.000.000.001 1.0x7f 7f000001.example
	localhost localhost. LOCALHOST LocalHost. x.localhost a.b.localhost. localhost.localdomain ip6-localhost metadata metadata.google.internal instance-data kubernetes.default.svc
	127.0.0.1.nip.example 7f000001.rebind.example localtest.example spoofed.example app.example.
	[::1] [::] [0:0:0:0:0:0:0:1] [0000::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:1] [::127.0.0.1] [::ffff:0:127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [fe80::1]
	①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1 127．0．0．1 ⓛocalhost ｌｏｃａｌｈｏｓｔ localhosт xn--localhos-4sd
	user@127.0.0.1 user:pass@127.0.0.1 app.example@127.0.0.1 app.example:443@127.0.0.1 app.example%2f@127.0.0.1 8.8.8.8@localhost %31%32%37.0.0.1 127%2e0%2e0%2e1`

// Each host is asked for as a client would, with the real dialler, at a port
// where something listens on all addresses of this machine. The listener counts,
// and the error says that it was the address: before a socket was connected,
// that is, before any packet.
func TestSEC230_SEC231_NothingIsSentToAddressesThatAreNotPublic(t *testing.T) {
	port, count := trap(t)
	rows := 0
	get := func(resolver *net.Resolver, host string) error {
		rows++
		_, _, err := fetch.Get(t.Context(), fetch.Client(fetch.Options{Ports: []uint16{port}, Resolver: resolver}), fmt.Sprintf("https://%s:%d/c", host, port), 1000)
		return err
	}
	answer := func(list ...netip.Addr) *net.Resolver { return resolver(func(int) []netip.Addr { return list }) }

	own, err := net.InterfaceAddrs()
	require.NoError(t, err)
	addresses := strings.Fields(specialAddresses)
	for _, a := range own { // where the listener is reached: those that are private
		if p, err := netip.ParsePrefix(a.String()); err == nil && !fetch.Public(p.Addr()) {
			addresses = append(addresses, p.Addr().WithZone("").String())
		}
	}
	for _, s := range addresses {
		ip := netip.MustParseAddr(s)
		assert.ErrorIs(t, get(answer(ip), "app.example"), fetch.ErrBlocked, "a name with %s", s)
		literal := s
		if ip.Is6() {
			literal = "[" + s + "]"
		}
		assert.ErrorIs(t, get(nil, literal), fetch.ErrBlocked, literal)
	}
	here := answer(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"))
	for _, host := range strings.Fields(spelledHosts) {
		err := get(here, host)
		var noName *net.DNSError  // numbers are not looked up
		var noURL url.EscapeError // and some hosts are no part of a URL
		ok := errors.Is(err, fetch.ErrBlocked) || errors.As(err, &noName) || errors.As(err, &noURL)
		assert.True(t, ok, "%s: %v", host, err)
	}
	assert.GreaterOrEqual(t, rows, 150)
	assert.Zero(t, count.Load())
	t.Logf("%d URLs and answers, %d connections", rows, count.Load())

	// The trap works: a client that is not guarded falls into it.
	_, err = http.Get(fmt.Sprintf("http://localhost:%d/c", port))
	require.Error(t, err)
	require.Eventually(t, func() bool { return count.Load() > 0 }, time.Minute, time.Millisecond)
}

// A name may change its mind between two look-ups, or have several addresses:
// each is judged when it is dialled, and there is no other look-up in between.
func TestSEC232_NamesThatChangeTheirMind(t *testing.T) {
	port, count := trap(t)
	parse := func(s string) (out []netip.Addr) {
		for _, f := range strings.Fields(s) {
			out = append(out, netip.MustParseAddr(f))
		}
		return out
	}
	for name, answers := range map[string][]string{
		"always this machine":             {"127.0.0.1"},
		"IPv6 only":                       {"::1"},
		"both families":                   {"127.0.0.1 ::1"},
		"private first":                   {"10.0.0.1 127.0.0.1"},
		"private last":                    {"127.0.0.1 10.0.0.1"},
		"many":                            {"10.0.0.1 172.16.0.1 192.168.0.1 169.254.169.254 127.0.0.1 ::1 fd00:ec2::254 fe80::1"},
		"other every time":                {"10.0.0.1", "127.0.0.1", "192.168.0.1"},
		"metadata, then this machine":     {"169.254.169.254", "127.0.0.1"},
		"IPv4 in IPv6":                    {"::ffff:127.0.0.1"},
		"translated":                      {"64:ff9b::7f00:1 127.0.0.1"},
		"this network, then this machine": {"0.0.0.0", "127.0.0.1"},
		"A private, AAAA this machine":    {"10.0.0.1 ::1"},
		"broadcast and multicast":         {"255.255.255.255 224.0.0.1 ff02::1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := fetch.Client(fetch.Options{Ports: []uint16{port}, Resolver: resolver(func(n int) []netip.Addr { return parse(answers[n%len(answers)]) })})
			for range 6 {
				_, _, err := fetch.Get(t.Context(), c, fmt.Sprintf("https://app.example:%d/c", port), 1000)
				assert.ErrorIs(t, err, fetch.ErrBlocked)
			}
		})
	}
	assert.Zero(t, count.Load())
}
