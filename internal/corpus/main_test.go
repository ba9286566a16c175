package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheFewestInputsThatReachAllAreChosen(t *testing.T) {
	blocks := func(names ...string) set {
		s := set{}
		for _, n := range names {
			s[n] = true
		}
		return s
	}
	from := []input{
		{"one", []byte("1"), blocks("a")},
		{"many", []byte("1"), blocks("a", "b", "c")},
		{"as many, longer", []byte("22"), blocks("a", "b", "c")},
		{"last", []byte("1"), blocks("d")},
	}
	chosen, missed := choose(from, blocks("a", "b", "c", "d"), 15)
	assert.Equal(t, []input{from[1], from[3]}, chosen)
	assert.Zero(t, missed)
	chosen, missed = choose(from, blocks("a", "b", "c", "d"), 1)
	assert.Equal(t, []input{from[1]}, chosen)
	assert.Equal(t, 1, missed)
}

func TestWhatLooksSecretIsNotKept(t *testing.T) {
	for _, text := range []string{
		`string("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.")`, `[]byte("{\"kty\":\"EC\",\"d\":\"x\"}")`, `{"k":"AA"}`, "-----BEGIN PRIVATE KEY-----",
	} {
		assert.Regexp(t, delicate, text)
	}
	for _, text := range []string{`string("client_id=app&code_challenge=abc")`, `[]byte("{\"kid\":\"x\"}")`, `string("Bearer {token}")`} {
		assert.NotRegexp(t, delicate, text)
	}
}
