package assertion_test

import (
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
)

// fetched makes acme an issuer whose keys are fetched.
func fetched(uri string) func(*assertion.Config) {
	return func(c *assertion.Config) {
		c.Enterprises[0].JWKS, c.Enterprises[0].JWKSURI = nil, uri
	}
}

// site answers with documents by URL; others are not there.
func site(documents map[string]string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := documents[r.URL.String()]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, body)
	}
}

func TestKeysOfAnIssuerAreFound(t *testing.T) {
	keySet := string(jwks(t, keys()["ES256"]))
	metadata := func(issuer string) string {
		return `{"issuer":"` + issuer + `","jwks_uri":"https://keys.example/acme"}`
	}
	oidc, rfc := "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	for name, c := range map[string]struct {
		url, uri  string
		documents map[string]string
		want      answer
	}{
		"at their URI":          {acme, "https://keys.example/acme", nil, ok},
		"OpenID Connect":        {acme, "", map[string]string{acme + oidc: metadata(acme)}, ok},
		"with a path":           {acme + "/t1", "", map[string]string{acme + "/t1" + oidc: metadata(acme + "/t1")}, ok},
		"with a slash":          {acme + "/", "", map[string]string{acme + oidc: metadata(acme + "/")}, ok},
		"RFC 8414":              {acme, "", map[string]string{acme + rfc: metadata(acme)}, ok},
		"RFC 8414 with a path":  {acme + "/t1", "", map[string]string{acme + rfc + "/t1": metadata(acme + "/t1")}, ok},
		"of another issuer":     {acme, "", map[string]string{acme + oidc: metadata(globex)}, down},
		"without the slash":     {acme + "/", "", map[string]string{acme + oidc: metadata(acme)}, down},
		"nowhere":               {acme, "", nil, down},
		"not over TLS":          {acme, "", map[string]string{acme + oidc: `{"issuer":"` + acme + `","jwks_uri":"http://keys.example/acme"}`}, down},
		"in no URI":             {acme, "", map[string]string{acme + oidc: `{"issuer":"` + acme + `"}`}, down},
		"in metadata with twos": {acme, "", map[string]string{acme + oidc: `{"issuer":"` + acme + `","jwks_uri":"x","jwks_uri":"https://keys.example/acme"}`}, down},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fetched(c.uri), func(cfg *assertion.Config) { cfg.Enterprises[0].URL = c.url })
			w.users[c.url+" U1"] = "alice"
			documents := map[string]string{"https://keys.example/acme": keySet}
			for url, body := range c.documents {
				documents[url] = body
			}
			w.serve = site(documents)
			for range 3 {
				assert.Equal(t, c.want, w.ask(w.p, "ide", jag(t, "iss", c.url)).answer())
			}
			assert.LessOrEqual(t, w.gets.Load(), int32(3), "once for all of them")
		})
	}
}

func TestKeysOfAnIssuerRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fetched("https://keys.example/acme"))
		old, next := keys()["ES256"], keys()["RS256"]
		set := jwks(t, old)
		w.serve = func(rw http.ResponseWriter, _ *http.Request) { rw.Write(set) }
		use := func(k jose.Key) answer { return w.ask(w.p, "ide", sign(t, k, idJAG, jagClaims())).answer() }
		require.Equal(t, ok, use(old))
		for range 100 {
			require.Equal(t, badGrant, use(keys()["other"]))
		}
		require.EqualValues(t, 1, w.gets.Load(), "at most one request a minute")
		set = jwks(t, old, next)
		time.Sleep(time.Minute)
		require.Equal(t, ok, use(next), "a new key after one request")
		require.Equal(t, ok, use(old), "the one before as long as it is there")
		set = jwks(t, next)
		time.Sleep(10 * time.Minute)
		require.Equal(t, badGrant, use(old), "withdrawn")
		require.Equal(t, ok, use(next))
		require.EqualValues(t, 3, w.gets.Load())
	})
}

// What nobody can say is not a no: the client may try again.
func TestAnOutageOfAnIssuerIsNotARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fetched("https://keys.example/acme"))
		good, status := jwks(t, keys()["ES256"]), 503
		w.serve = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status); rw.Write(good) }
		a := jag(t, "exp", in(time.Hour))
		for range 10 {
			require.Equal(t, down, w.ask(w.p, "ide", a).answer())
		}
		require.EqualValues(t, 1, w.gets.Load(), "who is down is not asked all the time")
		require.Equal(t, ok, w.ask(w.p, "ide", sign(t, keys()["EdDSA"], idJAG, jagClaims("iss", globex))).answer(), "nobody else is")
		status = 200
		time.Sleep(time.Minute)
		require.Equal(t, ok, w.ask(w.p, "ide", a).answer(), "it was not spent")

		status = 500
		use := func() answer { return w.ask(w.p, "ide", jag(t)).answer() }
		time.Sleep(11 * time.Minute)
		require.Equal(t, ok, use(), "keys that were there are used a while")
		require.Equal(t, down, w.ask(w.p, "ide", sign(t, keys()["RS256"], idJAG, jagClaims())).answer(), "a key that may be new")
		time.Sleep(58 * time.Minute)
		require.Equal(t, ok, use())
		time.Sleep(2 * time.Minute)
		require.Equal(t, down, use(), "not for ever: they may have been withdrawn")
		status = 200
		time.Sleep(time.Minute)
		require.Equal(t, ok, use())
	})
}

func TestKeySetsOfAnIssuerThatAreNoGood(t *testing.T) {
	many := make([]jose.Key, 21)
	for i := range many {
		many[i] = keys()["ES256"]
		if i > 0 {
			many[i].ID = string(rune('a' + i))
		}
	}
	for name, body := range map[string]string{
		"too many": string(jwks(t, many...)), "not JSON": "x", "private": `{"keys":[{"kty":"oct","k":"AAAA"}]}`, "no set": `{}`, "too large": `{"keys":[]}` + string(make([]byte, 64<<10)),
	} {
		w := newWorld(t, fetched("https://keys.example/acme"))
		w.serve = func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, body) }
		assert.Equal(t, down, w.ask(w.p, "ide", jag(t)).answer(), name)
	}
	w := newWorld(t, fetched("https://keys.example/acme"))
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "https://elsewhere.example", http.StatusFound)
	}
	assert.Equal(t, down, w.ask(w.p, "ide", jag(t)).answer(), "redirect")
	assert.EqualValues(t, 1, w.gets.Load())
}

func TestManyWaitForOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fetched("https://keys.example/acme"))
		set := jwks(t, keys()["ES256"])
		w.serve = func(rw http.ResponseWriter, _ *http.Request) { time.Sleep(time.Second); rw.Write(set) }
		var good atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if w.ask(w.p, "ide", jag(t)).answer() == ok {
					good.Add(1)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 50, good.Load())
		assert.EqualValues(t, 1, w.gets.Load())
	})
}

func TestAlgorithmsOfAnIssuerAreAChoice(t *testing.T) {
	all := []jose.Key{keys()["ES256"], keys()["RS256"], keys()["EdDSA"], keys()["ES384"]}
	use := func(algs []string, k jose.Key) answer {
		w := newWorld(t, func(c *assertion.Config) {
			c.Enterprises[0].JWKS, c.Enterprises[0].Algs = jwks(t, all...), algs
		})
		return w.ask(w.p, "ide", sign(t, k, idJAG, jagClaims())).answer()
	}
	for _, k := range all {
		assert.Equal(t, ok, use(nil, k), k.Alg)
		want := badGrant
		if k.Alg == "RS256" {
			want = ok
		}
		assert.Equal(t, want, use([]string{"RS256"}, k), k.Alg)
	}
}

// Strangers who name key sets do not keep those of issuers from being fetched.
func TestStrangersDoNotUseUpTheRequestsForIssuers(t *testing.T) {
	w := newWorld(t, fetched("https://keys.example/acme"))
	w.register(oauth.Client{ID: "uri", AuthMethod: "private_key_jwt", JWKSURI: "https://keys.example/uri"})
	documents := map[string]string{"https://keys.example/acme": string(jwks(t, keys()["ES256"])), "https://keys.example/uri": `{"keys":[]}`}
	w.serve = site(documents)
	for i := range 20 { // 10 requests a minute go to one host
		uri := "https://keys.example/" + string(rune('a'+i))
		w.register(oauth.Client{ID: uri, AuthMethod: "private_key_jwt", JWKSURI: uri})
		assert.Equal(t, invalid, token(w.p, good(t, uri)))
	}
	assert.EqualValues(t, 10, w.gets.Load())
	assert.Equal(t, ok, w.ask(w.p, "ide", jag(t)).answer())
}

// An issuer's metadata can lead anywhere: nothing is connected to, unless the
// app gives it a client that does.
func TestKeysOfIssuersAreFetchedFromPublicAddressesOnly(t *testing.T) {
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.Write(jwks(t, keys()["ES256"]))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	for name, client := range map[string]*http.Client{"default": nil, "the app's": srv.Client()} {
		w := newWorld(t)
		cfg := w.config()
		cfg.HTTPClient = nil
		cfg.Enterprises[0].JWKS, cfg.Enterprises[0].JWKSURI, cfg.Enterprises[0].HTTPClient = nil, srv.URL+"/jwks", client
		p, err := oauth.New(oauth.Config{Issuer: issuer, Store: w.store, LoginURL: "/login", Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
			Keys: oauth.StaticKeys{{Signer: keys()["other"].Signer}}, Policy: oauth.Policy{BcryptCost: 4}, Secret: []byte("0123456789abcdef0123456789abcdef"),
			Scopes: map[string]string{"read": "", "write": ""}, Resources: []oauth.Resource{{URI: notes}, {URI: mail}},
			Extensions: []oauth.Extension{assertion.New(cfg)}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		require.NoError(t, err)
		want := map[string]answer{"default": down, "the app's": ok}[name]
		assert.Equal(t, want, w.ask(p, "ide", jag(t)).answer(), name)
		assert.Equal(t, client != nil, connections.Swap(0) > 0, name)
	}
}

// What was not asked for because others had asked too much is asked for as soon
// as it may be.
func TestARequestThatWasNotMadeIsMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve = func(rw http.ResponseWriter, _ *http.Request) { rw.Write(jwks(t, keys()["ES256"])) }
		use := func(uri string) answer {
			return token(w.p, good(t, uri), "grant_type", jwtBearer, "assertion", jag(t, "client_id", uri))
		}
		uris := make([]string, 11)
		for i := range uris {
			uris[i] = "https://keys.example/" + string(rune('a'+i))
			w.register(oauth.Client{ID: uris[i], AuthMethod: "private_key_jwt", JWKSURI: uris[i]})
		}
		for _, uri := range uris[:10] {
			require.Equal(t, ok, use(uri))
		}
		time.Sleep(30 * time.Second)
		require.Equal(t, invalid, use(uris[10]))
		time.Sleep(31 * time.Second)
		require.Equal(t, ok, use(uris[10]))
	})
}
