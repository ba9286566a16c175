package assertion_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestSEC145_AssertionsAreUsedOnce(t *testing.T) {
	f := newFixture(t)
	a := good(t, "app", "jti", "same")
	assert.Equal(t, ok, token(f.p, a))
	assert.Equal(t, invalid, token(f.p, a))
	assert.Equal(t, invalid, token(f.p, good(t, "app", "jti", "same")), "another assertion with its jti")
	assert.Equal(t, invalid, token(f.provider(), a), "another process")
	assert.Equal(t, ok, token(f.p, good(t, "twin", "jti", "same")), "another client's jti is its own")

	race := good(t, "app")
	var won atomic.Int32
	var wg sync.WaitGroup
	other := f.provider()
	for i := range 64 {
		wg.Go(func() {
			if token([]*oauth.Provider{f.p, other}[i%2], race) == ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, won.Load())

	f.store.err = errors.New("down")
	assert.Equal(t, answer{503, "temporarily_unavailable"}, token(f.p, good(t, "app")))
}

func TestSEC145_JTIIsRememberedForAsLongAsItCouldComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := good(t, "app", "exp", time.Now().Add(10*time.Minute).Unix())
		require.Equal(t, ok, token(f.p, a))
		for range 12 { // exp and leeway, and a minute more
			_, err := f.p.Cleanup(context.Background())
			require.NoError(t, err)
			require.Equal(t, invalid, token(f.p, a))
			time.Sleep(time.Minute)
		}
		n, err := f.p.Cleanup(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 1, n.Codes, "and not for ever")
	})
}

func TestSEC148_KeysRotateAtTheClientsURI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		k := keys()
		old, next := k["ES256"], k["EdDSA"]
		set, status := jwks(t, old), 200
		f.serve = func() (int, []byte) { return status, set }
		use := func(key jose.Key) answer { return token(f.p, sign(t, key, "JWT", claims("uri"))) }
		require.Equal(t, ok, use(old))
		require.Equal(t, ok, use(old))
		require.EqualValues(t, 1, f.gets.Load())
		for range 100 {
			require.Equal(t, invalid, use(k["other"]))
		}
		require.EqualValues(t, 1, f.gets.Load(), "at most one request a minute")
		time.Sleep(time.Minute)
		set = jwks(t, next)
		require.Equal(t, ok, use(next), "new key after one request")
		require.Equal(t, invalid, use(old))
		require.EqualValues(t, 2, f.gets.Load())
		status = 500
		time.Sleep(5 * time.Minute)
		require.Equal(t, ok, use(next))
		time.Sleep(5 * time.Minute)
		require.Equal(t, invalid, use(next), "keys that cannot be asked for are not trusted for ever")
	})
}

func TestSEC244_KeySetsThatAreNoGoodAreRefused(t *testing.T) {
	for name, serve := range map[string]func() (int, []byte){
		"redirect":  func() (int, []byte) { return 302, nil },
		"not found": func() (int, []byte) { return 404, jwks(t, keys()["ES256"]) },
		"not JSON":  func() (int, []byte) { return 200, []byte("x") },
		"too large": func() (int, []byte) { return 200, append(jwks(t, keys()["ES256"]), make([]byte, 64<<10)...) },
		"private":   func() (int, []byte) { return 200, []byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.serve = serve
			for range 10 {
				assert.Equal(t, invalid, token(f.p, good(t, "uri")))
			}
			assert.EqualValues(t, 1, f.gets.Load())
		})
	}
}

// The URI of the keys of a client can lead anywhere: nothing is connected to.
func TestSEC244_KeysAreFetchedFromPublicAddressesOnly(t *testing.T) {
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	st := store.NewMemory()
	p, err := oauth.New(oauth.Config{Issuer: issuer, Store: st, LoginURL: "/login", Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Keys: oauth.StaticKeys{{Signer: keys()["other"].Signer}}, Policy: oauth.Policy{BcryptCost: 4}, Secret: []byte("0123456789abcdef0123456789abcdef"),
		Extensions: []oauth.Extension{assertion.New(assertion.Config{})}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	_, _, err = p.RegisterClient(context.Background(), oauth.Client{ID: "app", AuthMethod: "private_key_jwt", JWKSURI: srv.URL + "/jwks", GrantTypes: []string{"client_credentials"}})
	require.NoError(t, err)
	assert.Equal(t, invalid, token(p, good(t, "app")))
	assert.Zero(t, connections.Load())
}
