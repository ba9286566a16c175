// Server is a reference server for tests and trials: a provider whose clients,
// users, scopes and store a JSON file names. config.json beside this file is one.
//
//	go run ./examples/server -config examples/server/config.json
//
// It speaks plain HTTP, and listens where -addr says; without, where the issuer
// is if that is a loopback address. Put a proxy with TLS before it otherwise.
// The environment variable OAUTH_SECRET, of at least 32 bytes, is needed when
// several instances share a store, or one is to find its keys again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/seed-e797c9ce/oauth/examples/internal/serve"
	"github.com/seed-e797c9ce/oauth/examples/internal/stores"
)

const cleanupEvery = 10 * time.Minute

func main() {
	file := flag.String("config", "", "JSON `file` that says what to serve")
	addr := flag.String("addr", "", "`host:port` to listen on; default: the issuer's, if it is a loopback address")
	flag.Parse()
	if *file == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file, *addr, os.Getenv("OAUTH_SECRET"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, file, addr, secret string, out io.Writer) (err error) {
	c, err := loadConfig(file)
	if err != nil {
		return err
	}
	if addr == "" {
		if addr = c.loopbackAddr(); addr == "" {
			return errors.New("-addr is needed: the issuer is not http on a loopback address")
		}
	}
	s, closeStore, err := stores.Open(ctx, c.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	observer, flush, err := telemetry(c.Telemetry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, flush(context.WithoutCancel(ctx))) }()
	provider, handler, err := build(ctx, c, s, []byte(secret), observer)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w (choose another with -addr)", err)
	}
	defer listener.Close()
	if c.AutoLogin != "" || c.AutoConsent {
		if a, ok := listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return errors.New("auto_login and auto_consent let anybody in: -addr must be a loopback address")
		}
		slog.Warn("FOR TESTS ONLY: EVERYBODY WHO REACHES THIS SERVER IS LET IN",
			"auto_login", c.AutoLogin, "auto_consent", c.AutoConsent)
	}

	var beside sync.WaitGroup
	defer beside.Wait()
	besideCtx, stopBeside := context.WithCancel(ctx)
	defer stopBeside()
	beside.Go(func() { provider.RunCleanup(besideCtx, cleanupEvery) }) // it returns the context's error only
	beside.Go(func() { serve.Check(besideCtx, provider) })

	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	return serve.All(ctx, map[net.Listener]http.Handler{listener: handler})
}
