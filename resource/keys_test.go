package resource_test

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/resource"
)

// jti makes tokens that were not seen before.
func jti(n int) map[string]any { return map[string]any{"jti": fmt.Sprint("token-", n)} }

func TestNothingIsFetchedBeforeTheFirstToken(t *testing.T) {
	is, a := jwtAPI(t)
	a.get()
	a.refuses("x.y.z")
	a.refuses(is.token(map[string]any{"exp": 1}))
	a.refuses(is.token(map[string]any{"iss": "https://evil.example"}))
	assert.Equal(t, 0, is.fetches(""))
	a.accepts(is.token(nil))
	assert.Equal(t, 1, is.fetches("/.well-known/oauth-authorization-server"))
	assert.Equal(t, 1, is.fetches("/jwks"))
}

func TestUnknownKeys(t *testing.T) {
	t.Run("a new key is fetched when a token names it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			a.accepts(is.token(jti(1)))
			time.Sleep(time.Minute)
			is.addKey(jose.ES256)
			a.accepts(is.token(jti(2)))
			assert.Equal(t, 2, is.fetches("/jwks"))
			assert.Equal(t, 1, is.fetches("/.well-known/oauth-authorization-server"), "where the keys are is known")
		})
	})
	t.Run("SEC-167 a flood of unknown keys is one fetch a minute", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			a.accepts(is.token(nil))
			stranger := newIssuer(t, issuerURL)
			token := stranger.token(nil)
			for range 3 * 60 {
				for range 20 {
					a.refuses(token)
				}
				time.Sleep(time.Second)
			}
			assert.LessOrEqual(t, is.fetches("/jwks"), 4)
			assert.GreaterOrEqual(t, is.fetches("/jwks"), 3)
			a.accepts(is.token(nil))
		})
	})
	t.Run("SEC-167 and one at a time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			is.set(func() { is.slow = time.Second })
			token := is.token(nil)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					_, err := a.server.VerifyToken(context.Background(), token)
					assert.NoError(t, err)
				})
			}
			wg.Wait()
			assert.Equal(t, 1, is.fetches("/jwks"))
		})
	})
	t.Run("if the issuer cannot be reached it is not known whether the key is", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			a.accepts(is.token(nil))
			time.Sleep(time.Minute)
			is.set(func() { is.down = errDown })
			is.addKey(jose.ES256)
			a.cannotTell(is.token(nil))
			time.Sleep(time.Second)
			a.cannotTell(is.token(nil))
			is.set(func() { is.down = nil })
			time.Sleep(time.Minute)
			a.accepts(is.token(nil))
		})
	})
}

func TestOutages(t *testing.T) {
	t.Run("SEC-167 cached keys keep working for a day", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			a.accepts(is.token(jti(0)))
			begin := time.Now()
			is.set(func() { is.down = errDown })
			for n := 1; time.Since(begin) < 24*time.Hour-time.Minute; n++ {
				time.Sleep(10 * time.Minute)
				if time.Since(begin) < 24*time.Hour {
					a.accepts(is.token(jti(n)))
				}
			}
			time.Sleep(24*time.Hour - time.Since(begin))
			a.cannotTell(is.token(nil))
			is.set(func() { is.down = nil })
			time.Sleep(time.Minute)
			a.accepts(is.token(nil))
		})
	})
	t.Run("SEC-167 a slow issuer delays nobody who has keys", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			a.accepts(is.token(jti(0)))
			is.set(func() { is.slow = 30 * time.Second })
			var longest time.Duration
			for n := range 300 {
				time.Sleep(10 * time.Second)
				begin := time.Now()
				a.accepts(is.token(jti(n + 1)))
				longest = max(longest, time.Since(begin))
			}
			assert.LessOrEqual(t, longest, 5*time.Second)
			assert.LessOrEqual(t, is.fetches("/jwks"), 51)
			synctest.Wait()
			time.Sleep(5 * time.Second) // the last fetch ends by itself
		})
	})
	t.Run("SEC-167 without keys the answer comes after 5 seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			is.set(func() { is.slow = 30 * time.Second })
			begin := time.Now()
			a.cannotTell(is.token(nil))
			assert.Equal(t, 5*time.Second, time.Since(begin))
		})
	})
	t.Run("SEC-167 the time is one for metadata and keys", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			is.set(func() { is.slow = 4 * time.Second })
			begin := time.Now()
			a.cannotTell(is.token(nil))
			assert.Equal(t, 5*time.Second, time.Since(begin))
		})
	})
	t.Run("a request that ends does not end the fetch of the others", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			is.set(func() { is.slow = time.Second })
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			_, err := a.server.VerifyToken(ctx, is.token(nil))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.NotErrorIs(t, err, resource.ErrInvalidToken)
			a.accepts(is.token(nil))
			assert.Equal(t, 1, is.fetches("/jwks"))
		})
	})
	t.Run("at the start it is tried again soon, and then less often", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			is.set(func() { is.down = errDown })
			for range 600 {
				a.cannotTell(is.token(nil))
				assert.ErrorIs(t, a.refused[len(a.refused)-1], errDown)
				time.Sleep(100 * time.Millisecond)
			}
			assert.LessOrEqual(t, is.fetches(""), 8, "in a minute")
			assert.GreaterOrEqual(t, is.fetches(""), 5)
			time.Sleep(time.Minute)
			is.set(func() { is.down = nil })
			a.accepts(is.token(nil))
		})
	})
}

func TestWithdrawnKeys(t *testing.T) {
	t.Run("SEC-269 are refused within 10 minutes, tokens seen before included", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			token := is.token(nil)
			a.accepts(token)
			is.set(func() { is.keys = nil })
			is.addKey(jose.EdDSA)
			begin := time.Now()
			for a.bearer(token).StatusCode == http.StatusOK {
				time.Sleep(time.Second)
				require.Less(t, time.Since(begin), time.Hour)
			}
			assert.LessOrEqual(t, time.Since(begin), 10*time.Minute)
			a.refuses(token)
			a.accepts(is.token(nil))
		})
	})
	t.Run("SEC-269 also if nobody called in between", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			token := is.token(nil)
			a.accepts(token)
			is.set(func() { is.keys = nil })
			is.addKey(jose.ES256)
			time.Sleep(10 * time.Minute)
			a.refuses(token)
		})
	})
	t.Run("keys that stay are not verified with again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := jwtAPI(t)
			token := is.token(nil)
			for range 20 {
				a.accepts(token)
				time.Sleep(time.Minute)
			}
			assert.LessOrEqual(t, is.fetches("/jwks"), 5)
		})
	})
}

// cache is a proxy that keeps every answer for an hour, as long as a provider
// allows it for its key set, and asks anew when a request wants that (RFC 9111
// §5.2.1.4).
type cache struct {
	next http.RoundTripper
	kept map[string]keptAnswer
}

type keptAnswer struct {
	header http.Header
	body   []byte
	until  time.Time
}

func (c *cache) RoundTrip(r *http.Request) (*http.Response, error) {
	k, ok := c.kept[r.URL.String()]
	if !ok || !time.Now().Before(k.until) || r.Header.Get("Cache-Control") == "no-cache" {
		res, err := c.next.RoundTrip(r)
		if err != nil || res.StatusCode != http.StatusOK {
			return res, err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		k = keptAnswer{res.Header, body, time.Now().Add(time.Hour)}
		c.kept[r.URL.String()] = k
	}
	return &http.Response{StatusCode: http.StatusOK, Header: k.header, Body: io.NopCloser(bytes.NewReader(k.body)), Request: r}, nil
}

func TestACacheInBetweenDoesNotProlongKeys(t *testing.T) {
	behindCache := func(t *testing.T) (*issuer, *api) {
		is := newIssuer(t, issuerURL)
		client := &http.Client{Transport: &cache{is, map[string]keptAnswer{}}}
		return is, newAPI(t, resource.JWT(issuerURL, client), nil)
	}
	t.Run("SEC-269 a withdrawn key is refused within 10 minutes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := behindCache(t)
			token := is.token(nil)
			a.accepts(token)
			is.set(func() { is.keys = nil })
			is.addKey(jose.ES256)
			time.Sleep(10 * time.Minute)
			a.refuses(token)
		})
	})
	t.Run("a new key is known when a token names it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := behindCache(t)
			a.accepts(is.token(jti(1)))
			time.Sleep(time.Minute)
			is.addKey(jose.ES256)
			a.accepts(is.token(jti(2)))
		})
	})
	t.Run("keys that moved are found", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			is, a := behindCache(t)
			a.accepts(is.token(nil))
			is.moveKeys()
			time.Sleep(time.Minute)
			a.cannotTell(is.token(nil)) // the old place
			time.Sleep(time.Minute)
			a.accepts(is.token(nil))
		})
	})
}

func TestDocumentsThatCannotBeUsedAreOutages(t *testing.T) {
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const js = "application/json"
	many := strings.Repeat(`{"kty":"x"},`, 9_999) + `{}`
	const metadata = "/.well-known/oauth-authorization-server"
	md := func(changes string) string {
		return `{"issuer":"` + issuerURL + `","jwks_uri":"` + issuerURL + `/jwks"` + changes + `}`
	}
	for name, tt := range map[string]struct {
		path string
		h    http.HandlerFunc
	}{
		"keys: 404":                          {"/jwks", http.NotFound},
		"keys: 500":                          {"/jwks", answer(500, js, `{}`)},
		"keys: 302":                          {"/jwks", http.RedirectHandler("https://evil.example/jwks", http.StatusFound).ServeHTTP},
		"keys: HTML":                         {"/jwks", answer(200, "text/html", `{"keys":[]}`)},
		"keys: not JSON":                     {"/jwks", answer(200, js, `keys`)},
		"keys: no set":                       {"/jwks", answer(200, js, `{}`)},
		"keys: SEC-167 10,000":               {"/jwks", answer(200, js, `{"keys":[`+many+`]}`)},
		"keys: SEC-167 over 256 KiB":         {"/jwks", answer(200, js, `{"keys":[]}`+strings.Repeat(" ", 256<<10))},
		"keys: SEC-268 a private one":        {"/jwks", answer(200, js, `{"keys":[{"kty":"oct","k":"AA"}]}`)},
		"metadata: 500":                      {metadata, answer(500, js, `{}`)},
		"metadata: 302":                      {metadata, http.RedirectHandler(issuerURL+"/else", http.StatusFound).ServeHTTP},
		"metadata: nowhere":                  {metadata, http.NotFound},
		"metadata: not JSON":                 {metadata, answer(200, js, `x`)},
		"metadata: text":                     {metadata, answer(200, "text/plain", md(``))},
		"metadata: no jwks_uri":              {metadata, answer(200, js, `{"issuer":"`+issuerURL+`"}`)},
		"metadata: another issuer":           {metadata, answer(200, js, `{"issuer":"https://evil.example","jwks_uri":"`+issuerURL+`/jwks"}`)},
		"metadata: issuer with slash":        {metadata, answer(200, js, `{"issuer":"`+issuerURL+`/","jwks_uri":"`+issuerURL+`/jwks"}`)},
		"metadata: no issuer":                {metadata, answer(200, js, `{"jwks_uri":"`+issuerURL+`/jwks"}`)},
		"metadata: jwks_uri http":            {metadata, answer(200, js, `{"issuer":"`+issuerURL+`","jwks_uri":"http://login.example/jwks"}`)},
		"metadata: jwks_uri on this machine": {metadata, answer(200, js, `{"issuer":"`+issuerURL+`","jwks_uri":"http://127.0.0.1/jwks"}`)},
		"metadata: jwks_uri a file":          {metadata, answer(200, js, `{"issuer":"`+issuerURL+`","jwks_uri":"file:///jwks"}`)},
		"metadata: jwks_uri twice":           {metadata, answer(200, js, md(`,"jwks_uri":"`+issuerURL+`/evil"`))},
		"metadata: in another case":          {metadata, answer(200, js, md(`,"JWKS_URI":"`+issuerURL+`/evil"`))},
		"metadata: over 256 KiB":             {metadata, answer(200, js, md(``)+strings.Repeat(" ", 256<<10))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is, a := jwtAPI(t)
				is.override[tt.path] = tt.h
				a.cannotTell(is.token(nil))
				if tt.path == "/jwks" {
					assert.Equal(t, 1, is.fetches("/jwks"))
				} else {
					assert.Zero(t, is.fetches("/jwks"), "nothing is fetched on its word")
				}
				assert.Zero(t, is.fetches("/else")+is.fetches("/evil"), "and it leads nowhere else")
				if name != "metadata: nowhere" {
					assert.Zero(t, is.fetches("/.well-known/openid-configuration"), "only what is not there is looked for elsewhere")
				} else {
					assert.Equal(t, 2, is.fetches(""), "each place once")
				}

				is.set(func() { delete(is.override, tt.path) })
				time.Sleep(time.Minute)
				a.accepts(is.token(nil))

				is.set(func() { is.override[tt.path] = tt.h })
				for range 10 {
					time.Sleep(2 * time.Minute)
					a.accepts(is.token(nil)) // the keys from before
				}
			})
		})
	}
}

func TestKeysOfTheGreatestLength(t *testing.T) {
	is, a := jwtAPI(t)
	is.override["/jwks"] = func(w http.ResponseWriter, _ *http.Request) {
		body, err := jose.MarshalJWKS(is.keys)
		assert.NoError(t, err)
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(append(body, strings.Repeat(" ", 256<<10-len(body))...))
	}
	a.accepts(is.token(nil))
}

func TestErrorsDoNotQuoteTheURL(t *testing.T) {
	is := newIssuer(t, issuerURL)
	a := newAPI(t, resource.NewJWT(resource.JWTConfig{Issuer: issuerURL, JWKS: issuerURL + "/jwks?key=MARKER", Client: is.client()}), nil)
	is.set(func() { is.down = errDown })
	a.cannotTell(is.token(nil))
	assert.NotContains(t, a.refused[0].Error(), "MARKER")
	assert.Contains(t, a.refused[0].Error(), "login.example")
}

// New refuses such configurations; a verifier that is used without a Server
// fails all the same.
func TestVerifiersWithoutServer(t *testing.T) {
	for _, cfg := range []resource.JWTConfig{{Issuer: "::"}, {Issuer: "login.example"}, {Issuer: ""}, {Issuer: "x", JWKS: "http://[::1"}} {
		is := newIssuer(t, cfg.Issuer)
		cfg.Client = is.client()
		iss := map[string]any{"iss": cfg.Issuer}
		_, err := resource.NewJWT(cfg).VerifyToken(t.Context(), is.token(iss))
		assert.Error(t, err)
		assert.NotErrorIs(t, err, resource.ErrInvalidToken)
		assert.Zero(t, is.fetches(""))
	}
}

func TestAnIssuerOnThisMachineLeadsNowhereElse(t *testing.T) {
	const local = "http://127.0.0.1:9797"
	for uri, want := range map[string]int{"http://other.example/jwks": 503, local + "/jwks": 200, "https://other.example/jwks": 200} {
		is := newIssuer(t, local)
		is.metadata["jwks_uri"] = uri
		a := newAPI(t, resource.JWT(local, is.client()), func(cfg *resource.Config) { cfg.Issuers = []string{local} })
		assert.Equal(t, want, a.bearer(is.token(nil)).StatusCode, uri)
		assert.Equal(t, want == 200, is.fetches("/jwks") == 1)
	}
}

// moveKeys publishes the keys, with a new one, at another place.
func (is *issuer) moveKeys() {
	is.set(func() {
		is.metadata["jwks_uri"] = issuerURL + "/new"
		is.override["/jwks"] = http.NotFound
		is.override["/new"] = func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/jwks"
			is.serve(w, r)
		}
	})
	is.addKey(jose.ES256)
}

func TestKeysThatMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := jwtAPI(t)
		a.accepts(is.token(nil))
		is.moveKeys()
		time.Sleep(time.Minute)
		a.cannotTell(is.token(nil)) // the old place
		time.Sleep(time.Minute)
		a.accepts(is.token(nil)) // looked up anew
		assert.Equal(t, 1, is.fetches("/new"))
	})
}

func TestDiscoveryForms(t *testing.T) {
	for _, tt := range []struct{ issuer, place, before string }{
		{"https://login.example", "/.well-known/oauth-authorization-server", ""},
		{"https://login.example", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"},
		{"https://login.example/t/1", "/.well-known/oauth-authorization-server/t/1", ""},
		{"https://login.example/t/1", "/.well-known/openid-configuration/t/1", "/.well-known/oauth-authorization-server/t/1"},
		{"https://login.example/t/1", "/t/1/.well-known/openid-configuration", "/.well-known/openid-configuration/t/1"},
		{"http://127.0.0.1:9797", "/.well-known/oauth-authorization-server", ""},
	} {
		t.Run(tt.issuer+" at "+tt.place, func(t *testing.T) {
			is := newIssuer(t, tt.issuer)
			is.override["/.well-known/oauth-authorization-server"] = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest) // any 4xx
			}
			host := strings.TrimSuffix(tt.issuer, "/t/1")
			is.override[tt.place] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				assert.NoError(t, json.NewEncoder(w).Encode(map[string]string{"issuer": tt.issuer, "jwks_uri": host + "/jwks"}))
			}
			a := newAPI(t, resource.JWT(tt.issuer, is.client()), func(cfg *resource.Config) { cfg.Issuers = []string{tt.issuer} })
			a.accepts(is.token(nil))
			assert.Equal(t, 1, is.fetches(tt.place))
			if tt.before != "" {
				assert.Equal(t, 1, is.fetches(tt.before), "it is looked for there first")
			}
		})
	}
}
