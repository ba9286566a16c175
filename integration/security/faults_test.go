package security

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// faults is a store that fails where it is told to. Its error looks like a
// driver's: nothing of it may be shown.
type faults struct {
	store.Store
	mu     sync.Mutex
	broken map[string]bool // by name of the method
}

var errBroken = errors.New(`pgx: SQLSTATE 57P01: SELECT secret FROM "oauth_tokens" at 10.0.0.7:5432`)

// faulty is a node whose store can be broken, and what breaks it.
func (c *run) faulty() (*run, *faults) {
	f := &faults{broken: map[string]bool{}}
	c = c.with("faults", func(cfg *oauth.Config) { f.Store, cfg.Store = cfg.Store, f; c.faults = f })
	c.Cleanup(func() { c.faults.mend() })
	return c, c.faults
}

// fail breaks these methods, and no others.
func (f *faults) fail(methods ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.broken)
	for _, name := range methods {
		f.broken[name] = true
	}
}

func (f *faults) mend() { f.fail() }

func (f *faults) at(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken[method] {
		return errBroken
	}
	return nil
}

// call is a method of the store, if it is not broken.
func call[T any](f *faults, method string, do func() (T, error)) (T, error) {
	if err := f.at(method); err != nil {
		var none T
		return none, err
	}
	return do()
}

func (f *faults) Client(ctx context.Context, id string) (store.Client, error) {
	return call(f, "Client", func() (store.Client, error) { return f.Store.Client(ctx, id) })
}

func (f *faults) Code(ctx context.Context, kind, key string) (store.Code, error) {
	return call(f, "Code", func() (store.Code, error) { return f.Store.Code(ctx, kind, key) })
}

func (f *faults) Token(ctx context.Context, id string) (store.Token, error) {
	return call(f, "Token", func() (store.Token, error) { return f.Store.Token(ctx, id) })
}

func (f *faults) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	return call(f, "Consent", func() (store.Consent, error) { return f.Store.Consent(ctx, subject, clientID) })
}

func (f *faults) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
	return call(f, "RevokeTokens", func() (int, error) { return f.Store.RevokeTokens(ctx, q, at, purgeAt) })
}

func (f *faults) ListTokens(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
	return call(f, "ListTokens", func() ([]store.Token, error) { return f.Store.ListTokens(ctx, q, after, limit) })
}

func (f *faults) CreateClient(ctx context.Context, v store.Client) error {
	if err := f.at("CreateClient"); err != nil {
		return err
	}
	return f.Store.CreateClient(ctx, v)
}

func (f *faults) CreateCode(ctx context.Context, v store.Code) error {
	if err := f.at("CreateCode"); err != nil {
		return err
	}
	return f.Store.CreateCode(ctx, v)
}

func (f *faults) CreateToken(ctx context.Context, v store.Token) error {
	if err := f.at("CreateToken"); err != nil {
		return err
	}
	return f.Store.CreateToken(ctx, v)
}

func (f *faults) UpdateToken(ctx context.Context, v store.Token) error {
	if err := f.at("UpdateToken"); err != nil {
		return err
	}
	return f.Store.UpdateToken(ctx, v)
}

func (f *faults) GrantConsent(ctx context.Context, v store.Consent) error {
	if err := f.at("GrantConsent"); err != nil {
		return err
	}
	return f.Store.GrantConsent(ctx, v)
}
