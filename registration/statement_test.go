package registration_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

const vouches = "https://trust.example"

func statementKey(t *testing.T) (jose.Key, []byte) {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	require.NoError(t, err)
	set, err := jose.MarshalJWKS([]jose.Key{key})
	require.NoError(t, err)
	return key, set
}

// statement signs claims of the issuer; pairs change them, nil removes.
func statement(t *testing.T, key jose.Key, typ string, pairs ...any) string {
	t.Helper()
	claims := map[string]any{"iss": vouches, "client_name": "Vouched for", "software_id": "s"}
	for i := 0; i < len(pairs); i += 2 {
		if claims[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(claims, pairs[i].(string))
		}
	}
	body, err := json.Marshal(claims)
	require.NoError(t, err)
	s, err := jose.Prepare(key)
	require.NoError(t, err)
	out, err := s.Sign(t.Context(), typ, body)
	require.NoError(t, err)
	return out
}

func TestSEC229_StatementsOfTrustedIssuers(t *testing.T) {
	key, set := statementKey(t)
	other, _ := statementKey(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registration.Config{StatementIssuers: map[string][]byte{vouches: set}})
		now := time.Now().Unix()
		good := map[string]string{
			"plain":        statement(t, key, ""),
			"typ":          statement(t, key, "JWT"),
			"times":        statement(t, key, "", "exp", now+10, "nbf", now-10, "iat", now),
			"clock behind": statement(t, key, "", "nbf", now+60),
			"clock ahead":  statement(t, key, "", "exp", now-59),
			"for us":       statement(t, key, "", "aud", issuer),
			"for many":     statement(t, key, "", "aud", []string{"https://other.example", issuer}),
		}
		for name, s := range good {
			info := f.register(doc("client_name", "Boast", "software_statement", s))
			assert.Equal(t, "Vouched for", info["client_name"], name)
			assert.Equal(t, s, info["software_statement"], name)
		}
		plain := good["plain"]
		changed := []byte(plain)
		if at := &changed[len(changed)-9]; *at == 'A' { // of the signature
			*at = 'B'
		} else {
			*at = 'A'
		}
		bad := map[string]string{
			"expired":        statement(t, key, "", "exp", now-60),
			"not yet":        statement(t, key, "", "nbf", now+61),
			"other type":     statement(t, key, "at+jwt"),
			"other key":      statement(t, other, ""),
			"changed":        string(changed),
			"no JWT":         "x",
			"unsigned":       "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL3RydXN0LmV4YW1wbGUifQ.",
			"iss of no type": statement(t, key, "", "iss", 1),
			"times of none":  statement(t, key, "", "exp", "tomorrow"),
			"no metadata":    statement(t, key, "", "redirect_uris", "x"),
			"exp of 1970":    statement(t, key, "", "exp", 0),
			"an ID token":    statement(t, key, "JWT", "sub", "u", "aud", "some-client", "exp", now+10, "iat", now),
			"for others":     statement(t, key, "", "aud", []string{"https://other.example"}),
			"for nobody":     statement(t, key, "", "aud", []string{}),
			"aud of no type": statement(t, key, "", "aud", 1),
		}
		before := f.count()
		for name, s := range bad {
			a := f.do("POST", endpoint, doc("software_statement", s))
			assert.Equal(t, http.StatusBadRequest, a.status, name)
			assert.Equal(t, string(registration.ErrInvalidSoftwareStatement), a.json["error"], "%s: %s", name, a.body)
			assert.NotContains(t, a.body, s)
		}
		for _, issuer := range []any{"https://other.example", "", nil, vouches + "/"} {
			f.refused(f.do("POST", endpoint, doc("software_statement", statement(t, key, "", "iss", issuer))), 400, registration.ErrUnapprovedSoftwareStatement)
		}
		assert.Equal(t, before, f.count())
	})
}

func TestSEC229_IssuersOfStatementsAreChecked(t *testing.T) {
	_, set := statementKey(t)
	good := registration.Config{Scopes: []string{"read"}, StatementIssuers: map[string][]byte{vouches: set}}
	build := func(change func(*registration.Config)) error {
		cfg := good
		cfg.StatementIssuers = maps.Clone(good.StatementIssuers)
		change(&cfg)
		_, err := oauth.New(oauth.Config{Issuer: issuer, Store: store.NewMemory(), LoginURL: "/login", Scopes: map[string]string{"read": ""},
			Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil }, Secret: make([]byte, 32), Policy: oauth.Policy{BcryptCost: 4},
			Extensions: []oauth.Extension{registration.New(cfg)}})
		return err
	}
	require.NoError(t, build(func(*registration.Config) {}))
	for name, change := range map[string]func(*registration.Config){
		"no JSON":  func(c *registration.Config) { c.StatementIssuers["https://a.example"] = []byte("x") },
		"no keys":  func(c *registration.Config) { c.StatementIssuers["https://a.example"] = []byte(`{"keys":[]}`) },
		"nameless": func(c *registration.Config) { c.StatementIssuers[""] = set },
		"a verifier, too": func(c *registration.Config) {
			c.SoftwareStatement = func(_ context.Context, _ string) ([]byte, error) { return nil, nil }
		},
	} {
		err := build(change)
		assert.ErrorContains(t, err, "StatementIssuers", name)
		assert.NotContains(t, err.Error(), "%!", name)
	}
}
