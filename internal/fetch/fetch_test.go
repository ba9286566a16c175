package fetch_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth/internal/fetch"
)

func TestSEC230_SpecialAddressesAreNotPublic(t *testing.T) {
	for _, s := range strings.Fields(`0.0.0.0 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.169.254
		172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1
		198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
		:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 100:0:0:1::1
		2001::1 2001:1::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2620:4f:8000::1 3fff::1 4000::1 5f00::1 8000::1 fc00::1 fd00:ec2::254
		fe80::1 fe80::1%eth0 febf::1 fec0::1 ff00::1 ff02::1 2606:4700::1%eth0`) {
		assert.False(t, fetch.Public(netip.MustParseAddr(s)), s)
	}
	for _, s := range strings.Fields(`1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 172.15.255.255 172.32.0.0
		192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 2001:200::1 2001:4860:4860::8888 2606:4700::1111 2a00::1 3ffe::1`) {
		assert.True(t, fetch.Public(netip.MustParseAddr(s)), s)
	}
	assert.False(t, fetch.Public(netip.Addr{}))
}

// resolver answers every A question with these addresses, and every AAAA
// question with the IPv6 ones; next says which answer it is.
func resolver(answer func(n int) []netip.Addr) *net.Resolver {
	var asked atomic.Int32
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			var size [2]byte
			if _, err := io.ReadFull(server, size[:]); err != nil {
				return
			}
			q := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(server, q); err != nil {
				return
			}
			end := 12
			for q[end] != 0 {
				end += int(q[end]) + 1
			}
			end += 5
			kind := binary.BigEndian.Uint16(q[end-4:])
			reply := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
			for _, ip := range answer(int(asked.Add(1))) {
				raw := ip.AsSlice()
				if (kind == 1) != ip.Is4() {
					continue
				}
				reply[7]++
				reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
				reply = append(reply, raw...)
			}
			server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
		}()
		return client, nil
	}}
}

func TestSEC235_OnlyPort443ByDefault(t *testing.T) {
	c := fetch.Client(fetch.Options{Resolver: resolver(func(int) []netip.Addr { return []netip.Addr{netip.MustParseAddr("8.8.8.8")} })})
	for _, port := range []int{22, 25, 80, 6379, 8080, 8443} {
		_, _, err := fetch.Get(context.Background(), c, fmt.Sprintf("https://app.example:%d/c", port), 1000)
		assert.ErrorIs(t, err, fetch.ErrBlocked)
	}
}

func TestSEC249_ConnectsDirectlyWithVerifiedTLS(t *testing.T) {
	transport := fetch.Client(fetch.Options{}).Transport.(*http.Transport)
	assert.Nil(t, transport.Proxy)
	assert.False(t, transport.TLSClientConfig.InsecureSkipVerify)
	assert.EqualValues(t, 0x303, transport.TLSClientConfig.MinVersion)
}

type answerer func(w http.ResponseWriter, r *http.Request)

func (f answerer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	return w.Result(), nil
}

func TestGetTakesOnlySmallJSON(t *testing.T) {
	get := func(f answerer) error {
		_, _, err := fetch.Get(context.Background(), &http.Client{Transport: f}, "https://app.example/c", 10)
		return err
	}
	typed := func(kind, body string) answerer {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}
	}
	assert.NoError(t, get(typed("application/json", "0123456789")))
	assert.NoError(t, get(typed("application/cimd+json; charset=utf-8", "{}")))
	assert.ErrorIs(t, get(typed("application/json", "0123456789a")), fetch.ErrAnswer)
	for _, kind := range []string{"text/html", "", "text/plain", "application/jsonx", "text/x+json"} {
		assert.ErrorIs(t, get(typed(kind, "{}")), fetch.ErrAnswer, kind)
	}
	for _, status := range []int{204, 301, 302, 303, 307, 308, 404} {
		var n int
		err := get(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Location", "https://other.example/")
			w.Header().Set("Refresh", "0")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
		})
		assert.ErrorIs(t, err, fetch.ErrAnswer)
		assert.Equal(t, 1, n, "redirects are not followed")
	}
	for _, status := range []int{429, 500, 503} {
		err := get(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		assert.Error(t, err)
		assert.NotErrorIs(t, err, fetch.ErrAnswer, "another time it may")
	}
	_, _, err := fetch.Get(context.Background(), &http.Client{Transport: typed("application/json", "{}")}, "http://app.example/c", 10)
	assert.ErrorIs(t, err, fetch.ErrBlocked)
}

type dripping struct{ ctx context.Context }

func (d dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}
func (dripping) Close() error { return nil }

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSEC241_SlowAnswersEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range []transport{
			func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
			func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: dripping{r.Context()}}, nil
			},
		} {
			start := time.Now()
			_, _, err := fetch.Get(context.Background(), &http.Client{Transport: f}, "https://app.example/c", 1000)
			assert.Error(t, err)
			assert.LessOrEqual(t, time.Since(start), fetch.Timeout)
		}
	})
}

func TestBudgetIsPerHostAndInAll(t *testing.T) {
	b, at := fetch.NewBudget(100, 10), time.Now()
	spend := func(host string, n int) (ok int) {
		for range n {
			if b.Spend(host, at) {
				ok++
			}
		}
		return ok
	}
	assert.Equal(t, 10, spend("a", 50))
	for i := range 9 {
		assert.Equal(t, 10, spend(fmt.Sprint(i), 10))
	}
	assert.Zero(t, spend("b", 1))
	at = at.Add(time.Minute)
	assert.Equal(t, 10, spend("a.example", 6)+spend("A.Example", 6)+spend("a.example.", 6), "one host, however it is spelled")
	at = at.Add(time.Minute)
	assert.Equal(t, 1, spend("a", 1))
}
