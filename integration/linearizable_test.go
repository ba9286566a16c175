package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
)

// A step is one call as the client sees it: what it asked, and what came back.
type step struct {
	op      string // read, update, revoke, create; consume
	version int64  // update: the version it is based on
	value   string // update, create
}

type answer struct {
	err     error // nil or one of package store's; errUnknown for an outage
	version int64
	value   string
	ended   bool // revoked or consumed
	count   int
}

var errUnknown = errors.New("may or may not have happened")

// recordState is all that a token or a code is, as far as the histories tell.
type recordState struct {
	version int64 // 0: there is none
	value   string
	ended   bool
}

// recordModel is the contract of package store for one record. An operation
// whose answer is unknown has happened at some time or never.
func recordModel() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{recordState{}} },
		Step: func(state, input, output any) []any {
			s, in, out := state.(recordState), input.(step), output.(answer)
			next, want := after(s, in)
			if out.err == errUnknown {
				return []any{s, next}
			}
			if out == want {
				return []any{next}
			}
			return nil
		},
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%+v -> %+v", input, output)
		},
	}
	return m.ToModel()
}

func after(s recordState, in step) (recordState, answer) {
	switch {
	case in.op == "create" && s.version == 0:
		return recordState{1, in.value, false}, answer{}
	case in.op == "create":
		return s, answer{err: store.ErrExists}
	case in.op == "revoke" && (s.ended || s.version == 0):
		return s, answer{}
	case in.op == "revoke":
		return recordState{s.version + 1, s.value, true}, answer{count: 1}
	case s.version == 0:
		return s, answer{err: store.ErrNotFound}
	case in.op == "read":
		return s, answer{nil, s.version, s.value, s.ended, 0}
	case in.op == "consume" && s.ended:
		return s, answer{store.ErrConsumed, s.version, s.value, true, 0}
	case in.op == "consume":
		return recordState{s.version + 1, s.value, true}, answer{nil, s.version + 1, s.value, true, 0}
	case s.ended: // update
		return s, answer{err: errEnded}
	case in.version != s.version:
		return s, answer{err: store.ErrConflict}
	}
	return recordState{s.version + 1, in.value, false}, answer{}
}

// errEnded stands for ErrRevoked of a token and ErrConsumed of a code.
var errEnded = errors.New("ended")

func known(err error, ended error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ended):
		return errEnded
	}
	for _, e := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrConsumed} {
		if errors.Is(err, e) {
			return e
		}
	}
	return errUnknown
}

// onToken and onCode do a step on a real store.
func onToken(ctx context.Context, s store.Store, id string, in step) answer {
	t := store.Token{ID: id, ClientID: "c", Subject: "subject-" + id, Device: in.value, Version: in.version}
	switch in.op {
	case "create":
		return answer{err: known(s.CreateToken(ctx, t), store.ErrRevoked)}
	case "update":
		return answer{err: known(s.UpdateToken(ctx, t), store.ErrRevoked)}
	case "revoke":
		n, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: t.Subject}, now, now)
		if err != nil {
			n = 0
		}
		return answer{err: known(err, store.ErrRevoked), count: n}
	}
	t, err := s.Token(ctx, id)
	if err != nil {
		return answer{err: known(err, store.ErrRevoked)}
	}
	return answer{nil, t.Version, t.Device, !t.RevokedAt.IsZero(), 0}
}

func onCode(ctx context.Context, s store.Store, key string, in step) answer {
	c := store.Code{Kind: "code", Key: key, Data: []byte(in.value), Version: in.version}
	var err error
	switch in.op {
	case "create":
		return answer{err: known(s.CreateCode(ctx, c), store.ErrConsumed)}
	case "update":
		return answer{err: known(s.UpdateCode(ctx, c), store.ErrConsumed)}
	case "consume":
		c, err = s.ConsumeCode(ctx, "code", key, now)
		if errors.Is(err, store.ErrConsumed) {
			return answer{store.ErrConsumed, c.Version, string(c.Data), true, 0}
		}
	default:
		c, err = s.Code(ctx, "code", key)
	}
	if err != nil {
		return answer{err: known(err, store.ErrConsumed)}
	}
	return answer{nil, c.Version, string(c.Data), !c.ConsumedAt.IsZero(), 0}
}

const (
	histories     = 25
	clientsOfOne  = 8
	stepsOfClient = 10
)

// record lets some clients, half of them on each handle, loose on one record and
// returns what they saw.
func record(ctx context.Context, handles [2]store.Store, key, end string, do func(context.Context, store.Store, string, step) answer) []porcupine.Operation {
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range clientsOfOne {
		wg.Go(func() {
			version := int64(1)
			for i := range stepsOfClient {
				in := step{op: "update", version: version, value: fmt.Sprintf("%d-%d", client, i)}
				switch p := rand.IntN(20); {
				case i == 0:
					in.op, in.version = "create", 0
				case p < 8:
					in = step{op: "read"}
				case p == 19:
					in = step{op: end}
				}
				call := time.Since(start).Nanoseconds()
				out := do(ctx, handles[client%2], key, in)
				returned := time.Since(start).Nanoseconds()
				switch {
				case out.err == errUnknown:
					returned = math.MaxInt64
				case in.op == "read" && out.err == nil:
					version = out.version
				case in.op == "update" && out.err == nil:
					version++
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: returned})
				mu.Unlock()
				if out.err == errUnknown {
					client += clientsOfOne // its last call never returns: it goes on as another
				}
			}
		})
	}
	wg.Wait()
	return history
}

func checkHistories(t *testing.T, a, b store.Store) {
	t.Helper()
	ended, unknown := 0, 0
	for i := range histories {
		for _, c := range []struct {
			end string
			do  func(context.Context, store.Store, string, step) answer
		}{{"revoke", onToken}, {"consume", onCode}} {
			history := record(t.Context(), [2]store.Store{a, b}, fmt.Sprintf("%s-%d", c.end, i), c.end, c.do)
			result := porcupine.CheckOperationsTimeout(recordModel(), history, time.Minute)
			require.Equal(t, porcupine.Ok, result, "%v", history)
			for _, op := range history {
				if op.Output.(answer).err == errEnded {
					ended++
				}
				if op.Output.(answer).err == errUnknown {
					unknown++
				}
			}
		}
	}
	require.NotZero(t, ended, "no update met a revoked or consumed record: the histories say little")
	t.Logf("%d histories of %d calls: linearizable; %d calls without an answer", 2*histories, clientsOfOne*stepsOfClient, unknown)
}

func TestHistoriesAreLinearizable(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		s := store.NewMemory()
		checkHistories(t, s, s)
	})
	kinds := append(dbtest.All, with(dbtest.Postgres, "serializable", "default_transaction_isolation=serializable"))
	dbtest.Each(t, kinds, func(t *testing.T, k dbtest.Kind) {
		a, b := k.Open(t).Pair(t)
		checkHistories(t, a, b)
	})
}

// TestHistoriesAreLinearizableWhileConnectionsBreak ends the server's side of
// connections at random: calls fail, at any point of their way.
func TestHistoriesAreLinearizableWhileConnectionsBreak(t *testing.T) {
	require.NoError(t, mysql.SetLogger(log.New(io.Discard, "", 0))) // which would tell of each
	for _, c := range []struct {
		kind       dbtest.Kind
		list, kill string
	}{
		{with(dbtest.Postgres, "killed", "application_name=victims"), "SELECT pid FROM pg_stat_activity WHERE application_name = 'victims' AND pid <> pg_backend_pid()", "SELECT pg_terminate_backend(%d)"},
		{dbtest.MySQL, "SELECT DISTINCT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND (info LIKE '%%%sco%%' OR info LIKE '%%%stok%%')", "KILL %d"},
	} {
		t.Run(c.kind.Name, func(t *testing.T) {
			d := c.kind.Open(t)
			a, b := d.Pair(t)
			killer := dbtest.Kind{Name: "killer", Dialect: c.kind.Dialect, Driver: c.kind.Driver, DSN: func(t testing.TB) string { return d.Address }}.Bare(t).DB
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			killed := 0
			list := c.list
			if c.kind.Name == "mysql" {
				list = fmt.Sprintf(c.list, d.Options.Prefix, d.Options.Prefix)
			}
			wg.Go(func() {
				for ctx.Err() == nil {
					var id int64
					if killer.QueryRowContext(ctx, list+" ORDER BY 1 LIMIT 1").Scan(&id) == nil {
						killer.ExecContext(ctx, fmt.Sprintf(c.kill, id))
						killed++
					}
					select {
					case <-ctx.Done():
					case <-time.After(rand.N(40 * time.Millisecond)):
					}
				}
			})
			checkHistories(t, a, b)
			cancel()
			wg.Wait()
			require.NotZero(t, killed)
			t.Logf("%d connections killed", killed)
		})
	}
}

// TestABrokenHistoryIsSeen is what makes the tests above worth something.
func TestABrokenHistoryIsSeen(t *testing.T) {
	ops := func(list ...porcupine.Operation) []porcupine.Operation {
		for i := range list {
			list[i].ClientId, list[i].Call, list[i].Return = i, int64(10*i), int64(10*i+5)
		}
		return list
	}
	create := porcupine.Operation{Input: step{op: "create"}, Output: answer{}}
	revoke := porcupine.Operation{Input: step{op: "revoke"}, Output: answer{count: 1}}
	update := porcupine.Operation{Input: step{op: "update", version: 1}, Output: answer{}}
	consume := porcupine.Operation{Input: step{op: "consume"}, Output: answer{version: 2, ended: true}}
	stale := porcupine.Operation{Input: step{op: "read"}, Output: answer{version: 1}}
	for name, history := range map[string][]porcupine.Operation{
		"an update after a revocation":   ops(create, revoke, porcupine.Operation{Input: step{op: "update", version: 2}, Output: answer{}}),
		"two updates of one version":     ops(create, update, update),
		"a code that is consumed twice":  ops(create, consume, consume),
		"a read that is behind":          ops(create, revoke, stale),
		"a record that is created twice": ops(create, create),
	} {
		require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(recordModel(), history, time.Minute), name)
	}
}
