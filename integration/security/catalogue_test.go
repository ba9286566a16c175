package security

import (
	"bytes"
	_ "embed"
	"net/http"
	"os"
	"regexp"
	"slices"
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

// group is a part of the catalogue.
type group struct {
	name  string
	cases []caseOf
}

// groups are the cases that run on every store, in this order.
var groups = []group{
	{"A", redirectCases},
	{"B", errorCases},
	{"C", pkceCases},
	{"D", codeCases},
	{"E", refreshCases},
	{"F", lifeCases},
	{"G", issuerCases},
	{"H", consentCases},
	{"I", httpCases},
	{"J", slices.Concat(clientAuthCases, assertionCases)},
	{"K", apiCases},
	{"L", signInCases},
	{"P", introspectionCases},
	{"Q", registrationCases},
	{"R", documentCases},
	{"S", headerCases},
	{"U", slices.Concat(keyCases, secretCases)},
	{"T", slices.Concat(injectionCases, outageCases, []caseOf{nothingToldCase})}, // the last, since it looks at what all others left
}

// once are cases that have to do with no store; they run on the first, before
// the others.
var once = []group{{"R fetch", fetchCases}, {"U rotation", rotationCases}}

// TestSecurity runs every case on every store. After each, a good flow must still
// work, and what others were granted must stand.
func TestSecurity(t *testing.T) {
	for _, kind := range storeKinds {
		t.Run(kind.name, func(top *testing.T) {
			top.Parallel()
			w := newWorld(top, kind)
			all := groups
			if kind.name == storeKinds[0].name {
				all = slices.Concat(once, groups)
			}
			for _, g := range all {
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
	idPattern = regexp.MustCompile(`^(SEC-\d{3} )+`)
	rowID     = regexp.MustCompile(`(?m)^\| (SEC-\d{3}) \|(.*)$`)
	testFile  = regexp.MustCompile(`[a-z/]+[a-z_]*_test\.go((?:,? ` + "`Test[A-Za-z0-9_]+`" + `)*)`)
	testName  = regexp.MustCompile(`Test[A-Za-z0-9_]+`)
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
	for _, g := range slices.Concat(groups, once) {
		for _, k := range g.cases {
			assert.False(t, names[k.name], "%q stands there twice", k.name)
			names[k.name] = true
			begins := strings.Fields(idPattern.FindString(k.name))
			assert.NotEmpty(t, begins, "%q begins with no ID", k.name)
			for _, id := range begins {
				assert.True(t, ids[id], "%q begins with an ID that is not in ids.txt", k.name)
				tested[id] = true
			}
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
		assert.NotContains(t, string(m[2]), "not tested here yet", id)
		for _, named := range testFile.FindAllStringSubmatch(string(m[2]), -1) {
			path, _, _ := strings.Cut(named[0], " ")
			source, err := os.ReadFile("../../" + strings.TrimSuffix(path, ","))
			assert.NoError(t, err, id)
			for _, name := range testName.FindAllString(named[1], -1) {
				assert.Contains(t, string(source), "func "+name+"(", id)
			}
		}
	}
	for id := range ids {
		assert.True(t, listed[id] || tested[id], "%s is neither tested nor listed", id)
		if tested[id] {
			assert.True(t, listed[id], "%s is tested and not listed", id)
		}
	}
}
