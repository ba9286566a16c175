package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRecord puts the same text, bytes and numbers into every field that takes
// them and requires that they come back. A Memory decodes nothing that it has
// not encoded, so there is no other input.
func FuzzRecord(f *testing.F) {
	f.Add("id", "text", []byte("data"), int64(1), byte(3))
	f.Add("\u65e5\u672c", "", []byte{0, 255}, int64(-62135596800000000), byte(0))
	f.Add("x", "a much longer text than the others", make([]byte, 3000), int64(-1), byte(255))
	f.Fuzz(func(t *testing.T, id, text string, data []byte, number int64, bits byte) {
		if !ValidKey(id, MaxKey) || !validText(text) || len(text)+len(data) > MaxRecord/20 {
			return
		}
		if len(data) == 0 {
			data = nil
		}
		at := time.UnixMicro(number).UTC()
		var h Hash
		copy(h[:], data)
		var list []string
		for range bits % 4 {
			list = append(list, text, id)
		}
		// What an earlier record left behind the new one is of no account.
		left := []byte("what an earlier record has left")

		token := Token{
			ID: id, ClientID: id, Subject: text[:min(len(text), 9)], State: TokenState(bits), Scopes: list, Resources: list,
			FamilyHash: h, PreviousHash: h, Successor: data, RotatedAt: at, CreatedAt: at, LastUsedAt: at, ExpiresAt: at,
			RevokedAt: at, PurgeAt: at, Device: text, IP: id, Data: data, Version: number,
		}
		require.Equal(t, token, decodeToken(string(append(encodeToken(token), left...))))
		code := Code{Kind: id, Key: id, Data: data, ExpiresAt: at, ConsumedAt: at, PurgeAt: at, Version: number}
		require.Equal(t, code, decodeCode(string(append(encodeCode(code), left...))))
		consent := Consent{Subject: id, ClientID: id, Scopes: list, Resources: list, ClientHash: h, GrantedAt: at, UpdatedAt: at}
		require.Equal(t, consent, decodeConsent(string(append(encodeConsent(consent), left...))))
		client := Client{
			ID: id, Name: text, Public: bits&1 > 0, Version: number, AuthMethod: text, RedirectURIs: list, GrantTypes: list,
			ResponseTypes: list, Scopes: list, DefaultScopes: list, Resources: list, ApplicationType: text, Trust: Trust(text),
			FirstParty: bits&2 > 0, Disabled: bits&4 > 0, URI: text, LogoURI: text, PolicyURI: text, TOSURI: text, Contacts: list,
			JWKS: data, JWKSURI: text, AccessTokenLifetime: time.Duration(number), RefreshTokenLifetime: time.Duration(-number),
			CreatedAt: at, UpdatedAt: at, PurgeAt: at, Data: data,
		}
		for range bits % 3 {
			client.Secrets = append(client.Secrets, Secret{Hash: text, ExpiresAt: at})
		}
		require.Equal(t, client, decodeClient(string(append(encodeClient(client), left...))))
	})
}
