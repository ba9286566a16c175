// Package serve runs HTTP servers until it is told to stop, and checks them.
package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/seed-e797c9ce/oauth"
)

const (
	maxHeader    = 64 << 10 // bytes
	stopWithin   = 5 * time.Second
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = time.Minute
)

// All serves a handler on each listener until ctx ends or one fails. Then it
// lets running requests finish, for a few seconds, and closes the listeners.
func All(ctx context.Context, handlers map[net.Listener]http.Handler) error {
	failed := make(chan error, len(handlers))
	var servers []*http.Server
	for l, h := range handlers {
		s := &http.Server{
			Handler: h, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout,
			WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		}
		servers = append(servers, s)
		go func() { failed <- s.Serve(l) }() // ends with Shutdown
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-failed:
		errs = append(errs, err)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	for _, s := range servers {
		errs = append(errs, s.Shutdown(stopping))
	}
	return errors.Join(errs...)
}

// Check looks once at the provider over its public URL, which must be served by
// now or soon, and logs what it finds.
func Check(ctx context.Context, p *oauth.Provider) {
	err := p.Check(ctx, nil)
	if err == nil || ctx.Err() != nil {
		return // all is well, or the program ends
	}
	findings := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		findings = joined.Unwrap()
	}
	for _, finding := range findings {
		slog.WarnContext(ctx, "check", "finding", finding)
	}
}
