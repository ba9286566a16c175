// Command mutate asks whether the tests would notice if a decision were wrong.
// It changes one decision at a time (a check that is switched off, one side of an
// and or an or that is dropped, a limit that is off by one), runs the tests over
// it, and lists the changes that no test minded:
//
//	go run ./internal/mutate [-every 1] [-p 2] [-run REGEXP] FILE.go …
//
// The files stay as they are: go test gets the changed one by -overlay. Files are
// of one package, whose tests run with -short -failfast; -also adds packages
// whose tests drive it from outside.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

func main() {
	every := flag.Int("every", 1, "try every n-th change only")
	workers := flag.Int("p", 2, "how many to try at once")
	run := flag.String("run", "", "which tests to run: go test's -run")
	also := flag.String("also", "", "more packages to test, separated by commas")
	timeout := flag.Duration("timeout", 2*time.Minute, "of one go test; a change that makes it hang counts as noticed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := mutate(ctx, flag.Args(), *every, *workers, *timeout, *run, *also); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// outcome of one change.
type outcome int

const (
	killed   outcome = iota // a test failed
	survived                // none did
	invalid                 // it does not compile
)

func mutate(ctx context.Context, files []string, every, workers int, timeout time.Duration, run, also string) error {
	if len(files) == 0 {
		return errors.New("name the files to change")
	}
	var list []mutant
	for _, file := range files {
		found, err := mutants(file)
		if err != nil {
			return err
		}
		list = append(list, found...)
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	jobs, count, first := make(chan mutant), [3]int{}, error(nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for m := range jobs {
				got, err := try(ctx, m, filepath.Join(dir, fmt.Sprint(w)), timeout, run, also)
				mu.Lock()
				if err != nil && first == nil {
					first = err
				}
				if count[got]++; got == survived {
					fmt.Println("survived", m)
				}
				mu.Unlock()
			}
		})
	}
	for i := 0; i < len(list) && ctx.Err() == nil; i += max(every, 1) {
		jobs <- list[i]
	}
	close(jobs)
	wg.Wait()
	tried := count[killed] + count[survived]
	fmt.Printf("%d changes tried, %d noticed (%.1f %%), %d survived; %d did not compile\n",
		tried, count[killed], 100*float64(count[killed])/float64(max(tried, 1)), count[survived], count[invalid])
	return errors.Join(first, ctx.Err())
}

// try runs the tests over one change.
func try(ctx context.Context, m mutant, scratch string, timeout time.Duration, run, also string) (outcome, error) {
	path, err := filepath.Abs(m.file)
	if err != nil {
		return invalid, err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: scratch + ".go"}})
	if err != nil {
		return invalid, err
	}
	if err := errors.Join(os.WriteFile(scratch+".go", m.text, 0o600), os.WriteFile(scratch+".json", overlay, 0o600)); err != nil {
		return invalid, err
	}
	args := []string{"test", "-overlay", scratch + ".json", "-vet=off", "-short", "-failfast", "-timeout", timeout.String()}
	if run != "" {
		args = append(args, "-run", run)
	}
	args = append(args, "./"+filepath.Dir(m.file))
	if also != "" {
		args = append(args, strings.Split(also, ",")...)
	}
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return survived, nil
	case ctx.Err() != nil || !errors.As(err, &exit):
		return invalid, err
	case strings.Contains(string(out), "[build failed]"):
		return invalid, nil
	}
	return killed, nil
}
