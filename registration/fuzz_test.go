package registration_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

// Whatever is sent, the answer is a client that strangers may be, or an error
// that is the sender's.
func FuzzRegister(f *testing.F) {
	for _, seed := range []string{good, "[]", "", `{"redirect_uris":["http://[::1]/cb",""],"jwks":{"keys":[{}]}}`, doc("scope", "admin read", "client_uri", "https://%/")} {
		f.Add(seed)
	}
	fix := newFixture(f, registration.Config{PerAddress: 1 << 30, PerHour: 1 << 30})
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", endpoint, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		fix.p.ServeHTTP(w, r)
		if w.Code != 201 && w.Code != 400 && w.Code != 413 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		list, err := fix.store.ListClients(t.Context(), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Trust != store.TrustSelf || c.FirstParty || len(c.Scopes) != 2 || len(c.RedirectURIs) == 0 || c.PurgeAt.IsZero() {
				t.Fatalf("%+v", c)
			}
			if err := fix.store.DeleteClient(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}
