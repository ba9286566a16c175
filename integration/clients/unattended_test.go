package clients

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/jose"
)

// What the provider said of each refusal.
const (
	wrongSecret   = "the secret is wrong"
	wrongKey      = "wrong signature"
	wrongAudience = "aud must be the issuer"
	wrongServer   = "its aud is not this server alone"
	wrongUser     = "its user is unknown"
	usedBefore    = "it was used before"
)

// unattended is one way of a client to connect that no person is asked for.
type unattended struct {
	kind, grant, alg string
	steps            []string
	issued           int      // a token for each step that gets one, and none for those that are refused
	refusals         []string // in the order of the steps
}

// The official TypeScript clients have providers for connections that no person
// is asked for: a client's own (client credentials), and one in the name of a
// company's employee (ID-JAG). Each is refused with what is not right, connects,
// goes on when its token has expired, and gets more when a tool needs it.
func TestTypeScriptClientsConnectUnattended(t *testing.T) {
	install(t)
	for line, providers := range map[string][]unattended{
		"v1": {
			{"secret", "client_credentials", "", []string{"wrong secret", "connected", "renewed"}, 2, []string{wrongSecret}},
			{"key", "client_credentials", jose.RS256, []string{"wrong key", "wrong audience", "connected", "renewed"}, 2, []string{wrongKey, wrongAudience}},
			{"jwt", "client_credentials", jose.ES256, []string{"connected", "used twice", "renewed"}, 2, []string{usedBefore}},
		},
		"v2": {
			{"secret", "client_credentials", "", []string{"wrong secret", "connected", "renewed", "stepped up"}, 3, []string{wrongSecret}},
			{"key", "client_credentials", jose.ES256, []string{"wrong key", "wrong audience", "connected", "renewed", "stepped up"}, 3, []string{wrongKey, wrongAudience}},
			{"jwt", "client_credentials", jose.PS256, []string{"connected", "used twice", "renewed"}, 2, []string{usedBefore}},
			{"enterprise", jwtBearer, "", []string{
				"wrong secret", "wrong key", "wrong audience", "wrong user", "connected", "renewed", "stepped up",
				"exchanged", "used twice", "exchanged", "used twice",
			}, 5, []string{wrongSecret, wrongKey, wrongServer, wrongUser, usedBefore}},
		},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			worlds, given := map[string]*world{}, map[string]any{}
			for _, p := range providers {
				w := newWorld(t, loopback(t), accessTTL)
				worlds[p.kind], given[p.kind] = w, w.register(p.grant, p.alg)
			}
			argument, err := json.Marshal(given)
			require.NoError(t, err)
			steps := map[string][]string{}
			for _, step := range run(t, []string{"unattended.mjs", line, string(argument)}) {
				kind, step, _ := strings.Cut(step, " ")
				steps[kind] = append(steps[kind], step)
			}
			for _, p := range providers {
				assert.Equal(t, p.steps, steps[p.kind], p.kind)
				worlds[p.kind].assertDid(p.issued, p.refusals)
			}
		})
	}
}

// assertDid checks how many tokens the provider gave, and for what reasons it
// gave none.
func (w *world) assertDid(issued int, refusals []string) {
	w.t.Helper()
	tokens, reasons := w.did()
	assert.Equal(w.t, issued, tokens)
	if assert.Len(w.t, reasons, len(refusals), strings.Join(reasons, "\n")) {
		for i := range refusals {
			assert.Contains(w.t, reasons[i], refusals[i])
		}
	}
}

func pkcs8(t *testing.T, key jose.Key) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
