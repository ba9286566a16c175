package cimd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/cimd"
	"github.com/seed-e797c9ce/oauth/store"
)

// 200 of strangers, and as many of clients that users have authorized.
func TestSEC241_StalledFetchesAreBounded(t *testing.T) {
	stranger := func(i int) string { return fmt.Sprintf("https://h%d.example/c", i) }
	known := func(i int) string { return fmt.Sprintf("https://k%d.example/c", i) }
	for name, tt := range map[string]struct {
		who  []func(i int) string
		most int
	}{
		"strangers": {[]func(int) string{stranger}, 24},
		"known":     {[]func(int) string{known}, 32}, // they have what strangers leave, too
		"both":      {[]func(int) string{stranger, known}, 32},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now, most atomic.Int32
				f := newFixture(t, cimd.Config{HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
					for n, m := now.Add(1), most.Load(); n > m && !most.CompareAndSwap(m, n); {
						m = most.Load()
					}
					defer now.Add(-1)
					<-r.Context().Done()
					return nil, r.Context().Err()
				})}}, nil)
				for i := range 200 {
					f.grant(known(i))
				}
				start := time.Now()
				var wg sync.WaitGroup
				for i := range 200 {
					for _, id := range tt.who {
						wg.Go(func() {
							_, err := f.client(id(i))
							assert.ErrorIs(t, err, oauth.ErrInvalidClient)
						})
					}
				}
				wg.Wait()
				assert.EqualValues(t, tt.most, most.Load())
				assert.LessOrEqual(t, time.Since(start), 5*time.Second)
			})
		})
	}
}

func TestSEC245_CacheKeepsItsBounds(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		life    time.Duration
	}{
		"nothing said":              {nil, time.Hour},
		"max-age":                   {[]string{"Cache-Control", "public, max-age=600"}, 10 * time.Minute},
		"with Age":                  {[]string{"Cache-Control", "max-age=600", "Age", "300"}, 5 * time.Minute},
		"max-age=0":                 {[]string{"Cache-Control", "max-age=0"}, time.Minute},
		"no-store":                  {[]string{"Cache-Control", "no-store, max-age=600"}, time.Minute},
		"endless":                   {[]string{"Cache-Control", "max-age=1000000000000"}, 24 * time.Hour},
		"1e12":                      {[]string{"Cache-Control", "max-age=1e12"}, 24 * time.Hour},
		"overflow":                  {[]string{"Cache-Control", "max-age=99999999999999999999999"}, 24 * time.Hour},
		"nonsense":                  {[]string{"Cache-Control", "max-age=x"}, time.Minute},
		"NaN":                       {[]string{"Cache-Control", "max-age=NaN"}, time.Minute},
		"negative":                  {[]string{"Cache-Control", "max-age=-5"}, time.Minute},
		"Expires":                   {[]string{"Date", "Mon, 02 Jan 2026 15:00:00 GMT", "Expires", "Mon, 02 Jan 2026 17:00:00 GMT"}, 2 * time.Hour},
		"Expires: 0":                {[]string{"Expires", "0"}, time.Minute},
		"Expires of old, with Age":  {[]string{"Date", "Mon, 02 Jan 2026 15:00:00 GMT", "Expires", "Mon, 02 Jan 1600 17:00:00 GMT", "Age", "1"}, time.Minute},
		"Age beyond what can be":    {[]string{"Cache-Control", "max-age=7200", "Age", "99999999999"}, time.Minute},
		"two of max-age: the first": {[]string{"Cache-Control", "max-age=600, max-age=7200"}, 10 * time.Minute},
		"no-store behind a max-age": {[]string{"Cache-Control", "max-age=600, no-store"}, time.Minute},
		"other control":             {[]string{"Cache-Control", "public"}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, cimd.Config{}, serve(doc(), c.headers...))
				get := func() int32 {
					_, err := f.client(id)
					require.NoError(t, err)
					return f.web.requests.Load()
				}
				get()
				time.Sleep(c.life - time.Millisecond)
				assert.EqualValues(t, 1, get())
				time.Sleep(time.Millisecond)
				assert.EqualValues(t, 2, get())
			})
		})
	}
}

func TestSEC245_StaleWhileTheOriginFailsAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{StaleFor: 2 * time.Hour}, serve(doc()))
		known := func(want bool) {
			t.Helper()
			_, err := f.client(id)
			require.Equal(t, want, err == nil, "%v", err)
		}
		known(true)
		f.web.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		for range 11 { // 2 h 45 min
			time.Sleep(15 * time.Minute)
			known(true)
		}
		time.Sleep(15 * time.Minute)
		known(false)
		f.web.answer = serve(doc())
		time.Sleep(time.Minute)
		known(true)
		f.web.answer = serve(doc("client_id", "https://other.example/"))
		time.Sleep(time.Hour)
		known(false) // an answer that is no document ends the old one at once
	})
}

func TestSEC247_FailuresAndFloodsCostFewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
		for range 1000 {
			f.unknown(id)
		}
		assert.EqualValues(t, 1, f.web.requests.Load(), "a failure is believed for a while")
		time.Sleep(time.Minute)
		f.unknown(id)
		assert.EqualValues(t, 2, f.web.requests.Load(), "and not for ever")
	})
	count := func(name func(i int) string) int32 {
		var n int32
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, cimd.Config{}, nil)
			f.web.err = errors.New("refused")
			var wg sync.WaitGroup
			for i := range 300 {
				wg.Go(func() { f.unknown(name(i)) })
				if i%20 == 0 {
					wg.Wait()
				}
			}
			wg.Wait()
			n = f.web.requests.Load()
		})
		return n
	}
	assert.EqualValues(t, 5, count(func(i int) string { return fmt.Sprintf("https://victim.example/%d", i) }), "one host")
	assert.EqualValues(t, 50, count(func(i int) string { return fmt.Sprintf("https://h%d.example/c", i) }), "all hosts")
}

func TestSEC247_SameDocumentIsFetchedOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			io.WriteString(w, doc())
		})
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { f.p.ParseAuthorization(ctx, request(id, cb)) })
		synctest.Wait()
		for range 50 {
			wg.Go(func() {
				_, err := f.client(id)
				assert.NoError(t, err)
			})
		}
		cancel() // of the first, which all others wait for
		wg.Wait()
		assert.EqualValues(t, 1, f.web.requests.Load())
	})
}

func TestSEC247_TokenEndpointFetchesNothingForStrangers(t *testing.T) {
	f := newFixture(t, cimd.Config{}, serve(doc()))
	post := func(path string) int {
		r := httptest.NewRequest("POST", path, strings.NewReader(url.Values{"client_id": {id}, "grant_type": {"refresh_token"}, "refresh_token": {"x"}, "token": {"x"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		f.p.ServeHTTP(w, r)
		return w.Code
	}
	for range 100 {
		assert.Equal(t, 401, post("/oauth/token"))
		assert.Equal(t, 401, post("/oauth/revoke"))
	}
	assert.Zero(t, f.web.requests.Load())
	// After a restart the cache is empty, and whoever has a grant is served.
	require.NoError(t, f.store.CreateToken(context.Background(), store.Token{ID: "t", ClientID: id, Subject: "alice", State: store.TokenActive}))
	assert.Equal(t, 400, post("/oauth/token"), "known, and the token is not")
	assert.EqualValues(t, 1, f.web.requests.Load())
}

func TestSEC248_FailuresCannotBeToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, nil)
		var first string
		for i, c := range []struct {
			err    error
			answer func(http.ResponseWriter, *http.Request)
		}{
			{errors.New("dial tcp 10.0.0.1:443: connection refused"), nil},
			{errors.New("tls: handshake failure"), nil},
			{nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }},
			{nil, func(w http.ResponseWriter, _ *http.Request) { time.Sleep(700 * time.Millisecond); w.WriteHeader(500) }},
			{nil, serve("{")},
		} {
			f.web.err, f.web.answer = c.err, c.answer
			start := time.Now()
			page := f.page(fmt.Sprintf("https://h%d.example/c", i))
			assert.Equal(t, time.Second, time.Since(start))
			if first == "" {
				first = page
			}
			assert.Equal(t, first, page)
		}
		assert.Contains(t, f.log.String(), "connection refused", "the operator is told")
		assert.NotContains(t, first, "refused")
	})
}

func TestSEC249_RequestsSayNothingOfAnybody(t *testing.T) {
	var got http.Header
	f := newFixture(t, cimd.Config{}, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone(); io.WriteString(w, doc()) })
	r := httptest.NewRequest("GET", "/oauth/authorize?"+request(id, cb).Encode(), nil)
	r.Header.Set("Cookie", "session=secret")
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Referer", "https://secret.example/")
	r.Header.Set("User-Agent", "somebody's")
	f.p.ServeHTTP(httptest.NewRecorder(), r)
	assert.Equal(t, "application/json", got.Get("Accept"))
	assert.Len(t, got, 2, "Accept and User-Agent: %v", got)
	assert.NotContains(t, fmt.Sprint(got), "secret")
	assert.NotEqual(t, "somebody's", got.Get("User-Agent"))
}

func TestSEC251_OneDocumentFromAuthorizationToToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cimd.Config{}, serve(doc(), "Cache-Control", "no-store"))
		_, err := f.client(id)
		require.NoError(t, err)
		f.web.answer = serve(doc("redirect_uris", []string{"https://evil.example/cb"}))
		time.Sleep(10 * time.Minute)
		c, err := f.p.Client(context.Background(), id)
		require.NoError(t, err)
		assert.Equal(t, []string{cb}, c.RedirectURIs)
		assert.EqualValues(t, 1, f.web.requests.Load())
		c.RedirectURIs, c.Name = nil, "changed"
		again, err := f.p.Client(context.Background(), id)
		require.NoError(t, err)
		assert.Equal(t, "App", again.Name, "what a caller changes is its own copy")
	})
}

func BenchmarkCachedClient(b *testing.B) {
	f := newFixture(b, cimd.Config{}, serve(doc()))
	_, _, err := f.p.RegisterClient(context.Background(), oauth.Client{ID: "stored", Public: true, RedirectURIs: []string{cb}, Scopes: []string{"read", "write"}})
	require.NoError(b, err)
	for _, clientID := range []string{"stored", id} {
		b.Run(clientID, func(b *testing.B) {
			params := request(clientID, cb)
			for b.Loop() {
				if _, err := f.p.ParseAuthorization(context.Background(), params); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
