package security

import (
	"bytes"
	_ "embed"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// caseOf is one entry of the catalogue, or a neighbour of one: its name begins
// with its ID.
type caseOf struct {
	name string
	run  func(c *run)
}

// groups are all cases, in the order they run in.
var groups = []struct {
	name  string
	cases []caseOf
}{
	{"A", redirectCases},
	{"B", errorCases},
	{"C", pkceCases},
	{"D", codeCases},
	{"E", refreshCases},
	{"F", lifeCases},
	{"G", issuerCases},
	{"H", consentCases},
	{"I", httpCases},
	{"J", clientAuthCases},
	{"K", apiCases},
	{"L", signInCases},
	{"P", introspectionCases},
	{"Q", registrationCases},
	{"S", headerCases},
	{"U", keyCases},
}

// TestSecurity runs every case on every store. After each, a good flow must still
// work, and what others were granted must stand.
func TestSecurity(t *testing.T) {
	for _, kind := range storeKinds {
		t.Run(kind.name, func(top *testing.T) {
			top.Parallel()
			w := newWorld(top, kind)
			for _, g := range groups {
				top.Run(g.name, func(t *testing.T) {
					for _, k := range g.cases {
						t.Run(k.name, func(t *testing.T) {
							c := &run{T: t, world: w, top: top, at: w.a}
							k.run(c)
							c.stillGood()
						})
					}
				})
			}
			assert.NotContains(top, w.log.String(), "panic")
		})
	}
}

// stillGood is the liveness probe: a new user signs in and gets what is due, and
// two users who have nothing to do with the case still have it.
func (c *run) stillGood() {
	c.Helper()
	if c.Failed() {
		return
	}
	c = c.on(c.a)
	got := c.login(app)
	require.Equal(c, "read", got.Scope)
	require.Equal(c, http.StatusOK, c.call("api.example", got.AccessToken).status)
	for id, had := range c.bystander {
		*had = c.ok(c.refresh(id, had.RefreshToken))
	}
}

//go:embed testdata/ids.txt
var idList string

var (
	idPattern = regexp.MustCompile(`^SEC-\d{3}\b`)
	rowID     = regexp.MustCompile(`(?m)^\| (SEC-\d{3}) \|(.*)$`)
)

// Every ID of the catalogue is in docs/security-cases.md once; it names the case
// there is, or says why there is none.
func TestCatalogueIsComplete(t *testing.T) {
	ids := map[string]bool{}
	for id := range strings.FieldsSeq(idList) {
		assert.False(t, ids[id], "%s stands in ids.txt twice", id)
		ids[id] = true
	}
	tested := map[string]bool{}
	names := map[string]bool{}
	for _, g := range groups {
		for _, k := range g.cases {
			id := idPattern.FindString(k.name)
			assert.True(t, ids[id], "%q begins with no ID of the catalogue", k.name)
			assert.False(t, names[k.name], "%q stands there twice", k.name)
			tested[id], names[k.name] = true, true
		}
	}
	doc, err := os.ReadFile("../../docs/security-cases.md")
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, m := range rowID.FindAllSubmatch(doc, -1) {
		id := string(m[1])
		assert.True(t, ids[id], "%s is listed and not in ids.txt", id)
		assert.False(t, listed[id], "%s is listed twice", id)
		listed[id] = true
		here := bytes.Contains(m[2], []byte("integration/security/"))
		assert.Equal(t, tested[id], here, "%s: what the document says is not what is tested here", id)
		assert.Greater(t, len(bytes.Trim(m[2], " |")), 10, "%s has neither test nor reason", id)
	}
	for id := range ids {
		assert.True(t, listed[id] || tested[id], "%s is neither tested nor listed", id)
		if tested[id] {
			assert.True(t, listed[id], "%s is tested and not listed", id)
		}
	}
}
