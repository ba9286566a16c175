// Quickstart is an app with users, a session cookie and an API, which is an
// OAuth 2.1 provider too (provider.go), and a client app on a port of its own
// that walks the authorization code flow. Run it, and open the URL that it prints.
//
// With -store sqlite, what people have consented to, tokens and signing keys
// outlive the program, in quickstart.db. Sign-ins and notes do not: they are the
// app's, and this one keeps them in memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth/examples/internal/serve"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "`host:port` of the app, which is the provider; a loopback address")
	clientAddr := flag.String("client-addr", "127.0.0.1:8081", "`host:port` of the client app; another name of this machine, so that the two share no cookies")
	storeName := flag.String("store", "memory", "where the provider remembers: memory, sqlite or sqlite:`FILE`")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *clientAddr, *storeName, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves both apps until ctx ends.
func run(ctx context.Context, addr, clientAddr, storeName string, out io.Writer) (err error) {
	appListener, appURL, err := listen(addr)
	if err != nil {
		return err
	}
	defer appListener.Close()
	clientListener, clientURL, err := listen(clientAddr)
	if err != nil {
		return err
	}
	defer clientListener.Close()

	s, secret, closeStore, err := openStore(ctx, storeName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()

	pages, err := site.NewPages(pageFiles, "pages/*.html")
	if err != nil {
		return err
	}
	app, err := site.New(site.Options{
		Title: "Notes", Hint: demoHint, Pages: pages, Users: demoUsers,
		HashCost: bcrypt.MinCost, // the passwords stand on the page
	})
	if err != nil {
		return err
	}
	mux, notes := http.NewServeMux(), newNotebook()
	provider, err := addProvider(mux, appURL, s, secret, app, http.HandlerFunc(notes.api))
	if err != nil {
		return err
	}
	app.Routes(mux)
	app.Connections(mux, provider)
	notes.routes(mux, app, clientURL)

	client, err := registerClient(ctx, provider, clientURL+"/callback")
	if err != nil {
		return err
	}
	reader := newClientApp(appURL, client.ID, clientURL+"/callback", pages)

	var beside sync.WaitGroup
	defer beside.Wait()
	besideCtx, stopBeside := context.WithCancel(ctx)
	defer stopBeside()
	beside.Go(func() { provider.RunCleanup(besideCtx, time.Hour) }) // it returns the context's error only
	beside.Go(func() { serve.Check(besideCtx, provider) })

	fmt.Fprintf(out, "open %s in a browser (the app itself is at %s)\n", clientURL, appURL)
	return serve.All(ctx, map[net.Listener]http.Handler{appListener: mux, clientListener: reader.handler()})
}

// listen returns the URL as well: with the name that was asked for, and the port
// that was got.
func listen(addr string) (net.Listener, string, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", fmt.Errorf("%w: -addr and -client-addr are host:port", err)
	}
	if host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, "", fmt.Errorf("-addr and -client-addr must be loopback addresses, where http is safe: not %q", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, "", fmt.Errorf("%w (choose another with -addr or -client-addr)", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return l, "http://" + net.JoinHostPort(host, port), err
}
