// Command mutate asks whether the tests would notice if a decision were wrong.
// It changes one decision at a time (a check that is switched off, one side of an
// and or an or that is dropped, a limit that is off by one), runs the tests over
// it, and lists the changes that no test minded:
//
//	go run ./internal/mutate [-every 1] [-p 2] [-skip REGEXP] FILE.go[:LINE] …
//
// The files stay as they are. All changes are compiled into one test binary of
// each package (go test's -overlay), where the environment wakes one of them. A
// first run of each test alone tells which changes it reaches; a change is then
// tried with those tests only, quick ones first. Tests run with -short; -also adds
// packages whose tests drive the files from outside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	every := flag.Int("every", 1, "try every n-th change only")
	workers := flag.Int("p", 2, "how many to try at once")
	skip := flag.String("skip", "^$", "which tests not to run: a regular expression of their names")
	also := flag.String("also", "", "more packages to test: their folders, separated by commas")
	timeout := flag.Duration("timeout", time.Minute, "of one run of tests; a change that makes it hang counts as noticed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := mutate(ctx, flag.Args(), *every, *workers, *timeout, *skip, *also, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func mutate(ctx context.Context, files []string, every, workers int, timeout time.Duration, skip, also string, out io.Writer) error {
	if len(files) == 0 {
		return errors.New("name the files to change")
	}
	skipped, err := regexp.Compile(skip)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	var sources []source
	var list []mutant
	var dirs []string
	wanted := map[string]bool{} // file:line; a file alone is the whole of it
	for _, arg := range files {
		file, _, _ := strings.Cut(arg, ":")
		wanted[arg] = true
		if slices.ContainsFunc(sources, func(s source) bool { return s.file == file }) {
			continue
		}
		s, err := instrument(file, len(list)+1)
		if err != nil {
			return err
		}
		sources, list, dirs = append(sources, s), append(list, s.mutants...), append(dirs, filepath.Dir(file))
	}
	list = slices.DeleteFunc(list, func(m mutant) bool { return !wanted[m.file] && !wanted[fmt.Sprint(m.file, ":", m.line)] })
	if also != "" {
		dirs = append(dirs, strings.Split(also, ",")...)
	}
	slices.Sort(dirs)
	s, err := newSuite(ctx, scratch, slices.Compact(dirs), sources, skipped, timeout)
	if err != nil {
		return err
	}
	failed := s.record(ctx, workers)
	for _, t := range failed {
		fmt.Fprintln(out, "not used, since it fails as things are:", t.name)
	}

	var chosen []mutant
	for i := 0; i < len(list); i += max(every, 1) {
		chosen = append(chosen, list[i])
	}
	noticed, tried := map[string]int{}, map[string]int{}
	var mu sync.Mutex
	parallel(workers, chosen, func(m mutant) {
		by := s.killer(ctx, m)
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if tried[m.file]++; by != "" {
			noticed[m.file]++
		} else {
			fmt.Fprintln(out, "survived", m)
		}
	})
	noticedAll, triedAll := 0, 0
	for _, s := range sources {
		fmt.Fprintln(out, summary(s.file, noticed[s.file], tried[s.file]))
		noticedAll, triedAll = noticedAll+noticed[s.file], triedAll+tried[s.file]
	}
	fmt.Fprintln(out, summary("all", noticedAll, triedAll))
	return ctx.Err()
}

func summary(name string, noticed, tried int) string {
	return fmt.Sprintf("%s: %d changes tried, %d noticed (%.1f %%), %d survived",
		name, tried, noticed, 100*float64(noticed)/float64(max(tried, 1)), tried-noticed)
}

// parallel calls f for each of list, workers at a time.
func parallel[T any](workers int, list []T, f func(T)) {
	jobs := make(chan T)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for job := range jobs {
				f(job)
			}
		})
	}
	for _, job := range list {
		jobs <- job
	}
	close(jobs)
	wg.Wait()
}
