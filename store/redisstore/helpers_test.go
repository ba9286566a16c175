package redisstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// epoch is when tests take place: no store reads a clock.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func containsAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}

func token(id, client, subject string) store.Token {
	return store.Token{
		ID: id, ClientID: client, Subject: subject, State: store.TokenActive,
		Scopes: []string{"read", "write"}, Resources: []string{"https://api.example/"},
		FamilyHash: store.Hash{1}, SecretHash: store.Hash{2}, PreviousHash: store.Hash{3},
		Successor: []byte{0, 0xff, '"', '\\'}, RotatedAt: epoch,
		CreatedAt: epoch, LastUsedAt: epoch, ExpiresAt: epoch.Add(time.Hour), PurgeAt: epoch.Add(2 * time.Hour),
		Device: "Phone \U0001F4F1", IP: "192.0.2.1", Data: []byte("\x00\xfe{}[]"),
	}
}

func code(kind, key string) store.Code {
	return store.Code{Kind: kind, Key: key, Data: []byte("\x00\xffdata"), ExpiresAt: epoch.Add(time.Minute), PurgeAt: epoch.Add(time.Hour)}
}

// ids are n different IDs in ascending order.
func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("id-%06d", i)
	}
	return all
}

// warmUp calls every method that changes something, so that the server knows
// the scripts.
func warmUp(t testing.TB, s store.Store) {
	t.Helper()
	ctx := t.Context()
	tok, c, client := token("warm", "warm", "warm"), code("warm", "warm"), store.Client{ID: "warm", PurgeAt: epoch}
	consent := store.Consent{Subject: "warm", ClientID: "warm", Scopes: []string{"a"}}
	require.NoError(t, s.CreateToken(ctx, tok))
	tok.Version = 1
	require.NoError(t, s.UpdateToken(ctx, tok))
	require.NoError(t, s.CreateCode(ctx, c))
	_, err := s.ConsumeCode(ctx, "warm", "warm", epoch)
	require.NoError(t, err)
	require.NoError(t, s.CreateClient(ctx, client))
	_, err = s.ListClients(ctx, "", 1)
	require.NoError(t, err)
	require.NoError(t, s.DeleteClient(ctx, "warm"))
	for _, q := range []store.ConsentQuery{{Subject: "warm"}, {ClientID: "warm"}, {Subject: "warm", ClientID: "warm"}} {
		require.NoError(t, s.GrantConsent(ctx, consent))
		_, err = s.ListConsents(ctx, "warm", "", 1)
		require.NoError(t, err)
		n, err := s.RevokeConsents(ctx, q)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	for _, q := range []store.TokenQuery{{ID: "warm"}, {Subject: "warm"}, {ClientID: "warm"}} {
		_, err = s.ListTokens(ctx, q, "", 1)
		require.NoError(t, err)
		_, err = s.RevokeTokens(ctx, q, epoch, epoch)
		require.NoError(t, err)
	}
	_, err = s.DeleteExpired(ctx, epoch.AddDate(1, 0, 0), 1000)
	require.NoError(t, err)
}
