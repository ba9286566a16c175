package cimd_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/cimd"
)

// BenchmarkAuthorize compares the authorization of a client with a document at
// hand, fetched or pinned, with that of a client in the store, from the request
// to the redirect with the code. The requests alternate, so that whatever else
// the machine does is in all of them; compared are the medians.
func BenchmarkAuthorize(b *testing.B) {
	const pinned = "https://pinned.example/client.json"
	f := newFixture(b, cimd.Config{Pinned: map[string][]byte{pinned: []byte(doc("client_id", pinned))}}, serve(doc()), func(c *oauth.Config) {
		c.Session = func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "alice"}, nil }
	})
	_, _, err := f.p.RegisterClient(b.Context(), oauth.Client{ID: "stored", Name: "App", Public: true, RedirectURIs: []string{cb}, Scopes: []string{"read", "write"}})
	require.NoError(b, err)
	clients := []string{"stored", id, pinned}
	targets, took := make([]string, len(clients)), make([][]time.Duration, len(clients))
	for i, client := range clients {
		_, err := f.p.ParseAuthorization(b.Context(), request(client, cb)) // fetches the document
		require.NoError(b, err)
		require.NoError(b, f.p.GrantConsent(b.Context(), "alice", client, []string{"read", "write"}, nil))
		targets[i] = "/oauth/authorize?" + request(client, cb).Encode()
	}
	for n := 0; b.Loop(); n++ {
		for k := range clients {
			i := (k + n) % len(clients)
			r, w := httptest.NewRequest("GET", targets[i], nil), httptest.NewRecorder()
			start := time.Now()
			f.p.ServeHTTP(w, r)
			took[i] = append(took[i], time.Since(start))
			if w.Code != http.StatusSeeOther {
				b.Fatal(w.Code, w.Body)
			}
		}
	}
	median := func(i int) float64 {
		slices.Sort(took[i])
		return float64(took[i][len(took[i])/2])
	}
	b.ReportMetric(median(1)/median(0), "fetched/stored")
	b.ReportMetric(median(2)/median(0), "pinned/stored")
}
