package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type countedKeys struct {
	list  StaticKeys
	asked int
}

func (k *countedKeys) Keys(context.Context) ([]Key, error) {
	k.asked++
	return k.list, nil
}

// A machine that started with a clock that was ahead, and was then set right, must
// not use the keys of that moment until the clock is there again.
func TestKeysAreAskedForWhenTheClockWasSetBack(t *testing.T) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	source := &countedKeys{list: StaticKeys{{ID: "first", Signer: signer}}}
	for name, ask := range map[string]func(*keys, context.Context) (*keyring, error){"ring": (*keys).ring, "unknown": (*keys).forUnknown} {
		k := &keys{source: source, failed: func(error) {}}
		_, err = ask(k, t.Context())
		require.NoError(t, err)
		before := source.asked
		_, err = ask(k, t.Context())
		require.NoError(t, err)
		assert.Equal(t, before, source.asked, name)
		k.asked.Store(time.Now().Add(365 * 24 * time.Hour).UnixNano())
		_, err = ask(k, t.Context())
		require.NoError(t, err)
		assert.Equal(t, before+1, source.asked, name)
	}
}
