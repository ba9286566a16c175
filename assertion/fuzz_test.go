package assertion_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/jose"
)

// Whatever a trusted issuer signs: what gets a token says, to a reader who takes
// the last of two members, what it must say. {now} and {later} are times, {jti} is
// another one each time.
func FuzzSignedAssertion(f *testing.F) {
	w := newWorld(f)
	signer, err := jose.Prepare(keys()["ES256"])
	require.NoError(f, err)
	seed := func(typ string, c map[string]any) {
		c["iat"], c["exp"], c["jti"] = "{now}", "{later}", "{jti}"
		body, err := json.Marshal(c)
		require.NoError(f, err)
		f.Add(typ, strings.NewReplacer(`"{now}"`, "{now}", `"{later}"`, "{later}").Replace(string(body)))
	}
	seed(idJAG, jagClaims("resource", notes, "scope", "read", "email_verified", true))
	seed(idJAG, jagClaims("aud", []string{issuer}, "cnf", map[string]any{}))
	seed("JWT", jagClaims("nbf", 1.5))
	f.Add(idJAG, `{"iss":"https://acme.example","sub":"U1","sub":"U2"}`)
	n := 0
	f.Fuzz(func(t *testing.T, typ, body string) {
		w.t = t
		n++
		now := time.Now().Unix()
		body = strings.NewReplacer("{now}", fmt.Sprint(now), "{later}", fmt.Sprint(now+300), "{jti}", fmt.Sprint("jti ", n)).Replace(body)
		a, err := signer.Sign(t.Context(), typ, []byte(body))
		if err != nil {
			return
		}
		got := w.ask(w.p, "ide", a)
		require.Contains(t, []int{200, 400, 413}, got.Status, "no outage, and no panic")
		if got.Status != 200 {
			return
		}
		var c struct {
			Iss, Sub, Jti string
			Aud           any
			Client        string `json:"client_id"`
			Exp, Iat      float64
			Cnf           any
		}
		require.NoError(t, json.Unmarshal([]byte(body), &c))
		assert.True(t, strings.EqualFold(strings.TrimPrefix(strings.ToLower(typ), "application/"), idJAG))
		assert.Equal(t, []any{acme, "U1", "ide"}, []any{c.Iss, c.Sub, c.Client})
		assert.Contains(t, []any{issuer, []any{issuer}}, c.Aud)
		assert.True(t, c.Jti != "" && c.Iat > 0 && c.Exp > c.Iat && c.Cnf == nil)
	})
}

// Whatever a stranger sends: nobody gets anything for it.
func FuzzUnsignedAssertion(f *testing.F) {
	w := newWorld(f)
	parts := strings.Split(jag(f), ".")
	f.Add(parts[0] + "." + parts[1] + ".AAAA")
	f.Add(parts[0] + ".." + parts[2])
	f.Add("e30.e30.")
	f.Add("....")
	f.Fuzz(func(t *testing.T, a string) {
		w.t = t
		assert.NotEqual(t, 200, w.ask(w.p, "ide", a).Status)
		assert.NotEqual(t, 200, w.ask(w.p, "", a).Status)
	})
}
