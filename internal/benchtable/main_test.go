package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// printed returns what f writes to the standard output.
func printed(t *testing.T, f func()) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	require.NoError(t, err)
	stdout := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = stdout }()
	f()
	require.NoError(t, out.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// What the figures are depends on the machine; that they are there does not.
func TestTheTablesHaveALineForWhatIsChosen(t *testing.T) {
	operations := newBench().operations()
	chosen := regexp.MustCompile("^(metadata|client_credentials)$")
	text := printed(t, func() { printRatios(operations, chosen, 2, 3) })
	for _, name := range []string{"metadata", "client_credentials"} {
		assert.Regexp(t, `\| `+name+` \| \d+ \| \d+ \| \d+\.\d\d \| \d\.\d\d \| \d+ \| \d+ \|\n`, text)
	}
	assert.NotContains(t, text, "JWKS")
	text = printed(t, func() { printScaling(operations, chosen, 2, time.Millisecond) })
	assert.Regexp(t, `\| metadata \| \d+\.\d\d \| \d+\.\d\d \|\n`, text)
	assert.NotContains(t, text, "JWKS")
	text = printed(t, func() { printGrowth(20_000, 1, 3) })
	assert.Regexp(t, `\| refresh.* \| \d+ \| \d+ \| \d+\.\d\d \|\n`, text)
	assert.Regexp(t, `\| exchange.* \| \d+ \| \d+ \| \d+\.\d\d \|\n`, text)
	assert.Positive(t, runtime.GOMAXPROCS(0))
	assert.NotEmpty(t, processor())
}
