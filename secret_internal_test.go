package oauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth/store"
)

func TestRememberedSecretsAreBounded(t *testing.T) {
	s, err := newSecretChecker(bcrypt.MinCost)
	require.NoError(t, err)
	for i := range maxKnownSecrets + 100 {
		s.remember(strconv.Itoa(i), "hash")
		require.True(t, s.remembers(strconv.Itoa(i), "hash"), "the last one is there")
		require.LessOrEqual(t, len(s.known), maxKnownSecrets)
	}
}

func TestASecretIsRememberedForItsHashAlone(t *testing.T) {
	s, err := newSecretChecker(bcrypt.MinCost)
	require.NoError(t, err)
	first, err := hashSecret("secret", bcrypt.MinCost)
	require.NoError(t, err)
	second, err := hashSecret("secret", bcrypt.MinCost)
	require.NoError(t, err)
	require.ErrorIs(t, s.verify(t.Context(), "wrong", []string{first}), errBadSecret)
	assert.Empty(t, s.known, "a wrong secret is not remembered")
	require.NoError(t, s.verify(t.Context(), "secret", []string{first}))
	assert.True(t, s.knows("secret", []string{first}))
	assert.False(t, s.knows("secret", []string{second}), "the hash was replaced")
	assert.False(t, s.knows("secret", nil), "it expired")
	assert.False(t, s.knows("secre", []string{first}))
	assert.NotEqual(t, s.tag("b", "a"), s.tag("ab", ""))
	other, err := newSecretChecker(bcrypt.MinCost)
	require.NoError(t, err)
	assert.NotEqual(t, s.tag("secret", first), other.tag("secret", first), "the key is the process's own")
}

func TestSecretsAreRememberedByManyAtOnce(t *testing.T) {
	s, err := newSecretChecker(bcrypt.MinCost)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				secret := strconv.Itoa(i)
				s.remember(secret, "hash")
				assert.True(t, s.remembers(secret, "hash"))
				assert.False(t, s.remembers(secret, "other"))
			}
		})
	}
	wg.Wait()
	assert.Len(t, s.known, 500)
}

func TestSecretsThatBcryptMisreads(t *testing.T) {
	s, err := newSecretChecker(bcrypt.MinCost)
	require.NoError(t, err)
	for name, secret := range map[string]string{
		"empty": "", "73 bytes": strings.Repeat("s", 73), "NUL": "a\x00b", "NUL in front": "\x00ab", "NUL at the end": "ab\x00",
	} {
		t.Run(name, func(t *testing.T) {
			assert.Error(t, usableSecret(secret))
			hash, err := hashSecret(secret, bcrypt.MinCost)
			assert.Error(t, err)
			assert.Empty(t, hash)
			raw, err := bcrypt.GenerateFromPassword([]byte(secret[:min(len(secret), maxSecret)]), bcrypt.MinCost)
			require.NoError(t, err)
			assert.ErrorIs(t, s.verify(t.Context(), secret, []string{string(raw)}), errBadSecret)
		})
	}
	assert.NoError(t, usableSecret("s"))
	assert.NoError(t, usableSecret(strings.Repeat("s", 72)))
}

// busy lets nothing be verified until the end of the test.
func (s *secretChecker) busy(t *testing.T) {
	for range cap(s.queue) {
		s.queue <- struct{}{}
	}
	t.Cleanup(func() {
		for range cap(s.queue) {
			<-s.queue
		}
	})
}

func TestWhatCannotBeVerifiedNowIsNotWrong(t *testing.T) {
	s, err := newSecretChecker(bcrypt.MinCost)
	require.NoError(t, err)
	hash, err := hashSecret("secret", bcrypt.MinCost)
	require.NoError(t, err)
	s.busy(t)
	for name, hashes := range map[string][]string{"known client": {hash}, "unknown client": nil} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorIs(t, s.verify(t.Context(), "secret", hashes), errSecretBusy)
			assert.ErrorIs(t, s.verify(t.Context(), strings.Repeat("s", 73), hashes), errSecretBusy)
		})
	}
	s.remember("secret", hash)
	assert.NoError(t, s.verify(t.Context(), "secret", []string{hash}), "one that matched before needs no turn")
}

// A secret that nobody has compared, because who sent it hung up before its
// turn, was not wrong.
func TestHangingUpBeforeItsTurnMakesNoWrongSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Config{
			Issuer: "https://as.example", Store: store.NewMemory(), LoginURL: "/login",
			Session: func(*http.Request) (Session, error) { return Session{}, nil }, Policy: Policy{BcryptCost: bcrypt.MinCost},
		})
		require.NoError(t, err)
		for range cap(p.secrets.slots) {
			p.secrets.slots <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() {
			_, err := p.authenticate(ctx, Credentials{ClientID: "nobody", Secret: "guess", Basic: true})
			got <- err
		}()
		synctest.Wait()
		cancel()
		err = <-got
		assert.ErrorIs(t, err, ErrTemporarilyUnavailable)
		assert.ErrorIs(t, err, context.Canceled)
		assert.NotErrorIs(t, err, ErrInvalidClient)
	})
}

// A secret that has matched costs no bcrypt run in either spelling, also when
// every other has to wait.
func TestSecretsSeenBeforeAreNotVerifiedAgain(t *testing.T) {
	p, err := New(Config{
		Issuer: "https://as.example", Store: store.NewMemory(), LoginURL: "/login",
		Session: func(*http.Request) (Session, error) { return Session{}, nil }, Policy: Policy{BcryptCost: bcrypt.MinCost},
	})
	require.NoError(t, err)
	const secret = "p%+: and more"
	hash, err := hashSecret(secret, bcrypt.MinCost)
	require.NoError(t, err)
	_, _, err = p.RegisterClient(t.Context(), Client{ID: "batch", GrantTypes: []string{grantClientCredentials}, Secrets: []store.Secret{{Hash: hash}}})
	require.NoError(t, err)
	spellings := []string{secret, url.QueryEscape(secret)}
	status := func(secret string) int {
		r := httptest.NewRequest(http.MethodPost, "https://as.example/oauth/token", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("batch", secret)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, http.StatusOK, status(spellings[1]))
	p.secrets.busy(t)
	for _, s := range spellings {
		assert.Equal(t, http.StatusOK, status(s), s)
	}
	assert.Equal(t, http.StatusServiceUnavailable, status("wrong"))
	assert.Equal(t, http.StatusServiceUnavailable, status("wr%6fng"))
	c := Credentials{ClientID: "batch", Secret: secret, Basic: true, knownOnly: true}
	_, err = p.authenticate(context.Background(), c)
	assert.NoError(t, err)
	for _, other := range []Credentials{{ClientID: "batch", Secret: "wrong"}, {ClientID: "nobody", Secret: secret}} {
		other.Basic, other.knownOnly = true, true
		_, err = p.authenticate(context.Background(), other)
		assert.ErrorIs(t, err, ErrInvalidClient)
	}
}
