package oauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

const day = 24 * time.Hour

func managedSigner(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func managed(c *oauth.Config) { c.Keys = nil }

func kid(t testing.TB, token string) string {
	t.Helper()
	h, _ := claimsOf(t, token)
	return h["kid"].(string)
}

func (f *fixture) jwks() string { return f.do(httptest.NewRequest("GET", "/oauth/jwks", nil)).body }

func TestManagedKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, managed)
		f.change("cc", func(c *oauth.Client) { c.AccessTokenLifetime = day })
		token := func() string { return f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken }
		first := token()
		time.Sleep(88 * day)
		assert.Equal(t, kid(t, first), kid(t, token()))
		assert.Equal(t, 1, strings.Count(f.jwks(), `"kid"`))
		time.Sleep(day + 2*time.Minute)
		assert.Equal(t, kid(t, first), kid(t, token()))
		assert.Equal(t, 2, strings.Count(f.jwks(), `"kid"`), "the next key is published a day before it signs")
		time.Sleep(day - 4*time.Minute)
		last := token()
		assert.Equal(t, kid(t, first), kid(t, last))
		time.Sleep(4 * time.Minute)
		next := token()
		assert.NotEqual(t, kid(t, first), kid(t, next))
		assert.Contains(t, f.jwks(), kid(t, next))
		time.Sleep(day - 5*time.Minute)
		assert.True(t, f.active(last), "what the old key signed verifies until it expires")
		assert.Contains(t, f.jwks(), kid(t, last))
		time.Sleep(20 * time.Minute)
		f.jwks()
		assert.False(t, f.active(last))
		assert.NotContains(t, f.jwks(), kid(t, last), "then the key goes")
		assert.Equal(t, kid(t, next), kid(t, token()))
	})
}

func TestTwoInstancesAgreeOnKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newFixture(t, managed)
		cfg := one.config()
		cfg.Keys = nil
		p, err := oauth.New(cfg)
		require.NoError(t, err)
		two := &fixture{t: t, p: p, store: one.store, secrets: one.secrets, log: one.log, gone: one.gone}
		for range 20 {
			a := one.ok(one.post("/oauth/token", "cc", ccForm)).AccessToken
			b := two.ok(two.post("/oauth/token", "cc", ccForm)).AccessToken
			assert.True(t, one.active(b) && two.active(a))
			assert.Equal(t, kid(t, a), kid(t, b))
			assert.Equal(t, one.jwks(), two.jwks())
			time.Sleep(11 * day)
		}
		// A page that one instance showed is answered by the other.
		b := alice()
		form := consentForm(t, one.authorize(b, authorization("app")))
		_, q := two.visit(b, "POST", "/oauth/consent", form).location(t)
		got := two.ok(two.exchange("app", q.Get("code")))
		one.ok(one.refresh("app", got.RefreshToken))
	})
}

func TestSecretOfManagedKeys(t *testing.T) {
	f := newFixture(t, managed)
	old := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken
	cfg := f.config()
	cfg.Keys, cfg.Secret = nil, []byte(strings.Repeat("x", 32))
	_, err := oauth.New(cfg)
	require.ErrorContains(t, err, "Config.Store, which keeps the signing keys")
	assert.ErrorContains(t, err, "another secret")
	cfg.RetiredSecrets = [][]byte{f.config().Secret}
	p, err := oauth.New(cfg)
	require.NoError(t, err)
	i, err := p.Introspect(t.Context(), nil, old)
	require.NoError(t, err)
	assert.True(t, i.Active, "a retired secret opens what it sealed")

	cfg.RetiredSecrets = nil
	p, err = oauth.New(cfg)
	require.NoError(t, err, "the keys were sealed anew: the old secret can be dropped")
	i, err = p.Introspect(t.Context(), nil, old)
	require.NoError(t, err)
	assert.True(t, i.Active)

	record, err := f.store.Code(t.Context(), "keys", "signing")
	require.NoError(t, err)
	assert.NotContains(t, string(record.Data), "pkcs8", "sealed")

	cfg = f.config()
	cfg.Keys, cfg.Secret = nil, nil
	p, err = oauth.New(cfg)
	require.NoError(t, err)
	assert.Contains(t, f.log.String(), "Config.Secret is not set")
	i, err = p.Introspect(t.Context(), nil, old)
	require.NoError(t, err)
	assert.False(t, i.Active, "without a secret the keys are this process's own")
}

// A change that stops half way for hours: each instance seals the keys with its
// own first secret, and both open them.
func TestASecretThatChangesSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		older, newer := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("n", 32))
		f := newFixture(t, managed, func(c *oauth.Config) { c.Secret = older })
		instance := func(secret []byte, retired ...[]byte) *fixture {
			t.Helper()
			cfg := f.config()
			cfg.Keys, cfg.Secret, cfg.RetiredSecrets = nil, secret, retired
			p, err := oauth.New(cfg)
			require.NoError(t, err)
			return &fixture{t: t, p: p, store: f.store, secrets: f.secrets, log: f.log, gone: f.gone}
		}
		token := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken
		sideBySide := func(one, two *fixture) {
			t.Helper()
			for range 10 {
				time.Sleep(time.Minute)
				for _, i := range []*fixture{one, two} {
					assert.True(t, i.active(token))
					assert.Equal(t, kid(t, token), kid(t, i.ok(i.post("/oauth/token", "cc", ccForm)).AccessToken))
					assert.Empty(t, f.kinds(oauth.EventOutage))
				}
			}
		}
		one := instance(older, newer)
		sideBySide(f, one)
		two := instance(newer, older)
		sideBySide(one, two)
		one = instance(newer, older)
		sideBySide(one, two)
		sideBySide(instance(newer), two)
	})
}

func TestManagedKeysOfEveryAlgorithm(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "EdDSA", "RS256", "PS256"} {
		f := newFixture(t, managed, func(c *oauth.Config) { c.Policy.SigningAlg = alg })
		token := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken
		h, _ := claimsOf(t, token)
		assert.Equal(t, alg, h["alg"])
		assert.True(t, f.active(token))
	}
}

type source func() ([]oauth.Key, error)

func (s source) Keys(context.Context) ([]oauth.Key, error) { return s() }

func TestKeySourceIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := managedSigner(t), managedSigner(t)
		keys := []oauth.Key{{ID: "a", Signer: a}}
		var fails error
		var asked atomic.Int32
		f := newFixture(t, func(c *oauth.Config) {
			c.Keys = source(func() ([]oauth.Key, error) { asked.Add(1); return keys, fails })
		})
		token := func() string { return f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken }
		first := token()
		for range 10 {
			token()
		}
		assert.Equal(t, int32(1), asked.Load())
		keys = []oauth.Key{{ID: "b", Signer: b}, {ID: "a", Public: a.Public()}}
		time.Sleep(time.Minute)
		assert.Equal(t, "b", kid(t, token()))
		assert.True(t, f.active(first))
		fails = errors.New("the KMS is down")
		time.Sleep(time.Minute)
		assert.Equal(t, "b", kid(t, token()), "an outage leaves the last answer in force")
		assert.NotEmpty(t, f.kinds(oauth.EventOutage))
		keys, fails = []oauth.Key{{ID: "b", Signer: b}}, nil
		time.Sleep(time.Minute)
		assert.False(t, f.active(first), "a key that was withdrawn")
		n := asked.Load()
		for range 100 {
			f.active(first)
		}
		assert.Equal(t, n, asked.Load(), "a flood of unknown keys asks no more than every ten seconds")
		keys = nil
		time.Sleep(time.Minute)
		assert.Equal(t, "b", kid(t, token()), "no key at all is an outage too")
	})
}

type brokenSigner struct{ crypto.Signer }

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the HSM is down")
}

func TestSignerOutageSpendsNothing(t *testing.T) {
	signer := managedSigner(t)
	broken := atomic.Bool{}
	f := newFixture(t, func(c *oauth.Config) { c.Keys = oauth.StaticKeys{{ID: "k", Signer: &switchSigner{signer, &broken}}} })
	code := f.code(alice(), authorization("app"))
	broken.Store(true)
	f.refused(f.exchange("app", code), 503, "temporarily_unavailable")
	broken.Store(false)
	got := f.ok(f.exchange("app", code))
	broken.Store(true)
	f.refused(f.refresh("app", got.RefreshToken), 503, "temporarily_unavailable")
	broken.Store(false)
	f.ok(f.refresh("app", got.RefreshToken))
	f.ok(f.refresh("app", got.RefreshToken))
}

type switchSigner struct {
	crypto.Signer
	broken *atomic.Bool
}

func (s *switchSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.broken.Load() {
		return brokenSigner{}.Sign(r, digest, opts)
	}
	return s.Signer.Sign(r, digest, opts)
}

func TestKeysThatAreRefused(t *testing.T) {
	short, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	key := managedSigner(t)
	many := make(oauth.StaticKeys, 101)
	for i := range many {
		many[i] = oauth.Key{ID: fmt.Sprint(i), Signer: key}
	}
	for name, keys := range map[string]oauth.StaticKeys{
		"more than APIs read": many,
		"none":                {},
		"only verifying":      {{Public: key.Public()}},
		"P-224":               {{Signer: short}},
		"wrong alg":           {{Signer: key, Alg: "RS256"}},
		"alg none":            {{Signer: key, Alg: "none"}},
		"short secret":        {{ID: "h", Secret: []byte("short")}},
		"no ID":               {{Secret: []byte(strings.Repeat("k", 32))}},
		"empty":               {{}},
		"same ID":             {{ID: "a", Signer: key}, {ID: "a", Signer: managedSigner(t)}},
	} {
		cfg := (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config()
		cfg.Keys = keys
		cfg.Logger = slog.New(slog.DiscardHandler)
		_, err := oauth.New(cfg)
		assert.Error(t, err, name)
	}
	cfg := (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config()
	cfg.Keys = many[:100]
	_, err = oauth.New(cfg)
	assert.NoError(t, err)
}

// The times that KeySource names are enough, whenever an instance asks.
func TestASourceThatKeepsItsKeysAsLongAsItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life, signs = time.Hour, 3 * time.Hour // the new key, after the begin
		older, newer := managedSigner(t), managedSigner(t)
		begin := time.Now()
		keys := func(c *oauth.Config) {
			c.Policy.AccessTokenLifetime = life
			c.Keys = source(func() ([]oauth.Key, error) {
				at, list := time.Since(begin), []oauth.Key{{ID: "older", Signer: older}}
				if at >= signs-time.Hour-time.Minute {
					list = append(list, oauth.Key{ID: "newer", Public: newer.Public()})
				}
				if at >= signs {
					list = []oauth.Key{{ID: "newer", Signer: newer}, {ID: "older", Public: older.Public()}}
				}
				if at >= signs+life+time.Minute {
					list = list[:1]
				}
				return list, nil
			})
		}
		one := newFixture(t, keys)
		cfg := one.config()
		keys(&cfg)
		p, err := oauth.New(cfg)
		require.NoError(t, err)
		two := &fixture{t: t, p: p, store: one.store, secrets: one.secrets, log: one.log, gone: one.gone}
		at := func(since time.Duration) { time.Sleep(since - time.Since(begin)) }

		at(signs - time.Hour - time.Minute - time.Second) // one asks a moment too early
		assert.NotContains(t, one.jwks(), "newer")
		at(signs - time.Hour)
		assert.Contains(t, one.jwks(), "newer", "whatever was cached before is gone when the key signs")

		at(signs - time.Second)
		one.jwks()
		at(signs + time.Minute - 2*time.Second)
		last := one.ok(one.post("/oauth/token", "cc", ccForm)).AccessToken
		assert.Equal(t, "older", kid(t, last), "it has not asked yet")
		assert.Equal(t, "newer", kid(t, two.ok(two.post("/oauth/token", "cc", ccForm)).AccessToken))
		at(signs + life + time.Minute - 3*time.Second)
		assert.True(t, one.active(last))
		assert.True(t, two.active(last), "valid until it expires")
		at(signs + life + 2*time.Minute)
		assert.NotContains(t, two.jwks(), "older")
	})
}

// The store of managed keys fails at first, later, or holds what nobody can read.
func TestManagedKeysInAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := outageFixture(t)
		cfg := f.config()
		cfg.Keys = nil
		s.after = 0
		_, err := oauth.New(cfg)
		require.ErrorIs(t, err, errDown)
		s.after = -1
		f.p, err = oauth.New(cfg)
		require.NoError(t, err)
		token := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken
		require.True(t, f.active(token))
		s.after = 0
		time.Sleep(time.Hour / 2)
		assert.Contains(t, f.jwks(), kid(t, token), "what is known stays in force")
		s.after = -1

		record, err := f.store.Code(t.Context(), "keys", "signing")
		require.NoError(t, err)
		record.Data = []byte("not sealed")
		require.NoError(t, f.store.UpdateCode(t.Context(), record))
		_, err = oauth.New(cfg)
		assert.ErrorContains(t, err, "another secret")
	})
}

// keySource is a KeySource that a test changes.
type keySource struct {
	atomic.Pointer[oauth.StaticKeys]
}

func (s *keySource) Keys(context.Context) ([]oauth.Key, error) { return *s.Load(), nil }

func TestAKeyReplacedUnderItsNameIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var source keySource
		source.Store(&oauth.StaticKeys{{ID: "k", Signer: managedSigner(t)}})
		f := newFixture(t, func(c *oauth.Config) { c.Keys = &source })
		old, before := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken, f.jwks()
		assert.True(t, f.active(old), "and remembered")
		source.Store(&oauth.StaticKeys{{ID: "k", Signer: managedSigner(t)}})
		time.Sleep(time.Minute)
		next := f.ok(f.post("/oauth/token", "cc", ccForm)).AccessToken
		assert.NotEqual(t, before, f.jwks())
		assert.False(t, f.active(old))
		assert.True(t, f.active(next))
	})
}
