package oauth_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// send posts a form to the token endpoint with these Authorization headers.
func (f *fixture) send(form url.Values, authorization ...string) answer {
	f.t.Helper()
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return f.do(r)
}

// own registers a confidential client whose secret the test chooses.
func (f *fixture) own(id, secret string, change ...func(c *oauth.Client)) {
	f.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), 4)
	require.NoError(f.t, err)
	c := oauth.Client{ID: id, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, Secrets: []store.Secret{{Hash: string(hash)}}}
	for _, ch := range change {
		ch(&c)
	}
	f.register(c)
}

var ccForm = url.Values{"grant_type": {"client_credentials"}}

func with(v url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, values := range v {
		out[name] = values
	}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

func TestBasicCredentialsAreTakenInBothSpellings(t *testing.T) {
	f := newFixture(t)
	id, secret := "client:id+1", "p%+:ü"
	f.own(id, secret)
	f.own("plain", secret)
	f.own("plus", "a+b")
	assert.Equal(t, 200, f.send(ccForm, basic(url.QueryEscape(id), url.QueryEscape(secret))).status, "form-encoded")
	assert.Equal(t, 200, f.send(ccForm, basic("plain", secret)).status, "as it is; only the first colon separates")
	assert.Equal(t, 200, f.send(ccForm, basic("plus", "a+b")).status)
	assert.Equal(t, 200, f.send(ccForm, basic("plus", "a%2Bb")).status)
	for _, wrong := range []string{"a b", "a+c", "a%2Bc", "a%", "%zz", "+"} {
		f.refused(f.send(ccForm, basic("plus", wrong)), 401, oauth.ErrInvalidClient)
	}
	assert.Equal(t, 200, f.send(ccForm, strings.Replace(basic("plus", "a+b"), "Basic", "bAsIc", 1)).status)
	assert.Equal(t, 200, f.send(with(ccForm, "client_id", "plus"), basic("plus", "a+b")).status, "the same client_id in the form")
}

func TestMalformedBasicCredentials(t *testing.T) {
	f := newFixture(t)
	enc := base64.StdEncoding.EncodeToString
	good := basic("cc", f.secrets["cc"])
	require.Equal(t, 200, f.send(ccForm, good).status)
	for _, header := range []string{
		strings.Replace(good, "Basic", "Bearer", 1), strings.Replace(good, "Basic", "Basi", 1), strings.Replace(good, " ", "", 1), good + "!", good + "A===",
		"Basic " + enc([]byte("cc:"+strings.Repeat("a", 3070))),
		"Basic", "Basic ", "Basic !!!", "Basic " + enc([]byte("nocolon")), "Basic " + enc([]byte(":secret")), "Basic " + enc([]byte("cc:\xff")),
		"Basic " + enc([]byte("cc\x00:x")), "Basic " + enc([]byte("cc:x\x00")), "Bearer abc", "cc:x", "Basic " + strings.Repeat("QUFB", 2000),
		strings.TrimRight(basic("cc", f.secrets["cc"]+"a"), "=") + "=A",
	} {
		f.told(t, oauth.EventClientAuthFailed, "is not Basic credentials", func() {
			a := f.send(ccForm, header)
			f.refused(a, 401, oauth.ErrInvalidClient)
			assert.Contains(t, a.header.Get("WWW-Authenticate"), "Basic realm=", header)
		})
	}
	longest := "Basic " + enc([]byte("cc:"+strings.Repeat("a", 3069)))
	require.Len(t, longest, len("Basic ")+4096)
	f.told(t, oauth.EventClientAuthFailed, "the secret is wrong", func() { f.refused(f.send(ccForm, longest), 401, oauth.ErrInvalidClient) })
}

func TestOneWayOfClientAuthenticationOnly(t *testing.T) {
	f := newFixture(t)
	good := basic("cc", f.secrets["cc"])
	f.refused(f.send(with(ccForm, "client_secret", f.secrets["cc"], "client_id", "cc"), good), 400, oauth.ErrInvalidRequest)
	f.refused(f.send(with(ccForm, "client_assertion", "x"), good), 400, oauth.ErrInvalidRequest)
	f.refused(f.send(ccForm, good, good), 400, oauth.ErrInvalidRequest)
	f.refused(f.send(with(ccForm, "client_id", "post"), good), 400, oauth.ErrInvalidRequest)
	assert.Equal(t, 200, f.send(ccForm, good).status)
}

func TestPublicClientsHaveNoSecret(t *testing.T) {
	f := newFixture(t)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {f.login("app").RefreshToken}}
	f.refused(f.send(with(form, "client_id", "app", "client_secret", "x")), 401, oauth.ErrInvalidClient)
	f.refused(f.send(form, basic("app", "x")), 401, oauth.ErrInvalidClient)
	f.refused(f.send(form, basic("app", "%zz")), 401, oauth.ErrInvalidClient) // what cannot be decoded is no empty secret
	assert.Equal(t, 200, f.send(with(form, "client_id", "app", "client_secret", "")).status, "an empty secret is none")
	assert.Equal(t, 200, f.send(form, basic("app", "")).status, "also in Basic")
	f.refused(f.send(form), 401, oauth.ErrInvalidClient)
}

func TestRegisteredMethodIsTheOnlyOne(t *testing.T) {
	f := newFixture(t)
	f.own("post-only", "s", func(c *oauth.Client) { c.AuthMethod = "client_secret_post" })
	f.own("basic-only", "s", func(c *oauth.Client) { c.AuthMethod = "client_secret_basic" })
	f.own("either", "s")
	inForm := func(id string) url.Values { return with(ccForm, "client_id", id, "client_secret", "s") }
	f.refused(f.send(ccForm, basic("post-only", "s")), 401, oauth.ErrInvalidClient)
	f.refused(f.send(inForm("basic-only")), 401, oauth.ErrInvalidClient)
	assert.Equal(t, 200, f.send(inForm("post-only")).status)
	assert.Equal(t, 200, f.send(ccForm, basic("basic-only", "s")).status)
	assert.Equal(t, 200, f.send(inForm("either")).status)
	assert.Equal(t, 200, f.send(ccForm, basic("either", "s")).status)
}

// Whatever is wrong with the credentials looks the same from outside, and is
// told apart by the Go error.
func TestInvalidClientIsOneAnswer(t *testing.T) {
	f := newFixture(t)
	f.own("disabled", "s", func(c *oauth.Client) { c.Disabled = true })
	f.own("wrong", "s")
	f.register(oauth.Client{ID: "secretless", GrantTypes: []string{"client_credentials"}, JWKSURI: "https://x.example/jwks"})
	clear := store.Client{ID: "clear", GrantTypes: []string{"client_credentials"}, Secrets: []store.Secret{{Hash: "hunter2"}}, Version: 1}
	require.NoError(t, f.store.CreateClient(t.Context(), clear))
	var want *answer
	for id, reason := range map[string]string{
		"nobody": "unknown", "disabled": "disabled", "wrong": "wrong", "secretless": "no secret", "clear": "regenerate", "app": "public",
	} {
		secret := "not it"
		if id == "disabled" {
			secret = "s"
		}
		if id == "clear" {
			secret = "hunter2"
		}
		a := f.send(ccForm, basic(id, secret))
		f.refused(a, 401, oauth.ErrInvalidClient)
		if want == nil {
			want = &a
		}
		assert.Equal(t, want.body, a.body, id)
		assert.Equal(t, want.header, a.header, id)
		assert.Equal(t, want.body, f.send(with(ccForm, "client_id", id, "client_secret", secret)).body, id)

		_, err := f.p.AuthenticateClient(t.Context(), oauth.Credentials{ClientID: id, Secret: secret, Basic: true})
		assert.ErrorIs(t, err, oauth.ErrInvalidClient)
		assert.ErrorContains(t, err, reason)
		assert.NotContains(t, err.Error(), "unknown: ", "the store has no more to say")
	}
	_, err := f.p.AuthenticateClient(t.Context(), oauth.Credentials{ClientID: "wrong"})
	assert.ErrorIs(t, err, oauth.ErrInvalidClient)
	assert.ErrorContains(t, err, "missing")
	assert.Contains(t, f.log.String(), "client is unknown", "the log says why")
	assert.NotEmpty(t, f.kinds(oauth.EventClientAuthFailed))
}

// What a stranger wrote in the place of a client ID neither fills nor forges the
// log.
func TestClientIDsInTheLogAreShortAndOnOneLine(t *testing.T) {
	f := newFixture(t)
	for id, want := range map[string]string{
		"no body~":               "no body~",
		"a\r\nb\tc\x1fd\x7fe":    "abcde",
		"\xffa\xc3":              "\ufffda\ufffd",
		"a\u202eb\u2028c\u200bd": "abcd",
		strings.Repeat("a", 200): strings.Repeat("a", 200),
		strings.Repeat("a", 201): strings.Repeat("a", 200),
	} {
		f.told(t, oauth.EventClientAuthFailed, "client is unknown", func() {
			_, err := f.p.AuthenticateClient(t.Context(), oauth.Credentials{ClientID: id, Secret: "x"})
			require.ErrorIs(t, err, oauth.ErrInvalidClient)
		})
		assert.Equal(t, want, f.kinds(oauth.EventClientAuthFailed)[0].ClientID)
	}
}

func TestInvalidClientSpendsNothing(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("conf"))
	f.refused(f.send(exchangeForm("conf", code), basic("conf", "wrong")), 401, oauth.ErrInvalidClient)
	f.refused(f.send(with(exchangeForm("conf", code), "client_id", "conf")), 401, oauth.ErrInvalidClient)
	got := f.ok(f.exchange("conf", code))
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}, "client_id": {"conf"}}
	f.refused(f.send(refresh), 401, oauth.ErrInvalidClient)
	f.ok(f.refresh("conf", got.RefreshToken))
}

// bcrypt alone accepts the first two of these.
func TestTrapsOfBcrypt(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("s", 72)
	f.own("long", long)
	f.own("nul", "ab")
	for id, secret := range map[string]string{"long": long + "x", "nul": "ab\x00ab"} {
		_, err := f.p.AuthenticateClient(t.Context(), oauth.Credentials{ClientID: id, Secret: secret})
		assert.ErrorIs(t, err, oauth.ErrInvalidClient, id)
		f.refused(f.send(with(ccForm, "client_id", id, "client_secret", url.QueryEscape(secret))), 401, oauth.ErrInvalidClient)
	}
	assert.Equal(t, 200, f.send(ccForm, basic("long", long)).status)
	assert.Equal(t, 200, f.send(ccForm, basic("nul", "ab")).status)

	empty, err := bcrypt.GenerateFromPassword(nil, 4)
	require.NoError(t, err)
	require.NoError(t, f.store.CreateClient(t.Context(), store.Client{ID: "empty", GrantTypes: []string{"client_credentials"}, Secrets: []store.Secret{{Hash: string(empty)}}}))
	f.refused(f.send(ccForm, basic("empty", "")), 401, oauth.ErrInvalidClient)
	f.refused(f.send(with(ccForm, "client_id", "empty")), 401, oauth.ErrInvalidClient)
}

// A wrong secret costs a bcrypt run; how many go on or wait is bounded.
func TestFloodOfWrongSecretsIsBounded(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // one processor runs each to its end before it looks at the next
	f := newFixture(t, func(c *oauth.Config) { c.Policy.BcryptCost = 6 })
	f.own("flooded", "s")
	client, secret := "cc", f.secrets["cc"]
	_, err := f.p.AuthenticateClient(t.Context(), oauth.Credentials{ClientID: client, Secret: secret, Basic: true})
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[oauth.ErrorCode]int{}
	start := make(chan struct{})
	for range 400 {
		wg.Go(func() {
			<-start
			_, err := f.p.AuthenticateClient(t.Context(), oauth.Credentials{ClientID: "flooded", Secret: "wrong"})
			mu.Lock()
			defer mu.Unlock()
			var e *oauth.Error
			if assert.ErrorAs(t, err, &e) {
				codes[e.Code]++
			}
		})
	}
	close(start)
	_, err = f.p.AuthenticateClient(t.Context(), oauth.Credentials{ClientID: client, Secret: secret, Basic: true})
	assert.NoError(t, err, "a secret that verified before does not queue")
	wg.Wait()
	assert.Equal(t, 400, codes[oauth.ErrInvalidClient]+codes[oauth.ErrTemporarilyUnavailable], "%v", codes)
	assert.Positive(t, codes[oauth.ErrInvalidClient])
	assert.Positive(t, codes[oauth.ErrTemporarilyUnavailable], "the rest is turned away")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, secret := range []string{"wrong", "s"} {
		_, err = f.p.AuthenticateClient(ctx, oauth.Credentials{ClientID: "flooded", Secret: secret})
		assert.ErrorIs(t, err, oauth.ErrTemporarilyUnavailable, "nobody waits for the answer: nothing is known of the secret")
	}
}

func TestBackChannelTakesFormsOnly(t *testing.T) {
	f := newFixture(t)
	send := func(method, target, contentType, body string) answer {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		r.SetBasicAuth("cc", f.secrets["cc"])
		return f.do(r)
	}
	const form, body = "application/x-www-form-urlencoded", "grant_type=client_credentials"
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "TRACE", "PATCH"} {
			a := send(method, path, form, body)
			assert.Equal(t, http.StatusMethodNotAllowed, a.status, method+path)
			assert.Contains(t, a.header.Get("Allow"), "POST")
		}
		a := send("OPTIONS", path, "", "")
		assert.Equal(t, http.StatusNoContent, a.status)
		assert.Equal(t, "POST", a.header.Get("Access-Control-Allow-Methods"))
		for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", "", "application/json, " + form} {
			f.refused(send("POST", path, kind, body), 400, oauth.ErrInvalidRequest)
		}
		assert.Equal(t, http.StatusRequestEntityTooLarge, send("POST", path, form, "a="+strings.Repeat("a", 64<<10)).status)
		for _, bad := range []string{"a=%zz", "a=%", "a=1;b=2", "a=%ff%fe", "a=x%00", "token=a&token=b", "%ff=a", strings.Repeat("a=&", 200)} {
			f.refused(send("POST", path, form, bad), 400, oauth.ErrInvalidRequest)
		}
		for _, query := range []string{"client_secret=x", "code=x", "token=x", "refresh_token=x", "a=%zz"} {
			f.refused(send("POST", path+"?"+query, form, body), 400, oauth.ErrInvalidRequest)
		}
	}
	assert.Equal(t, 200, send("POST", "/oauth/token", "APPLICATION/x-www-form-urlencoded;charset=UTF-8", body).status)
	assert.Equal(t, 200, send("POST", "/oauth/token", form, body+"&unknown=1&scope=").status, "unknown and empty parameters")
	f.refused(send("POST", "/oauth/token", form, "Grant_Type=client_credentials"), 400, oauth.ErrInvalidRequest)
	f.refused(send("POST", "/oauth/token?grant_type=client_credentials", form, ""), 400, oauth.ErrInvalidRequest)

	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(body))
	r.Header.Set("Content-Type", form)
	r.Header.Set("Content-Encoding", "gzip")
	assert.Equal(t, http.StatusUnsupportedMediaType, f.do(r).status)
	r = f.postRequest("/oauth/token", "cc", ccForm)
	r.Header.Add("Content-Type", "application/json")
	f.refused(f.do(r), 400, oauth.ErrInvalidRequest)
	for _, path := range []string{"//oauth/token", "/oauth/token/", "/oauth/TOKEN", "/x/../oauth/token", "/oauth/token%2f", "/oauth%2ftoken", "/oauth/%74oken", "/token"} {
		assert.Equal(t, http.StatusNotFound, send("POST", path, form, body).status, path)
	}
}

func TestGrantTypes(t *testing.T) {
	f := newFixture(t)
	for grant, want := range map[string]oauth.ErrorCode{
		"": "invalid_request", "password": "unsupported_grant_type", "implicit": "unsupported_grant_type",
		"AUTHORIZATION_CODE": "unsupported_grant_type", "client_credentials": "unauthorized_client",
	} {
		f.refused(f.post("/oauth/token", "app", url.Values{"grant_type": {grant}}), 400, want)
	}
	f.refused(f.exchange("cc", "x"), 400, "unauthorized_client")
	f.refused(f.refresh("cc", "x"), 400, "unauthorized_client")
	f.refused(f.exchange("app", ""), 400, "invalid_request")
	f.refused(f.refresh("app", ""), 400, "invalid_request")
}
