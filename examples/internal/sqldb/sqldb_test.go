package sqldb_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/go-sql-driver/mysql" // a driver that reads an address before it connects
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/internal/sqldb"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// logged is what the program logs until the test ends.
func logged(t *testing.T) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &b
}

func TestAFileKeepsWhatIsStored(t *testing.T) {
	log, file := logged(t), filepath.Join(t.TempDir(), "oauth.db")
	s, done, err := sqldb.SQLite(t.Context(), file)
	require.NoError(t, err)
	require.NoError(t, s.CreateClient(t.Context(), store.Client{ID: "app", Name: "App"}))
	require.NoError(t, done())
	assert.Error(t, s.CreateClient(t.Context(), store.Client{ID: "other"}), "done closes it")

	s, done, err = sqldb.SQLite(t.Context(), file)
	require.NoError(t, err)
	c, err := s.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, "App", c.Name)
	require.NoError(t, done())
	assert.Empty(t, log, "it is set as it should be")
}

func TestAFileThatCannotBeUsedIsNamed(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(text, []byte("These are notes, and no database."), 0o600))
	for file, reason := range map[string]string{
		"":                                "must be followed by the name of a file",
		"oauth.db?mode=ro":                "without ? and #",
		"oauth#1.db":                      "without ? and #",
		filepath.Join(dir, "no", "oauth"): "unable to open database file",
		dir:                               "unable to open database file",
		text:                              "file is not a database",
	} {
		s, done, err := sqldb.SQLite(t.Context(), file)
		require.ErrorContains(t, err, "store: sqlite: ", file)
		assert.ErrorContains(t, err, reason, file)
		if filepath.IsAbs(file) {
			assert.ErrorContains(t, err, file)
		}
		assert.Nil(t, s)
		assert.Nil(t, done)
	}
	kept, err := os.ReadFile(text)
	require.NoError(t, err)
	assert.Equal(t, "These are notes, and no database.", string(kept))
}

func TestADatabaseThatMayForgetIsWarnedOf(t *testing.T) {
	log := logged(t)
	_, done, err := sqldb.Open(t.Context(), "sqlite", "file:"+filepath.Join(t.TempDir(), "oauth.db"), sqlstore.SQLite)
	require.NoError(t, err)
	require.NoError(t, done())
	assert.Contains(t, log.String(), "the database is not set as it should be")
	assert.Contains(t, log.String(), "busy_timeout")
}

func TestAnAddressThatCannotBeReadIsNotRepeated(t *testing.T) {
	_, _, err := sqldb.Open(t.Context(), "mysql", "ada:hush@tcp(127.0.0.1/oauth", sqlstore.MySQL)
	assert.EqualError(t, err, "store: the address of this mysql cannot be read")
}
