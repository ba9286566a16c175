// Package serve runs HTTP servers until it is told to stop.
package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
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
