package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

func TestEveryModuleIsTested(t *testing.T) {
	t.Setenv("GOWORK", "off")
	root := t.TempDir()
	test := func(body string) string {
		return "package p\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) { " + body + " }\n"
	}
	write(t, root, map[string]string{
		"go.mod":                    "module root\n\ngo 1.25\n",
		"p_test.go":                 test(`t.Log("passes"); t.Run("sub", func(*testing.T) {})`),
		"inner/go.mod":              "module inner\n\ngo 1.25\n",
		"inner/p_test.go":           test(`t.Skip("there is no server")`),
		"bad/go.mod":                "module bad\n\ngo 1.25\n",
		"bad/p_test.go":             test(`t.Fatal("fails")`),
		"none/go.mod":               "module none\n\ngo 1.25\n",
		"none/p.go":                 "package none\n",
		"x/testdata/go.mod":         "module testdata\n",
		"node_modules/m/go.mod":     "module m\n",
		".hidden/go.mod":            "module hidden\n",
		"none/broken/p_test.go":     "package broken\n",
		"none/broken/not_go.go.txt": "",
	})
	modules, err := findModules(root)
	require.NoError(t, err)
	assert.Equal(t, []string{root, filepath.Join(root, "bad"), filepath.Join(root, "inner"), filepath.Join(root, "none")}, modules)

	total, err := testAll(t.Context(), root, []string{"-count=1"})
	require.Error(t, err)
	assert.ErrorContains(t, err, "module "+filepath.Join(root, "bad"))
	assert.NotContains(t, err.Error(), "inner")
	assert.Equal(t, summary{2, 1, 1, []string{"inner TestIt: p_test.go:5: there is no server"}}, total)
}

func TestARootThatIsNotThere(t *testing.T) {
	_, err := testAll(t.Context(), filepath.Join(t.TempDir(), "none"), nil)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestWhatGoTestSaysIsCounted(t *testing.T) {
	var s summary
	require.NoError(t, s.read(strings.NewReader(`{"Action":"run","Package":"p","Test":"A"}
not JSON
{"Action":"build-output","Package":"p","Output":"p.go:1: no"}
{"Action":"output","Package":"p","Test":"B","Output":"=== RUN B\n"}
{"Action":"output","Package":"p","Test":"B","Output":"    b_test.go:1: no\n"}
{"Action":"output","Package":"p","Test":"B","Output":"    server\n--- SKIP: B\n"}
{"Action":"skip","Package":"p","Test":"B"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"fail","Package":"p","Test":"C"}
{"Action":"skip","Package":"q"}
{"Action":"fail","Package":"p"}
`)))
	assert.Equal(t, summary{1, 1, 1, []string{"p B: b_test.go:1: no server"}}, s)
	assert.Equal(t, "\nNot run:\n  p B: b_test.go:1: no server\n\n1 passed, 1 failed, 1 skipped\n", s.String())
	assert.Equal(t, "\n7 passed, 0 failed, 0 skipped\n", summary{passed: 7}.String())
	assert.Error(t, s.read(strings.NewReader(strings.Repeat("x", 1<<23))), "a line without end")
}
