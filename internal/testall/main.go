// Command testall runs the tests of every module of this repository and says at
// the end what was not run and why, which go test keeps to itself, and what the
// tests that failed had to say, so that the end of a log tells why. Arguments go
// to go test, which waits half an hour for a package unless they say otherwise:
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
	"regexp"
	"slices"
	"strings"
)

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of what was built, with what the compiler says
	FailedBuild                   string // ImportPath of what kept a package from being tested
}

type summary struct {
	passed, failed, skipped int
	reasons                 []string
	failures                []failure
}

// failure is a test that failed, or a package of which no test ran, and what it
// said of that.
type failure struct {
	name string
	said []string
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
		fmt.Print(total.why())
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
	command := []string{"test", "-json", "-timeout", "30m"} // the last -timeout counts
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
		case "build-output":
			fmt.Print(e.Output)
			output[e.ImportPath] += e.Output
			continue
		case "output":
			output[key] += e.Output
			continue
		case "pass":
			s.count(&s.passed, e, "ok  ")
		case "fail":
			s.count(&s.failed, e, "FAIL")
			fmt.Print(output[key])
			if e.FailedBuild != "" {
				s.fails(e, output[e.FailedBuild])
			} else {
				s.fails(e, output[key])
			}
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

// fails keeps what a test said of its failure. A test, or a package, that failed
// because of one within it has nothing to add.
func (s *summary) fails(e event, output string) {
	said := complaint(output)
	inner := slices.ContainsFunc(s.failures, func(f failure) bool {
		return e.Test == "" && strings.HasPrefix(f.name, e.Package+" ") || strings.HasPrefix(f.name, e.Package+" "+e.Test+"/")
	})
	if inner && (e.Test == "" || len(said) == 0) {
		return
	}
	s.failures = append(s.failures, failure{strings.TrimSpace(e.Package + " " + e.Test), said})
}

// Bounds of what is repeated at the end.
const (
	maxFailures  = 40
	maxComplaint = 15 // lines of one failure
	maxEntry     = 4  // lines of one entry that may be a log's
	maxLine      = 300
)

// why repeats what the tests that failed said.
func (s summary) why() string {
	var b strings.Builder
	for i, f := range s.failures {
		if i == maxFailures {
			fmt.Fprintf(&b, "\nand %d more failed\n", len(s.failures)-i)
			break
		}
		fmt.Fprintf(&b, "\nFAILED %s\n", f.name)
		for _, line := range f.said {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}

var (
	entryLine = regexp.MustCompile(`^ +[\w.-]+\.go:\d+: `)                                             // of testing.T
	crashLine = regexp.MustCompile(`^(panic: |fatal error: |WARNING: DATA RACE|[^ ].*\.go:\d+:\d+: )`) // of the runtime or compiler
)

// complaint is the beginning of what a test that failed said of it: a crash, or
// else the failed assertions, or else the beginnings of all that it said with
// Log, Error and Fatal, which cannot be told apart. What says nothing of that
// kind, as a package whose TestMain fails, has its first lines.
func complaint(output string) (said []string) {
	var lines, entry, entries, asserted, crashed []string
	end := func() {
		if strings.Contains(strings.Join(entry, "\n"), "\tError Trace:") {
			asserted = append(asserted, entry...)
		}
		entries = append(entries, entry[:min(len(entry), maxEntry)]...)
		entry = nil
	}
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\n")
		inner := strings.TrimSpace(line)
		if strings.HasPrefix(inner, "=== ") || strings.HasPrefix(inner, "--- ") || inner == "" {
			continue
		}
		line = line[:min(len(line), maxLine)]
		lines = append(lines, line)
		switch {
		case crashed != nil || crashLine.MatchString(line):
			crashed = append(crashed, line)
		case entryLine.MatchString(line):
			end()
			entry = []string{line}
		case entry != nil && strings.HasPrefix(line, "        "):
			entry = append(entry, line)
		default: // printed by somebody else
			end()
		}
	}
	end()
	for _, said = range [][]string{crashed, asserted, entries, lines} {
		if len(said) > 0 {
			break
		}
	}
	return said[:min(len(said), maxComplaint)]
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
