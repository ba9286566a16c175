package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// refreshable returns an authorization as an exchange leaves it.
func refreshable(id string) store.Token {
	return store.Token{
		ID: id, ClientID: "https://app.example/client.json", Subject: "subject", State: store.TokenActive,
		Scopes: []string{"read", "write"}, Resources: []string{"https://api.example/"},
		FamilyHash: sha256.Sum256([]byte("family")), SecretHash: sha256.Sum256([]byte("0")),
		CreatedAt: now, LastUsedAt: now, ExpiresAt: now.AddDate(0, 0, 30), PurgeAt: now.AddDate(0, 0, 37),
		Device: "phone", IP: "192.0.2.1",
	}
}

// rotated returns the record as a refresh leaves it, a minute or two later.
func rotated(t store.Token) store.Token {
	t.PreviousHash = t.SecretHash
	t.SecretHash = sha256.Sum256(t.SecretHash[:])
	t.Successor = bytes.Repeat(t.SecretHash[:], 4)
	t.RotatedAt = t.LastUsedAt.Add(86400 * time.Millisecond)
	t.LastUsedAt = t.RotatedAt
	t.ExpiresAt, t.PurgeAt = t.RotatedAt.AddDate(0, 0, 30), t.RotatedAt.AddDate(0, 0, 37)
	return t
}

// refreshOnce does to a store what a refresh does.
func refreshOnce(ctx context.Context, s store.Store, id string) error {
	t, err := s.Token(ctx, id)
	if err != nil {
		return err
	}
	return s.UpdateToken(ctx, rotated(t))
}
