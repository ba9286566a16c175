package cimd_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/cimd"
	"github.com/seed-e797c9ce/oauth/internal/fetch"
)

// tarpit takes connections and never answers: TLS stalls at the handshake. It
// counts those that are open and the most that ever were.
type tarpit struct {
	l          net.Listener
	mu         sync.Mutex
	conns      []net.Conn
	open, most atomic.Int32
}

func newTarpit(t *testing.T) *tarpit {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tarpit{l: l}
	t.Cleanup(p.release)
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
		}
	}()
	return p
}

// release closes everything, so that what waits for an answer ends.
func (p *tarpit) release() {
	p.l.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// client leads every host to the tarpit and counts its own sockets.
func (p *tarpit) client() *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", p.l.Addr().String())
		if err != nil {
			return nil, err
		}
		for n, most := p.open.Add(1), p.most.Load(); n > most && !p.most.CompareAndSwap(most, n); {
			most = p.most.Load()
		}
		return &counted{Conn: c, open: &p.open}, nil
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

type counted struct {
	net.Conn
	open *atomic.Int32
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// 200 browsers arrive with documents whose hosts stall, over real sockets. At
// most 24 sockets are open, the other 176 are answered at once, and everybody
// else is served as if nothing were. How fast is printed, and held to with
// OAUTH_MEASURE=1, on a quiet machine; that it is at all, while every fetch is
// stalled, is what the test holds anywhere.
func TestSEC241_StalledFetchesHoldUpNobodyElse(t *testing.T) {
	for range 10 {
		if stalledFetchesHoldUpNobodyElse(t) || t.Failed() {
			return
		}
	}
	t.Error("fetches have always given up before all was looked at")
}

// stalledFetchesHoldUpNobodyElse reports false if the machine was too busy to
// show it: a fetch gives up after a while, whatever the reason.
func stalledFetchesHoldUpNobodyElse(t *testing.T) bool {
	pit := newTarpit(t)
	f := newFixture(t, cimd.Config{HTTPClient: pit.client()}, nil)
	_, _, err := f.p.RegisterClient(t.Context(), oauth.Client{ID: "app", Name: "App", Public: true, RedirectURIs: []string{cb}, Scopes: []string{"read"}})
	require.NoError(t, err)
	server := httptest.NewServer(f.p)
	defer server.Close()
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	others := []func() (*http.Response, error){
		func() (*http.Response, error) {
			return server.Client().Get(server.URL + "/.well-known/oauth-authorization-server")
		},
		func() (*http.Response, error) { return server.Client().Get(server.URL + "/oauth/jwks") },
		func() (*http.Response, error) { // of a client in the store: to sign in
			return server.Client().Get(server.URL + "/oauth/authorize?" + request("app", cb).Encode())
		},
		func() (*http.Response, error) {
			return server.Client().PostForm(server.URL+"/oauth/token", url.Values{"client_id": {"app"}, "grant_type": {"refresh_token"}, "refresh_token": {strings.Repeat("x", 40)}})
		},
	}
	p99 := func() time.Duration {
		var took []time.Duration
		for i, begin := 0, time.Now(); i < 300 && time.Since(begin) < time.Second; i++ { // well before a fetch gives up
			start := time.Now()
			res, err := others[i%len(others)]()
			took = append(took, time.Since(start))
			require.NoError(t, err)
			assert.Contains(t, []int{200, 303, 400}, res.StatusCode)
			res.Body.Close()
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	before := p99()

	var answered atomic.Int32
	var browsers sync.WaitGroup
	begin := time.Now()
	for i := range 200 {
		browsers.Go(func() {
			w := httptest.NewRecorder()
			f.p.ServeHTTP(w, httptest.NewRequest("GET", "/oauth/authorize?"+request(fmt.Sprintf("https://h%d.example/c", i), cb).Encode(), nil))
			assert.Equal(t, http.StatusBadRequest, w.Code)
			answered.Add(1)
		})
	}
	for (pit.open.Load() != 24 || answered.Load() != 200-24) && time.Since(begin) < fetch.Timeout {
		time.Sleep(time.Millisecond) // what it waits for are real sockets
	}
	during := p99()
	open, told := pit.open.Load(), answered.Load()
	gaveUp := time.Since(begin) >= fetch.Timeout
	pit.release()
	browsers.Wait()
	if gaveUp {
		return false
	}
	assert.EqualValues(t, 24, open, "all of them stalled all the time")
	assert.EqualValues(t, 200-24, told)
	t.Logf("p99 of other requests: %v before, %v while 24 fetches stall", before, during)
	if os.Getenv("OAUTH_MEASURE") != "" {
		assert.LessOrEqual(t, during, before+5*time.Millisecond)
	}
	assert.EqualValues(t, 24, pit.most.Load())
	assert.Zero(t, pit.open.Load())
	return true
}
