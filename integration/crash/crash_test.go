package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
)

// kills is how often a run kills; OAUTH_CRASH_KILLS sets another number.
func kills(t *testing.T) int {
	t.Helper()
	if v := os.Getenv("OAUTH_CRASH_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		require.NoError(t, err)
		return n
	}
	return 20
}

// stores are the addresses that the server takes, of fresh databases.
var stores = map[string]func(t *testing.T) string{
	"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "oauth.db") },
	"postgres": func(t *testing.T) string {
		d := dbtest.Postgres.Bare(t)
		separator := "?"
		if strings.Contains(d.Address, "?") {
			separator = "&"
		}
		return d.Address + separator + "search_path=" + d.Options.Schema
	},
}

// TestKilledServersLoseNothing kills one of four instances every now and then.
func TestKilledServersLoseNothing(t *testing.T) {
	program := build(t)
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			const groups = 4
			f := startFleet(t, program, store(t), 4, groups)
			n := kills(t)
			unanswered := run(t, f, groups, 2, func(ctx context.Context) error {
				for range n {
					in := f.instances[rand.IntN(len(f.instances))]
					time.Sleep(rand.N(400 * time.Millisecond))
					if rand.IntN(8) == 0 {
						in.pause(rand.N(500 * time.Millisecond))
						continue
					}
					in.kill()
					if err := in.start(ctx); err != nil {
						return err
					}
				}
				return nil
			})
			require.NotZero(t, unanswered, "no request was cut off: the run shows nothing")
		})
	}
}

// TestFourServersOverOneDatabase lets 64 programs share and race tokens.
func TestFourServersOverOneDatabase(t *testing.T) {
	program := build(t)
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			const groups = 16
			f := startFleet(t, program, store(t), 4, groups)
			run(t, f, groups, 4, func(context.Context) error {
				time.Sleep(time.Duration(kills(t)) * 500 * time.Millisecond)
				return nil
			})
		})
	}
}

// run lets the groups live while the nemesis does its work, checks them, and
// returns how many requests got no answer.
func run(t *testing.T, f *fleet, groups, racers int, nemesis func(context.Context) error) int64 {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, err)
	defer file.Close()
	j := &journal{file: file}
	counts := &tally{counts: map[string]int{}}
	b := newBrowser(f, j)

	ctx, stop := context.WithCancel(t.Context())
	drain, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var all []*group
	for i := range groups {
		g := &group{browser: b, tally: counts, client: clientID(i), racers: racers}
		all = append(all, g)
		wg.Go(func() { g.live(ctx, drain) })
	}
	err = nemesis(t.Context())
	stop()
	if err != nil {
		cancel() // what was broken stays broken: nobody need wait for an answer
	}
	wg.Wait()
	require.NoError(t, err)
	for _, g := range all {
		wg.Go(func() { g.audit(drain) })
	}
	wg.Wait()
	t.Logf("%d lines of journal; %d requests without an answer; %v", j.n, b.unanswered.Load(), counts.counts)
	if err := errors.Join(counts.errs...); err != nil {
		keep(t, file.Name())
		t.Fatal(err)
	}
	for _, what := range []string{"codes redeemed", "codes raced for", "refreshes raced for", "revocations", "consents revoked", "dead tokens tried"} {
		require.NotZero(t, counts.counts[what], fmt.Sprintf("no %s: the run shows nothing", what))
	}
	return b.unanswered.Load()
}

// keep copies the journal of a failed run to where it outlives the test.
func keep(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	kept, err := os.CreateTemp("", "oauth-crash-journal-")
	require.NoError(t, err)
	defer kept.Close()
	_, err = kept.Write(text)
	require.NoError(t, err)
	t.Logf("the journal is in %s", kept.Name())
}
