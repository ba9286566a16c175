// Command corpus keeps, of all that fuzzing has found, the few inputs that reach
// what nothing else of their target does, as testdata/fuzz/TARGET/… of its package.
// They run as ordinary tests there, and the next fuzzing begins with them:
//
//	bash .ci/fuzz 5m
//	go run ./internal/corpus [-cache .ci/bin/fuzz] [FOLDER …]
//
// What counts are the statements of the package, and of all that it imports from
// this repository, that the target's own seeds do not reach. Inputs that are long,
// or that look like a token or a private key, are not kept. What was kept before
// competes with what is new; only a file with a name of its own, not the hash that
// go test gives it, always stays: rename what was a finding.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	module    = "github.com/seed-e797c9ce/oauth"
	maxInputs = 15      // of a target
	maxBytes  = 2 << 10 // of an input
)

func main() {
	cache := flag.String("cache", ".ci/bin/fuzz", "what fuzzing has found: FOLDER/TARGET/… in it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := keep(ctx, *cache, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

// keep renews what is kept in these folders, or in all that were fuzzed.
func keep(ctx context.Context, cache string, dirs []string, out io.Writer) error {
	targets := map[string][]string{} // by folder
	err := filepath.WalkDir(cache, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() || !strings.HasPrefix(d.Name(), "Fuzz") {
			return err
		}
		dir, err := filepath.Rel(cache, filepath.Dir(path))
		if len(dirs) == 0 || slices.Contains(dirs, dir) {
			targets[dir] = append(targets[dir], d.Name())
		}
		return cmp.Or(err, filepath.SkipDir)
	})
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("nothing in %s: run bash .ci/fuzz 5m first", cache)
	}
	for _, dir := range slices.Sorted(maps.Keys(targets)) {
		if err := keepPackage(ctx, cache, dir, targets[dir], out); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

func keepPackage(ctx context.Context, cache, dir string, names []string, out io.Writer) error {
	scratch, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	list := exec.CommandContext(ctx, "go", "list", "-deps", ".")
	list.Dir = dir
	deps, err := list.Output()
	if err != nil {
		return err
	}
	ours := slices.DeleteFunc(strings.Fields(string(deps)), func(p string) bool { return p != module && !strings.HasPrefix(p, module+"/") })
	binary := filepath.Join(scratch, "test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-cover", "-coverpkg="+strings.Join(ours, ","), "-o", binary, ".")
	build.Dir, build.Stderr = dir, os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	for _, name := range names {
		t := &target{ctx: ctx, name: name, binary: binary, scratch: scratch, out: out}
		if err := t.keep(filepath.Join(cache, dir, name), filepath.Join(dir, "testdata", "fuzz", name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// target is a fuzz target, and what its inputs reach.
type target struct {
	ctx                   context.Context
	name, binary, scratch string
	out                   io.Writer

	seeds set     // what they reach
	known set     // beyond the seeds, by what was found useful so far
	found []input // that reached what was not known then
}

type input struct {
	name    string
	text    []byte
	reached set // beyond the seeds
}

type set = map[string]bool

// hashed is what go test calls an input that it has found.
var hashed = regexp.MustCompile(`^[0-9a-f]{16}$`)

// delicate is what a search for secrets could find: the beginning of a JWT, and
// what of a JWK is private.
var delicate = regexp.MustCompile(`eyJ|\\?"(d|p|q|dp|dq|qi|k)\\?":|PRIVATE KEY`)

// keep chooses among what is in from and what is in to, and leaves that in to.
func (t *target) keep(from, to string) error {
	var own, all []string
	seen := set{}
	for _, dir := range []string{to, from} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			file := filepath.Join(dir, e.Name())
			text, err := os.ReadFile(file)
			switch {
			case err != nil:
				return err
			case !hashed.MatchString(e.Name()):
				own = append(own, file)
			case len(text) <= maxBytes && !delicate.Match(text) && !seen[e.Name()]:
				seen[e.Name()] = true
				all = append(all, file)
			}
		}
	}
	var err error
	if t.seeds, err = t.run("", own); err != nil {
		return fmt.Errorf("its seeds fail: %w", err)
	}
	t.known = set{}
	if err := t.look(all); err != nil {
		return err
	}
	chosen, missed := choose(t.found, maps.Clone(t.known), maxInputs)
	fmt.Fprintf(t.out, "%s: %d of %d; blocks of statements: %d by the seeds, %d more by these, %d by none of them\n",
		t.name, len(chosen), len(all), len(t.seeds), len(t.known)-missed, missed)
	return replace(to, chosen)
}

// look finds the inputs that reach something new. Most reach nothing: they are
// run together, and one by one only where there is something to find.
func (t *target) look(files []string) error {
	if len(files) == 0 {
		return nil
	}
	reached, err := t.run("/"+hashed.String(), files)
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	more := maps.Clone(reached)
	maps.DeleteFunc(more, func(block string, _ bool) bool { return t.seeds[block] || t.known[block] })
	switch {
	case err == nil && len(more) == 0:
		return nil
	case len(files) > 1:
		half := len(files) / 2
		return cmp.Or(t.look(files[:half]), t.look(files[half:]))
	case err != nil:
		return fmt.Errorf("%s fails: mend that first: %w", files[0], err)
	}
	maps.DeleteFunc(reached, func(block string, _ bool) bool { return t.seeds[block] })
	maps.Copy(t.known, reached)
	text, err := os.ReadFile(files[0])
	t.found = append(t.found, input{filepath.Base(files[0]), text, reached})
	return err
}

// run runs the target with these inputs alone, or with its seeds too, and returns
// the blocks of statements that were reached.
func (t *target) run(which string, files []string) (set, error) {
	dir := filepath.Join(t.scratch, "testdata", "fuzz", t.name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644)); err != nil {
			return nil, err
		}
	}
	profile := filepath.Join(t.scratch, "profile")
	test := exec.CommandContext(t.ctx, t.binary, "-test.run=^"+t.name+"$"+which, "-test.coverprofile="+profile)
	test.Dir = t.scratch
	if said, err := test.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	text, err := os.ReadFile(profile)
	reached := set{}
	for line := range strings.Lines(string(text)) { // file.go:1.2,3.4 statements times
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] != "0" {
			reached[fields[0]] = true
		}
	}
	return reached, err
}

// choose takes again and again the input that reaches the most of what is wanted
// still, the shorter of two, and says how much is left over.
func choose(from []input, wanted set, most int) (chosen []input, missed int) {
	worth := func(in input) (n int) {
		for block := range in.reached {
			if wanted[block] {
				n++
			}
		}
		return n
	}
	for len(wanted) > 0 && len(chosen) < most {
		best := slices.MaxFunc(from, func(a, b input) int {
			return cmp.Or(worth(a)-worth(b), len(b.text)-len(a.text))
		})
		chosen = append(chosen, best)
		maps.DeleteFunc(wanted, func(block string, _ bool) bool { return best.reached[block] })
	}
	return chosen, len(wanted)
}

// replace puts the chosen inputs in the place of what was kept before.
func replace(dir string, chosen []input) error {
	before, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	for _, file := range before {
		if hashed.MatchString(filepath.Base(file)) {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	for _, in := range chosen {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, in.name), in.text, 0o644)); err != nil {
			return err
		}
	}
	return nil
}
