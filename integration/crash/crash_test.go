package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
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

// backend is a store that the server can be told to use.
type backend struct {
	name string
	open func(t *testing.T) string // the address of a fresh one
}

var (
	sqlite   = backend{"sqlite", func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "oauth.db") }}
	postgres = backend{"postgres", func(t *testing.T) string {
		d := dbtest.Postgres.Bare(t)
		separator := "?"
		if strings.Contains(d.Address, "?") {
			separator = "&"
		}
		return d.Address + separator + "search_path=" + d.Options.Schema
	}}
	mariadb = backend{"mysql", func(t *testing.T) string {
		d := dbtest.MySQL.Bare(t)
		c, err := mysql.ParseDSN(d.Address)
		require.NoError(t, err)
		name := strings.TrimSuffix(d.Options.Prefix, "_")
		d.Exec(t, "CREATE DATABASE "+name)
		t.Cleanup(func() {
			_, err := d.Pool(t).Exec("DROP DATABASE " + name)
			assert.NoError(t, err)
		})
		u := url.URL{Scheme: "mysql", User: url.UserPassword(c.User, c.Passwd), Host: c.Addr, Path: name}
		return u.String()
	}}
	redis = backend{"redis", func(t *testing.T) string { return "redis://" + dbtest.StartRedis(t).Addr + "/0" }}
)

// each runs f for each of the backends.
func each(t *testing.T, backends []backend, f func(t *testing.T, b backend)) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { f(t, b) })
	}
}

// TestKilledServersLoseNothing kills one of four instances every now and then.
func TestKilledServersLoseNothing(t *testing.T) {
	program := build(t)
	each(t, []backend{sqlite, postgres}, func(t *testing.T, b backend) {
		const groups = 4
		f := startFleet(t, program, b.open(t), 4, groups)
		run(t, f, groups, 2, func(ctx context.Context, c *tally) error {
			for range kills(t) {
				in := f.instances[rand.IntN(len(f.instances))]
				time.Sleep(rand.N(400 * time.Millisecond))
				if rand.IntN(8) == 0 {
					in.pause(rand.N(500 * time.Millisecond))
				}
				in.kill()
				// One request at least has missed it, or the run shows nothing.
				if err := c.reaches(ctx, "unanswered", 1); err != nil {
					return err
				}
				if err := in.start(ctx); err != nil {
					return err
				}
			}
			return c.reaches(ctx, "codes", 10*groups)
		})
	})
}

// TestFourServersOverOneDatabase lets 64 programs share and race tokens.
func TestFourServersOverOneDatabase(t *testing.T) {
	program := build(t)
	each(t, []backend{sqlite, postgres, mariadb, redis}, func(t *testing.T, b backend) {
		const groups = 16
		f := startFleet(t, program, b.open(t), 4, groups)
		run(t, f, groups, 4, func(ctx context.Context, c *tally) error {
			return c.reaches(ctx, "codes", 10*kills(t))
		})
	})
}

// TestLostAnswersAreAnOutage loses the database's answers to statements that
// were run. The server cannot know, and may not guess: it answers that it failed,
// does not run the statement again, and goes on without a restart.
func TestLostAnswersAreAnOutage(t *testing.T) {
	program := build(t)
	each(t, []backend{postgres, mariadb, redis}, func(t *testing.T, b backend) {
		const groups = 4
		lose := 5 * kills(t)
		p, address := startProxy(t, b.open(t), 23)
		f := startFleet(t, program, address, 2, groups)
		p.left.Store(int64(lose)) // none while the servers start
		counts := run(t, f, groups, 2, func(ctx context.Context, c *tally) error {
			return c.waits(ctx, func() bool { return p.left.Load() <= 0 })
		})
		require.NotZero(t, counts["unanswered"], "no request failed: the run shows nothing")
		t.Logf("%d answers of the database lost, of %d", lose, p.answers.Load())
		f.requireAlive(t)
	})
}

// run lets the groups live while the nemesis does its work, checks them, and
// returns the counts.
func run(t *testing.T, f *fleet, groups, racers int, nemesis func(context.Context, *tally) error) map[string]int {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, err)
	defer file.Close()
	j := &journal{file: file}
	counts := newTally()
	b := newBrowser(f, j, counts)

	ctx, stop := context.WithCancel(t.Context())
	drain, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var all []*group
	for i := range groups {
		g := &group{browser: b, tally: counts, client: clientID(i), racers: racers, races: deck{n: 3}, ends: deck{n: 4}}
		all = append(all, g)
		wg.Go(func() { g.live(ctx, drain) })
	}
	limit, end := context.WithTimeout(t.Context(), 10*time.Minute) // which no nemesis comes near
	defer end()
	err = nemesis(limit, counts)
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
	t.Logf("%d lines of journal; %v", j.n, counts.counts)
	if err := errors.Join(counts.errs...); err != nil {
		keep(t, file.Name())
		t.Fatal(err)
	}
	for _, what := range []string{"codes redeemed", "codes raced for", "refreshes raced for", "revocations", "consents revoked", "consents looked for", "dead tokens tried"} {
		require.NotZero(t, counts.counts[what], fmt.Sprintf("no %s: the run shows nothing", what))
	}
	return counts.counts
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
