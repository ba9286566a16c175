package cimd_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/cimd"
	"github.com/seed-e797c9ce/oauth/store"
)

// documentAt serves a good document at every URL of these hosts; other hosts do
// not exist. What is served may not be kept for longer than a minute.
func documentAt(hosts ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, host := range hosts {
			if r.URL.Host == host || strings.HasPrefix(host, "*") && strings.HasSuffix(r.URL.Host, host[1:]) {
				w.Header().Set("Cache-Control", "no-store")
				io.WriteString(w, doc("client_id", r.URL.String()))
				return
			}
		}
		w.WriteHeader(http.StatusBadGateway)
	}
}

// grant lets somebody have granted the clients something.
func (f *fixture) grant(ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		require.NoError(f.t, f.store.CreateToken(f.t.Context(), store.Token{ID: "of " + id, ClientID: id, Subject: "alice", State: store.TokenActive}))
	}
}

// flood authorizes clients that nobody knows, some at a time, and returns how many
// requests went out.
func (f *fixture) flood(n int, name func(i int) string) int {
	before := f.web.requests.Load()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, _ = f.client(name(i)) })
		if i%8 == 0 {
			wg.Wait()
		}
	}
	wg.Wait()
	return int(f.web.requests.Load() - before)
}

func madeUp(i int) string { return fmt.Sprintf("https://h%d.made-up.example/c", i) }

func TestSEC247_AFloodLeavesDocumentsOfKnownClientsFetchable(t *testing.T) {
	for name, flood := range map[string]func(i int) string{
		"hosts that are made up":   madeUp,
		"good documents":           func(i int) string { return fmt.Sprintf("https://h%d.evil.example/c", i) },
		"one host":                 func(i int) string { return fmt.Sprintf("https://evil.example/%d", i) },
		"the known client's host":  func(i int) string { return fmt.Sprintf("https://app.example/made-up/%d", i) },
		"hosts of all those kinds": func(i int) string { return []string{madeUp(i), id + fmt.Sprint(i)}[i%2] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, cimd.Config{StaleFor: time.Second}, documentAt("app.example", "evil.example", "*.evil.example"))
				f.grant(id)
				for range 5 { // minutes
					start := time.Now()
					assert.LessOrEqual(t, f.flood(100, flood), 50)
					before := f.web.requests.Load()
					_, err := f.client(id)
					require.NoError(t, err)
					assert.EqualValues(t, 1, f.web.requests.Load()-before, "fetched anew")
					time.Sleep(max(0, time.Minute+2*time.Second-time.Since(start)))
				}
			})
		})
	}
}

func TestSEC247_AFloodKeepsNewClientsOutForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, documentAt("app.example"))
		assert.Equal(t, 50, f.flood(200, madeUp))
		f.unknown(id)
		time.Sleep(time.Minute)
		_, err := f.client(id)
		assert.NoError(t, err)
	})
}

// Who has users grant something to many clients of its own has no more than that
// either.
func TestSEC247_KnownClientsHaveALimitToo(t *testing.T) {
	for name, tt := range map[string]struct {
		id   func(i int) string
		most int
	}{
		"many hosts": {func(i int) string { return fmt.Sprintf("https://h%d.evil.example/c", i) }, 100},
		"one host":   {func(i int) string { return fmt.Sprintf("https://evil.example/%d", i) }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, cimd.Config{}, documentAt("evil.example", "*.evil.example"))
				for i := range 150 {
					f.grant(tt.id(i))
				}
				assert.Equal(t, tt.most, f.flood(150, tt.id))
			})
		})
	}
}

func TestSEC241_StalledStrangersLeaveRoomForKnownClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "app.example" {
				return (&web{answer: serve(doc())}).RoundTrip(r)
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}}, nil)
		f.grant(id)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { f.unknown(madeUp(i)) })
		}
		synctest.Wait()
		start := time.Now()
		_, err := f.client(id)
		assert.NoError(t, err)
		assert.Zero(t, time.Since(start))
		wg.Wait()
	})
}

type noGrants struct{ store.Store }

func (noGrants) ListTokens(context.Context, store.TokenQuery, string, int) ([]store.Token, error) {
	return nil, errors.New("down")
}

// Whether a client is known cannot be said while the store is down.
func TestSEC247_AFloodDuringAnOutageOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, documentAt("app.example"), func(c *oauth.Config) { c.Store = noGrants{c.Store} })
		_, err := f.client(id)
		require.NoError(t, err)
		assert.Equal(t, 49, f.flood(200, madeUp))
		time.Sleep(2 * time.Minute)
		f.flood(200, madeUp)
		_, err = f.client(id)
		assert.NoError(t, err, "what is at hand is used")
		_, err = f.client(id + "/other")
		assert.ErrorIs(t, err, oauth.ErrTemporarilyUnavailable)
	})
}

// A document whose origin fails must still be there when the flood has passed.
func TestSEC245_FailuresDoNotPushDocumentsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, documentAt("app.example"))
		_, err := f.client(id)
		require.NoError(t, err)
		for range 30 { // 1500 failures
			time.Sleep(time.Minute)
			f.flood(60, func(int) string { return "https://" + strings.ToLower(rand.Text()) + ".example/c" })
		}
		f.web.answer = documentAt()
		_, err = f.client(id)
		assert.NoError(t, err, "stale, and used")
	})
}
