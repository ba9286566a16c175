package security

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// secrets are values that nobody but their owner may see, by value: what each
// is.
type secrets map[string]string

// What is shorter, has other characters or always the same ones is no secret but
// what some case wrote in the place of one.
const leastSecret = 16

var (
	looksSecret = regexp.MustCompile(`^[A-Za-z0-9._~+=|%-]+$`)
	recordID    = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.]*$`) // the open part of a refresh token
)

// add remembers a value. Of what has parts, those that are secret count by
// themselves: all but the ID of a refresh token, and the signature of a JWT.
func (s secrets) add(kind, value string) {
	if !isSecret(value) {
		return
	}
	s[value] = kind
	if part := strings.Split(value, "."); len(part) == 3 {
		hidden := part[1:]
		if strings.HasPrefix(value, "eyJ") {
			hidden = part[2:]
		}
		for _, p := range hidden {
			if isSecret(p) {
				s[p] = "a part of " + kind
			}
		}
	}
}

func isSecret(value string) bool {
	different := map[rune]bool{}
	for _, r := range value {
		different[r] = true
	}
	return len(value) >= leastSecret && len(different) >= 8 && looksSecret.MatchString(value) && !recordID.MatchString(value)
}

// finder finds secrets in a text in one go, however many there are: by their
// first three bytes, and then by the first ones.
type finder struct {
	begins []bool // by three bytes
	values map[[leastSecret]byte][]string
}

func three(s string) int { return int(s[0])<<16 | int(s[1])<<8 | int(s[2]) }

func (s secrets) finder() finder {
	f := finder{make([]bool, 1<<24), map[[leastSecret]byte][]string{}}
	for value := range s {
		f.begins[three(value)] = true
		begin := [leastSecret]byte([]byte(value[:leastSecret]))
		f.values[begin] = append(f.values[begin], value)
	}
	return f
}

// in returns the secrets that the text holds, with some of what is before them.
func (f finder) in(text string) (found []string) {
	for i := 0; i+leastSecret <= len(text); i++ {
		if !f.begins[three(text[i:])] {
			continue
		}
		for _, value := range f.values[[leastSecret]byte([]byte(text[i:i+leastSecret]))] {
			if strings.HasPrefix(text[i:], value) {
				found = append(found, text[max(0, i-200):i]+">>>"+value)
			}
		}
	}
	return found
}

// inForms are the parameters whose values are secret; inAnswers the members.
var (
	inForms   = []string{"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token", "password", "interaction"}
	inAnswers = []string{"access_token", "refresh_token", "client_secret", "registration_access_token"}
)

// remember collects what must not be told from both sides, and what was told.
func (c *run) remember(r *http.Request, sent []sensitiveValue, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range sent {
		c.secret.add(s.kind, s.value)
	}
	var got map[string]any
	if json.Unmarshal([]byte(a.body), &got) == nil {
		for _, name := range inAnswers {
			if s, ok := got[name].(string); ok {
				c.secret.add(name, s)
			}
		}
	}
	for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
		c.secret.add("cookie", cookie.Value)
	}
	header, body := a.header.Clone(), withoutStyle(a.body)
	header.Del("Set-Cookie")
	if u, err := url.Parse(a.header.Get("Location")); err == nil && u.Query().Has("code") {
		c.secret.add("code", u.Query().Get("code"))
		q := u.Query()
		q.Del("code")
		u.RawQuery = q.Encode()
		header.Set("Location", u.String())
	}
	if strings.HasPrefix(body, "<") {
		for _, m := range given.FindAllStringSubmatch(body, -1) {
			c.secret.add(m[1], m[2])
		}
		body = given.ReplaceAllString(body, "")
	}
	if a.status < 400 && (strings.HasSuffix(r.URL.Path, "/token") || strings.HasSuffix(r.URL.Path, "/register")) {
		body = ""
	}
	fmt.Fprintf(&c.told, "%s %s: %d %v %s\n", r.Method, r.URL.Path, a.status, header, body)
}

// given are the fields of pages that hold a secret because they are for it.
var given = regexp.MustCompile(`name="(interaction|code)" value="([^"]+)"`)

// everythingTold is whatever left the provider on another way than as the answer
// that was asked for: the log, at debug level, with what net/http wrote; events;
// what metrics and traces see; headers, pages and errors.
func (c *run) everythingTold() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var events strings.Builder
	for _, e := range c.events {
		fmt.Fprintf(&events, "%+v %v %v\n", e, e.Err, e.LogValue())
	}
	return map[string]string{"log": c.log.String(), "events": events.String(), "observed": strings.Join(c.observed, "\n"), "answers": c.told.String()}
}

// nothingToldCase comes last: it looks at what all cases have left.
var nothingToldCase = caseOf{"SEC-259 nothing secret is told", func(c *run) {
	for _, client := range []string{app, conf, post, pkj, c.dcr} {
		b := c.person()
		got := c.loginAs(b, client)
		c.ok(c.refresh(client, got.RefreshToken))
		c.exchange(client, b.code(c.params(client)), "code_verifier", verifier+"-wrong")
		c.refresh(client, got.RefreshToken+"x")
		c.post("/oauth/revoke", client, url.Values{"token": {got.AccessToken}})
	}
	broken, f := c.faulty()
	got := c.login(app)
	f.fail("Token", "UpdateToken")
	broken.refresh(app, got.RefreshToken)
	f.mend()
	c.registered(metadata("token_endpoint_auth_method", "client_secret_basic"))

	key, err := signingKey().Bytes()
	require.NoError(c, err)
	c.mu.Lock()
	c.secret.add("Config.Secret", string(c.config(c.store).Secret))
	c.secret.add("a signing key", b64(key))
	kinds := map[string]int{}
	for value, kind := range c.secret {
		kinds[kind]++
		delete(c.secret, s256(value)) // a challenge is public, also in the place of a verifier
	}
	find := c.secret.finder()
	c.mu.Unlock()
	for _, kind := range []string{"code", "code_verifier", "access_token", "refresh_token", "client_secret", "registration_access_token", "client_assertion", "interaction", "token", "cookie", "Basic", "Bearer", "Config.Secret", "a signing key", "a part of refresh_token", "a part of access_token"} {
		assert.Positive(c, kinds[kind], "%s was never seen: the case looks for nothing", kind)
	}
	for where, text := range c.everythingTold() {
		require.NotEmpty(c, text, where)
		found := find.in(text)
		assert.Empty(c, found[:min(3, len(found))], "secrets in %s", where)
	}
	found := find.in(c.dump(c))
	assert.Empty(c, found[:min(3, len(found))], "secrets in what is stored")
}}

// A value that is leaked on purpose is found, wherever it is.
func TestLeakedSecretsAreFound(t *testing.T) {
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0." + strings.Repeat("signature_", 8)
	refresh := "01a213bf-9f7c-72f0-82b1-952b3e382886." + strings.Repeat("family-of-it-", 2) + "." + strings.Repeat("secret_part_", 4)
	known := secrets{}
	for kind, value := range map[string]string{"token": "01a213bf-9f7c-72f0-82b1-952b3e382886", "code": "code-0123456789-abcdef", "another": "code-0123456789-abcdefg", "access_token": jwt, "refresh_token": refresh, "short": "short"} {
		known.add(kind, value)
	}
	find := known.finder()
	for text, want := range map[string]int{
		"":           0,
		"short, and": 0,
		"time=x level=DEBUG msg=code-0123456789-abcdef err=y":                                       1,
		"code-0123456789-abcdefg":                                                                   2,
		"CODE-0123456789-ABCDEF code-0123456789-abcde":                                              0,
		"?code=code-0123456789-abcdef&code=code-0123456789-abcdef":                                  2,
		"Bearer " + jwt + ".":                                                                       2,
		"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.":                                                     0,
		"token 01a213bf-9f7c-72f0-82b1-952b3e382886 was revoked":                                    0,
		"sealed as " + strings.Repeat("secret_part_", 4):                                            1,
		"x" + strings.Repeat("family-of-it-", 2) + "\n" + strings.Repeat("signature_", 8) + "\x00y": 2,
		refresh: 3,
	} {
		assert.Len(t, find.in(text), want, "%q", text)
	}
}
