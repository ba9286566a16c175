// Package program is, for the tests of the examples, a person at a terminal: it
// runs a program as a process of its own, which has arguments, two outputs, an
// exit status, and gets signals.
//
// The process is the test's binary once more, so nothing is built, and what runs
// there counts as covered by the test.
package program

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	variable = "OAUTH_EXAMPLE_PROGRAM" // set in the process that is the program
	within   = time.Minute             // for all that one program does
)

// Main is what TestMain calls: it runs the program where that is what the process
// is for, and else the tests, with no log beside theirs. It does not return.
func Main(m *testing.M, main func()) {
	if os.Getenv(variable) != "" {
		main()
		os.Exit(0)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// Program is one that runs.
type Program struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// Start runs the program, until the end of the test at the latest.
func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), within)
	p := &Program{t: t, cmd: exec.CommandContext(ctx, self, args...)}
	p.cmd.Env = append(os.Environ(), variable+"=1")
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdout = bufio.NewReader(stdout)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		cancel()
		p.cmd.Wait() // an error, unless Wait was called before
	})
	return p
}

// Line is the next line of standard output. A program that ends without one
// fails the test.
func (p *Program) Line() string {
	p.t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		_, stderr, status := p.Wait()
		require.Fail(p.t, "the program has ended", "status %d\n%s%s", status, line, stderr)
	}
	return line[:len(line)-1]
}

// Signal sends one.
func (p *Program) Signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// Wait returns, when the program has ended, the rest of standard output, all of
// standard error, and the exit status.
func (p *Program) Wait() (stdout, stderr string, status int) {
	p.t.Helper()
	rest, err := io.ReadAll(p.stdout)
	require.NoError(p.t, err)
	var failed *exec.ExitError
	if err = p.cmd.Wait(); !errors.As(err, &failed) {
		require.NoError(p.t, err)
	}
	return string(rest), p.stderr.String(), p.cmd.ProcessState.ExitCode()
}
