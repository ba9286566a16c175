package boltstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/seed-e797c9ce/oauth/examples/boltstore"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func open(t testing.TB, file string, noSync bool) (*bolt.DB, *boltstore.Store) {
	t.Helper()
	db, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: time.Second, NoSync: noSync})
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() }) // a second time does no harm
	s, err := boltstore.New(db)
	require.NoError(t, err)
	return db, s
}

// TestStore has two handles over one *bolt.DB: bbolt locks its file, so there is
// no second process to stand for.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (a, b store.Store) {
		db, a := open(t, filepath.Join(t.TempDir(), "oauth.db"), true) // without NoSync it takes longer, and no case can tell
		b, err := boltstore.New(db)
		require.NoError(t, err)
		return a, b
	})
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	ctx, file := t.Context(), filepath.Join(t.TempDir(), "oauth.db")
	at := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	db, s := open(t, file, false)
	require.NoError(t, s.CreateToken(ctx, store.Token{ID: "t", ClientID: "c", Subject: "u", PurgeAt: at}))
	require.NoError(t, s.CreateCode(ctx, store.Code{Kind: "k", Key: "x"}))
	_, err := s.ConsumeCode(ctx, "k", "x", at)
	require.NoError(t, err)
	require.NoError(t, db.Close())

	_, s = open(t, file, false)
	_, err = s.ConsumeCode(ctx, "k", "x", at)
	assert.ErrorIs(t, err, store.ErrConsumed)
	n, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: "u"}, at, at)
	assert.NoError(t, err)
	assert.Equal(t, 1, n)
	deleted, err := s.DeleteExpired(ctx, at, 10)
	assert.NoError(t, err)
	assert.Equal(t, store.Deleted{Tokens: 1}, deleted)
}

func TestADatabaseThatIsClosedIsAnOutage(t *testing.T) {
	db, s := open(t, filepath.Join(t.TempDir(), "oauth.db"), true)
	require.NoError(t, db.Close())
	_, err := s.Token(t.Context(), "t")
	assert.ErrorContains(t, err, "not open")
	assert.NotErrorIs(t, err, store.ErrNotFound)
	assert.ErrorContains(t, s.CreateToken(t.Context(), store.Token{ID: "t", ClientID: "c"}), "not open")
}

// A record that cannot be read must not look like one that is not there: its
// token would be refused for ever.
func TestARecordThatCannotBeReadIsAnOutage(t *testing.T) {
	db, s := open(t, filepath.Join(t.TempDir(), "oauth.db"), true)
	require.NoError(t, s.CreateToken(t.Context(), store.Token{ID: "t", ClientID: "c"}))
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("oauth")).Put([]byte("token\x00t"), []byte("{"))
	}))
	for name, err := range map[string]error{
		"Token":        second(s.Token(t.Context(), "t")),
		"CreateToken":  s.CreateToken(t.Context(), store.Token{ID: "t", ClientID: "c"}),
		"UpdateToken":  s.UpdateToken(t.Context(), store.Token{ID: "t", ClientID: "c", Version: 1}),
		"ListTokens":   second(s.ListTokens(t.Context(), store.TokenQuery{ClientID: "c"}, "", 1)),
		"RevokeTokens": second(s.RevokeTokens(t.Context(), store.TokenQuery{ID: "t"}, time.Unix(1, 0), time.Unix(1, 0))),
	} {
		assert.ErrorContains(t, err, "JSON", name)
	}
}

func second[R any](_ R, err error) error { return err }

func TestThePackageHasUnder300LinesOfCode(t *testing.T) {
	lines := 0
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	t.Logf("%d lines of code, without comments and empty lines", lines)
	assert.Positive(t, lines)
	assert.Less(t, lines, 300)
}
