package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/storetest"
)

func TestMemoryKeepsThePromises(t *testing.T) {
	storetest.Run(t, func(*testing.T) (a, b store.Store) {
		m := store.NewMemory()
		return m, m
	})
}

// What each of many goroutines created one after the other is revoked up to
// some record and not after it: nothing is revoked that was created after
// something that is not.
func TestRevocationIsOneMoment(t *testing.T) {
	ctx := t.Context()
	for round := range 6 {
		m := store.NewMemory()
		for i := range 1000 { // so that the revocation takes a while
			require.NoError(t, m.CreateToken(ctx, store.Token{ID: fmt.Sprint("old", i), ClientID: "c", Subject: "s"}))
		}
		const creators = 4
		var created [creators]int
		var revoked atomic.Bool
		var wg sync.WaitGroup
		for g := range creators {
			wg.Go(func() {
				for late := false; !late; created[g]++ {
					late = revoked.Load()
					assert.NoError(t, m.CreateToken(ctx, store.Token{ID: fmt.Sprint(g, "/", created[g]), ClientID: "c", Subject: "s"}))
				}
			})
		}
		wg.Go(func() {
			q := []store.TokenQuery{{ClientID: "c"}, {Subject: "s", ClientID: "c"}}[round%2]
			n, err := m.RevokeTokens(ctx, q, start, start)
			assert.NoError(t, err)
			assert.GreaterOrEqual(t, n, 1000)
			revoked.Store(true)
		})
		wg.Wait()
		for g := range creators {
			valid := false
			for i := range created[g] {
				got, err := m.Token(ctx, fmt.Sprint(g, "/", i))
				require.NoError(t, err)
				require.False(t, valid && !got.RevokedAt.IsZero(), "revoked, but created after one that is not")
				valid = valid || got.RevokedAt.IsZero()
			}
			require.True(t, valid, "the last was created after the revocation")
		}
		m.CheckIndexes(t)
	}
}

// A page of one client is found among a subject's records of another, however
// many these are.
func TestListTokensOfAFewAmongMany(t *testing.T) {
	m := store.NewMemory()
	var want []string
	for i := range 3 * store.MaxPage {
		token := store.Token{ID: fmt.Sprintf("%05d", i), Subject: "s", ClientID: "many"}
		if i%500 == 7 {
			token.ClientID = "few"
			want = append(want, token.ID)
		}
		require.NoError(t, m.CreateToken(t.Context(), token))
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		list, err := m.ListTokens(t.Context(), store.TokenQuery{Subject: "s", ClientID: "few"}, after, 4)
		require.NoError(t, err)
		if len(list) == 0 {
			break
		}
		for _, token := range list {
			got = append(got, token.ID)
		}
	}
	require.Equal(t, want, got)
}

// ending is a context that ends when it has been asked some times.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestDeleteExpiredStopsWhenTheContextEnds(t *testing.T) {
	const n = 1000
	for asked := range 200 {
		m := store.NewMemoryOf(2)
		for i := range n {
			require.NoError(t, m.CreateToken(t.Context(), store.Token{ID: fmt.Sprint(i), ClientID: "c", PurgeAt: start}))
		}
		d, err := m.DeleteExpired(&ending{t.Context(), asked}, start, n)
		if err == nil {
			require.Equal(t, n, d.Tokens)
			require.Greater(t, asked, 8, "it asks in every step")
			return
		}
		require.ErrorIs(t, err, context.Canceled)
		rest, err := m.DeleteExpired(t.Context(), start, n)
		require.NoError(t, err)
		require.Equal(t, n, d.Tokens+rest.Tokens, "it says what it deleted before")
	}
	t.Error("it never ends")
}

// Everything at once leaves the indexes in order.
func TestMemoryUnderLoad(t *testing.T) {
	m := store.NewMemoryOf(3)
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 2))
			ctx := context.Background()
			for range 3000 {
				token := authorization(r.IntN(200))
				token.Version = int64(1 + r.IntN(3))
				token.PurgeAt = start.Add(time.Duration(r.IntN(4)) * time.Hour)
				token.Data = make([]byte, r.IntN(1500))
				consent := store.Consent{Subject: token.Subject, ClientID: token.ClientID, Scopes: token.Scopes}
				switch r.IntN(10) {
				case 0, 1, 2:
					_ = m.CreateToken(ctx, token)
				case 3, 4:
					_ = m.UpdateToken(ctx, token)
				case 5:
					_, _ = m.RevokeTokens(ctx, []store.TokenQuery{{Subject: token.Subject}, {ClientID: token.ClientID}, {ID: token.ID}}[r.IntN(3)], start, token.PurgeAt)
				case 6:
					_, _ = m.DeleteExpired(ctx, token.PurgeAt, 5)
				case 7:
					_ = m.GrantConsent(ctx, consent)
				case 8:
					_, _ = m.RevokeConsents(ctx, []store.ConsentQuery{{Subject: token.Subject}, {ClientID: token.ClientID}}[r.IntN(2)])
				default:
					_, err := m.ListTokens(ctx, store.TokenQuery{ClientID: token.ClientID}, "", 10)
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	m.CheckIndexes(t)
}

func ExampleNewMemory() {
	ctx := context.Background()
	var s store.Store = store.NewMemory()

	code := store.Code{Kind: "invitation", Key: "digest of what was sent", Data: []byte("for Ada")}
	fmt.Println(s.CreateCode(ctx, code))

	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	used, err := s.ConsumeCode(ctx, "invitation", "digest of what was sent", now)
	fmt.Println(string(used.Data), err)
	_, err = s.ConsumeCode(ctx, "invitation", "digest of what was sent", now)
	fmt.Println(err)
	// Output:
	// <nil>
	// for Ada <nil>
	// store: the code was used before
}
