package registration_test

import (
	"testing"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/registration"
)

// Digits and dots of other scripts become plain ones when a host is looked up.
func TestAddressesInOtherDigitsAreNoPublicNames(t *testing.T) {
	f := newFixture(t, registration.Config{})
	for _, link := range []string{"https://127.0.0.%E2%91%A0/k", "https://127.0.0.①/k", "https://x.localhos%EF%BD%94/k", "https://10.1。1/k"} {
		for _, name := range []string{"jwks_uri", "client_uri", "initiate_login_uri"} {
			f.refused(f.do("POST", endpoint, doc("redirect_uris", []string{"https://app.example/cb"}, name, link)), 400, oauth.ErrInvalidClientMetadata)
		}
	}
}
