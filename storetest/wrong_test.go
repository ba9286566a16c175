package storetest

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// wrong is a Memory with some methods replaced by wrong ones.
type wrong struct {
	*store.Memory
	client         func(ctx context.Context, id string) (store.Client, error)
	createClient   func(ctx context.Context, c store.Client) error
	updateClient   func(ctx context.Context, c store.Client) error
	deleteClient   func(ctx context.Context, id string) error
	listClients    func(ctx context.Context, after string, limit int) ([]store.Client, error)
	code           func(ctx context.Context, kind, key string) (store.Code, error)
	createCode     func(ctx context.Context, c store.Code) error
	updateCode     func(ctx context.Context, c store.Code) error
	consumeCode    func(ctx context.Context, kind, key string, at time.Time) (store.Code, error)
	token          func(ctx context.Context, id string) (store.Token, error)
	createToken    func(ctx context.Context, t store.Token) error
	updateToken    func(ctx context.Context, t store.Token) error
	revokeTokens   func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error)
	listTokens     func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error)
	consent        func(ctx context.Context, subject, clientID string) (store.Consent, error)
	grantConsent   func(ctx context.Context, c store.Consent) error
	revokeConsents func(ctx context.Context, q store.ConsentQuery) (int, error)
	deleteExpired  func(ctx context.Context, before time.Time, limit int) (store.Deleted, error)
}

func (w wrong) Client(ctx context.Context, id string) (store.Client, error) {
	if w.client != nil {
		return w.client(ctx, id)
	}
	return w.Memory.Client(ctx, id)
}

func (w wrong) CreateClient(ctx context.Context, c store.Client) error {
	if w.createClient != nil {
		return w.createClient(ctx, c)
	}
	return w.Memory.CreateClient(ctx, c)
}

func (w wrong) UpdateClient(ctx context.Context, c store.Client) error {
	if w.updateClient != nil {
		return w.updateClient(ctx, c)
	}
	return w.Memory.UpdateClient(ctx, c)
}

func (w wrong) DeleteClient(ctx context.Context, id string) error {
	if w.deleteClient != nil {
		return w.deleteClient(ctx, id)
	}
	return w.Memory.DeleteClient(ctx, id)
}

func (w wrong) ListClients(ctx context.Context, after string, limit int) ([]store.Client, error) {
	if w.listClients != nil {
		return w.listClients(ctx, after, limit)
	}
	return w.Memory.ListClients(ctx, after, limit)
}

func (w wrong) Code(ctx context.Context, kind, key string) (store.Code, error) {
	if w.code != nil {
		return w.code(ctx, kind, key)
	}
	return w.Memory.Code(ctx, kind, key)
}

func (w wrong) CreateCode(ctx context.Context, c store.Code) error {
	if w.createCode != nil {
		return w.createCode(ctx, c)
	}
	return w.Memory.CreateCode(ctx, c)
}

func (w wrong) UpdateCode(ctx context.Context, c store.Code) error {
	if w.updateCode != nil {
		return w.updateCode(ctx, c)
	}
	return w.Memory.UpdateCode(ctx, c)
}

func (w wrong) ConsumeCode(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
	if w.consumeCode != nil {
		return w.consumeCode(ctx, kind, key, at)
	}
	return w.Memory.ConsumeCode(ctx, kind, key, at)
}

func (w wrong) Token(ctx context.Context, id string) (store.Token, error) {
	if w.token != nil {
		return w.token(ctx, id)
	}
	return w.Memory.Token(ctx, id)
}

func (w wrong) CreateToken(ctx context.Context, t store.Token) error {
	if w.createToken != nil {
		return w.createToken(ctx, t)
	}
	return w.Memory.CreateToken(ctx, t)
}

func (w wrong) UpdateToken(ctx context.Context, t store.Token) error {
	if w.updateToken != nil {
		return w.updateToken(ctx, t)
	}
	return w.Memory.UpdateToken(ctx, t)
}

func (w wrong) RevokeTokens(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
	if w.revokeTokens != nil {
		return w.revokeTokens(ctx, q, at, purgeAt)
	}
	return w.Memory.RevokeTokens(ctx, q, at, purgeAt)
}

func (w wrong) ListTokens(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
	if w.listTokens != nil {
		return w.listTokens(ctx, q, after, limit)
	}
	return w.Memory.ListTokens(ctx, q, after, limit)
}

func (w wrong) Consent(ctx context.Context, subject, clientID string) (store.Consent, error) {
	if w.consent != nil {
		return w.consent(ctx, subject, clientID)
	}
	return w.Memory.Consent(ctx, subject, clientID)
}

func (w wrong) GrantConsent(ctx context.Context, c store.Consent) error {
	if w.grantConsent != nil {
		return w.grantConsent(ctx, c)
	}
	return w.Memory.GrantConsent(ctx, c)
}

func (w wrong) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	if w.revokeConsents != nil {
		return w.revokeConsents(ctx, q)
	}
	return w.Memory.RevokeConsents(ctx, q)
}

func (w wrong) DeleteExpired(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
	if w.deleteExpired != nil {
		return w.deleteExpired(ctx, before, limit)
	}
	return w.Memory.DeleteExpired(ctx, before, limit)
}

// A meeting is where a wrong store goes between its check and its act, so that
// two callers surely get there at once: a caller goes on when another has come
// too, or when none comes for long.
type meeting struct{ arrived atomic.Int64 }

func (m *meeting) wait() {
	ticket := m.arrived.Add(1)
	waitUntil(func() bool { return m.arrived.Load() > ticket })
}

func waitUntil(ready func() bool) {
	for range 3000 {
		if ready() {
			return
		}
		runtime.Gosched()
	}
}
