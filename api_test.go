package oauth_test

import (
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite testdata/api.txt")

const (
	module       = "github.com/seed-e797c9ce/oauth"
	maxAPI       = 120
	maxStoreAPI  = 20
	apiListing   = "testdata/api.txt"
	testFileName = "_test.go"
)

// parseDir reads the Go files of a folder that are not tests.
func parseDir(t *testing.T, dir string, mode parser.Mode) (*token.FileSet, []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, testFileName) {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, mode)
		require.NoError(t, err)
		files = append(files, f)
	}
	return set, files
}

func docOf(t *testing.T, dir, path string) *doc.Package {
	t.Helper()
	set, files := parseDir(t, dir, parser.ParseComments)
	p, err := doc.NewFromFiles(set, files, path)
	require.NoError(t, err)
	return p
}

// exported lists the exported names of a package, methods of exported types
// included, and those that have no comment.
func exported(p *doc.Package) (names, silent []string) {
	add := func(name, comment string) {
		names = append(names, name)
		if strings.TrimSpace(comment) == "" {
			silent = append(silent, name)
		}
	}
	values := func(list []*doc.Value) {
		for _, v := range list {
			for _, spec := range v.Decl.Specs {
				s, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for _, name := range s.Names {
					if name.IsExported() {
						add(name.Name, v.Doc+s.Doc.Text()+s.Comment.Text())
					}
				}
			}
		}
	}
	funcs := func(prefix string, list []*doc.Func) {
		for _, f := range list {
			add(prefix+f.Name, f.Doc)
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs("", p.Funcs)
	for _, typ := range p.Types {
		add(typ.Name, typ.Doc)
		values(typ.Consts)
		values(typ.Vars)
		funcs("", typ.Funcs)
		funcs(typ.Name+".", typ.Methods)
	}
	slices.Sort(names)
	return names, silent
}

func TestAPIIsWhatWasAgreed(t *testing.T) {
	names, silent := exported(docOf(t, ".", module))
	assert.Empty(t, silent, "every exported name has a comment")
	assert.LessOrEqual(t, len(names), maxAPI)
	got := strings.Join(names, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(apiListing, []byte(got), 0o644))
	}
	want, err := os.ReadFile(apiListing)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "if this is meant, run go test -run TestAPI -update .")
}

func TestPackagesAreDocumented(t *testing.T) {
	for _, dir := range []string{".", "store", "storetest", "resource"} {
		p := docOf(t, dir, module+"/"+dir)
		_, silent := exported(p)
		assert.Empty(t, silent, dir)
		if dir != "." { // doc.go of the root comes with its README
			assert.NotEmpty(t, p.Doc, dir)
		}
	}
}

// A durable store has few methods to write.
func TestStoreIsSmall(t *testing.T) {
	methods := 0
	_, files := parseDir(t, "store", 0)
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if i, ok := spec.Type.(*ast.InterfaceType); ok && slices.Contains([]string{"Store", "Clients", "Codes", "Tokens", "Consents"}, spec.Name.Name) {
				for _, m := range i.Methods.List {
					methods += len(m.Names) // embedded interfaces have none
				}
			}
			return true
		})
	}
	assert.Positive(t, methods)
	assert.LessOrEqual(t, methods, maxStoreAPI)
}

// layers says what each package may import beside the standard library.
var layers = map[string][]string{
	"store":               {},
	"storetest":           {module + "/store"},
	"internal/jose":       {module + "/internal/", "github.com/golang-jwt/jwt/v5", "golang.org/x/crypto/"},
	"internal/strictjson": {},
	"resource":            {module + "/internal/"},
	".": {
		module + "/store", module + "/resource", module + "/internal/",
		"github.com/golang-jwt/jwt/v5", "github.com/google/uuid", "golang.org/x/crypto/",
	},
}

func TestLayers(t *testing.T) {
	for dir, allowed := range layers {
		set, files := parseDir(t, dir, parser.ImportsOnly)
		require.NotEmpty(t, files, dir)
		for _, f := range files {
			for _, spec := range f.Imports {
				path := strings.Trim(spec.Path.Value, `"`)
				if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
					continue // the standard library
				}
				ok := slices.ContainsFunc(allowed, func(a string) bool {
					return path == a || strings.HasSuffix(a, "/") && strings.HasPrefix(path, a)
				})
				assert.True(t, ok, "%s imports %s", set.Position(spec.Pos()), path)
			}
		}
	}
}

func TestRootModuleRequiresFourModules(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	var direct []string
	inBlock := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			inBlock = true
			continue
		case line == ")":
			inBlock = false
		}
		rest, single := strings.CutPrefix(line, "require ")
		if (inBlock || single) && line != "" && !strings.HasSuffix(line, "// indirect") {
			direct = append(direct, strings.Fields(rest)[0])
		}
		assert.False(t, strings.HasPrefix(line, "replace"), "a library's replace does nothing for its users")
	}
	assert.Equal(t, []string{"github.com/golang-jwt/jwt/v5", "github.com/google/uuid", "github.com/stretchr/testify", "golang.org/x/crypto"}, direct)
}
