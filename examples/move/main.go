// Move copies a provider's clients, authorizations, consents and signing keys
// from one store to another, which must be empty:
//
//	go run ./examples/move -from sqlite:oauth.db -to postgres://user@host/db -users users.txt
//
// The file has the IDs of the app's users, and of workloads, one on a line: with it,
// consents and authorizations are found that no stored client leads to. Stop all providers
// before, and start them on the new store after: two stores that are both in use
// sign people out. docs/stores.md says more.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed-e797c9ce/oauth/examples/internal/stores"
)

func main() {
	from := flag.String("from", "", "`store` to read: sqlite:FILE, or a URL of postgres://, mysql:// or redis://")
	to := flag.String("to", "", "`store` to fill, which must be empty")
	users := flag.String("users", "", "`file` with the IDs of the app's users, one on a line")
	flag.Parse()
	if *from == "" || *to == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *from, *to, *users, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, from, to, users string, out io.Writer) (err error) {
	subjects, err := readLines(users)
	if err != nil {
		return fmt.Errorf("-users: %w", err)
	}
	source, closeSource, err := stores.Open(ctx, from)
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	target, closeTarget, err := stores.Open(ctx, to)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	defer func() { err = errors.Join(err, closeTarget()) }()
	n, err := copyStore(ctx, source, target, subjects)
	fmt.Fprintf(out, "copied %d clients, %d authorizations, %d consents, %d signing key sets\n", n.Clients, n.Tokens, n.Consents, n.Keys)
	if err != nil {
		return fmt.Errorf("NOT COMPLETE; empty the new store and begin again: %w", err)
	}
	return nil
}

func readLines(name string) (lines []string, err error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines, scanner.Err()
}
