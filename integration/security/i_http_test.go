package security

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

var (
	formPaths = []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"}
	machineIs = "grant_type=client_credentials" // what machine sends
)

// asMachine posts a body to a path, authenticated as the client machine.
func (c *run) asMachine(method, path, contentType, body string, headers ...string) answer {
	c.Helper()
	r := request(method, issuer+path, strings.NewReader(body), headers...)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.SetBasicAuth(machine, c.credentials[machine].secret)
	return c.do(r)
}

// httpCases: group I, HTTP and parameters.
var httpCases = []caseOf{
	{"SEC-115 parameters in the query", func(c *run) {
		secret := c.credentials[machine].secret
		for _, path := range formPaths {
			for _, query := range []string{"client_secret=" + secret, "client_secret", "client_secret=", "code=x", "refresh_token=x", "token=x", "client_assertion=x", "code_verifier=x", "password=x", "access_token=x", "%63lient_secret=x", "a=1&client_secret=x", "a=%zz", "a=b;c=d"} {
				c.refused(c.asMachine("POST", path+"?"+query, formType, machineIs+"&token=x"), 400, oauth.ErrInvalidRequest)
			}
		}
		c.refused(c.asMachine("POST", "/oauth/token?grant_type=client_credentials", formType, ""), 400, oauth.ErrInvalidRequest)
		c.ok(c.asMachine("POST", "/oauth/token?grant_type=password&scope=admin", formType, machineIs))
		got := c.ok(c.asMachine("POST", "/oauth/token?scope=read", formType, machineIs))
		require.Equal(c, "read write", got.Scope, "what the query says counts for nothing")
		c.refused(c.do(form(issuer+"/oauth/token?client_id="+app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.login(app).RefreshToken}})), 401, oauth.ErrInvalidClient)
	}},
	{"SEC-116 bodies of other types", func(c *run) {
		for _, path := range formPaths {
			for _, kind := range []string{"", jsonType, "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "application/json, " + formType, formType + ", text/plain", "application/xml", formType + "x", "x" + formType, "*/*", "application/*", ";", formType + ";=;", "application / x-www-form-urlencoded"} {
				for _, body := range []string{machineIs + "&token=x", `{"grant_type":"client_credentials","token":"x"}`, "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--"} {
					a := c.asMachine("POST", path, kind, body)
					c.refused(a, 400, oauth.ErrInvalidRequest)
				}
			}
			r := request("POST", issuer+path, strings.NewReader(machineIs), "Content-Type", formType, "Content-Type", jsonType)
			c.refused(c.do(r), 400, oauth.ErrInvalidRequest)
		}
		for _, kind := range []string{"", formType, "text/plain", "multipart/form-data; boundary=x", "application/json, text/plain", "text/json"} {
			a := c.do(request("POST", issuer+"/oauth/register", strings.NewReader(`{"redirect_uris":["https://self.example/cb"]}`), "Content-Type", kind))
			require.Contains(c, []int{400, 415}, a.status, kind)
		}
	}},
	{"SEC-117 spellings of the type", func(c *run) {
		for _, kind := range []string{formType + ";charset=UTF-8", formType + "; charset=utf-8", strings.ToUpper(formType), formType + ";", formType + ` ; charset="utf-8"`} {
			c.ok(c.asMachine("POST", "/oauth/token", kind, machineIs))
		}
	}},
	{"SEC-118 methods", func(c *run) {
		for _, path := range append(formPaths, "/oauth/register") {
			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "TRACE", "PATCH", "PROPFIND", "post"} {
				if path == "/oauth/register" && strings.Contains("GET PUT DELETE", method) {
					continue // RFC 7592
				}
				a := c.asMachine(method, path, formType, machineIs)
				require.Equal(c, http.StatusMethodNotAllowed, a.status, "%s %s", method, path)
				require.Contains(c, a.header.Get("Allow"), "POST")
			}
			a := c.do(request("OPTIONS", issuer+path, nil, "Origin", "https://app.example", "Access-Control-Request-Method", "POST"))
			require.Equal(c, http.StatusNoContent, a.status)
			require.Contains(c, a.header.Get("Access-Control-Allow-Methods"), "POST")
			for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
				require.Equal(c, http.StatusMethodNotAllowed, c.asMachine("PATCH", path+"?_method=POST", formType, machineIs, name, "POST").status)
			}
		}
		for _, path := range []string{"/.well-known/oauth-authorization-server", "/oauth/jwks"} {
			for _, method := range []string{"POST", "PUT", "DELETE", "TRACE"} {
				require.Equal(c, http.StatusMethodNotAllowed, c.do(request(method, issuer+path, nil)).status)
			}
		}
		for _, method := range []string{"PUT", "DELETE", "TRACE", "PATCH", "OPTIONS"} {
			require.Equal(c, http.StatusMethodNotAllowed, c.person().visit(method, "/oauth/authorize?"+c.params(app).Encode(), nil).status)
		}
	}},
	{"SEC-119 long bodies", func(c *run) {
		long := strings.Repeat("a", 64<<10)
		for _, path := range formPaths {
			require.Equal(c, 413, c.asMachine("POST", path, formType, machineIs+"&a="+long).status)
			c.refused(c.asMachine("POST", path, formType, strings.Repeat("a=&", 200)), 400, oauth.ErrInvalidRequest)
		}
		require.Equal(c, 403, c.person().visit("POST", "/oauth/consent", url.Values{"interaction": {long + long}}).status)
		require.Equal(c, 413, c.person().visit("POST", "/oauth/authorize", url.Values{"client_id": {app}, "state": {long + long}}).status)
		c.ok(c.asMachine("POST", "/oauth/token", formType, machineIs+"&a="+long[:60<<10]))
		for _, head := range []string{"Content-Length: 104857600", "Transfer-Encoding: chunked"} {
			for _, path := range append(formPaths, "/oauth/register", "/oauth/consent") {
				kind := formType
				if path == "/oauth/register" {
					kind = jsonType
				}
				a := c.endless(path, kind, head)
				require.Contains(c, []int{413, 403}, a.StatusCode, path)
				require.True(c, a.Close, "the connection ends")
			}
		}
	}},
	{"SEC-119 encoded bodies", func(c *run) {
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		_, err := z.Write([]byte(machineIs + "&a=" + strings.Repeat("a", 4<<20)))
		require.NoError(c, err)
		require.NoError(c, z.Close())
		for _, coding := range []string{"gzip", "deflate", "br", "identity", "x", "gzip, gzip"} {
			require.Equal(c, 415, c.asMachine("POST", "/oauth/token", formType, bomb.String(), "Content-Encoding", coding).status, coding)
		}
	}},
	{"SEC-119 a length that is a lie", func(c *run) {
		conn := c.dial()
		fmt.Fprintf(conn, "POST /oauth/token HTTP/1.1\r\nHost: auth.example\r\nContent-Type: %s\r\nContent-Length: 4000\r\n\r\n%s", formType, machineIs)
		require.NoError(c, conn.CloseWrite())
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(c, err)
		require.Equal(c, 400, res.StatusCode)
		conn = c.dial() // what follows a shorter length is not part of the request
		fmt.Fprintf(conn, "POST /oauth/revoke HTTP/1.1\r\nHost: auth.example\r\nContent-Type: %s\r\nContent-Length: 23\r\nConnection: close\r\n\r\nclient_id=app&token=abc&client_secret=x", formType)
		res, err = http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(c, err)
		require.Equal(c, 200, res.StatusCode)
	}},
	{"SEC-121 encodings", func(c *run) {
		for _, path := range formPaths {
			for _, bad := range []string{"a=%zz", "a=%", "a=%4", "a=1;b=2", "a=%ff%fe", "a=\xff", "%ff=a", "a=%c0%af", "a=%ed%a0%80", "a=%f5%80%80%80", "%zz", "a=%u0041"} {
				c.refused(c.asMachine("POST", path, formType, machineIs+"&token=x&"+bad), 400, oauth.ErrInvalidRequest)
			}
		}
		for _, spaces := range []string{"read+write", "read%20write"} {
			require.Equal(c, "read write", c.ok(c.asMachine("POST", "/oauth/token", formType, machineIs+"&scope="+spaces)).Scope)
		}
		c.ok(c.asMachine("POST", "/oauth/token", formType, "&&"+"%67rant_type=client%5Fcredentials&&=&"))
		for _, bad := range []string{"a=%zz", "a=%", "a=1;b=2", "scope=%ff%fe", "state=%c0%af"} {
			v := c.params(app, "state", "")
			a := c.person().visit("GET", "/oauth/authorize?"+v.Encode()+"&"+bad, nil)
			if a.status == http.StatusSeeOther { // it can be read, and is not text
				c.redirected(a, v.Get("redirect_uri"), "", oauth.ErrInvalidRequest)
			} else {
				c.page400(a)
			}
			require.Contains(c, []int{400, 403}, c.do(request("POST", issuer+"/oauth/consent", strings.NewReader("decision=allow&"+bad), "Content-Type", formType)).status)
		}
	}},
	{"SEC-122 NUL", func(c *run) {
		b := c.person()
		got, code := c.loginAs(b, app), b.code(c.params(app))
		for _, v := range []url.Values{
			{"client_id": {app + "\x00"}, "grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}},
			{"client_id": {app}, "grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken + "\x00junk"}},
			{"client_id": {app}, "grant_type": {"refresh_token\x00"}, "refresh_token": {got.RefreshToken}},
			{"client_id": {app}, "grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}, "scope": {"a\x00b"}},
			{"client_id": {app}, "grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}, "x\x00": {"y"}},
			{"client_id": {app}, "grant_type": {"authorization_code"}, "code": {code + "\x00"}, "code_verifier": {verifier}},
			{"client_id": {app}, "token": {got.RefreshToken + "\x00"}},
		} {
			for _, path := range formPaths {
				c.refused(c.do(form(issuer+path, v)), 400, oauth.ErrInvalidRequest)
			}
		}
		for _, name := range []string{"client_id", "redirect_uri", "state", "scope", "code_challenge", "resource", "nonce"} {
			v := c.params(app)
			v.Set(name, v.Get(name)+"\x00")
			a := b.authorize(v)
			if name == "client_id" || name == "redirect_uri" || name == "state" {
				c.page400(a)
			} else {
				c.redirected(a, v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidRequest)
			}
		}
		for _, credentials := range []string{machine + "\x00", machine + "%00"} {
			r := form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}})
			r.SetBasicAuth(credentials, c.credentials[machine].secret)
			c.refused(c.do(r), 401, oauth.ErrInvalidClient)
			r = form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}})
			r.SetBasicAuth(machine, c.credentials[machine].secret+strings.TrimPrefix(credentials, machine))
			c.refused(c.do(r), 401, oauth.ErrInvalidClient)
		}
		for _, name := range []string{"client_name", "scope", "software_id", "contacts"} {
			a := c.postJSON("/oauth/register", map[string]any{"redirect_uris": []string{"https://self.example/cb"}, name: "a\x00b"})
			require.Contains(c, []int{201, 400}, a.status, "%s: %s", name, a)
			require.NotContains(c, a.body, `\u0000`)
		}
		a := c.postJSON("/oauth/register", map[string]any{"redirect_uris": []string{"https://self.example/cb\x00"}})
		c.refused(a, 400, oauth.ErrInvalidRedirectURI)
		c.alive(got.AccessToken)
		c.ok(c.exchange(app, code))
	}},
	{"SEC-123 empty values are none", func(c *run) {
		empty := url.Values{"code": {""}, "scope": {""}, "resource": {"", ""}, "redirect_uri": {""}, "client_secret": {""}, "client_assertion": {""}, "refresh_token": {"", ""}, "grant_type": {"", "client_credentials"}}
		require.Equal(c, "read write", c.ok(c.post("/oauth/token", machine, empty)).Scope)
		for _, v := range []url.Values{{"grant_type": {"authorization_code"}, "code": {""}}, {"grant_type": {"refresh_token"}, "refresh_token": {""}}, {"grant_type": {""}}} {
			c.refused(c.post("/oauth/token", app, v), 400, oauth.ErrInvalidRequest)
		}
		v := c.params(app)
		for _, name := range []string{"scope", "resource", "nonce", "response_mode", "prompt", "max_age", "login_hint"} {
			v.Set(name, "")
		}
		c.alive(c.ok(c.exchange(app, c.person().code(v))).AccessToken)
		v.Set("state", "")
		u := c.locationOf(c.person().allow(c.person().authorize(c.params(app, "prompt", "none", "state", ""))))
		require.False(c, u.Query().Has("state"))
	}},
	{"SEC-124 unknown parameters and other cases", func(c *run) {
		c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}, "unknown": {"1"}, "Scope": {"nonsense"}, "client": {app}, "__proto__": {"x"}, "grant_type[]": {"x"}}))
		for _, name := range []string{"Grant_Type", "GRANT_TYPE", "grant-type", "grant_type ", "grant_type[]"} {
			c.refused(c.post("/oauth/token", machine, url.Values{name: {"client_credentials"}}), 400, oauth.ErrInvalidRequest)
		}
		v := c.params(app)
		v.Set("unknown", "1")
		v["twice"] = []string{"1"}
		c.person().code(v)
		v = c.params(app)
		v["Client_id"], v["client_id"] = v["client_id"], nil
		c.page400(c.person().authorize(v))
		v = c.params(app)
		v.Set("STATE", "forged")
		v.Set("Redirect_URI", evil)
		c.person().code(v)
	}},
	{"SEC-125 grant types", func(c *run) {
		for _, grant := range []string{"password", "implicit", "AUTHORIZATION_CODE", "Client_Credentials", "client_credentials ", " client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:device_code", "none", "*", strings.Repeat("g", 5000)} {
			c.refused(c.post("/oauth/token", machine, url.Values{"grant_type": {grant}, "username": {"u"}, "password": {"p"}}), 400, oauth.ErrUnsupportedGrantType)
		}
		c.refused(c.post("/oauth/token", machine, url.Values{}), 400, oauth.ErrInvalidRequest)
		c.refused(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials", "client_credentials"}}), 400, oauth.ErrInvalidRequest)
		for _, client := range []string{app, conf, c.dcr, cimdApp} {
			c.person().code(c.params(client))
			c.refused(c.post("/oauth/token", client, url.Values{"grant_type": {"client_credentials"}}), 400, oauth.ErrUnauthorizedClient)
		}
		c.refused(c.post("/oauth/token", machine, c.exchangeForm(app, c.person().code(c.params(app)))), 400, oauth.ErrUnauthorizedClient)
	}},
	{"SEC-127 scopes", func(c *run) {
		for _, scope := range []string{`re"ad`, `re\ad`, "read\twrite", "read\nwrite", "r\u00e9ad", "read\x7f", "read  write", " read", "read ", " ", strings.Repeat("s ", 10_000) + "s", strings.Repeat("s", 30_000), strings.Repeat("s", 200), "read\u00a0write", "read,write", "READ", "admin"} {
			c.refused(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}), 400, oauth.ErrInvalidScope)
			if len(scope) < 20_000 {
				v := c.params(app, "scope", scope)
				c.redirected(c.person().authorize(v), v.Get("redirect_uri"), v.Get("state"), oauth.ErrInvalidScope)
			}
		}
		require.Equal(c, "write read", c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}, "scope": {"write read write read read"}})).Scope)
		require.Equal(c, "read", c.login(app, "scope", "read read nonsense read").Scope)
	}},
	{"SEC-128 requests that can be read in two ways", func(c *run) {
		const head = "Content-Type: " + formType + "\r\n"
		body := "client_id=app&token=x"
		host := "Host: auth.example\r\n"
		length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
		require.Equal(c, 200, c.status(head+host+length, body), "the good one")
		for name, headers := range map[string]string{
			"no host":                        length,
			"two hosts":                      host + "Host: evil.test\r\n" + length,
			"two lengths":                    host + length + "Content-Length: 5\r\n",
			"a length and a list":            host + "Content-Length: 5, 21\r\n",
			"a length with a sign":           host + "Content-Length: +21\r\n",
			"a negative length":              host + "Content-Length: -1\r\n",
			"an unknown transfer":            host + "Transfer-Encoding: xchunked\r\n",
			"two transfers":                  host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
			"a space before the colon":       host + "Content-Length : 21\r\n",
			"a header that goes on":          host + length + "X: a\r\n b\x00\r\n",
			"a NUL in a header":              host + length + "X: a\x00b\r\n",
			"a megabyte of headers and more": host + length + "X: " + strings.Repeat("x", 2<<20) + "\r\n",
			"a header without name":          host + length + ": x\r\n",
			"a bare CR in a header":          host + length + "X: a\rb\r\n",
			"a host that is none":            "Host: a b\r\n" + length,
		} {
			status := c.status(head+headers, body)
			assert.True(c, status == 400 || status == 431 || status == 501, "%s: %d", name, status)
		}
		// With both, the length does not count (RFC 9112 §6.3).
		conn := c.dial()
		fmt.Fprintf(conn, "POST /oauth/revoke HTTP/1.1\r\n%s%sContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n15\r\n%s\r\n0\r\n\r\n", head, host, body)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(c, err)
		require.Contains(c, []int{200, 400}, res.StatusCode)
	}},
	{"SEC-129 connections that hardly send", func(c *run) {
		var wg sync.WaitGroup
		for range scaled(40, 1000) {
			wg.Go(func() {
				conn := c.dial()
				_, _ = fmt.Fprintf(conn, "POST /oauth/token HTTP/1.1\r\nHost: auth.example\r\nContent-Length: 100\r\nContent-Type: %s\r\n\r\ng", formType)
			})
		}
		wg.Wait()
		start := time.Now()
		c.alive(c.login(app).AccessToken)
		assert.Less(c, time.Since(start), 5*time.Second)
	}},
	{"SEC-130 other spellings of a path", func(c *run) {
		for _, path := range []string{"//oauth/token", "/oauth//token", "/oauth/token/", "/oauth/TOKEN", "/OAuth/token", "/x/../oauth/token", "/oauth/./token", "/oauth/token/.", "/oauth/token%2f", "/oauth%2ftoken", "/oauth/%74oken", "/oauth/token;a=b", "/oauth/token%3fx", "/oauth/token%00", "/oauth/token%20", "/token", "/oauth/token.json", "/oauth/", "/oauth", "/", "/oauth/..;/oauth/token", `/oauth\token`, "/oauth/token%0a", "/%2e%2e/oauth/token"} {
			for _, method := range []string{"POST", "GET"} {
				conn := c.dial()
				fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: auth.example\r\nContent-Type: %s\r\nContent-Length: %d\r\nAuthorization: Basic %s\r\nConnection: close\r\n\r\n%s", method, path, formType, len(machineIs), basicOf(machine, c.credentials[machine].secret), machineIs)
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(c, err)
				require.Contains(c, []int{400, 404}, res.StatusCode, "%s %s", method, path)
			}
		}
		for _, path := range []string{"/oauth/authorize;a=b", "//oauth/authorize", "/oauth/authorize/", "/oauth/Authorize", "/oauth%2fauthorize", "/oauth/authoriz%65"} {
			require.Equal(c, 404, c.person().visit("GET", path+"?"+c.params(app).Encode(), nil).status, path)
		}
	}},
}

// dial is a connection to the provider on which anything can be written.
func (c *run) dial() *tls.Conn {
	conn, err := tls.Dial("tcp", c.at.addr, &tls.Config{InsecureSkipVerify: true})
	if !assert.NoError(c, err) {
		panic(err)
	}
	c.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// status sends a revocation with these headers, byte for byte.
func (c *run) status(headers, body string) int {
	c.Helper()
	conn := c.dial()
	go func() { _, _ = io.WriteString(conn, "POST /oauth/revoke HTTP/1.1\r\n"+headers+"\r\n"+body) }()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(c, err)
	return res.StatusCode
}

// endless sends a body that does not end until there is an answer.
func (c *run) endless(path, kind, head string) *http.Response {
	c.Helper()
	conn := c.dial()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: auth.example\r\nContent-Type: %s\r\n%s\r\n\r\n", path, kind, head)
	chunk := strings.Repeat("a", 16<<10)
	if strings.HasPrefix(head, "Transfer-Encoding") {
		chunk = "4000\r\n" + chunk + "\r\n"
	}
	go func() {
		for {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(c, err)
	return res
}
