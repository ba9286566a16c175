package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	assert.Equal(t, summary{2, 1, 1, []string{"inner TestIt: p_test.go:5: there is no server"}, []failure{{"bad TestIt", []string{"    p_test.go:5: fails"}}}}, total)
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
	assert.Equal(t, summary{1, 1, 1, []string{"p B: b_test.go:1: no server"}, []failure{{"p C", nil}}}, s)
	assert.Equal(t, "\nNot run:\n  p B: b_test.go:1: no server\n\n1 passed, 1 failed, 1 skipped\n", s.String())
	assert.Equal(t, "\n7 passed, 0 failed, 0 skipped\n", summary{passed: 7}.String())
	assert.Error(t, s.read(strings.NewReader(strings.Repeat("x", 1<<23))), "a line without end")
}

// said is what why makes of the lines that a test printed before it failed.
func said(t *testing.T, events ...event) string {
	t.Helper()
	var text strings.Builder
	for _, e := range events {
		line, err := json.Marshal(e)
		require.NoError(t, err)
		text.Write(append(line, '\n'))
	}
	var s summary
	require.NoError(t, s.read(strings.NewReader(text.String())))
	return s.why()
}

func TestTheEndTellsWhyATestFailed(t *testing.T) {
	failed := func(name, text string) []event {
		return []event{{Action: "output", Package: "p", Test: name, Output: "=== RUN   " + name + "\n" + text + "--- FAIL: " + name + " (0.00s)\n"}, {Action: "fail", Package: "p", Test: name}}
	}
	long := strings.Repeat("        \tx\n", 30)
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"Fatal": {"    a_test.go:3: no\n", []string{"    a_test.go:3: no"}},
		"an assertion among logs": {"    a_test.go:1: a log\n        and more\nprinted\n    a_test.go:2: \n        \tError Trace:\ta_test.go:2\n        \tError:      \tNot equal\n    a_test.go:3: another log\n",
			[]string{"    a_test.go:2: ", "        \tError Trace:\ta_test.go:2", "        \tError:      \tNot equal"}},
		"Fatal among long logs": {"    a_test.go:1: a log\n" + long + "printed\n    a_test.go:2: no\n    a_test.go:3: a log\n" + long,
			[]string{"    a_test.go:1: a log", "        \tx", "        \tx", "        \tx", "    a_test.go:2: no", "    a_test.go:3: a log", "        \tx", "        \tx", "        \tx"}},
		"a long assertion": {"    a_test.go:2: \n        \tError Trace:\ta_test.go:2\n" + long,
			append([]string{"    a_test.go:2: ", "        \tError Trace:\ta_test.go:2"}, slices.Repeat([]string{"        \tx"}, 13)...)},
		"a panic":          {"    a_test.go:1: a log\npanic: boom\n\ngoroutine 1 [running]:\n", []string{"panic: boom", "goroutine 1 [running]:"}},
		"a race":           {"==================\nWARNING: DATA RACE\nRead at 0x1 by goroutine 7:\n", []string{"WARNING: DATA RACE", "Read at 0x1 by goroutine 7:"}},
		"a very long line": {"    a_test.go:3: " + strings.Repeat("x", 1000) + "\n", []string{"    a_test.go:3: " + strings.Repeat("x", 300-len("    a_test.go:3: "))}},
		"nothing":          {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := "\nFAILED p A\n"
			for _, line := range tt.want {
				want += "  " + line + "\n"
			}
			assert.Equal(t, want, said(t, append(failed("A", tt.text), event{Action: "fail", Package: "p"})...))
		})
	}
	t.Run("a test is not to blame for one within it", func(t *testing.T) {
		within := failed("A/b", "    a_test.go:3: no\n")
		assert.Equal(t, "\nFAILED p A/b\n      a_test.go:3: no\n", said(t, append(within, failed("A", "")...)...))
		assert.Contains(t, said(t, append(within, failed("A", "    a_test.go:9: neither\n")...)...), "FAILED p A\n      a_test.go:9: neither\n")
	})
	t.Run("a package of which no test failed", func(t *testing.T) {
		assert.Equal(t, "\nFAILED p\n  no folder\n", said(t, event{Action: "output", Package: "p", Output: "no folder\n"}, event{Action: "fail", Package: "p"}))
		assert.Equal(t, "\nFAILED p\n  ./p.go:1:2: undefined: x\n", said(t, event{Action: "build-output", ImportPath: "p [p.test]", Output: "# p\n./p.go:1:2: undefined: x\n"},
			event{Action: "output", Package: "p", Output: "FAIL\tp [build failed]\n"}, event{Action: "fail", Package: "p", FailedBuild: "p [p.test]"}))
	})
	t.Run("no more than can be read", func(t *testing.T) {
		var all []event
		for i := range 50 {
			all = append(all, failed(fmt.Sprint("T", i), "")...)
		}
		text := said(t, all...)
		assert.Equal(t, 40, strings.Count(text, "FAILED"))
		assert.True(t, strings.HasSuffix(text, "\nand 10 more failed\n"), text)
	})
	assert.Empty(t, said(t, event{Action: "pass", Package: "p", Test: "A"}))
}
