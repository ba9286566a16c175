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

// unattended is one way of a client to connect that no person is asked for.
type unattended struct {
	kind, grant, alg string
	steps, gave      []string // by the client, and by the provider
}

// The official TypeScript clients have providers for connections that no person
// is asked for: a client's own (client credentials), and one in the name of a
// company's employee (ID-JAG). Each is refused with what is not right, connects,
// goes on when its token has expired, and gets more when a tool needs it.
func TestTypeScriptClientsConnectUnattended(t *testing.T) {
	install(t)
	for line, providers := range map[string][]unattended{
		"v1": {
			{"secret", "client_credentials", "", []string{"wrong secret", "connected", "renewed"}, []string{wrongSecret, issued}},
			{"key", "client_credentials", jose.RS256, []string{"wrong key", "wrong audience", "connected", "renewed"}, []string{wrongKey, wrongAudience, issued}},
			{"jwt", "client_credentials", jose.ES256, []string{"connected", "used twice", "renewed"}, []string{issued, usedBefore, issued}},
		},
		"v2": {
			{"secret", "client_credentials", "", []string{"wrong secret", "connected", "renewed", "stepped up"}, []string{wrongSecret, issued}},
			{"key", "client_credentials", jose.ES256, []string{"wrong key", "wrong audience", "connected", "renewed", "stepped up"}, []string{wrongKey, wrongAudience, issued}},
			{"jwt", "client_credentials", jose.PS256, []string{"connected", "used twice", "renewed"}, []string{issued, usedBefore, issued}},
			{"enterprise", jwtBearer, "", []string{
				"wrong secret", "wrong key", "wrong audience", "wrong user", "connected", "renewed", "stepped up",
				"exchanged", "used twice", "exchanged", "used twice",
			}, []string{wrongSecret, wrongKey, wrongServer, wrongUser, issued, usedBefore, issued, usedBefore}},
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
				worlds[p.kind].assertGave(p.gave...)
			}
		})
	}
}

// Two programs that people use can do without a person as well. The Inspector
// takes no token that expires within a minute: it gets a new one for each request.
func TestProgramsConnectUnattended(t *testing.T) {
	install(t)
	start := func(t *testing.T, script, grant string) (*world, []string) {
		w := newWorld(t, loopback(t), accessTTL)
		account, err := json.Marshal(w.register(grant, ""))
		require.NoError(t, err)
		return w, run(t, []string{script, w.endpoint, string(account)})
	}
	t.Run("mcp-remote", func(t *testing.T) {
		t.Parallel()
		w, steps := start(t, "remote.mjs", "client_credentials")
		assert.Equal(t, []string{"wrong secret", "connected", "refreshed", "started again"}, steps)
		w.assertGave(wrongSecret, issued)
	})
	t.Run("MCP Inspector", func(t *testing.T) {
		t.Parallel()
		w, steps := start(t, "inspector.mjs", jwtBearer)
		assert.Equal(t, []string{"connected", "refreshed"}, steps)
		assert.EqualValues(t, 1, w.idp.signIns.Load(), "the company asks once")
		w.assertGave(issued)
	})
}

func pkcs8(t *testing.T, key jose.Key) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
