package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-e797c9ce/oauth/store"
)

// What the operations ask of the store and change in it.

// record is the one of a new authorization.
func (b *bench) record() store.Token {
	id, _, _ := strings.Cut(b.tokens().RefreshToken, ".")
	record, err := b.store.Token(context.Background(), id)
	must(err)
	return record
}

func (b *bench) callsOfAuthorize() primitive {
	record := b.record()
	code := store.Code{Kind: "floor", Data: make([]byte, 300), ExpiresAt: record.ExpiresAt, PurgeAt: record.PurgeAt}
	return func(r *http.Request) {
		user := r.Header.Get(userHeader)
		_, err := b.store.Client(r.Context(), "app")
		must(err)
		_, err = b.store.Consent(r.Context(), user, "app")
		must(err)
		record.ID, record.Subject = uuid.Must(uuid.NewV7()).String(), user
		must(b.store.CreateToken(r.Context(), record))
		code.Key = record.ID
		must(b.store.CreateCode(r.Context(), code))
	}
}

func (b *bench) callsOfExchange() primitive {
	record := b.record()
	record.Version = 1 // as created
	return func(r *http.Request) {
		_, err := b.store.Client(r.Context(), "app")
		must(err)
		sum := sha256.Sum256([]byte(r.PostForm.Get("code")))
		code, err := b.store.Code(r.Context(), "code", base64.RawURLEncoding.EncodeToString(sum[:]))
		must(err)
		texts := textsOf(code.Data)
		record.ID, record.Subject = texts[0], texts[2]
		_, err = b.store.Consent(r.Context(), record.Subject, "app")
		must(err)
		must(b.store.UpdateToken(r.Context(), record))
	}
}

// textsOf reads the first texts of what a code keeps (codes.go): the record's ID,
// client and subject.
func textsOf(data []byte) (texts [3]string) {
	_, n := binary.Varint(data[1:])
	rest := data[1+n:]
	for i := range texts {
		size, n := binary.Uvarint(rest)
		rest = rest[n:]
		texts[i], rest = string(rest[:size]), rest[size:]
	}
	return texts
}

func (b *bench) callsOfRefresh(r *http.Request) {
	_, err := b.store.Client(r.Context(), "app")
	must(err)
	id, _, _ := strings.Cut(r.PostForm.Get("refresh_token"), ".")
	record, err := b.store.Token(r.Context(), id)
	must(err)
	must(b.store.UpdateToken(r.Context(), record))
}

func (b *bench) callsOfRevoke(r *http.Request) {
	_, err := b.store.Client(r.Context(), "app")
	must(err)
	id, _, _ := strings.Cut(r.PostForm.Get("token"), ".")
	record, err := b.store.Token(r.Context(), id)
	must(err)
	_, err = b.store.RevokeTokens(r.Context(), store.TokenQuery{ID: id, ClientID: "app"}, record.CreatedAt, record.PurgeAt)
	must(err)
}

// callsOfToken are for an access token: of its authorization, of its client, and
// of who asks, if it has to say who it is.
func (b *bench) callsOfToken(asker string) primitive {
	id := b.record().ID
	return func(r *http.Request) {
		for _, client := range []string{asker, "app"} {
			if client != "" {
				_, err := b.store.Client(r.Context(), client)
				must(err)
			}
		}
		_, err := b.store.Token(r.Context(), id)
		must(err)
	}
}
