package redisstore_test

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// hostile are IDs that try to be something else than an ID.
var hostile = []string{
	"}", "{", "{}", "{0}", "}{1}", "a}b{c", "test:{63}:token:x", ":", "1:", "1:a:b", "0::", "*", "?[a-z]*",
	"\n", "\r\n", " ", "\t", "'", `"`, `\`, "\x01", "\x7f", "-", "+", "(a", "[a", "~", "%s%n", "${x}", "]]", "--",
	"é", "e\u0301", "\U0001F4F1", "\u2028", "\ufeff", "a", "A", "1e+15", "nil", "false", "9007199254740993",
	strings.Repeat("{", 255), strings.Repeat("\U0001F4F1", 63),
}

func TestHostileIDsAreOnlyIDs(t *testing.T) { hostileIDs(t, shared(t), 64) }

func hostileIDs(t *testing.T, client redis.UniversalClient, partitions int) {
	pre := prefix(t, client)
	s := open(t, client, pre, partitions)
	ctx := t.Context()
	for _, id := range hostile {
		require.NoError(t, s.CreateClient(ctx, store.Client{ID: id, Name: id, PurgeAt: epoch}), "%q", id)
		require.NoError(t, s.CreateToken(ctx, token(id, id, id)), "%q", id)
		require.NoError(t, s.CreateCode(ctx, code(id, id)), "%q", id)
		require.NoError(t, s.GrantConsent(ctx, store.Consent{Subject: id, ClientID: id, Scopes: []string{id, "h", "g", "u"}, Resources: []string{id}, GrantedAt: epoch, UpdatedAt: epoch}), "%q", id)
	}
	for _, id := range hostile {
		c, err := s.Client(ctx, id)
		require.NoError(t, err)
		assert.Equal(t, store.Client{ID: id, Name: id, PurgeAt: epoch, Version: 1}, c)
		list, err := s.ListTokens(ctx, store.TokenQuery{Subject: id}, "", 10)
		require.NoError(t, err)
		want := token(id, id, id)
		want.Version = 1
		assert.Equal(t, []store.Token{want}, list)
		list, err = s.ListTokens(ctx, store.TokenQuery{ClientID: id}, "", 10)
		require.NoError(t, err)
		assert.Equal(t, []store.Token{want}, list)
		got, err := s.ConsumeCode(ctx, id, id, epoch)
		require.NoError(t, err)
		assert.Equal(t, code(id, id).Data, got.Data)
		consents, err := s.ListConsents(ctx, id, "", 10)
		require.NoError(t, err)
		require.Len(t, consents, 1)
		assert.Equal(t, []string{id}, consents[0].Resources)
		assert.Contains(t, consents[0].Scopes, id)
		n, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: id, ClientID: id}, epoch, epoch)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	}
	page, err := s.ListClients(ctx, "", store.MaxPage)
	require.NoError(t, err)
	assert.Len(t, page, len(hostile))
	for _, id := range hostile {
		n, err := s.RevokeConsents(ctx, store.ConsentQuery{ClientID: id})
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	}
	n, err := s.DeleteExpired(ctx, epoch.AddDate(1, 0, 0), 1000)
	require.NoError(t, err)
	assert.Equal(t, store.Deleted{Clients: len(hostile), Codes: len(hostile), Tokens: len(hostile)}, n)
	assert.Equal(t, []string{pre + "layout"}, keysOf(t, client, pre), "nothing else is left")
}

func TestPartsOfAKeyDoNotMix(t *testing.T) {
	s, _, _ := fresh(t, 1)
	ctx := t.Context()
	pairs := [][2]string{{"a", "b:c"}, {"a:b", "c"}, {"1:a", "b"}, {"a", "1:b"}, {"a:", "b"}, {"a", ":b"}, {"1", "1:1:1"}, {"1:1", "1:1"}}
	for _, p := range pairs {
		require.NoError(t, s.CreateCode(ctx, code(p[0], p[1])), "%q", p)
		require.NoError(t, s.GrantConsent(ctx, store.Consent{Subject: p[0], ClientID: p[1], Scopes: []string{p[0] + "|" + p[1]}}))
		require.NoError(t, s.CreateToken(ctx, token(p[0]+"|"+p[1], p[1], p[0])))
	}
	for _, p := range pairs {
		c, err := s.Consent(ctx, p[0], p[1])
		require.NoError(t, err)
		assert.Equal(t, []string{p[0] + "|" + p[1]}, c.Scopes)
		list, err := s.ListTokens(ctx, store.TokenQuery{Subject: p[0], ClientID: p[1]}, "", 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, p[0]+"|"+p[1], list[0].ID)
	}
}

// Lua has one type of number, a double: what passes 2^53 must not go through it.
func TestNumbersThatADoubleCannotHold(t *testing.T) {
	s, client, pre := fresh(t, 1)
	ctx := t.Context()
	const big = int64(1)<<53 + 1
	far := time.UnixMicro(big).UTC() // in the year 2255
	tok := token("t", "c", "s")
	tok.ExpiresAt, tok.PurgeAt, tok.CreatedAt = far, far, time.UnixMicro(math.MaxInt64).UTC()
	require.NoError(t, s.CreateToken(ctx, tok))
	require.NoError(t, client.HSet(ctx, pre+"{0}:token:t", "v", big).Err())
	tok.Version = big
	got, err := s.Token(ctx, "t")
	require.NoError(t, err)
	require.Equal(t, tok, got)

	for _, other := range []int64{big - 1, big + 1} {
		tok.Version = other
		require.ErrorIs(t, s.UpdateToken(ctx, tok), store.ErrConflict)
	}
	tok.Version = big
	require.NoError(t, s.UpdateToken(ctx, tok))
	list, err := s.ListTokens(ctx, store.TokenQuery{Subject: "s"}, "", 1)
	require.NoError(t, err)
	require.Equal(t, big+1, list[0].Version)

	c := code("k", "x")
	c.ExpiresAt, c.PurgeAt = far, far
	require.NoError(t, s.CreateCode(ctx, c))
	require.NoError(t, client.HSet(ctx, pre+"{0}:code:1:k:x", "v", big).Err())
	used, err := s.ConsumeCode(ctx, "k", "x", far)
	require.NoError(t, err)
	c.ConsumedAt, c.Version = far, big+1
	require.Equal(t, c, used)

	n, err := s.DeleteExpired(ctx, far.Add(-time.Microsecond), 10)
	require.NoError(t, err)
	require.Zero(t, n, "a microsecond early")
	n, err = s.DeleteExpired(ctx, far, 10)
	require.NoError(t, err)
	require.Equal(t, store.Deleted{Codes: 1, Tokens: 1}, n)
}

// What is not a record of this package is an outage and never "there is none".
func TestRecordThatCannotBeReadIsAnOutage(t *testing.T) {
	s, client, pre := fresh(t, 1)
	ctx := t.Context()
	require.NoError(t, s.CreateToken(ctx, token("field", "c", "s")))
	require.NoError(t, client.HDel(ctx, pre+"{0}:token:field", "r").Err())
	require.NoError(t, s.CreateToken(ctx, token("document", "c", "s")))
	require.NoError(t, client.HSet(ctx, pre+"{0}:token:document", "d", "{").Err())
	require.NoError(t, s.CreateToken(ctx, token("hash", "c", "s")))
	require.NoError(t, client.HSet(ctx, pre+"{0}:token:hash", "d", `{"secret":"AAAA"}`).Err())
	require.NoError(t, s.CreateToken(ctx, token("time", "c", "s")))
	require.NoError(t, client.HSet(ctx, pre+"{0}:token:time", "p", "x").Err())
	require.NoError(t, client.Set(ctx, pre+"{0}:token:type", "x", 0).Err())
	for _, id := range []string{"field", "document", "hash", "time", "type"} {
		_, err := s.Token(ctx, id)
		require.Error(t, err, id)
		assert.False(t, isAnswer(err), "%s: %v", id, err)
	}
	_, err := s.ListTokens(ctx, store.TokenQuery{Subject: "s"}, "", 10)
	require.Error(t, err)
	assert.False(t, isAnswer(err), "%v", err)
	err = s.CreateToken(ctx, token("type", "c", "s"))
	require.ErrorIs(t, err, store.ErrExists)
}

func TestListsOfManyRecordsAreCompleteAndInOrder(t *testing.T) {
	for _, partitions := range []int{1, 7, 64} {
		s, _, _ := fresh(t, partitions)
		ctx := t.Context()
		want := ids(1300) // more than a page holds
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := worker; i < len(want); i += 8 {
					assert.NoError(t, s.CreateToken(ctx, token(want[i], []string{"c0", "c1", "c2"}[i%3], "s")))
				}
			})
		}
		wg.Wait()
		for _, q := range []struct {
			q    store.TokenQuery
			want int
		}{{store.TokenQuery{Subject: "s"}, 1300}, {store.TokenQuery{Subject: "s", ClientID: "c1"}, 433}, {store.TokenQuery{ClientID: "c0"}, 434}} {
			for _, limit := range []int{1000, 97} {
				assert.Len(t, tokenIDs(t, s, q.q, limit), q.want, "%v by %d in %d partitions", q.q, limit, partitions)
			}
		}
		assert.Equal(t, want, tokenIDs(t, s, store.TokenQuery{Subject: "s"}, 1000))
		n, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: "s", ClientID: "c1"}, epoch, epoch)
		require.NoError(t, err)
		assert.Equal(t, 433, n)
		n, err = s.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, epoch, epoch)
		require.NoError(t, err)
		assert.Equal(t, 1300-433, n)
	}
}

// tokenIDs pages through a list and returns the IDs, which must ascend.
func tokenIDs(t *testing.T, s *redisstore.Store, q store.TokenQuery, limit int) []string {
	t.Helper()
	var all []string
	after := ""
	for {
		page, err := s.ListTokens(t.Context(), q, after, limit)
		require.NoError(t, err)
		for _, tok := range page {
			require.Greater(t, tok.ID, after)
			after = tok.ID
			all = append(all, after)
		}
		if len(page) < limit {
			return all
		}
	}
}

// A script stops reading after a megabyte; the page has all records the same.
func TestListOfLargeRecordsIsComplete(t *testing.T) {
	for _, partitions := range []int{1, 7} {
		s, _, _ := fresh(t, partitions)
		ctx := t.Context()
		want := ids(40)
		for _, id := range want {
			tok := token(id, "c", "s")
			tok.Data = make([]byte, 150_000)
			require.NoError(t, s.CreateToken(ctx, tok))
			require.NoError(t, s.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: id, Scopes: []string{strings.Repeat("x", 150_000)}}))
		}
		assert.Equal(t, want, tokenIDs(t, s, store.TokenQuery{Subject: "s"}, 1000))
		consents, err := s.ListConsents(ctx, "s", "", 1000)
		require.NoError(t, err)
		assert.Len(t, consents, 40)
	}
}
