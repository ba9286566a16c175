package oauth

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

func TestCodePayloadIsReadAsItWasWritten(t *testing.T) {
	created := time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)
	pending := store.Token{
		ID: "0190", ClientID: "c", Subject: "u", State: store.TokenPending, Version: 1,
		CreatedAt: created, ExpiresAt: created.Add(time.Minute), PurgeAt: created.Add(time.Hour),
	}
	full := pending
	full.Subject, full.Scopes, full.Resources = "ü \"\\\n<", []string{"read", "write"}, []string{"https://a.example", "https://b.example/a b"}
	grant := grantData{AuthTime: 1, ACR: "\"", AMR: []string{"pwd", "otp"}, SID: "s\x00", Nonce: "n"}
	full.Data = grant.encode()
	for name, want := range map[string]codePayload{
		"least": {Token: pending, RedirectURI: "https://c.example"},
		"most":  {Token: full, RedirectURI: "https://c.example/?a=b&c", RedirectSet: true, Challenge: "x", Consented: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeCode(store.Code{Data: want.encode(), ExpiresAt: want.Token.ExpiresAt, PurgeAt: want.Token.PurgeAt})
			require.NoError(t, err)
			assert.Equal(t, want, *got)
		})
	}
	whole := (&codePayload{Token: full, RedirectURI: "https://c.example"}).encode()
	for n := range whole {
		_, err := decodeCode(store.Code{Data: whole[:n]})
		require.Error(t, err, "%d bytes of it", n)
	}
	_, err := decodeCode(store.Code{Data: append([]byte{codeVersion + 1}, whole[1:]...)})
	require.Error(t, err, "another version")
	_, err = decodeCode(store.Code{Data: []byte{codeVersion, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}})
	require.Error(t, err, "a length beyond everything")
	_, err = decodeCode(store.Code{Data: append([]byte{codeVersion}, bytes.Repeat([]byte{0xff}, 12)...)})
	require.Error(t, err, "a time beyond everything")
	read, err := decodeGrant(full.Data)
	require.NoError(t, err)
	assert.Equal(t, grant, read)
	assert.Empty(t, (&grantData{AuthTime: unixTime(time.Time{})}).encode(), "it is not known when")
	for _, g := range []grantData{{AuthTime: 1}, {ACR: "a"}, {AMR: []string{"a"}}, {SID: "a"}, {Nonce: "a"}} {
		read, err := decodeGrant(g.encode())
		require.NoError(t, err)
		assert.Equal(t, g, read)
	}
}
