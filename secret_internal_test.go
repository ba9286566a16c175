package oauth

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
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
