package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth"
)

func TestEveryClientNeedsPKCE(t *testing.T) {
	f := newFixture(t)
	none := []string{"code_challenge", "", "code_challenge_method", ""}
	f.sentBack(f.authorize(alice(), authorization("app", none...)), "invalid_request")
	_, q := f.authorize(alice(), authorization("conf", none...)).location(t)
	assert.Equal(t, "invalid_request", q.Get("error"))

	relaxed := newFixture(t, func(c *oauth.Config) { c.Policy.PKCEForPublicOnly = true })
	relaxed.sentBack(relaxed.authorize(alice(), authorization("app", none...)), "invalid_request")
	code := relaxed.code(alice(), authorization("conf", none...))
	relaxed.refused(relaxed.exchange("conf", code), 400, "invalid_request") // a verifier without challenge: downgrade
	relaxed.ok(relaxed.exchange("conf", code, "code_verifier", ""))
	code = relaxed.code(alice(), authorization("conf"))
	relaxed.refused(relaxed.exchange("conf", code, "code_verifier", ""), 400, "invalid_grant")
	relaxed.ok(relaxed.exchange("conf", code))
}

func TestOnlyS256(t *testing.T) {
	f := newFixture(t)
	for _, method := range []string{"plain", "", "S512", "s256", "S256 "} {
		f.sentBack(f.authorize(alice(), authorization("app", "code_challenge_method", method)), "invalid_request")
	}
	good := s256(verifier)
	for _, challenge := range []string{"", good[:42], good + "A", good[:42] + "=", good[:42] + "+", good[:42] + "/", strings.Repeat("é", 21) + "a"} {
		f.sentBack(f.authorize(alice(), authorization("app", "code_challenge", challenge)), "invalid_request")
	}
	v := authorization("app")
	v.Add("code_challenge", good)
	f.sentBack(f.authorize(alice(), v), "invalid_request")
	assert.Equal(t, []string{"S256"}, f.p.Metadata()["code_challenge_methods_supported"])
}

func TestWrongVerifierSpendsNothing(t *testing.T) {
	f := newFixture(t)
	code := f.code(alice(), authorization("app"))
	for _, wrong := range []string{
		"", verifier + "x", verifier[:42], strings.Repeat("a", 129), strings.ToUpper(verifier), verifier[1:] + "!",
		s256(verifier), strings.Repeat("é", 30), " " + verifier,
	} {
		f.refused(f.exchange("app", code, "code_verifier", wrong), 400, "invalid_grant")
	}
	f.ok(f.exchange("app", code))
	for _, v := range []string{strings.Repeat("~", 43), strings.Repeat("-._~azAZ09", 13)[:128]} {
		f.ok(f.exchange("app", f.code(alice(), authorization("app", "code_challenge", s256(v))), "code_verifier", v))
	}
	// These match, and are none (RFC 7636 §4.1).
	for _, v := range []string{strings.Repeat("~", 42), strings.Repeat("~", 129), verifier + "!", verifier + " ", verifier + "é", verifier + "@[`{/:"} {
		code := f.code(alice(), authorization("app", "code_challenge", s256(v)))
		f.refused(f.exchange("app", code, "code_verifier", v), 400, "invalid_grant")
	}
}

// A code that was stolen and put into the attacker's own flow.
func TestInjectedCodeIsRefused(t *testing.T) {
	f := newFixture(t)
	stolen := f.code(alice(), authorization("app"))
	own := strings.Repeat("attacker-", 6)
	f.refused(f.exchange("app", stolen, "code_verifier", own), 400, "invalid_grant")
	f.ok(f.exchange("app", stolen))
	assert.Len(t, f.kinds(oauth.EventReplayDetected), 0)
}

func TestChallengeAndVerifierAreNotTold(t *testing.T) {
	f := newFixture(t)
	_, q := f.authorize(alice(), authorization("first")).location(t)
	f.ok(f.exchange("first", q.Get("code")))
	f.refused(f.exchange("first", q.Get("code"), "code_verifier", verifier+"x"), 400, "invalid_grant")
	for _, secret := range []string{verifier, s256(verifier), q.Get("code")} {
		assert.NotContains(t, f.log.String(), secret)
		assert.NotContains(t, url.Values(q).Get("state"), secret)
	}
}

func TestEveryByteOfChallengeAndVerifier(t *testing.T) {
	f := newFixture(t)
	const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for b := range 256 {
		c := string([]byte{byte(b)})
		a := f.authorize(alice(), authorization("app", "code_challenge", c+s256(verifier)[1:]))
		_, q := a.location(t)
		assert.Equal(t, strings.Contains(base64URL, c), q.Has("code"), "challenge with byte %d", b)
		if b == 0 || b >= 128 {
			continue // no text: refused before it is looked at
		}
		v := c + verifier
		code := f.code(alice(), authorization("app", "code_challenge", s256(v)))
		if res := f.exchange("app", code, "code_verifier", v); strings.Contains(base64URL+".~", c) {
			f.ok(res)
		} else {
			f.refused(res, 400, "invalid_grant")
		}
	}
}
