package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// suite is the tests of some packages, compiled once with every mutant in.
type suite struct {
	scratch string
	timeout time.Duration
	tests   []*test
}

// test is one test function, and what its first run told.
type test struct {
	binary, dir, name string
	took              time.Duration
	reaches           map[int]bool // mutants, by ID
}

// newSuite compiles the tests of dirs with the changed sources.
func newSuite(ctx context.Context, scratch string, dirs []string, sources []source, skip *regexp.Regexp, timeout time.Duration) (*suite, error) {
	replace := map[string]string{}
	for i, s := range sources {
		path, err := filepath.Abs(s.file)
		if err != nil {
			return nil, err
		}
		changed := filepath.Join(scratch, fmt.Sprint(i, ".go"))
		help := filepath.Join(scratch, s.pkg+"_helper.go")
		replace[path], replace[filepath.Join(filepath.Dir(path), "mutant_helper.go")] = changed, help
		if err := errors.Join(os.WriteFile(changed, s.text, 0o600), os.WriteFile(help, fmt.Appendf(nil, helper, s.pkg), 0o600)); err != nil {
			return nil, err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	overlayFile := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return nil, err
	}
	s := &suite{scratch: scratch, timeout: timeout}
	for i, dir := range dirs {
		binary := filepath.Join(scratch, fmt.Sprint(i, ".test"))
		out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", binary, "./"+dir).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("compiling the tests of %s: %w\n%s", dir, err, out)
		}
		list := exec.CommandContext(ctx, binary, "-test.list", ".")
		list.Dir = dir
		names, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("listing the tests of %s: %w", dir, err)
		}
		for name := range strings.FieldsSeq(string(names)) {
			if !skip.MatchString(name) && !strings.HasPrefix(name, "Benchmark") {
				s.tests = append(s.tests, &test{binary: binary, dir: dir, name: name})
			}
		}
	}
	return s, nil
}

// record runs each test alone, with no mutant awake, and returns those that
// fail: they are of no use.
func (s *suite) record(ctx context.Context, workers int) (failed []*test) {
	var mu sync.Mutex
	var good []*test
	parallel(workers, s.tests, func(t *test) {
		file := filepath.Join(s.scratch, filepath.Base(t.binary)+t.name+".reached")
		start := time.Now()
		ok := s.run(ctx, []*test{t}, "MUTANT_RECORD="+file)
		t.took, t.reaches = time.Since(start), map[int]bool{}
		reached, _ := os.ReadFile(file) // absent: it reaches none
		for id := range strings.FieldsSeq(string(reached)) {
			n, _ := strconv.Atoi(id)
			t.reaches[n] = true
		}
		mu.Lock()
		defer mu.Unlock()
		if ok {
			good = append(good, t)
		} else {
			failed = append(failed, t)
		}
	})
	slices.SortFunc(good, func(a, b *test) int { return int(a.took - b.took) })
	s.tests = good
	return failed
}

// killer names a run of tests that fails when m is awake; "" when none does.
func (s *suite) killer(ctx context.Context, m mutant) string {
	var reach []*test
	for _, t := range s.tests {
		if t.reaches[m.id] {
			reach = append(reach, t)
		}
	}
	// Quick ones first, in runs that grow: starting a process costs something too.
	for size := 4; len(reach) > 0; size *= 2 {
		batch := reach[:1]
		for len(batch) < min(size, len(reach)) && reach[len(batch)].binary == batch[0].binary {
			batch = reach[:len(batch)+1]
		}
		reach = reach[len(batch):]
		if !s.run(ctx, batch, fmt.Sprint("MUTANT=", m.id)) {
			return batch[0].name
		}
	}
	return ""
}

// run tells whether tests, which are of one binary, pass.
func (s *suite) run(ctx context.Context, tests []*test, env string) bool {
	var names []string
	for _, t := range tests {
		names = append(names, t.name)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, tests[0].binary, "-test.short", "-test.failfast", "-test.run", "^("+strings.Join(names, "|")+")$")
	cmd.Dir, cmd.Env = tests[0].dir, append(os.Environ(), env)
	return cmd.Run() == nil
}
