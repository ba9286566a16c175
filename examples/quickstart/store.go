package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/seed-e797c9ce/oauth/examples/internal/sqldb"
	"github.com/seed-e797c9ce/oauth/store"
)

// defaultFile is what -store sqlite means.
const defaultFile = "quickstart.db"

// openStore opens what -store says, and returns the secret that goes with it.
// The caller calls done at the end.
//
// The default is memory: a first try leaves no file behind, least of all one
// with a secret. PostgreSQL, MySQL and Redis are in examples/server; linking
// their drivers here would make a newcomer wait for them.
func openStore(ctx context.Context, name string) (s store.Store, secret []byte, done func() error, err error) {
	if name == "memory" {
		return store.NewMemory(), newSecret(), func() error { return nil }, nil
	}
	kind, file, named := strings.Cut(name, ":")
	if kind != "sqlite" {
		return nil, nil, nil, errors.New("-store must be memory, sqlite or sqlite:FILE")
	}
	if !named {
		file = defaultFile
	}
	if s, done, err = sqldb.SQLite(ctx, file); err != nil {
		return nil, nil, nil, err
	}
	if secret, err = keptSecret(file + ".secret"); err != nil {
		return nil, nil, nil, errors.Join(err, done())
	}
	return s, secret, done, nil
}

func newSecret() []byte { return []byte(rand.Text() + rand.Text()) } // 260 random bits

// keptSecret reads the secret from a file that only its owner can read, and
// makes it the first time. In production keep it where a copy of the database
// is not: who has both can sign tokens.
func keptSecret(file string) ([]byte, error) {
	secret, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		secret = newSecret()
		err = os.WriteFile(file, secret, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("the provider's secret: %w", err)
	}
	return secret, nil
}
