package security

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	shortLife = 20 * time.Second // of the access tokens of the load
	turns     = 90               // how many keys take turns

	// withdrawnFor is how long a withdrawn key can still be in use: an instance
	// publishes it until it asks its source again, and an API uses it for 10 minutes.
	withdrawnFor = time.Minute + 10*time.Minute
)

// rotationCases: keys that change under load. The store has no part in it.
var rotationCases = []caseOf{
	{"SEC-267 keys that change every second", func(c *run) {
		seconds := time.Duration(scaled(8, 600)) * time.Second
		source := newRota()
		config := func(s store.Store) oauth.Config {
			cfg := c.config(s)
			cfg.Keys, cfg.Extensions, cfg.Policy.AccessTokenLifetime = source, nil, shortLife
			cfg.OnEvent, cfg.Observe, cfg.Logger = nil, nil, slog.New(slog.DiscardHandler) // ten minutes of them
			return cfg
		}
		// The first node is started anew every second, so that it signs with every
		// key. The second stays as it is, and asks for the keys once a minute.
		first, second := c.listen(c), c.listen(c)
		c.restart(c, first, config(c.store))
		c.restart(c, second, config(c.peer))

		// One API asks for the keys itself, the other gets them through a proxy that
		// keeps them for as long as it may.
		both := balanced(first, second)
		direct, cached, proxy := c.listen(c), c.listen(c), &keepingProxy{next: both.client.Transport, kept: map[string]keptAnswer{}}
		direct.serve(guard(c, issuer, resource.JWT(issuer, both.client)).ServeHTTP)
		cached.serve(guard(c, issuer, resource.JWT(issuer, &http.Client{Transport: proxy})).ServeHTTP)
		l := &load{run: c, source: source, at: both, kids: map[string]bool{},
			apis: map[string]*node{"first": first, "second": second, "direct": direct, "cached": cached}}

		long := c.register(oauth.Client{Name: "Long", Scopes: []string{"read"}, GrantTypes: []string{"client_credentials"}, AccessTokenLifetime: 24 * time.Hour})
		var clients sync.WaitGroup
		for range 4 {
			got := c.on(both).login(app)
			clients.Go(func() { l.client(got) })
		}
		defer clients.Wait()
		defer l.ended.Store(true)

		var signed []string // a token of each key that the first node signed with
		var withdrawn string
		var withdrawnAt time.Time
		refused := map[string]time.Duration{} // by API, how long after
		full := scaled(0, 1) == 1
		goesOn := func() bool {
			waits := full && refused["direct"] == 0 && time.Since(withdrawnAt) < withdrawnFor
			return waits || len(signed) < 4 || time.Since(source.begin) < seconds
		}
		for goesOn() {
			time.Sleep(time.Until(source.begin.Add(source.second() + time.Second))) // in real time: the nodes have sockets
			if len(signed) == 3 {
				withdrawn, withdrawnAt = signed[1], time.Now()
				source.withdraw(kidOf(withdrawn))
			}
			c.restart(c, first, config(c.store))
			a, err := first.send(c.authenticated("/oauth/token", long, url.Values{"grant_type": {"client_credentials"}, "resource": {apiURI}}))
			require.NoError(c, err)
			signed = append(signed, c.ok(a).AccessToken)
			l.got(signed[len(signed)-1])
			l.use(signed[len(signed)-1])
			l.use(signed[len(signed)/2]) // what no API has had in mind for some time
			if withdrawn == "" {
				continue
			}
			for name, api := range l.apis {
				if a, err := api.send(callOf(withdrawn)); err == nil && a.status == http.StatusUnauthorized && refused[name] == 0 {
					refused[name] = time.Since(withdrawnAt)
				}
			}
			if len(signed) == 4 { // whoever asks from now on is not told of the key
				fresh := c.listen(c)
				fresh.serve(guard(c, issuer, resource.JWT(issuer, first.client)).ServeHTTP)
				require.Equal(c, http.StatusUnauthorized, c.on(fresh).call("api.example", withdrawn).status)
				require.Equal(c, http.StatusOK, c.on(fresh).call("api.example", signed[0]).status)
				require.Equal(c, http.StatusUnauthorized, c.on(first).call("api.example", withdrawn).status)
				require.Equal(c, http.StatusOK, c.on(first).call("api.example", signed[0]).status)
			}
		}
		l.ended.Store(true)
		clients.Wait()

		proxy.mu.Lock()
		assert.Len(c, proxy.kept, 2, "metadata and keys, once for all the time")
		proxy.mu.Unlock()
		assert.GreaterOrEqual(c, len(l.kids), 4)
		c.Logf("%v: %d access tokens issued under %d keys, %d uses of valid ones, %d refused; a withdrawn key was refused after %v",
			time.Since(source.begin).Round(time.Second), l.issued, len(l.kids), l.used, len(l.bad), refused)
		assert.Empty(c, l.bad, "valid tokens were refused")
		assert.Greater(c, l.issued, len(signed), "the clients got tokens")
		assert.Contains(c, refused, "first")
		if full {
			assert.Contains(c, refused, "second")
			assert.Contains(c, refused, "direct")
		}
	}},
}

// rota is a KeySource that signs with another key every second. The next one has
// to be known for as long as the key set may be cached, an hour, and the last for
// as long as its tokens live. A key set has at most 100 keys, so they take turns:
// all but one that is withdrawn are there all the time.
type rota struct {
	keys      []oauth.Key
	begin     time.Time
	withdrawn atomic.Pointer[string] // a kid
}

func newRota() *rota {
	r := &rota{begin: time.Now()}
	for i := range turns {
		r.keys = append(r.keys, oauth.Key{ID: fmt.Sprint("second-", i), Signer: newKey()})
	}
	return r
}

// second is how long it has been running, in whole seconds.
func (r *rota) second() time.Duration { return time.Since(r.begin).Truncate(time.Second) }

func (r *rota) withdraw(kid string) { r.withdrawn.Store(&kid) }

func (r *rota) isWithdrawn(kid string) bool {
	withdrawn := r.withdrawn.Load()
	return withdrawn != nil && *withdrawn == kid
}

func (r *rota) Keys(context.Context) ([]oauth.Key, error) {
	signs := int(r.second()/time.Second) % turns
	var list []oauth.Key
	for i := range r.keys {
		key := r.keys[(signs+i)%turns]
		if r.isWithdrawn(key.ID) {
			continue
		}
		if len(list) > 0 {
			key = oauth.Key{ID: key.ID, Public: key.Signer.Public()}
		}
		list = append(list, key)
	}
	return list, nil
}

// balanced is what both nodes answer for in turn.
func balanced(nodes ...*node) *node {
	b := &balancer{}
	for _, n := range nodes {
		b.to = append(b.to, n.client.Transport)
	}
	return &node{client: &http.Client{Transport: b, CheckRedirect: noRedirect}}
}

type balancer struct {
	to []http.RoundTripper
	n  atomic.Uint64
}

func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.to[b.n.Add(1)%uint64(len(b.to))].RoundTrip(r)
}

// keepingProxy keeps answers for as long as their max-age allows, whatever the
// request says.
type keepingProxy struct {
	next http.RoundTripper
	mu   sync.Mutex
	kept map[string]keptAnswer
}

type keptAnswer struct {
	res   *http.Response
	body  []byte
	until time.Time
}

func (p *keepingProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.kept[r.URL.String()]
	if !ok || time.Now().After(k.until) {
		res, err := p.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		k = keptAnswer{res: res}
		if k.body, err = io.ReadAll(res.Body); err != nil {
			return nil, err
		}
		var seconds int
		if _, err := fmt.Sscanf(res.Header.Get("Cache-Control"), "public, max-age=%d", &seconds); err == nil {
			k.until = time.Now().Add(time.Duration(seconds) * time.Second)
			p.kept[r.URL.String()] = k
		}
	}
	res := *k.res
	res.Body = io.NopCloser(bytes.NewReader(k.body))
	return &res, nil
}

// load is clients that get tokens and use them, all the time.
type load struct {
	*run
	source *rota
	at     *node            // where they get them
	apis   map[string]*node // where they use them
	ended  atomic.Bool

	mu           sync.Mutex
	kids         map[string]bool
	issued, used int
	bad          []string
}

// client refreshes for as long as the load lasts, and uses the newest token and
// one of those before it.
func (l *load) client(got tokens) {
	var tokens []string
	for i := 0; !l.ended.Load(); i++ {
		a, err := l.at.send(l.authenticated("/oauth/token", app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}))
		if err != nil || a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &got) != nil {
			l.fails(fmt.Sprintf("refresh: %d %v", a.status, err))
			return
		}
		l.got(got.AccessToken)
		tokens = slices.DeleteFunc(append(tokens, got.AccessToken), func(t string) bool { return !time.Now().Before(expiryOf(t)) })
		l.use(got.AccessToken)
		if len(tokens) > 0 {
			l.use(tokens[i%len(tokens)])
		}
		time.Sleep(10 * time.Millisecond) // the machine is not ours alone
	}
}

func (l *load) got(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.issued++
	l.kids[kidOf(token)] = true
}

// use shows a token to everybody. Who refuses one that has not expired meanwhile,
// and whose key is none that was withdrawn, is noted.
func (l *load) use(token string) {
	valid := func() bool { return time.Now().Before(expiryOf(token)) && !l.source.isWithdrawn(kidOf(token)) }
	for name, api := range l.apis {
		a, err := api.send(callOf(token))
		switch {
		case !valid():
			return
		case err != nil || a.status != http.StatusOK:
			l.fails(fmt.Sprintf("%s, %s: %d %s %v", name, kidOf(token), a.status, a.header.Get("WWW-Authenticate"), err))
		}
		l.mu.Lock()
		l.used++
		l.mu.Unlock()
	}
	a, err := l.at.send(l.authenticated("/oauth/introspect", api, url.Values{"token": {token}}))
	if valid() && (err != nil || !strings.Contains(a.body, `"active":true`)) {
		l.fails(fmt.Sprintf("introspection, %s: %d %v", kidOf(token), a.status, err))
	}
}

func (l *load) fails(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad = append(l.bad, fmt.Sprintf("%v: %s", l.source.second(), what))
}

// callOf is a call of the API; in a node of the provider, of the one in the
// process.
func callOf(token string) *http.Request {
	return request("GET", "https://api.example/notes", nil, "Authorization", "Bearer "+token)
}

// jwtPart reads the header (0) or the claims (1) of a JWT of the provider's own.
func jwtPart(token string, i int) (v struct {
	Kid string `json:"kid"`
	Exp int64  `json:"exp"`
}) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		panic(err)
	}
	return v
}

func kidOf(token string) string { return jwtPart(token, 0).Kid }

func expiryOf(token string) time.Time { return time.Unix(jwtPart(token, 1).Exp, 0) }

// secretCases: what Config.Secret seals, on two nodes of which one is configured
// anew before the other.
var secretCases = []caseOf{
	{"SEC-267 a new Config.Secret in three steps, under load", func(c *run) {
		older, newer := c.config(nil).Secret, []byte("fedcba9876543210fedcba9876543210")
		a, b := c.listen(c), c.listen(c)
		configure := func(n *node, secret []byte, retired ...[]byte) {
			c.Helper()
			cfg := c.config(ownKeys{c.store})
			if n == b {
				cfg.Store = ownKeys{c.peer}
			}
			cfg.Secret, cfg.RetiredSecrets = secret, retired
			c.restart(c, n, cfg)
		}
		configure(a, older)
		configure(b, older)
		both := c.on(balanced(a, b))
		kid := kidOf(both.login(app).AccessToken)
		good := func(got tokens) {
			c.Helper()
			require.Equal(c, kid, kidOf(got.AccessToken), "the key stays, whatever seals it")
			for _, host := range []string{"api.example", "jwt.example", "introspect.example"} {
				require.Equal(c, http.StatusOK, both.call(host, got.AccessToken).status, host)
			}
		}

		var ended atomic.Bool
		var flows atomic.Int64
		var running sync.RWMutex // a flow holds it
		flow := func() {
			running.RLock()
			defer running.RUnlock()
			got := both.login(app)
			good(got)
			good(both.ok(both.refresh(app, got.RefreshToken)))
			flows.Add(1)
		}
		var clients sync.WaitGroup
		defer clients.Wait()
		defer ended.Store(true)
		for range 3 {
			clients.Go(func() {
				for !ended.Load() && !c.Failed() {
					flow()
				}
			})
		}

		change := func(n *node, secret []byte, retired ...[]byte) {
			c.Helper()
			var answered []func()
			for _, shown := range []*node{a, b} { // pages that are open meanwhile, and people who sign in
				for _, at := range []*node{a, b} {
					person, v := c.on(shown).person(), c.params(app)
					page := person.authorize(v)
					signing, again := c.on(shown).person(), c.params(app, "prompt", "login")
					signing.authTime = signing.authTime.Add(-time.Hour)
					back := c.locationOf(signing.authorize(again)).Query().Get("return_to")
					answered = append(answered, func() {
						c.Helper()
						person.c, signing.c = c.on(at), c.on(at)
						signing.authTime = time.Now().Add(time.Second)
						c.redirected(signing.allow(signing.visit("GET", back, nil)), again.Get("redirect_uri"), again.Get("state"))
						q := c.redirected(person.allow(page), v.Get("redirect_uri"), v.Get("state"))
						good(c.ok(c.on(shown).exchange(app, q.Get("code"))))
					})
				}
			}
			configure(n, secret, retired...)
			for _, answer := range answered {
				answer()
			}
			for enough := flows.Load() + 3; flows.Load() < enough && !c.Failed(); {
				time.Sleep(time.Millisecond) // until the load has been through both nodes
			}
		}
		late := c.on(a).person()
		left := late.authorize(c.params(app))
		for _, n := range []*node{a, b} {
			change(n, older, newer)
		}
		for _, n := range []*node{a, b} {
			change(n, newer, older)
		}
		running.Lock() // as if Policy.InteractionLifetime had passed: nothing is open that was begun before
		before := flows.Load()
		running.Unlock()
		for _, n := range []*node{a, b} {
			change(n, newer)
		}

		c.Logf("%d flows while both secrets were known, %d after", before, flows.Load()-before)

		late.c = c.on(b)
		require.Equal(c, http.StatusForbidden, late.allow(left).status, "the old secret opens nothing any more")
		cfg := c.config(ownKeys{c.store})
		_, err := oauth.New(cfg)
		require.ErrorContains(c, err, "another secret")
	}},
}

// ownKeys is a store in which managed keys lie beside those of the other nodes.
type ownKeys struct{ store.Store }

func (s ownKeys) own(kind string) string {
	if kind == "keys" {
		return "keys of a case"
	}
	return kind
}

func (s ownKeys) Code(ctx context.Context, kind, key string) (store.Code, error) {
	return s.Store.Code(ctx, s.own(kind), key)
}

func (s ownKeys) CreateCode(ctx context.Context, v store.Code) error {
	v.Kind = s.own(v.Kind)
	return s.Store.CreateCode(ctx, v)
}

func (s ownKeys) UpdateCode(ctx context.Context, v store.Code) error {
	v.Kind = s.own(v.Kind)
	return s.Store.UpdateCode(ctx, v)
}
