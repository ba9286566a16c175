package security

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// basicOf are Basic credentials as they are (RFC 7617 §2).
func basicOf(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}

// wrongSecret looks like one.
var wrongSecret = strings.Repeat("wrong-", 7) + "x"

// The hashes of secrets that an operator chose, at bcrypt's least cost.
var chosenSecrets = map[string]string{
	"p%+:\u00fc":                      "$2a$04$hAyfS5GegWyjMYWcawooD.61E6Rts921wBLq6/IzA6/d9oAh2R9Ru",
	"a+b":                             "$2a$04$GnVcAQ6YqsSprHFixLihveleZY5YSbm3NvdFfS7tPFTnNRPvq53/2",
	strings.Repeat("long-secret-", 6): "$2a$04$wIqoSXqKuANnSt1cRIYIsuErjBjbS159VVjeS8IQmq1qU.A.iM/k2",
	"ab":                              "$2a$04$zNxBB048t7TDMavCsiaBSOUKVQOnhvKvf6P1yVPtKA1m7dc1iLLHi",
	"":                                "$2a$04$Z.pIbwQgY3K6JoWSV3MTN.Uur5zkU6EhIxS8STup33d3FGOWU8Jcm",
}

// chosen registers a client with a secret of chosenSecrets; like machine
// otherwise.
func (c *run) chosen(id, secret string, change ...func(k *oauth.Client)) string {
	c.Helper()
	k := oauth.Client{ID: id, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, Secrets: []store.Secret{{Hash: chosenSecrets[secret]}}}
	for _, f := range change {
		f(&k)
	}
	return c.register(k)
}

// withBasic asks for a token for the client itself, with these Authorization
// headers.
func (c *run) withBasic(v url.Values, headers ...string) answer {
	c.Helper()
	sent := url.Values{"grant_type": {"client_credentials"}}
	for name, values := range v {
		sent[name] = values
	}
	r := form(issuer+"/oauth/token", sent)
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	return c.do(r)
}

// clientAuthCases: group J, client authentication, by secret.
var clientAuthCases = []caseOf{
	{"SEC-131 both spellings of Basic", func(c *run) {
		id, secret := "client:id+1", "p%+:\u00fc"
		c.chosen(id, secret)
		c.ok(c.withBasic(nil, "Basic "+basicOf(url.QueryEscape(id), url.QueryEscape(secret))))
		c.refused(c.withBasic(nil, "Basic "+basicOf(id, secret)), 401, oauth.ErrInvalidClient) // its ID ends at the colon
		plain, plus := c.chosen("", secret), c.chosen("", "a+b")
		for _, right := range []string{basicOf(plain, secret), basicOf(plain, url.QueryEscape(secret)), basicOf(plus, "a+b"), basicOf(plus, "a%2Bb")} {
			c.ok(c.withBasic(nil, "Basic "+right))
		}
		for _, wrong := range []string{"a b", "a%2bb%00", "a+b+", "A+B", "a%252Bb"} {
			c.refused(c.withBasic(nil, "Basic "+basicOf(plus, wrong)), 401, oauth.ErrInvalidClient)
		}
	}},
	{"SEC-133 malformed Basic", func(c *run) {
		secret := c.credentials[machine].secret
		enc := base64.StdEncoding.EncodeToString
		good := basicOf(machine, secret)
		for _, header := range []string{"Basic", "Basic ", "Basic !!!", "Basic " + enc([]byte("nocolon")), "Basic " + enc([]byte(":"+secret)), "Basic " + enc([]byte(":")), "Basic " + enc([]byte(machine+":\xff")), "Basic " + enc([]byte(machine+":"+secret+"\x00")), "Basic " + machine + ":" + secret,
			"Basic " + strings.Repeat("QUFB", 3000), good, "Digest " + good, "Bearer " + good, "Basic=" + good, "Basic," + good, "Basic " + strings.TrimRight(good, "=") + "====", "Basic " + good + " " + good, "Basic " + enc([]byte(machine+":"+secret+"\n")), "Negotiate", "DPoP " + good} {
			a := c.withBasic(nil, header)
			c.refused(a, 401, oauth.ErrInvalidClient)
			require.Contains(c, a.header.Get("WWW-Authenticate"), "Basic realm=", header)
		}
		for _, scheme := range []string{"basic", "BASIC", "bAsIc"} {
			c.ok(c.withBasic(nil, scheme+" "+good))
		}
	}},
	{"SEC-134 two ways at once", func(c *run) {
		b := c.person()
		code := b.code(c.params(conf))
		secret := c.credentials[conf].secret
		basic := "Basic " + basicOf(conf, secret)
		v := c.exchangeForm(conf, code)
		for name, try := range map[string]struct {
			extra   url.Values
			headers []string
		}{
			"Basic and secret":          {url.Values{"client_secret": {secret}}, []string{basic}},
			"Basic and another secret":  {url.Values{"client_id": {post}, "client_secret": {c.credentials[post].secret}}, []string{basic}},
			"Basic and assertion":       {url.Values{"client_assertion_type": {assertionType}, "client_assertion": {signAssertion(c.credentials[pkj], pkj)}}, []string{basic}},
			"Basic and any assertion":   {url.Values{"client_assertion": {"x"}}, []string{basic}},
			"Basic twice":               {nil, []string{basic, basic}},
			"Basic and Bearer":          {nil, []string{basic, "Bearer x"}},
			"assertion and secret":      {url.Values{"client_id": {pkj}, "client_secret": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {signAssertion(c.credentials[pkj], pkj)}}, nil},
			"assertion and Basic of it": {url.Values{"client_assertion_type": {assertionType}, "client_assertion": {signAssertion(c.credentials[pkj], pkj)}}, []string{"Basic " + basicOf(pkj, "")}},
			"two secrets":               {url.Values{"client_id": {conf}, "client_secret": {secret, secret}}, nil},
		} {
			sent := url.Values{}
			for _, from := range []url.Values{v, try.extra} {
				for name, values := range from {
					sent[name] = values
				}
			}
			a := c.withBasic(sent, try.headers...)
			assert.Equal(c, "400 invalid_request", fmt.Sprint(a.status, " ", a.error().Error), name)
		}
		c.ok(c.exchange(conf, code))
	}},
	{"SEC-135 two names", func(c *run) {
		code := c.person().code(c.params(conf))
		basic := "Basic " + basicOf(machine, c.credentials[machine].secret)
		for _, other := range []string{conf, app, "nobody", strings.ToUpper(machine), machine + " ", c.dcr} {
			v := c.exchangeForm(conf, code)
			v.Set("client_id", other)
			a := c.withBasic(v, basic)
			require.Contains(c, []int{400, 401}, a.status)
			c.refused(c.withAssertion("/oauth/token", signAssertion(c.credentials[pkj], pkj), "client_id", other), 401, oauth.ErrInvalidClient)
		}
		c.ok(c.withBasic(url.Values{"client_id": {machine}}, basic))
		c.ok(c.exchange(conf, code))
	}},
	{"SEC-136 whatever is wrong looks the same", func(c *run) {
		off := c.chosen("", "ab", func(k *oauth.Client) { k.Disabled = true })
		gone := c.chosen("", "ab")
		require.NoError(c, c.b.p.DeleteClient(c.Context(), gone))
		want := c.withBasic(nil, "Basic "+basicOf("nobody", wrongSecret))
		c.refused(want, 401, oauth.ErrInvalidClient)
		want.header.Del("Date")
		got, code := c.login(conf), c.person().code(c.params(conf))
		for name, credentials := range map[string][2]string{
			"a wrong secret": {conf, wrongSecret}, "an empty secret": {conf, ""}, "disabled, the right one": {off, "ab"}, "disabled": {off, wrongSecret}, "deleted": {gone, "ab"},
			"without secret": {pkj, wrongSecret}, "public": {app, wrongSecret}, "a stranger": {c.dcr, wrongSecret}, "another client's": {conf, c.credentials[machine].secret}, "in upper case": {strings.ToUpper(conf), c.credentials[conf].secret},
			"shortened": {conf, c.credentials[conf].secret[1:]}, "with a space": {conf, c.credentials[conf].secret + " "}, "an unknown document": {"https://nowhere.example/app.json", wrongSecret},
		} {
			for _, v := range []url.Values{nil, c.exchangeForm(conf, code), {"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}} {
				a := c.withBasic(v, "Basic "+basicOf(credentials[0], credentials[1]))
				a.header.Del("Date")
				assert.Equal(c, want, a, name)
			}
			if credentials[1] == "" {
				continue
			}
			a := c.withBasic(url.Values{"client_id": {credentials[0]}, "client_secret": {credentials[1]}})
			assert.Equal(c, want.body, a.body, name)
			assert.Equal(c, 401, a.status, name)
		}
		c.ok(c.refresh(conf, got.RefreshToken))
		c.ok(c.exchange(conf, code))
	}},
	{"SEC-137 a wrong secret and an unknown client, in text", func(c *run) {
		for _, path := range formPaths {
			one := form(issuer+path, url.Values{"token": {"x"}, "client_id": {machine}, "client_secret": {wrongSecret}})
			two := form(issuer+path, url.Values{"token": {"x"}, "client_id": {"nobody"}, "client_secret": {wrongSecret}})
			a, b := c.do(one), c.do(two)
			a.header.Del("Date")
			b.header.Del("Date")
			require.Equal(c, a, b)
		}
	}},
	{"SEC-139 what bcrypt alone accepts", func(c *run) {
		full := strings.Repeat("long-secret-", 6)
		long, nul, empty := c.chosen("", full), c.chosen("", "ab"), "empty-hash"
		require.NoError(c, c.store.CreateClient(c.Context(), store.Client{ID: empty, GrantTypes: []string{"client_credentials"}, Secrets: []store.Secret{{Hash: chosenSecrets[""]}}, Version: 1}))
		c.ok(c.withBasic(nil, "Basic "+basicOf(long, full)))
		c.ok(c.withBasic(nil, "Basic "+basicOf(nul, "ab")))
		for _, wrong := range [][2]string{{long, full + "x"}, {long, full[1:]}, {nul, "ab\x00ab"}, {nul, "ab%00ab"}, {nul, "ab\x00"}, {nul, "ab%00"}, {empty, ""}, {empty, "\x00"}, {empty, "%00"}} {
			c.refused(c.withBasic(nil, "Basic "+basicOf(wrong[0], wrong[1])), 401, oauth.ErrInvalidClient)
			a := c.withBasic(url.Values{"client_id": {wrong[0]}, "client_secret": {wrong[1]}})
			require.Contains(c, []int{400, 401}, a.status) // NUL is in no form
		}
		for _, hash := range []string{"", "ab", "$2a$04$short", "$2a$31$" + chosenSecrets["ab"][7:], "$1$" + chosenSecrets["ab"]} {
			_, _, err := c.at.p.RegisterClient(c.Context(), oauth.Client{ID: "bad-hash", GrantTypes: []string{"client_credentials"}, Secrets: []store.Secret{{Hash: hash}}})
			require.ErrorIs(c, err, oauth.ErrInvalidClientMetadata, hash)
		}
	}},
	{"SEC-140 a flood of wrong secrets", func(c *run) {
		c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}}))
		done := c.meanwhile(func() {
			var wg sync.WaitGroup
			for i := range scaled(40, 1000) {
				wg.Go(func() {
					_, _ = c.at.send(form(issuer+"/oauth/token", url.Values{"client_id": {machine}, "client_secret": {fmt.Sprint(wrongSecret, i)}, "grant_type": {"client_credentials"}}))
				})
			}
			wg.Wait()
		})
		for range 10 {
			c.ok(c.post("/oauth/token", machine, url.Values{"grant_type": {"client_credentials"}}))
		}
		<-done
	}},
	{"SEC-141 guesses lock nobody out", func(c *run) {
		client := c.chosen("", "ab")
		for _, a := range c.burst(scaled(40, 1000), func(i int) *http.Request {
			id := client
			if i%2 == 0 {
				id = fmt.Sprint("nobody-", i)
			}
			return form(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {fmt.Sprint("guess-", i)}})
		}) {
			require.Contains(c, []int{401, 503, 429}, a.status)
		}
		for _, n := range []*node{c.a, c.b} {
			c.ok(c.on(n).withBasic(nil, "Basic "+basicOf(client, "ab")))
		}
	}},
	{"SEC-142 another method than the registered one", func(c *run) {
		postOnly := c.chosen("", "ab", func(k *oauth.Client) { k.AuthMethod = "client_secret_post" })
		basicOnly := c.chosen("", "ab", func(k *oauth.Client) { k.AuthMethod = "client_secret_basic" })
		inForm := func(id, secret string) url.Values { return url.Values{"client_id": {id}, "client_secret": {secret}} }
		c.ok(c.withBasic(inForm(postOnly, "ab")))
		c.ok(c.withBasic(nil, "Basic "+basicOf(basicOnly, "ab")))
		for _, a := range []answer{
			c.withBasic(nil, "Basic "+basicOf(postOnly, "ab")), c.withBasic(inForm(basicOnly, "ab")),
			c.withBasic(inForm(app, wrongSecret)), c.withBasic(nil, "Basic "+basicOf(app, wrongSecret)), c.withBasic(inForm(c.dcr, "x")),
			c.withBasic(inForm(pkj, wrongSecret)), c.withBasic(nil, "Basic "+basicOf(pkj, wrongSecret)), c.withBasic(inForm(cimdApp, wrongSecret)),
			c.withAssertion("/oauth/token", signAssertion(credential{key: newKey()}, basicOnly)), c.withAssertion("/oauth/token", signAssertion(credential{key: newKey()}, app)),
		} {
			c.refused(a, 401, oauth.ErrInvalidClient)
		}
		got := c.login(app) // an empty secret is none
		v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}, "client_id": {app}, "client_secret": {""}}
		c.ok(c.do(form(issuer+"/oauth/token", v)))
	}},
}
