package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests hold what BenchmarkMillion measures, on a store of a fifth of its
// size, with room for a busy machine. TestDeleteExpiredGoesInShortSteps is the
// third of them.
const many = 200_000

func skipIfSlow(t *testing.T) {
	t.Helper()
	if testing.Short() || raceDetector {
		t.Skip("takes seconds, and measures")
	}
}

func TestAuthorizationTakesAtMost700Bytes(t *testing.T) {
	skipIfSlow(t)
	m, used := measured(t, many)
	require.LessOrEqual(t, used/many, uint64(700))
	require.Equal(t, 1, revokeOne(t, m), "the store is still in use")
}

func TestCollectionOfManyAuthorizationsIsCheap(t *testing.T) {
	skipIfSlow(t)
	m := filled(t, many)
	const target = 100 * time.Millisecond * many / million
	least := time.Hour
	for range 5 { // others on this machine can only make it longer
		least = min(least, collection())
	}
	require.LessOrEqual(t, least, target)
	require.Equal(t, 1, revokeOne(t, m), "the store is still in use")
}
