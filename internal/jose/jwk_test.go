package jose

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// change returns a JWK with some members replaced; nil removes one.
func change(tb testing.TB, text string, members map[string]any) string {
	tb.Helper()
	m := map[string]any{}
	require.NoError(tb, json.Unmarshal([]byte(text), &m))
	for name, v := range members {
		if m[name] = v; v == nil {
			delete(m, name)
		}
	}
	out, err := json.Marshal(m)
	require.NoError(tb, err)
	return string(out)
}

func TestJWKsThatAreRefused(t *testing.T) {
	ec, rs, ed := rfc7515ES256Key, rfc7515RS256Key, rfc8037Key
	with := func(text string, members map[string]any) string { return change(t, text, members) }
	var m map[string]string
	require.NoError(t, json.Unmarshal([]byte(ec), &m))
	x, y := m["x"], m["y"]
	xy := append(unbase64(t, x), unbase64(t, y)...)

	for name, tt := range map[string]struct{ text, want string }{
		"not JSON":                    {`x`, "no object"},
		"not an object":               {`[]`, "no object"},
		"no kty":                      {with(ec, map[string]any{"kty": nil}), "JWK: kty"},
		"unknown kty":                 {with(ec, map[string]any{"kty": "AKP"}), "JWK: kty"},
		"kty in lower case":           {with(ec, map[string]any{"kty": "ec"}), "JWK: kty"},
		"kty not a string":            {with(ec, map[string]any{"kty": 1}), "wrong type"},
		"member name in another case": {strings.Replace(ec, `"x"`, `"X"`, 1), "wrong case"},
		"repeated member":             {strings.Replace(ec, `{`, `{"x":"AA",`, 1), "repeated member"},
		"use enc":                     {with(ec, map[string]any{"use": "enc"}), "JWK: use or key_ops"},
		"key_ops without verify":      {with(ec, map[string]any{"key_ops": []string{"sign"}}), "JWK: use or key_ops"},
		"key_ops empty":               {with(ec, map[string]any{"key_ops": []string{}}), "JWK: use or key_ops"},
		"alg of another type":         {with(ec, map[string]any{"alg": "RS256"}), "for this algorithm"},
		"alg of another curve":        {with(ec, map[string]any{"alg": "ES384"}), "for this algorithm"},
		"alg unknown":                 {with(ec, map[string]any{"alg": "ES256K"}), "for this algorithm"},
		"alg symmetric":               {with(ec, map[string]any{"alg": "HS256"}), "HS256 takes a secret"},
		"alg for encryption":          {with(rs, map[string]any{"alg": "RSA-OAEP"}), "for this algorithm"},
		"alg none":                    {with(ec, map[string]any{"alg": "none"}), "for this algorithm"},
		"kid too long":                {with(ec, map[string]any{"kid": strings.Repeat("k", MaxKeyID+1)}), "ID longer"},
		"kid not a string":            {with(ec, map[string]any{"kid": 7}), "wrong type"},
		"crv missing":                 {with(ec, map[string]any{"crv": nil}), "JWK: crv"},
		"crv P-521":                   {with(ec, map[string]any{"crv": "P-521"}), "JWK: crv"},
		"crv secp256k1":               {with(ec, map[string]any{"crv": "secp256k1"}), "JWK: crv"},
		"crv of another size":         {with(ec, map[string]any{"crv": "P-384"}), "JWK: x or y"},
		"x missing":                   {with(ec, map[string]any{"x": nil}), "JWK: x or y"},
		"y missing":                   {with(ec, map[string]any{"y": nil}), "JWK: x or y"},
		"x ends where y begins":       {with(ec, map[string]any{"x": encode(xy[:31]), "y": encode(xy[31:])}), "JWK: x or y"},
		"y padded":                    {with(ec, map[string]any{"y": y + "="}), "JWK: x or y"},
		"y short":                     {with(ec, map[string]any{"y": y[4:]}), "JWK: x or y"},
		"x short":                     {with(ec, map[string]any{"x": x[4:]}), "JWK: x or y"},
		"x with a zero in front":      {with(ec, map[string]any{"x": "AA" + x}), "JWK: x or y"},
		"x and y swapped":             {with(ec, map[string]any{"x": y, "y": x}), "JWK: not a point"},
		"x and y zero":                {with(ec, map[string]any{"x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}), "JWK: not a point"},
		"x over the field":            {with(ec, map[string]any{"x": strings.Repeat("_", 42) + "8"}), "JWK: not a point"},
		"x padded":                    {with(ec, map[string]any{"x": x + "="}), "JWK: x or y"},
		"x with a newline":            {with(ec, map[string]any{"x": x[:5] + "\n" + x[5:]}), "JWK: x or y"},
		"n missing":                   {with(rs, map[string]any{"n": nil}), "JWK: n or e"},
		"e missing":                   {with(rs, map[string]any{"e": nil}), "JWK: n or e"},
		"n of 1024 bits":              {with(rs, map[string]any{"n": "_" + strings.Repeat("A", 169) + "E"}), "no algorithm for"},
		"n with a zero in front":      {with(rs, map[string]any{"n": "AAAA" + "ofgW"}), "JWK: n or e"},
		"n in standard base64":        {strings.Replace(rs, "_", "/", 1), "JWK: n or e"},
		"e 1":                         {with(rs, map[string]any{"e": "AQ"}), "no algorithm for"},
		"e 3":                         {with(rs, map[string]any{"e": "Aw"}), "no algorithm for"},
		"e even":                      {with(rs, map[string]any{"e": "AQAC"}), "no algorithm for"},
		"e with a zero in front":      {with(rs, map[string]any{"e": "AAEAAQ"}), "JWK: n or e"},
		"e of 5 bytes":                {with(rs, map[string]any{"e": "AQAAAAE"}), "JWK: n or e"},
		"e padded":                    {with(rs, map[string]any{"e": "AQAB="}), "JWK: n or e"},
		"n empty":                     {with(rs, map[string]any{"n": ""}), "JWK: n or e"},
		"e of 32 bits":                {with(rs, map[string]any{"e": "_____w"}), "no algorithm for"},
		"OKP X25519":                  {with(ed, map[string]any{"crv": "X25519"}), "JWK: crv"},
		"OKP Ed448":                   {with(ed, map[string]any{"crv": "Ed448"}), "JWK: crv"},
		"OKP short":                   {with(ed, map[string]any{"x": "AAAA"}), "JWK: x"},
		"OKP padded":                  {with(ed, map[string]any{"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="}), "JWK: x"},
		"OKP without x":               {with(ed, map[string]any{"x": nil}), "JWK: x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseJWK([]byte(tt.text))
			assert.ErrorIs(t, err, ErrKey)
			assert.ErrorContains(t, err, tt.want, "the rule that it breaks")
			assert.NotErrorIs(t, err, ErrPrivate)
		})
	}
	for _, text := range []string{ec, rs, ed, with(rs, map[string]any{"e": "AQAAAQ"}), with(ec, map[string]any{"key_ops": []string{"verify"}, "use": "sig", "alg": "ES256", "x5c": []string{"AA"}, "other": 1})} {
		_, err := ParseJWK([]byte(text))
		assert.NoError(t, err, text)
	}
}

func TestPrivateKeysAreRefused(t *testing.T) {
	for _, name := range privateMembers {
		t.Run("SEC-268 "+name, func(t *testing.T) {
			text := change(t, rfc7515RS256Key, map[string]any{name: "AQAB"})
			_, err := ParseJWK([]byte(text))
			assert.ErrorIs(t, err, ErrPrivate)
			_, err = ParseJWKS([]byte(`{"keys":[` + rfc8037Key + `,` + text + `]}`))
			assert.ErrorIs(t, err, ErrPrivate, "and with it the set")
		})
	}
	_, err := ParseJWK([]byte(`{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}`))
	assert.ErrorIs(t, err, ErrPrivate)
}

func TestSetsThatAreRefused(t *testing.T) {
	one := change(t, rfc8037Key, map[string]any{"kid": "1"})
	many := make([]string, MaxJWKSKeys+1)
	for i := range many {
		many[i] = change(t, rfc8037Key, map[string]any{"kid": fmt.Sprint(i)})
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":                    {``, "no object"},
		"a list":                   {`[` + one + `]`, "no object"},
		"a single key":             {one, "without keys"},
		"no keys":                  {`{}`, "without keys"},
		"keys null":                {`{"keys":null}`, "without keys"},
		"keys an object":           {`{"keys":{}}`, "wrong type"},
		"keys in another case":     {`{"Keys":[]}`, "wrong case"},
		"keys twice":               {`{"keys":[` + one + `],"keys":[]}`, "repeated"},
		"a repeated name in a key": {`{"keys":[` + strings.Replace(one, `{`, `{"kty":"RSA",`, 1) + `]}`, "repeated"},
		"two keys with one ID":     {`{"keys":[` + one + `,` + change(t, rfc7515ES256Key, map[string]any{"kid": "1"}) + `]}`, "one ID"},
		"two keys without ID":      {`{"keys":[` + rfc8037Key + `,` + rfc7515ES256Key + `]}`, "one ID"},
		"SEC-167 101 keys":         {`{"keys":[` + strings.Join(many, ",") + `]}`, "more than 100"},
		"SEC-167 over 256 KiB":     {`{"keys":[],"x":"` + strings.Repeat("x", MaxJWKS) + `"}`, "longer than 262144"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseJWKS([]byte(tt.text))
			assert.ErrorIs(t, err, ErrKey)
			assert.ErrorContains(t, err, tt.want)
		})
	}
	longest := `{"keys":[],"x":"` + strings.Repeat("x", MaxJWKS-len(`{"keys":[],"x":""}`)) + `"}`
	_, err := ParseJWKS([]byte(longest))
	assert.NoError(t, err, "256 KiB")
	keys, err := ParseJWKS([]byte(`{"keys":[` + strings.Join(many[:MaxJWKSKeys], ",") + `]}`))
	require.NoError(t, err)
	assert.Len(t, keys, MaxJWKSKeys)
}

func TestSetsLeaveOutWhatIsNotForUs(t *testing.T) {
	set := `{"keys":[1,null,"x",{},{"kty":"XYZ"},` +
		change(t, rfc7515ES256Key, map[string]any{"kid": "enc", "use": "enc"}) + `,` +
		change(t, rfc7515ES256Key, map[string]any{"kid": "off", "x": strings.Repeat("A", 43)}) + `,` +
		change(t, rfc7515RS256Key, map[string]any{"kid": "weak", "n": "_" + strings.Repeat("A", 169) + "E"}) + `,` +
		change(t, rfc8037Key, map[string]any{"kid": "good"}) + `],"other":1}`
	keys, err := ParseJWKS([]byte(set))
	require.NoError(t, err)
	require.Len(t, keys, 1)
	assert.Equal(t, "good", keys[0].ID)

	keys, err = ParseJWKS([]byte(`{"keys":[{"kty":"XYZ"}]}`))
	assert.NoError(t, err)
	assert.Empty(t, keys)
}

func TestHostileSetsAreRefusedFast(t *testing.T) {
	for name, text := range map[string]string{
		"SEC-167 10,000 keys": `{"keys":[` + strings.Repeat(`{"kty":"x"},`, 9_999) + `{}]}`,
		"SEC-159 deep":        `{"keys":` + strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			took := fastest(func() {
				_, err := ParseJWKS([]byte(text))
				assert.ErrorIs(t, err, ErrKey)
			})
			assert.Less(t, took, time.Second)
		})
	}
}
