package program_test

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth/examples/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, echo) }

// echo is a program: it prints its arguments, and fails or waits if it is told.
func echo() {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	for _, arg := range os.Args[1:] {
		switch arg {
		case "fail":
			fmt.Fprintln(os.Stderr, "it failed")
			os.Exit(3)
		case "wait":
			fmt.Println("waiting")
			fmt.Println("got", <-interrupted)
		default:
			fmt.Println(arg)
		}
	}
}

func TestOutputsAndStatus(t *testing.T) {
	stdout, stderr, status := program.Start(t, "a b", "c").Wait()
	assert.Equal(t, "a b\nc\n", stdout)
	assert.Empty(t, stderr)
	assert.Zero(t, status)

	stdout, stderr, status = program.Start(t, "a", "fail", "b").Wait()
	assert.Equal(t, "a\n", stdout)
	assert.Equal(t, "it failed\n", stderr)
	assert.Equal(t, 3, status)
}

func TestSignals(t *testing.T) {
	p := program.Start(t, "wait")
	assert.Equal(t, "waiting", p.Line())
	p.Signal(os.Interrupt)
	stdout, _, status := p.Wait()
	assert.Equal(t, "got interrupt\n", stdout)
	assert.Zero(t, status)
}

// failing is a test that is to fail.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper()                   {}
func (f *failing) Errorf(s string, a ...any) { f.said += fmt.Sprintf(s, a...) }
func (f *failing) FailNow()                  { runtime.Goexit() }

func TestAProgramThatSaysNothingFailsTheTestAndIsQuoted(t *testing.T) {
	f := &failing{TB: t}
	var ended sync.WaitGroup
	ended.Go(func() { program.Start(f, "fail").Line() })
	ended.Wait()
	assert.Contains(t, f.said, "the program has ended")
	assert.Contains(t, f.said, "status 3")
	assert.Contains(t, f.said, "it failed")
}
