package assertion_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// Whoever registers clients by the hundred, with keys wherever he likes, can use
// up what strangers may have fetched, and nothing of what the operator's clients
// may.
func TestStrangersKeysAreNotFetchedInPlaceOfTheOperatorsClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.serve = func() (int, []byte) { return 200, jwks(t, keys()["ES256"]) }
		for i := range 1100 {
			id := fmt.Sprint("stranger", i)
			f.register(oauth.Client{ID: id, JWKSURI: fmt.Sprintf("https://host%d.example/jwks", i), Trust: store.TrustSelf})
			token(f.p, good(t, id))
		}
		before := f.gets.Load()
		assert.LessOrEqual(t, before, int32(100), "within a minute")
		assert.Equal(t, ok, token(f.p, good(t, "uri")))
		assert.Equal(t, before+1, f.gets.Load())
		for i := range 1100 { // nor are its keys forgotten for theirs
			token(f.p, good(t, fmt.Sprint("stranger", i)))
		}
		assert.Equal(t, ok, token(f.p, good(t, "uri")))
		assert.Equal(t, before+1, f.gets.Load())
	})
}

// A host is one, however it is spelled.
func TestSpellingsOfAHostAreOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.serve = func() (int, []byte) { return 404, nil }
		for i, host := range []string{"victim", "Victim", "vIctim", "viCtim", "vicTim", "victIm", "victiM", "VICTIM", "VIctim", "vICtim", "viCTim", "vicTIm", "victIM", "VictiM", "VicTim"} {
			for j, end := range []string{".example", ".EXAMPLE", ".example.", ".Example."} {
				id := fmt.Sprint("c", i, "-", j)
				f.register(oauth.Client{ID: id, JWKSURI: "https://" + host + end + "/jwks", Trust: store.TrustSelf})
				token(f.p, good(t, id))
			}
		}
		assert.LessOrEqual(t, f.gets.Load(), int32(10))
	})
}
