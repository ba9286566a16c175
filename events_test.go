package oauth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

func TestEventsTellWhatHappened(t *testing.T) {
	f := newFixture(t)
	start := time.Now().Add(-time.Second)
	b := alice()
	form := consentForm(t, f.authorize(b, authorization("app")))
	_, q := f.visit(b, "POST", "/oauth/consent", form).location(t)
	got := f.ok(f.exchange("app", q.Get("code")))
	next := f.ok(f.refresh("app", got.RefreshToken))
	f.refused(f.refresh("app", next.RefreshToken, "scope", "admin"), 400, "invalid_scope")
	f.post("/oauth/revoke", "app", url.Values{"token": {next.RefreshToken}})
	f.visit(b, "POST", "/oauth/consent", with(consentForm(t, f.authorize(b, authorization("loop"))), "decision", "deny"))
	_, err := f.p.RevokeConsent(t.Context(), "alice", "app")
	require.NoError(t, err)
	var kinds []oauth.EventKind
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.Kind != oauth.EventClientChanged {
			kinds = append(kinds, e.Kind)
			assert.True(t, e.Time.After(start))
			assert.Contains(t, []string{"app", "loop"}, e.ClientID, e.Kind)
		}
	}
	assert.Equal(t, []oauth.EventKind{
		oauth.EventConsentGranted, oauth.EventCodeIssued, oauth.EventTokenIssued, oauth.EventTokenRefreshed,
		oauth.EventRequestRefused, oauth.EventTokenRevoked, oauth.EventConsentDenied, oauth.EventConsentRevoked,
	}, kinds)
	text := f.log.String()
	assert.Contains(t, text, "event.kind=token_issued")
	assert.Contains(t, text, "scope is wider than what was granted")
}

// Events, logs, errors and URLs say nothing that could be used.
func TestNothingSecretIsTold(t *testing.T) {
	f := newFixture(t)
	f.own("noisy", "s3cret-of-noisy")
	b := alice()
	a := f.authorize(b, authorization("conf", "nonce", "nonce-of-the-test"))
	form := consentForm(t, a)
	_, q := f.visit(b, "POST", "/oauth/consent", form).location(t)
	code := q.Get("code")
	var told strings.Builder
	tell := func(a answer) { told.WriteString(a.body) }
	tell(f.exchange("conf", code, "code_verifier", verifier+"-wrong"))
	tell(f.exchange("conf", code, "redirect_uri", "https://evil.test/"+code))
	got := f.ok(f.exchange("conf", code))
	next := f.ok(f.refresh("conf", got.RefreshToken))
	tell(f.refresh("post", next.RefreshToken))
	tell(f.send(ccForm, basic("noisy", "s3cret-of-noisy-but-wrong")))
	tell(f.send(with(ccForm, "client_id", "app", "client_secret", "s3cret-of-app")))
	f.post("/oauth/revoke", "conf", url.Values{"token": {next.AccessToken}})
	tell(f.exchange("conf", code))
	tell(f.refresh("conf", next.RefreshToken))
	f.page(f.visit(b, "POST", "/oauth/consent", form), 400)
	secrets := []string{code, verifier, s256(verifier), "nonce-of-the-test", got.AccessToken, next.AccessToken, "s3cret-of-noisy", "s3cret-of-app",
		f.secrets["conf"], form.Get("interaction"), b.cookies["__Host-oauth-browser"]}
	for _, token := range []string{got.RefreshToken, next.RefreshToken} {
		secrets = append(secrets, strings.Split(token, ".")[1:]...)
	}
	f.mu.Lock()
	for _, e := range f.events {
		fmt.Fprintf(&told, "%+v %v\n", e, e.Err)
	}
	f.mu.Unlock()
	told.WriteString(f.log.String())
	for i, secret := range secrets {
		require.NotEmpty(t, secret, i)
		assert.NotContains(t, told.String(), secret, "secret %d", i)
	}
}

func TestHostileTextForgesNoLogLine(t *testing.T) {
	f := newFixture(t)
	evil := "app\r\nlevel=ERROR msg=forged \x1b[31m" + strings.Repeat("x", 500)
	f.page(f.authorize(alice(), authorization("app", "client_id", evil)), 400)
	f.send(with(ccForm, "client_id", evil))
	for _, e := range f.kinds(oauth.EventRequestRefused) {
		assert.NotContains(t, e.ClientID, "\n")
		assert.NotContains(t, e.ClientID, "\x1b")
		assert.LessOrEqual(t, len(e.ClientID), 200)
	}
	for line := range strings.Lines(f.log.String()) {
		assert.True(t, strings.HasPrefix(line, "time="), line)
	}
}

func TestEventIsALogGroup(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	log.Info("x", "e", oauth.Event{Kind: "k", ClientID: "c", Subject: "s", TokenID: "t", Detail: "d", Scopes: []string{"a"}, Count: 2, Err: errors.New("why")})
	assert.Contains(t, b.String(), `e.kind=k e.client_id=c e.subject=s e.token_id=t e.detail=d e.scopes=[a] e.count=2 e.error=why`)
}
