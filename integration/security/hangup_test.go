package security

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// hangUp is a store during one of whose calls the client goes.
type hangUp struct {
	store.Store
	ended  chan struct{} // a value for each request that the provider is done with
	mu     sync.Mutex
	method string
	after  bool
	cancel context.CancelFunc
}

// leave sends a request, hangs up when the store is asked, waits until the
// provider is done with it, and reports whether the store was asked.
func (h *hangUp) leave(c *run, r *http.Request, method string, after bool) bool {
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	h.mu.Lock()
	h.method, h.after, h.cancel = method, after, cancel
	h.mu.Unlock()
	for len(h.ended) > 0 { // of requests before this one
		<-h.ended
	}
	_, _ = c.at.send(r.WithContext(ctx))
	select {
	case <-h.ended:
	case <-time.After(20 * time.Second):
		require.Fail(c, "the request does not end")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.method == ""
	h.method = ""
	return asked
}

// at hangs up if this is the call, and waits until the provider has noticed, or
// has turned out not to listen.
func (h *hangUp) at(ctx context.Context, method string, after bool) {
	h.mu.Lock()
	hit := h.method == method && h.after == after
	if hit {
		h.method = ""
		h.cancel()
	}
	h.mu.Unlock()
	if hit {
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (h *hangUp) Client(ctx context.Context, id string) (store.Client, error) {
	h.at(ctx, "Client", false)
	defer h.at(ctx, "Client", true)
	return h.Store.Client(ctx, id)
}

func (h *hangUp) Code(ctx context.Context, kind, key string) (store.Code, error) {
	h.at(ctx, "Code", false)
	defer h.at(ctx, "Code", true)
	return h.Store.Code(ctx, kind, key)
}

func (h *hangUp) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	h.at(ctx, "Consent", false)
	defer h.at(ctx, "Consent", true)
	return h.Store.Consent(ctx, subject, clientID)
}

func (h *hangUp) Token(ctx context.Context, id string) (store.Token, error) {
	h.at(ctx, "Token", false)
	defer h.at(ctx, "Token", true)
	return h.Store.Token(ctx, id)
}

func (h *hangUp) UpdateToken(ctx context.Context, v store.Token) error {
	h.at(ctx, "UpdateToken", false)
	defer h.at(ctx, "UpdateToken", true)
	return h.Store.UpdateToken(ctx, v)
}
