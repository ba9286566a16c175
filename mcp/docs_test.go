package mcp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	testName = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	runName  = regexp.MustCompile(`(?m)t\.Run\("([ARM]\d+|HIST-\d+) |^\t\t"(M\d+) `)
	quoted   = regexp.MustCompile("`(Test\\w+)`")
)

// docs/mcp.md is an index of rules and tests: each rule is there, with tests
// that exist and carry its number, or the reason why there is none.
func TestDocumentationNamesATestForEveryRule(t *testing.T) {
	names, ids := map[string]bool{}, map[string]bool{}
	for _, dir := range []string{"..", "../assertion", "../cimd", "../registration", "../resource", "../internal/fetch", ".", "gosdk", "../examples/mcp/app", "../integration/clients"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range testName.FindAllSubmatch(b, -1) {
				names[string(m[1])] = true
			}
			if dir == "." {
				for _, m := range runName.FindAllSubmatch(b, -1) {
					ids[string(m[1])+string(m[2])] = true
				}
			}
		}
	}
	b, err := os.ReadFile("../docs/mcp.md")
	require.NoError(t, err)
	for _, m := range quoted.FindAllStringSubmatch(string(b), -1) {
		assert.True(t, names[m[1]], "there is no %s", m[1])
	}
	rows := map[string]string{} // the last cell, by the first
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		rows[strings.TrimSpace(cells[0])] = strings.TrimSpace(cells[len(cells)-1])
	}
	count := func(format string, n int, elsewhere ...string) {
		for i := 1; i <= n; i++ {
			id := fmt.Sprintf(format, i)
			tests, ok := rows[id]
			if !assert.True(t, ok, "%s is missing", id) {
				continue
			}
			found := quoted.FindAllStringSubmatch(tests, -1)
			for _, m := range found {
				assert.True(t, names[m[1]], "%s: there is no %s", id, m[1])
			}
			if len(found) == 0 {
				assert.True(t, strings.HasPrefix(tests, "none: "), "%s has neither a test nor a reason", id)
				continue
			}
			assert.True(t, ids[id] || slices.Contains(elsewhere, id), "no test carries %s", id)
			delete(ids, id)
		}
	}
	count("A%d", 29)
	count("R%d", 14)
	count("M%d", 14)
	count("HIST-%02d", 22, "HIST-19")
	assert.Empty(t, ids, "tests carry numbers that the page does not have")
	for name := range vendors {
		vendor, _, _ := strings.Cut(name, ",")
		vendor, _, _ = strings.Cut(vendor, " by registration")
		assert.Contains(t, rows, vendor)
	}
}
