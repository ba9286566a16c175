package security

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/cimd"
)

// fetchCases: the rest of group R. What is fetched is kept in no store, and what
// fails takes a second each, so one store is enough.
var fetchCases = []caseOf{
	{"SEC-230 SEC-231 addresses that are not public", func(c *run) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(c, err)
		defer l.Close()
		var connections atomic.Int32
		go func() { // ends with the listener
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				connections.Add(1)
				_ = conn.Close()
			}
		}()
		port := l.Addr().(*net.TCPAddr).Port
		c = c.documents("guarded "+c.person().user, func(cfg *cimd.Config) { cfg.HTTPClient, cfg.Ports = nil, []uint16{443, uint16(port)} })
		var ids []string
		for _, host := range strings.Fields(`0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.0.0.1 192.168.0.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255
			[::] [::1] [fc00::1] [fe80::1] [ff02::1] [::ffff:127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [2001::1] [fd00:ec2::254] [fe80::1%25eth0] [0:0:0:0:0:0:0:1]
			2130706433 0x7f.1 0x7f000001 0177.0.0.1 127.1 127.0.1 0 localhost localhost. x.localhost LOCALHOST 127.0.0.1. user@127.0.0.1 127.0.0.1.localhost ip6-localhost localhost.localdomain`) {
			ids = append(ids, fmt.Sprintf("https://%s:%d/c", host, port), "https://"+host+"/c")
		}
		for i, a := range c.askFor(ids...) {
			assert.Equal(c, 400, a.status, ids[i])
		}
		require.Zero(c, connections.Load())
	}},
	{"SEC-233 redirects", func(c *run) {
		c = c.documents("redirects", func(*cimd.Config) {})
		answers := map[string]func(string) http.HandlerFunc{}
		const elsewhere = "https://elsewhere.example/app.json"
		c.web.serve(elsewhere, answering(200, document(elsewhere)))
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, to := range []string{"https://10.0.0.1/c", elsewhere, "", "//10.0.0.1/", "http://127.0.0.1/"} {
				answers[fmt.Sprint(status, to)] = func(id string) http.HandlerFunc {
					at := to
					if at == "" {
						at = id
					}
					return answering(status, document(id), "Location", at)
				}
			}
		}
		answers["Refresh"] = func(id string) http.HandlerFunc { return answering(200, "", "Refresh", "0; url="+elsewhere) }
		answers["meta"] = func(id string) http.HandlerFunc {
			return answering(200, `<meta http-equiv="refresh" content="0;url=`+elsewhere+`">`, "Content-Type", "text/html")
		}
		c.refusedDocuments("redirects", answers)
		require.Zero(c, c.web.count(elsewhere))
	}},
	{"SEC-235 SEC-236 SEC-250 what is no ID of a document", func(c *run) {
		c = c.documents("no IDs", func(*cimd.Config) {})
		ids := []string{"https://app.example:22/c", "https://app.example:25/c", "https://app.example:6379/c", "https://app.example:8080/c", "https://app.example:/c", "https://app.example:0/c", "https://app.example:99999/c",
			"http://app.example/c", "HTTPS://app.example/c", "https://APP.example/c", "https://app.example", "https://app.example/", "https://app.example?c", "https:///c", "https:app.example/c", "https://app.example/./c", "https://app.example/../c", "https://app.example/a/%2e%2e/c", "https://app.example/%2E/c", "https://app.example/c#f", "https://app.example/c#",
			"https://u@app.example/c", "https://u:p@app.example/c", `https://app.example\c`, "https://app.example/\tc", "https://app.example/c\n", " https://app.example/c", "https://\u00e4pp.example/c", "https://app.example/\u00e4", "https://app.example/" + strings.Repeat("c", 2048), "https://app.example/%zz", "https://app.example./c", "https://.example/c", "https://app/c",
			"ftp://app.example/c", "javascript:alert(1)", "file:///etc/passwd", issuer + "/app.json", "https://auth.example:443/app.json", issuer + "/oauth/authorize?client_id=x", "https://user@auth.example/app.json"}
		for _, id := range ids {
			c.web.serve(id, answering(200, document(id)))
		}
		for i, a := range c.askFor(ids...) {
			assert.Equal(c, 400, a.status, ids[i])
			assert.Zero(c, c.web.count(ids[i]), ids[i])
		}
	}},
	{"SEC-235 another port by configuration", func(c *run) {
		const id = "https://port.example:8443/app.json"
		c.web.serve(id, answering(200, document(id)))
		require.Equal(c, 400, c.askFor(id)[0].status)
		c = c.documents("port", func(cfg *cimd.Config) { cfg.Ports = []uint16{8443} })
		require.Equal(c, 200, c.askFor(id)[0].status)
		require.Equal(c, 400, c.askFor("https://port.example/app.json")[0].status)
	}},
	{"SEC-237 queries", func(c *run) {
		const id = "https://query-id.example/app.json?a=1&b=2"
		c.web.serve(id, answering(200, document(id)))
		c.know(id, "none", "", []string{"https://query-id.example/cb"})
		c.alive(c.login(id).AccessToken)
		others := []string{"https://query-id.example/app.json", "https://query-id.example/app.json?b=2&a=1", id + "&c=3", "https://query-id.example/app.json?a=%31&b=2"}
		for _, other := range others {
			c.web.serve(other, answering(200, document(id)))
		}
		for i, a := range c.askFor(others...) {
			require.Equal(c, 400, a.status, others[i])
		}
	}},
	{"SEC-238 SEC-242 SEC-243 documents that are none", func(c *run) {
		c = c.documents("bad", func(*cimd.Config) {})
		changed := func(pairs ...any) func(string) http.HandlerFunc {
			return func(id string) http.HandlerFunc { return answering(200, document(id, pairs...)) }
		}
		edited := func(edit func(id, body string) string, headers ...string) func(string) http.HandlerFunc {
			return func(id string) http.HandlerFunc { return answering(200, edit(id, document(id)), headers...) }
		}
		renamed := func(f func(id string) any) func(string) http.HandlerFunc {
			return func(id string) http.HandlerFunc { return answering(200, document(id, "client_id", f(id))) }
		}
		same := func(_, body string) string { return body }
		private := strings.Replace(string(jwks(newKey(), "k1")), `"kty"`, `"d":"AAAA","kty"`, 1)
		answers := map[string]func(string) http.HandlerFunc{
			"id in another case": renamed(func(id string) any { return strings.Replace(id, "app.json", "App.json", 1) }), "host in another case": renamed(func(id string) any { return strings.Replace(id, "https://d", "https://D", 1) }), "id with port": renamed(func(id string) any { return strings.Replace(id, ".example/", ".example:443/", 1) }),
			"id with slash": renamed(func(id string) any { return id + "/" }), "id with percent": renamed(func(id string) any { return strings.Replace(id, "app.json", "app%2ejson", 1) }), "id missing": changed("client_id", nil), "id a list": renamed(func(id string) any { return []string{id} }), "id http": renamed(func(id string) any { return strings.Replace(id, "https", "http", 1) }), "id with a space": renamed(func(id string) any { return id + " " }),
			"another's id": renamed(func(string) any { return cimdApp }), "HTML": edited(same, "Content-Type", "text/html"), "no type": edited(same, "Content-Type", ""), "text": edited(same, "Content-Type", "text/plain"), "a script": edited(same, "Content-Type", "application/javascript"),
			"BOM": edited(func(_, b string) string { return "\ufeff" + b }), "twice": edited(func(id, b string) string { return strings.Replace(b, "{", `{"client_id":"`+id+`",`, 1) }), "NaN": edited(func(_, b string) string { return strings.Replace(b, "{", `{"x":NaN,`, 1) }), "deep": edited(func(_, b string) string {
				return strings.Replace(b, "{", `{"x":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+`,`, 1)
			}),
			"trailing": edited(func(_, b string) string { return b + "x" }), "a list": edited(func(_, b string) string { return "[" + b + "]" }), "nothing": edited(func(_, _ string) string { return "" }), "too large": edited(func(_, b string) string { return b + strings.Repeat(" ", 64<<10) }), "not UTF-8": edited(func(_, b string) string { return strings.Replace(b, "Document", "\xff", 1) }), "Redirect_URIs": edited(func(_, b string) string { return strings.Replace(b, "redirect_uris", "Redirect_URIs", 1) }),
			"no addresses": changed("redirect_uris", []string{}), "an address": changed("redirect_uris", "https://x.example/cb"), "null": changed("redirect_uris", json.RawMessage("null")), "bad addresses": changed("redirect_uris", []string{"javascript:alert(1)"}), "name a number": changed("client_name", 1), "a long name": changed("client_name", strings.Repeat("n", 5000)),
			"a secret": changed("client_secret", "s"), "no secret": changed("client_secret", json.RawMessage("null")), "basic": changed("token_endpoint_auth_method", "client_secret_basic"), "post": changed("token_endpoint_auth_method", "client_secret_post"), "jwt": changed("token_endpoint_auth_method", "client_secret_jwt"),
			"a private key": changed("jwks", json.RawMessage(private)), "a symmetric key": changed("jwks", json.RawMessage(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)), "keys twice": changed("jwks", json.RawMessage(jwks(newKey(), "k1")), "jwks_uri", "https://keys.example/jwks"), "keys inside": changed("jwks_uri", "https://10.0.0.1/jwks"), "keys by http": changed("jwks_uri", "http://keys.example/jwks"),
			"404": func(id string) http.HandlerFunc { return answering(404, document(id)) }, "201": func(id string) http.HandlerFunc { return answering(201, document(id)) }, "206": func(id string) http.HandlerFunc { return answering(206, document(id)) },
		}
		c.refusedDocuments("bad", answers)
		const fine = "https://fine.bad.example/app.json"
		c.web.serve(fine, answering(200, document(fine), "Content-Type", "application/foo+json; charset=utf-8"))
		require.Equal(c, 200, c.askFor(fine)[0].status)
	}},
	{"SEC-241 documents that do not come", func(c *run) {
		c = c.documents("stalled", func(*cimd.Config) {})
		// They stall until the test lets them go, however long a busy machine takes
		// to get there, or a minute if it cannot.
		release := make(chan struct{})
		let := sync.OnceFunc(func() { close(release) })
		defer time.AfterFunc(time.Minute, let).Stop()
		var running, most atomic.Int32
		var ids []string
		for i := range 40 {
			id := fmt.Sprintf("https://s%d.stalled.example/app.json", i)
			c.web.serve(id, func(w http.ResponseWriter, r *http.Request) {
				if n := running.Add(1); n > most.Load() {
					most.Store(n)
				}
				defer running.Add(-1)
				<-release
				http.NotFound(w, r)
			})
			ids = append(ids, id)
		}
		var wg sync.WaitGroup
		for _, id := range ids {
			r := c.person().request("GET", "/oauth/authorize?"+c.params(app, "client_id", id, "redirect_uri", redirectOf(id)).Encode(), nil)
			wg.Go(func() {
				if a, err := c.at.send(r); assert.NoError(c, err) {
					assert.Equal(c, 400, a.status)
				}
			})
		}
		require.Eventually(c, func() bool { return running.Load() > 20 }, 30*time.Second, time.Millisecond)
		got := c.login(app)
		c.ok(c.refresh(app, got.RefreshToken))
		assert.Greater(c, running.Load(), int32(20), "others are not held up")
		let()
		wg.Wait()
		require.LessOrEqual(c, most.Load(), int32(32))
	}},
	{"SEC-245 how long a document is used", func(c *run) {
		c = c.documents("short", func(cfg *cimd.Config) {
			cfg.MinAge, cfg.MaxAge, cfg.StaleFor = time.Millisecond, 20*time.Millisecond, 200*time.Millisecond
		})
		const id = "https://ages.example/app.json"
		before := c.web.count(id)
		c.web.serve(id, answering(200, document(id), "Cache-Control", "max-age=1000000000000", "Age", "-5"))
		require.Eventually(c, func() bool { return c.askFor(id)[0].status == 200 && c.web.count(id)-before >= 3 }, time.Minute, 5*time.Millisecond, "asked for again, whatever it says")
		c.web.serve(id, answering(500, ""))
		require.Eventually(c, func() bool { return c.askFor(id)[0].status == 400 }, time.Minute, 20*time.Millisecond, "used for ever while its origin fails")

		const broken = "https://ages-broken.example/app.json"
		c.web.serve(broken, answering(200, document(broken)))
		require.Equal(c, 200, c.askFor(broken)[0].status)
		c.web.serve(broken, answering(200, document(broken, "client_id", evil)))
		require.Eventually(c, func() bool { return c.askFor(broken)[0].status == 400 }, time.Minute, 20*time.Millisecond, "a document that became another's")

		c = c.documents("defaults", func(*cimd.Config) {})
		for _, control := range []string{"no-store", "max-age=0", "private, max-age=0", "max-age=-1", "max-age=x"} {
			id := "https://ages-" + s256(control)[:8] + ".example/app.json"
			id = strings.ToLower(id)
			c.web.serve(id, answering(200, document(id), "Cache-Control", control))
			before := c.web.count(id)
			for range 5 {
				require.Equal(c, 200, c.askFor(id)[0].status)
			}
			require.Equal(c, 1, c.web.count(id)-before, "at least a minute: %s", control)
		}
	}},
	{"SEC-247 floods", func(c *run) {
		c = c.documents("floods", func(*cimd.Config) {})
		const failing = "https://failing.example/app.json"
		before := c.web.count(failing)
		for _, a := range c.burst(scaled(60, 1000), func(int) *http.Request {
			return c.person().request("GET", "/oauth/authorize?"+c.params(app, "client_id", failing, "redirect_uri", "https://failing.example/cb").Encode(), nil)
		}) {
			require.Equal(c, 400, a.status)
		}
		require.Equal(c, 1, c.web.count(failing)-before, "all waited for one request")
		var ids []string
		asked := 0
		for i := range 60 {
			ids = append(ids, fmt.Sprintf("https://victim.example/%d", i))
			asked -= c.web.count(ids[i])
		}
		for _, a := range c.askFor(ids...) {
			require.Equal(c, 400, a.status)
		}
		for _, id := range ids {
			asked += c.web.count(id)
		}
		require.LessOrEqual(c, asked, 10, "requests to one host in a minute")
	}},
	{"SEC-248 failures look the same", func(c *run) {
		c = c.documents("oracle", func(*cimd.Config) {})
		ids := []string{"https://o0.example/404", "https://o1.example/html", "https://o2.example/json", "https://o3.example/redirect", "https://o4.example/500", "https://o5.example/refused", "https://o6.example/empty"}
		c.web.serve(ids[1], answering(200, "<html>", "Content-Type", "text/html"))
		c.web.serve(ids[2], answering(200, "{"))
		c.web.serve(ids[3], answering(302, "", "Location", "https://10.0.0.1/"))
		c.web.serve(ids[4], answering(500, "stack trace at 10.0.0.1"))
		c.web.serve(ids[5], func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		c.web.serve(ids[6], answering(204, ""))
		var pages []string
		start := time.Now()
		for _, a := range c.askFor(ids...) {
			require.Equal(c, 400, a.status)
			pages = append(pages, nonceOf.ReplaceAllString(withoutStyle(a.body), ""))
		}
		assert.GreaterOrEqual(c, time.Since(start), time.Second, "the time tells nothing either")
		for i, page := range pages {
			assert.Equal(c, pages[0], page, ids[i])
		}
	}},
	{"SEC-249 what a request for a document says", func(c *run) {
		c = c.documents("headers", func(*cimd.Config) {})
		const id = "https://headers.example/app.json"
		var got http.Header
		c.web.serve(id, func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Clone()
			answering(200, document(id), "Set-Cookie", "a=b")(w, r)
		})
		b := c.person()
		r := b.request("GET", "/oauth/authorize?"+c.params(app, "client_id", id, "redirect_uri", "https://headers.example/cb").Encode(), nil)
		for name, value := range map[string]string{"Referer": "https://intranet.example/", "Authorization": "Bearer x", "User-Agent": "somebody", "X-Forwarded-For": "192.0.2.1", "Accept-Language": "de"} {
			r.Header.Set(name, value)
		}
		require.Equal(c, 200, c.do(r).status)
		for _, name := range []string{"Cookie", "Authorization", "Referer", "X-Forwarded-For", "Accept-Language", "Origin"} {
			require.Empty(c, got.Values(name), name)
		}
		require.Equal(c, jsonType, got.Get("Accept"))
		require.NotContains(c, got.Get("User-Agent"), "somebody")
	}},
}

var nonceOf = regexp.MustCompile(`nonce="[^"]*"`)
