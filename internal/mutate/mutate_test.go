package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const decision = `package p

func Adult(age int, dead bool) bool {
	if age >= 18 && !dead {
		return true
	}
	return false
}
`

func TestMutantsAreAllTheDecisionsOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.go")
	require.NoError(t, os.WriteFile(file, []byte(decision), 0o600))
	list, err := mutants(file)
	require.NoError(t, err)
	var got []string
	for _, m := range list {
		got = append(got, m.new)
		assert.Equal(t, 4, m.line)
		assert.Contains(t, string(m.text), m.new)
	}
	assert.Equal(t, []string{
		"(age >= 18 && !dead) && false",
		"(age >= 18) && (!dead || true)",
		"(age >= 18 || true) && (!dead)",
		"age > 18",
	}, got)
}

func TestTryTellsWhatTheTestsNoticed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module p\n\ngo 1.25\n",
		"p.go":   decision,
		"p_test.go": `package p

import "testing"

func TestAdult(t *testing.T) {
	if !Adult(40, false) || Adult(40, true) {
		t.Fatal()
	}
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	list, err := mutants("p.go")
	require.NoError(t, err)
	list = append(list, mutant{file: "p.go", text: []byte("package p\n\nfunc Adult(int, bool) bool { return 1 }\n")})
	want := []outcome{killed, killed, survived, survived, invalid}
	for i, m := range list {
		got, err := try(t.Context(), m, filepath.Join(t.TempDir(), "m"), time.Minute, "", "")
		require.NoError(t, err)
		assert.Equal(t, want[i], got, m.new)
	}
	source, err := os.ReadFile("p.go")
	require.NoError(t, err)
	assert.Equal(t, decision, string(source), "the file itself stays as it is")
}
