package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const decision = `package p

const constant = 1 < 2

func Adult(age int, dead bool) bool {
	if age >= 18 && !dead || age == -1 {
		return true
	}
	switch {
	case age > 200:
		return true
	}
	return false
}
`

// inModule makes a module of files, and the working directory its root.
func inModule(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GOWORK", "off")
	files["go.mod"] = "module p\n\ngo 1.25\n"
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
}

func TestMutantsAreAllTheDecisionsOfAFile(t *testing.T) {
	inModule(t, map[string]string{"p.go": decision})
	s, err := instrument("p.go", 7)
	require.NoError(t, err)
	var got []string
	for i, m := range s.mutants {
		got = append(got, m.new)
		assert.Equal(t, 7+i, m.id)
	}
	assert.Equal(t, []string{
		"(age >= 18 && !dead || age == -1) && false",
		"(age >= 18 && !dead) || (age == -1 && false)",
		"((age >= 18 && !dead) && false) || (age == -1)",
		"(age >= 18) && (!dead || true)",
		"(age >= 18 || true) && (!dead)",
		"age > 18",
		"age != -1",
		"(age > 200) && false",
		"age >= 200",
	}, got)
	assert.Equal(t, 6, s.mutants[0].line)
	assert.Equal(t, 10, s.mutants[8].line)
}

func TestEachMutantIsTriedWithTheTestsThatReachIt(t *testing.T) {
	inModule(t, map[string]string{
		"p.go": decision,
		"p_test.go": `package p

import "testing"

func TestAdult(t *testing.T) {
	if !Adult(40, false) || Adult(40, true) {
		t.Fatal()
	}
}

func TestBroken(t *testing.T) { t.Fatal(Adult(300, false)) }
`,
		"q/q_test.go": `package q

import (
	"testing"

	"p"
)

func TestChild(t *testing.T) {
	if p.Adult(2, false) {
		t.Fatal()
	}
}
`,
	})
	s, err := instrument("p.go", 1)
	require.NoError(t, err)
	suite, err := newSuite(t.Context(), t.TempDir(), []string{".", "q"}, []source{s}, regexp.MustCompile("^$"), time.Minute)
	require.NoError(t, err)
	failed := suite.record(t.Context(), 1)
	require.Len(t, failed, 1)
	assert.Equal(t, "TestBroken", failed[0].name, "fails as things are")

	want := []string{"TestAdult", "", "TestAdult", "TestAdult", "TestChild", "", "either", "", ""}
	for i, m := range s.mutants {
		if by := suite.killer(t.Context(), m); want[i] == "either" {
			assert.NotEmpty(t, by, m.new)
		} else {
			assert.Equal(t, want[i], by, m.new)
		}
	}
	text, err := os.ReadFile("p.go")
	require.NoError(t, err)
	assert.Equal(t, decision, string(text), "the file itself stays as it is")
}

func TestWhatSurvivesIsListed(t *testing.T) {
	inModule(t, map[string]string{
		"p.go":        decision,
		"p_test.go":   "package p\n\nimport \"testing\"\n\nfunc TestOld(t *testing.T) {\n\tif !Adult(201, false) {\n\t\tt.Fatal()\n\t}\n}\n\nfunc TestNot(t *testing.T) { t.Fatal() }\n",
		"q/q_test.go": "package q\n\nimport \"testing\"\n\nfunc TestNothing(*testing.T) {}\n",
	})
	try := func(every int, skip string, files ...string) string {
		var out strings.Builder
		require.NoError(t, mutate(t.Context(), files, every, 1, time.Minute, skip, "q", &out))
		return out.String()
	}
	assert.Equal(t, `not used, since it fails as things are: TestNot
survived p.go:10: age > 200  →  (age > 200) && false
survived p.go:10: age > 200  →  age >= 200
p.go: 2 changes tried, 0 noticed (0.0 %), 2 survived
all: 2 changes tried, 0 noticed (0.0 %), 2 survived
`, try(1, "^$", "p.go:10"))
	assert.NotContains(t, try(1, "Not", "p.go:10", "p.go:6"), "not used")
	assert.Contains(t, try(4, "^$", "p.go"), "all: 3 changes tried")
}

func TestWhatCannotBeTried(t *testing.T) {
	inModule(t, map[string]string{
		"p.go": decision, "p_test.go": "package p\n\nvar x int = true\n", "bad.go.txt": "no Go",
		"r/r.go": "package r\n\ntype named bool\n\nfunc F(a, b named) bool {\n\tif a && b {\n\t\treturn true\n\t}\n\treturn false\n}\n",
	})
	for name, tt := range map[string]struct {
		files []string
		skip  string
		want  string
	}{
		"no file":           {nil, "^$", "name the files"},
		"one that is none":  {[]string{"none.go"}, "^$", "none.go"},
		"one that is no Go": {[]string{"bad.go.txt"}, "^$", "expected 'package'"},
		"a wrong pattern":   {[]string{"p.go"}, "(", "missing closing"},
		"broken tests":      {[]string{"p.go"}, "^$", "compiling the tests of ."},
		"no plain bool":     {[]string{"r/r.go"}, "^$", "compiling the tests of r"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, mutate(t.Context(), tt.files, 1, 1, time.Minute, tt.skip, "", io.Discard), tt.want)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, mutate(ctx, []string{"p.go"}, 1, 1, time.Minute, "^$", "", io.Discard), context.Canceled)
}

func TestAHangCountsAsNoticed(t *testing.T) {
	inModule(t, map[string]string{
		"p.go": "package p\n\nfunc Wait(n int) {\n\tfor i := 0; ; i++ {\n\t\tif i == n {\n\t\t\treturn\n\t\t}\n\t}\n}\n",
		"p_test.go": `package p

import "testing"

func TestWait(t *testing.T) { Wait(3) }
`,
	})
	s, err := instrument("p.go", 1)
	require.NoError(t, err)
	suite, err := newSuite(t.Context(), t.TempDir(), []string{"."}, []source{s}, regexp.MustCompile("^$"), time.Minute)
	require.NoError(t, err)
	require.Empty(t, suite.record(t.Context(), 1))
	suite.timeout = 2 * time.Second // too little for a test that has to pass on a busy machine
	assert.Equal(t, "TestWait", suite.killer(t.Context(), s.mutants[0]))
}
