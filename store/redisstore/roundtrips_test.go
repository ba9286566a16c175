package redisstore_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// counter counts what a client sends: a pipeline counts once.
type counter struct{ n atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

func TestEachOperationIsOneRoundTrip(t *testing.T) {
	for _, partitions := range []int{1, 64} {
		s, client, _ := fresh(t, partitions)
		warmUp(t, s)
		var c counter
		client.AddHook(&c)
		ctx := t.Context()
		update := token("t", "c", "s")
		update.Version = 1
		consent := store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"a"}}
		one := func(name string, call func() error) {
			t.Helper()
			before := c.n.Load()
			require.NoError(t, call(), name)
			assert.EqualValues(t, 1, c.n.Load()-before, "%s in %d partitions", name, partitions)
		}
		one("CreateToken", func() error { return s.CreateToken(ctx, token("t", "c", "s")) })
		one("Token", func() error { _, err := s.Token(ctx, "t"); return err })
		one("UpdateToken", func() error { return s.UpdateToken(ctx, update) })
		one("CreateCode", func() error { return s.CreateCode(ctx, code("k", "x")) })
		one("Code", func() error { _, err := s.Code(ctx, "k", "x"); return err })
		one("UpdateCode", func() error { c := code("k", "x"); c.Version = 1; return s.UpdateCode(ctx, c) })
		one("ConsumeCode", func() error { _, err := s.ConsumeCode(ctx, "k", "x", epoch); return err })
		one("CreateClient", func() error { return s.CreateClient(ctx, store.Client{ID: "c"}) })
		one("Client", func() error { _, err := s.Client(ctx, "c"); return err })
		one("UpdateClient", func() error { return s.UpdateClient(ctx, store.Client{ID: "c", Version: 1}) })
		one("DeleteClient", func() error { return s.DeleteClient(ctx, "c") })
		one("GrantConsent", func() error { return s.GrantConsent(ctx, consent) })
		one("Consent", func() error { _, err := s.Consent(ctx, "s", "c"); return err })
		one("ListConsents", func() error { _, err := s.ListConsents(ctx, "s", "", 10); return err })
		one("RevokeConsents of one", func() error {
			_, err := s.RevokeConsents(ctx, store.ConsentQuery{Subject: "s", ClientID: "c"})
			return err
		})
		one("RevokeConsents of a client", func() error { _, err := s.RevokeConsents(ctx, store.ConsentQuery{ClientID: "c"}); return err })
		one("ListTokens", func() error { _, err := s.ListTokens(ctx, store.TokenQuery{Subject: "s"}, "", 10); return err })
		one("ListTokens by ID", func() error { _, err := s.ListTokens(ctx, store.TokenQuery{ID: "t"}, "", 10); return err })
		one("RevokeTokens of one", func() error { _, err := s.RevokeTokens(ctx, store.TokenQuery{ID: "t"}, epoch, epoch); return err })
		one("RevokeTokens of a user", func() error { _, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, epoch, epoch); return err })
	}
}

// A server that was restarted, or that became master, has forgotten the
// scripts.
func TestServerThatForgotTheScripts(t *testing.T) {
	for _, partitions := range []int{1, 64} {
		s := startServer(t)
		client := s.client(t)
		st := open(t, client, "p:", partitions)
		warmUp(t, st)
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		warmUp(t, st)
	}
}
