package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

var _ store.Store = (*model)(nil)

// chooser makes the decisions of a random test from a list of bytes, so that a
// fuzzer can look for lists that lead somewhere new.
type chooser struct {
	bytes []byte
	keys  int // how many different keys it chooses from
}

func (c *chooser) more() bool { return len(c.bytes) > 0 }

// below returns a number from 0 to n-1.
func (c *chooser) below(n int) int {
	if len(c.bytes) == 0 {
		return 0
	}
	b := int(c.bytes[0])
	c.bytes = c.bytes[1:]
	if n > 256 {
		return (b<<8 | c.below(256)) % n
	}
	return b % n
}

func (c *chooser) time() time.Time {
	if n := c.below(12); n > 0 {
		return start.Add(time.Duration(n) * time.Second)
	}
	return time.Time{}
}

// key returns one of a few keys, and now and then none.
func (c *chooser) key(prefix string) string {
	n := c.below(c.keys + 1)
	if n == c.keys {
		return ""
	}
	return prefix + strings.Repeat("k", n%3*40) + fmt.Sprint(n)
}

// blob returns bytes that put records into all sorts of places.
func (c *chooser) blob() []byte {
	if n := c.below(256) * []int{0, 1, 1, 9}[c.below(4)]; n > 0 {
		return make([]byte, n)
	}
	return nil
}

func (c *chooser) texts() []string {
	var list []string
	for range c.below(4) {
		list = append(list, string(rune('a'+c.below(20))))
	}
	return list
}

func (c *chooser) token() store.Token {
	return store.Token{
		ID: c.key(""), Subject: []string{"", "s", "s1"}[c.below(3)], ClientID: "c" + fmt.Sprint(c.below(3)), Version: int64(c.below(4)),
		Scopes: c.texts(), RevokedAt: []time.Time{{}, {}, {}, start}[c.below(4)], PurgeAt: c.time(), Data: c.blob(),
	}
}

// A pair is a Memory and a model that are told the same.
type pair struct {
	memory *store.Memory
	model  *model
}

// both calls f for both and requires that they give the same answer.
func both[R any](tb testing.TB, p pair, what string, f func(s store.Store) (R, error)) {
	tb.Helper()
	got, gotErr := f(p.memory)
	want, wantErr := f(p.model)
	require.Equal(tb, fmt.Sprint(wantErr), fmt.Sprint(gotErr), what)
	if !reflect.DeepEqual(want, got) { // nil and empty are the same
		require.Equal(tb, fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got), what)
	}
}

type none struct{}

// act makes one call of some method.
func act(tb testing.TB, p pair, c *chooser) {
	tb.Helper()
	ctx := context.Background()
	switch c.below(16) {
	case 0, 1:
		t := c.token()
		both(tb, p, "CreateToken", func(s store.Store) (none, error) { return none{}, s.CreateToken(ctx, t) })
	case 2, 3:
		t := c.token()
		old, err := p.model.Token(ctx, t.ID)
		if err == nil && c.below(4) > 0 {
			t.Subject, t.ClientID, t.Version = old.Subject, old.ClientID, old.Version
		}
		both(tb, p, "UpdateToken", func(s store.Store) (none, error) { return none{}, s.UpdateToken(ctx, t) })
	case 4:
		q := store.TokenQuery{ID: c.key(""), Subject: []string{"", "s"}[c.below(2)], ClientID: []string{"", "c0", "c1"}[c.below(3)]}
		if c.below(8) > 0 {
			q.ID = ""
		}
		purgeAt := c.time()
		both(tb, p, fmt.Sprintf("RevokeTokens %+v", q), func(s store.Store) (int, error) { return s.RevokeTokens(ctx, q, start, purgeAt) })
	case 5:
		q := store.TokenQuery{Subject: []string{"", "s"}[c.below(2)], ClientID: []string{"", "c0", "c1"}[c.below(3)]}
		after, limit := c.key(""), 1+c.below(20)
		both(tb, p, fmt.Sprintf("ListTokens %+v after %q", q, after), func(s store.Store) ([]store.Token, error) { return s.ListTokens(ctx, q, after, limit) })
	case 6:
		before, limit := c.time(), 1+c.below(4)
		all := 0 // which of several are deleted first is not said, so delete them all
		for _, s := range []store.Store{p.memory, p.model} {
			for sum := 0; ; {
				d, err := s.DeleteExpired(ctx, before, limit)
				require.NoError(tb, err)
				sum += d.Total()
				if d.Total() < limit {
					require.True(tb, s == store.Store(p.memory) || sum == all, "DeleteExpired deleted %d, want %d", all, sum)
					all = sum
					break
				}
			}
		}
	case 7:
		id := c.key("")
		both(tb, p, "Token", func(s store.Store) (store.Token, error) { return s.Token(ctx, id) })
	case 8, 9:
		actOnCode(tb, p, c)
	case 10, 11, 12:
		actOnConsent(tb, p, c)
	default:
		actOnClient(tb, p, c)
	}
}

func actOnCode(tb testing.TB, p pair, c *chooser) {
	tb.Helper()
	ctx := context.Background()
	code := store.Code{Kind: []string{"k", "l"}[c.below(2)], Key: c.key(""), Version: int64(c.below(4)), Data: c.blob(), PurgeAt: c.time(), ConsumedAt: c.time()}
	switch c.below(4) {
	case 0:
		both(tb, p, "CreateCode", func(s store.Store) (none, error) { return none{}, s.CreateCode(ctx, code) })
	case 1:
		both(tb, p, "UpdateCode", func(s store.Store) (none, error) { return none{}, s.UpdateCode(ctx, code) })
	case 2:
		both(tb, p, "ConsumeCode", func(s store.Store) (store.Code, error) {
			return s.ConsumeCode(ctx, code.Kind, code.Key, code.ConsumedAt)
		})
	default:
		both(tb, p, "Code", func(s store.Store) (store.Code, error) { return s.Code(ctx, code.Kind, code.Key) })
	}
}

func actOnConsent(tb testing.TB, p pair, c *chooser) {
	tb.Helper()
	ctx := context.Background()
	consent := store.Consent{Subject: "s" + fmt.Sprint(c.below(4)), ClientID: c.key("c"), Scopes: c.texts(), Resources: c.texts(), GrantedAt: c.time(), UpdatedAt: c.time()}
	consent.ClientHash[0] = byte(c.below(5) / 4)
	switch c.below(8) {
	case 0:
		q := store.ConsentQuery{Subject: []string{"", "s1"}[c.below(2)], ClientID: c.key("c")}
		if c.below(2) == 0 {
			q.ClientID = ""
		}
		both(tb, p, fmt.Sprintf("RevokeConsents %+v", q), func(s store.Store) (int, error) { return s.RevokeConsents(ctx, q) })
	case 1:
		both(tb, p, "ListConsents", func(s store.Store) ([]store.Consent, error) {
			return s.ListConsents(ctx, consent.Subject, consent.ClientID, 5)
		})
	case 2:
		both(tb, p, "Consent", func(s store.Store) (store.Consent, error) { return s.Consent(ctx, consent.Subject, consent.ClientID) })
	default:
		both(tb, p, "GrantConsent", func(s store.Store) (none, error) { return none{}, s.GrantConsent(ctx, consent) })
	}
}

func actOnClient(tb testing.TB, p pair, c *chooser) {
	tb.Helper()
	ctx := context.Background()
	client := store.Client{ID: c.key(""), Version: int64(c.below(4)), Scopes: c.texts(), Secrets: make([]store.Secret, c.below(3)), Data: c.blob(), PurgeAt: c.time()}
	switch c.below(5) {
	case 0, 1:
		both(tb, p, "CreateClient", func(s store.Store) (none, error) { return none{}, s.CreateClient(ctx, client) })
	case 2:
		both(tb, p, "UpdateClient", func(s store.Store) (none, error) { return none{}, s.UpdateClient(ctx, client) })
	case 3:
		both(tb, p, "DeleteClient", func(s store.Store) (none, error) { return none{}, s.DeleteClient(ctx, client.ID) })
	default:
		both(tb, p, "ListClients", func(s store.Store) ([]store.Client, error) {
			return s.ListClients(ctx, client.ID, 1+len(client.Data)%7)
		})
	}
}

// FuzzMemory calls the methods of a Memory and of a model in any order.
func FuzzMemory(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		seed := make([]byte, 600)
		for i := range seed {
			seed[i] = byte(r.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) == 0 {
			return
		}
		p, c := pair{store.NewMemoryOf(1 + int(choices[0])%3), newModel()}, &chooser{choices, 24}
		for c.more() {
			act(t, p, c)
		}
		p.memory.CheckIndexes(t)
	})
}

func TestMemoryAnswersLikeTheModel(t *testing.T) {
	for seed := range uint64(9) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := &chooser{make([]byte, 30_000), []int{10, 100, 3000}[seed%3]}
		for i := range c.bytes {
			c.bytes[i] = byte(r.Uint32())
		}
		p := pair{store.NewMemoryOf([]int{1, 2, 32}[seed/3%3]), newModel()}
		for c.more() {
			act(t, p, c)
		}
		p.memory.CheckIndexes(t)
	}
}
