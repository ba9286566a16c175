package stores_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/examples/internal/stores"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestStoresThatNeedNoServer(t *testing.T) {
	for _, name := range []string{"memory", "sqlite:" + filepath.Join(t.TempDir(), "oauth.db")} {
		s, done, err := stores.Open(t.Context(), name)
		require.NoError(t, err, name)
		require.NoError(t, s.CreateClient(t.Context(), store.Client{ID: "app"}), name)
		_, err = s.Client(t.Context(), "app")
		assert.NoError(t, err, name)
		assert.NoError(t, done(), name)
	}
}

// TestWhatCannotBeOpened has the name of a store, and what a developer is told:
// how a name is written, or that nobody is there. Port 1 has no server.
func TestWhatCannotBeOpened(t *testing.T) {
	const (
		names    = "store: must be memory, sqlite:FILE, or a URL of postgres://, mysql:// or redis://"
		mysqlURL = "store: must be mysql://USER:PASSWORD@HOST:PORT/DATABASE"
		redisURL = "store: must be redis://USER:PASSWORD@HOST:PORT/NUMBER"
	)
	for name, reason := range map[string]string{
		"":                                              names,
		"Memory":                                        names,
		"memory:":                                       names,
		"oauth.db":                                      names,
		"mongodb://ada:hush@127.0.0.1:1/oauth":          names,
		"sqlite":                                        "store: sqlite: must be followed by the name of a file",
		"sqlite:/no/such/folder/oauth.db":               "unable to open database file (14): /no/such/folder/oauth.db",
		"postgres://ada:hush@127.0.0.1:1/oauth":         "store: postgres: sqlstore: no connection to the database: failed to connect to `user=ada database=oauth`",
		"postgres://ada:hush@127.0.0.1:port/":           "store: postgres: sqlstore: no connection to the database: cannot parse",
		"mysql://ada:hush@127.0.0.1:1/oauth":            "store: mysql: sqlstore: no connection to the database: dial tcp 127.0.0.1:1: connect: connection refused",
		"mysql://ada:hush@127.0.0.1:1":                  mysqlURL,
		"mysql://ada:hush@127.0.0.1:1/":                 mysqlURL,
		"mysql://ada:hush@/oauth":                       mysqlURL,
		"mysql://ada:hush@127.0.0.1:1/oauth?a=b":        mysqlURL,
		"mysql://ada:hush%zz@127.0.0.1:1/oauth":         mysqlURL,
		"mysql:ada:hush@tcp(127.0.0.1:1)/oauth":         mysqlURL,
		"redis://ada:hush@127.0.0.1:1/0?max_retries=-1": "store: redis: redisstore: read the configuration of server: dial tcp 127.0.0.1:1: connect: connection refused",
		"redis://ada:hush@127.0.0.1:port":               redisURL,
		"redis://ada:hush@127.0.0.1:1/oauth":            redisURL,
	} {
		s, done, err := stores.Open(t.Context(), name)
		require.ErrorContains(t, err, reason, name)
		assert.NotContains(t, err.Error(), "hush", name)
		assert.Nil(t, s, name)
		assert.Nil(t, done, name)
	}
}
