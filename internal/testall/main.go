// Command testall runs the tests of every module of this repository and says at
// the end what was not run and why, which go test keeps to itself. Arguments go
// to go test:
//
//	go run ./internal/testall -race
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
}

type summary struct {
	passed, failed, skipped int
	reasons                 []string
}

func (s summary) String() string {
	var b strings.Builder
	if len(s.reasons) > 0 {
		fmt.Fprintf(&b, "\nNot run:\n  %s\n", strings.Join(s.reasons, "\n  "))
	}
	fmt.Fprintf(&b, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return b.String()
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	total, err := testAll(ctx, ".", os.Args[1:])
	fmt.Print(total)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		os.Exit(1)
	}
}

// testAll tests the modules under root. The error is about those whose tests
// failed or could not be run.
func testAll(ctx context.Context, root string, args []string) (total summary, err error) {
	modules, err := findModules(root)
	for _, dir := range modules {
		fmt.Println("=== module", dir)
		if e := total.run(ctx, dir, args); e != nil {
			err = errors.Join(err, fmt.Errorf("module %s: %w", dir, e))
		}
	}
	return total, err
}

// findModules returns the folders that hold a go.mod, the root first.
func findModules(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.Name() == "go.mod" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	slices.Sort(dirs)
	return dirs, err
}

func (s *summary) run(ctx context.Context, dir string, args []string) error {
	command := []string{"test", "-json"}
	if dir != "." {
		command = append(command, "-p", "1") // its packages share the servers that they talk to
	}
	command = append(append(command, args...), "./...")
	cmd := exec.CommandContext(ctx, "go", command...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	return errors.Join(s.read(out), cmd.Wait())
}

// read counts tests and keeps what they printed until they have ended: the
// output of what passed is of no interest.
func (s *summary) read(r io.Reader) error {
	output := map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if output[key] += e.Output; e.Test == "" && e.Action == "build-output" {
				fmt.Print(e.Output)
			}
			continue
		case "pass":
			s.count(&s.passed, e, "ok  ")
		case "fail":
			s.count(&s.failed, e, "FAIL")
			fmt.Print(output[key])
		case "skip":
			if e.Test != "" {
				s.reasons = append(s.reasons, e.Package+" "+e.Test+": "+reason(output[key]))
			}
			s.count(&s.skipped, e, "?   ")
		default:
			continue
		}
		delete(output, key)
	}
	return lines.Err()
}

// count counts tests, and prints a line for each package.
func (s *summary) count(n *int, e event, word string) {
	if e.Test != "" {
		*n++
		return
	}
	fmt.Println(word, e.Package)
}

// reason is what a test said when it was skipped.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}
