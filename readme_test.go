package oauth_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every Go block of the README is a whole file that compiles. The one with the
// MCP SDK is examples/mcp/minimal, which is tested there.
func TestReadmeCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, blocks)
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	for _, block := range blocks {
		if strings.Contains(block[1], "modelcontextprotocol/go-sdk") {
			continue
		}
		name, _, _ := strings.Cut(block[1], "\n")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := "readme.go"
			if strings.Contains(block[1], `"testing"`) {
				file = "readme_test.go"
			}
			mod, err := os.ReadFile("go.mod")
			require.NoError(t, err)
			text := strings.Replace(string(mod), "module github.com/seed-e797c9ce/oauth", "module readme", 1)
			text += "\nrequire github.com/seed-e797c9ce/oauth v0.0.0\n\nreplace github.com/seed-e797c9ce/oauth => " + root + "\n"
			sum, err := os.ReadFile("go.sum")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(block[1]), 0o600))
			cmd := exec.Command("go", "vet", "-mod=mod", ".")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOWORK=off")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		})
	}
}
