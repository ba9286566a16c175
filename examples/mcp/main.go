// Mcp is an app with an MCP server that clients connect to by themselves: they
// find the app's authorization server, make themselves known to it, and the user
// signs in and consents in the browser. Run it, and give a client the URL that
// it prints.
//
//	go run ./examples/mcp
//
// It speaks plain HTTP. For clients that are not on this machine put a proxy with
// TLS before it, and say with -url what it is called there. The environment
// variable OAUTH_SECRET, of at least 32 bytes, is needed with -store, for keys to
// outlive the process.
package main

import (
	"context"
	"encoding/json"
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
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-e797c9ce/oauth/examples/internal/serve"
	"github.com/seed-e797c9ce/oauth/examples/internal/stores"
	"github.com/seed-e797c9ce/oauth/examples/mcp/app"
)

const cleanupEvery = 10 * time.Minute

type options struct {
	addr, store, secret string
	app                 app.Config
}

func main() {
	o := options{secret: os.Getenv("OAUTH_SECRET")}
	o.app.Pinned = map[string][]byte{}
	flag.StringVar(&o.addr, "addr", "localhost:8080", "`host:port` to listen on")
	flag.StringVar(&o.app.URL, "url", "", "public `URL`, which is the issuer; default: http:// and -addr")
	flag.StringVar(&o.app.Auto, "auto", "", "FOR TESTS: the user with this `subject` (u-1) is signed in and consents, without being asked")
	flag.StringVar(&o.store, "store", "memory", "where everything is kept: memory, sqlite:FILE, or a `URL` of postgres://, mysql:// or redis://")
	flag.DurationVar(&o.app.AccessTTL, "access-ttl", 0, "lifetime of access tokens; default: 1h")
	flag.Func("origin", "`origin` of web pages that may call the MCP server; may be repeated", func(s string) error {
		o.app.Origins = append(o.app.Origins, s)
		return nil
	})
	flag.Func("cimd-pin", "`file` with a client metadata document that is not fetched; may be repeated", func(file string) error {
		return pin(o.app.Pinned, file)
	})
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// pin adds the document of a file under the client ID that it names.
func pin(documents map[string][]byte, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	if d.ID == "" {
		return errors.New("it has no client_id")
	}
	documents[d.ID] = text
	return nil
}

// run serves until ctx ends.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w (choose another with -addr)", err)
	}
	defer listener.Close()
	if o.app.URL == "" {
		host, _, err := net.SplitHostPort(o.addr)
		if err != nil {
			return fmt.Errorf("-addr: %w", err)
		}
		if host != "localhost" && !net.ParseIP(host).IsLoopback() {
			return errors.New("-url is needed: -addr is not a loopback address, and an issuer elsewhere is https")
		}
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return err
		}
		o.app.URL = "http://" + net.JoinHostPort(host, port)
	}
	o.app.URL = strings.TrimSuffix(o.app.URL, "/")
	if o.secret != "" {
		o.app.Secret = []byte(o.secret)
	}
	var closeStore func() error
	if o.app.Store, closeStore, err = stores.Open(ctx, o.store); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	a, err := app.New(ctx, o.app)
	if err != nil {
		return err
	}
	if o.app.Auto != "" {
		if a, ok := listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return errors.New("-auto lets anybody in: -addr must be a loopback address")
		}
		slog.Warn("FOR TESTS ONLY: EVERYBODY WHO REACHES THIS SERVER IS LET IN", "auto", o.app.Auto)
	}

	var beside sync.WaitGroup
	defer beside.Wait()
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	beside.Go(func() { a.Provider.RunCleanup(serving, cleanupEvery) }) // it returns the context's error only
	beside.Go(func() {
		if err := a.Provider.Check(serving, nil); err != nil && serving.Err() == nil {
			slog.Warn("clients will not get on with this server", "error", err)
		}
	})

	fmt.Fprintf(out, "listening on http://%s\nMCP server: %s/mcp\n", listener.Addr(), o.app.URL)
	return serve.All(ctx, map[net.Listener]http.Handler{listener: a})
}
