package redisstore_test

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

var answers = []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrConsumed, store.ErrRevoked, store.ErrInvalid}

func isAnswer(err error) bool {
	for _, answer := range answers {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// The client repeats a command whose answer it lost. The second answer to a
// change says that somebody else made it, which is wrong.
func TestLostAnswerIsAnOutageAndNotSomebodyElse(t *testing.T) {
	direct := shared(t)
	pre := prefix(t, direct)
	p := startProxy(t, direct.Options().Addr)
	client := redis.NewClient(&redis.Options{Addr: p.addr, MaxRetries: 3, PoolSize: 1})
	t.Cleanup(func() { _ = client.Close() })
	s, truth := open(t, client, pre, 0), open(t, direct, pre, 0)
	ctx := t.Context()

	// Scripts have to be known, or the answer that is lost is that they are not.
	warmUp(t, truth)
	require.NoError(t, truth.CreateCode(ctx, code("k", "used")))
	require.NoError(t, truth.CreateToken(ctx, token("rotated", "c", "s")))
	require.NoError(t, truth.CreateToken(ctx, token("revoked", "c", "s")))

	rotated := token("rotated", "c", "s")
	rotated.Version = 1
	tests := []struct {
		name string
		call func() error
		done func() bool
	}{
		{"create", func() error { return s.CreateToken(ctx, token("new", "c", "s")) },
			func() bool { _, err := truth.Token(ctx, "new"); return err == nil }},
		{"consume", func() error { _, err := s.ConsumeCode(ctx, "k", "used", epoch); return err },
			func() bool { c, _ := truth.Code(ctx, "k", "used"); return !c.ConsumedAt.IsZero() }},
		{"update", func() error { return s.UpdateToken(ctx, rotated) },
			func() bool { t, _ := truth.Token(ctx, "rotated"); return t.Version == 2 }},
		{"revoke", func() error {
			_, err := s.RevokeTokens(ctx, store.TokenQuery{ID: "revoked"}, epoch, epoch)
			return err
		}, func() bool { t, _ := truth.Token(ctx, "revoked"); return !t.RevokedAt.IsZero() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, client.Ping(t.Context()).Err(), "the connection is there")
			p.lose.Store(true)
			err := tt.call()
			require.Error(t, err, "the answer was lost")
			assert.False(t, isAnswer(err), "%v", err)
			assert.True(t, tt.done(), "the server did what it was asked")
		})
	}
}
