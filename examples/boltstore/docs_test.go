package boltstore_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheGuideNamesCasesThatThereAre compares docs/stores.md with storetest.
func TestTheGuideNamesCasesThatThereAre(t *testing.T) {
	guide, err := os.ReadFile("../../docs/stores.md")
	require.NoError(t, err)
	var suite strings.Builder
	files, err := filepath.Glob("../../storetest/*.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		suite.Write(text)
	}
	_, table, _ := strings.Cut(string(guide), "| mistake | the case that fails |")
	table, _, _ = strings.Cut(table, "\n\n")
	names := regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(table, -1)
	assert.NotEmpty(t, names)
	for _, name := range names {
		assert.Contains(t, suite.String(), `"`+strings.TrimSuffix(name[1], " …"))
	}
}
