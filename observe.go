package oauth

import (
	"context"
	"net/http"
)

// observed tells Config.Observe of every request to a handler. Without it, h is
// returned as it is.
func (p *Provider) observed(operation string, h http.Handler) http.Handler {
	observe := p.cfg.Observe
	if observe == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, done := observe(r.Context(), operation)
		if done == nil {
			done = func(string, int) {}
		}
		o := &observation{ResponseWriter: w}
		returned := false
		defer func() {
			if !returned { // h has panicked, which goes on
				o.code, o.status = ErrServerError, http.StatusInternalServerError
			}
			done(o.outcome(), o.status)
		}()
		h.ServeHTTP(o, r.WithContext(context.WithValue(ctx, observationKey{}, o)))
		if o.status == 0 {
			o.status = http.StatusOK
		}
		returned = true
	})
}

// observation is what became of one request. It belongs to the request's
// goroutine.
type observation struct {
	http.ResponseWriter
	status int
	code   ErrorCode
}

type observationKey struct{}

// note keeps the error that a request is refused with.
func note(ctx context.Context, code ErrorCode) {
	if o, ok := ctx.Value(observationKey{}).(*observation); ok {
		o.code = code
	}
}

func (o *observation) WriteHeader(status int) {
	if o.status == 0 && status >= 200 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observation) Write(b []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	return o.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what w can do.
func (o *observation) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// outcome is the error of the request, also of one that a redirect or a form
// takes to the client; a status alone says less.
func (o *observation) outcome() string {
	switch {
	case o.code != "":
		return string(o.code)
	case o.status == http.StatusServiceUnavailable:
		return string(ErrTemporarilyUnavailable)
	case o.status >= 500:
		return string(ErrServerError)
	case o.status >= 400:
		return string(ErrInvalidRequest)
	}
	return "ok"
}
