package security

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"sync"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
)

// signingKey is the key of the node that knowing returns.
var signingKey = sync.OnceValue(newKey)

const signingKID = "known"

// knowing is a node whose signing key the case has: what it signs is as genuine
// as a signature can make it.
func (c *run) knowing() *run {
	return c.with("known key", func(cfg *oauth.Config) {
		cfg.Keys = oauth.StaticKeys{{ID: signingKID, Signer: signingKey()}}
	})
}

// forged is a token with these claims and header, signed with the provider's own
// key; pairs change the claims, and nil removes one.
func (c *run) forged(claims map[string]any, pairs ...any) string {
	return c.sign(signingKey(), map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": signingKID}, with(claims, pairs...))
}

// with is a copy of a JSON object that is changed.
func with(object map[string]any, pairs ...any) map[string]any {
	changed := maps.Clone(object)
	for i := 0; i < len(pairs); i += 2 {
		if changed[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(changed, pairs[i].(string))
		}
	}
	return changed
}

// sign makes an ES256 signature over whatever the header says; raw JSON stays as
// it is.
func (c *run) sign(key *ecdsa.PrivateKey, header, claims any) string {
	c.Helper()
	input := part(header) + "." + part(claims)
	signature, err := jwt.SigningMethodES256.Sign(input, key)
	require.NoError(c, err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// part is one part of a JWT.
func part(v any) string {
	body, ok := v.(string)
	if !ok {
		body = mustJSON(v)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(body))
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
