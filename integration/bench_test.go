package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
)

// parallel runs f b.N times from the workers; it is given the worker's number
// and how many calls that worker has made.
func parallel(b *testing.B, workers int, f func(worker, i int) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	b.ResetTimer()
	b.StartTimer()
	for w := range workers {
		wg.Go(func() {
			for i := 0; left.Add(-1) >= 0; i++ {
				if err := f(w, i); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// sizes are the numbers of authorizations; OAUTH_BENCH_MAX allows more than a
// quick run has time for.
func sizes() []int {
	most := 1000
	if n, err := strconv.Atoi(os.Getenv("OAUTH_BENCH_MAX")); err == nil {
		most = n
	}
	all := []int{1000, 100_000, 1_000_000}
	for len(all) > 1 && all[len(all)-1] > most {
		all = all[:len(all)-1]
	}
	return all
}

// BenchmarkSQLStore is the store's part of an exchange (the code
// and the record read, the record swapped) and of a refresh.
func BenchmarkSQLStore(b *testing.B) {
	for _, k := range []dbtest.Kind{dbtest.Postgres, dbtest.MySQL, dbtest.File, dbtest.Memory} {
		for _, n := range sizes() {
			b.Run(fmt.Sprintf("%s/authorizations=%d", k.Name, n), func(b *testing.B) {
				d := k.Open(b)
				d.Fill(b, n)
				d.DB.SetMaxIdleConns(16)
				for _, workers := range []int{1, 4, 16} {
					b.Run(fmt.Sprintf("refresh/workers=%d", workers), func(b *testing.B) {
						parallel(b, workers, func(w, i int) error {
							return refreshOnce(b.Context(), d.Store, own(w, i, workers, n))
						})
					})
					round := time.Now().UnixNano()
					b.Run(fmt.Sprintf("exchange/workers=%d", workers), func(b *testing.B) {
						var approved, next atomic.Int64
						pending := func(i int64) string { return fmt.Sprintf("%d-%d-%d", round, b.N, i) }
						parallel(b, workers, func(int, int) error { return authorize(b.Context(), d.Store, pending(approved.Add(1))) })
						parallel(b, workers, func(int, int) error { return exchange(b.Context(), d.Store, pending(next.Add(1))) })
					})
				}
			})
		}
	}
}

func authorize(ctx context.Context, s store.Store, id string) error {
	t := refreshable(id)
	t.State = store.TokenPending
	if err := s.CreateToken(ctx, t); err != nil {
		return err
	}
	return s.CreateCode(ctx, store.Code{Kind: "code", Key: id, Data: make([]byte, 300), ExpiresAt: now, PurgeAt: now})
}

func exchange(ctx context.Context, s store.Store, id string) error {
	if _, err := s.Code(ctx, "code", id); err != nil {
		return err
	}
	t, err := s.Token(ctx, id)
	if err != nil {
		return err
	}
	t.State = store.TokenActive
	return s.UpdateToken(ctx, rotated(t))
}

// BenchmarkRefreshAgainstABareLoop takes turns: a refresh through the store, and
// the same two statements by hand, through the same pool and with the same
// values. The metric "times" is how much longer the first took, all in all.
func BenchmarkRefreshAgainstABareLoop(b *testing.B) {
	d := dbtest.Postgres.Open(b)
	d.Fill(b, 1000)
	d.DB.SetMaxIdleConns(16)
	bare := newBare(b, d)
	for _, workers := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			var took [2]atomic.Int64
			parallel(b, workers, func(w, i int) error {
				id, start := own(w, i/2, workers, 1000), time.Now()
				var err error
				if i%2 == 0 {
					err = refreshOnce(b.Context(), d.Store, id)
				} else {
					err = bare.refresh(b.Context(), id)
				}
				took[i%2].Add(int64(time.Since(start)))
				return err
			})
			b.ReportMetric(float64(took[0].Load())/float64(took[1].Load()), "times")
		})
	}
}

// own returns the ID of an authorization that no other worker has.
func own(worker, i, workers, n int) string {
	share := n / workers
	return "fill-" + strconv.Itoa(worker*share+i%share)
}

// bareLoop runs the texts that the store sends, with values that are there.
type bareLoop struct {
	read, swap *sql.Stmt
	columns    int
	args       []any // of the swap; the last two are the ID and the version
}

func newBare(b *testing.B, d *dbtest.Database) *bareLoop {
	b.Helper()
	db, recorder := d.Recorded(b)
	require.NoError(b, refreshOnce(b.Context(), d.Handle(b, db), "fill-0"))
	ran, _ := recorder.Take()
	require.Len(b, ran, 2)
	loop := &bareLoop{args: ran[1].Args}
	var err error
	loop.read, err = d.DB.PrepareContext(b.Context(), ran[0].Text)
	require.NoError(b, err)
	loop.swap, err = d.DB.PrepareContext(b.Context(), ran[1].Text)
	require.NoError(b, err)
	rows, err := loop.read.QueryContext(b.Context(), "fill-0")
	require.NoError(b, err)
	columns, err := rows.Columns()
	require.NoError(b, err)
	require.Equal(b, "version", columns[3])
	loop.columns = len(columns)
	require.NoError(b, rows.Close())
	return loop
}

func (l *bareLoop) refresh(ctx context.Context, id string) error {
	var version int64
	raw, dest := make([]sql.RawBytes, l.columns), make([]any, l.columns)
	for i := range raw {
		dest[i] = &raw[i]
	}
	dest[3] = &version
	rows, err := l.read.QueryContext(ctx, id)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			rows.Close()
			return err
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	args := append([]any{}, l.args...)
	args[len(args)-2], args[len(args)-1] = id, version
	result, err := l.swap.ExecContext(ctx, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%d rows, %w", n, err)
	}
	return nil
}
