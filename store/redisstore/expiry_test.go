package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

const week = 7 * 24 * time.Hour

// dropsAt is when Redis drops a record by itself; zero: never.
func dropsAt(t *testing.T, client *redis.Client, key string) time.Time {
	t.Helper()
	ms, err := client.PExpireTime(t.Context(), key).Result()
	require.NoError(t, err)
	require.NotEqual(t, time.Duration(-2), ms, "no such key")
	if ms < 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms.Milliseconds())
}

func TestRedisDropsARecordAWeekAfterItsPurgeAtAndNoSooner(t *testing.T) {
	s, client, pre := fresh(t, 1)
	ctx := t.Context()
	now, err := client.Time(ctx).Result()
	require.NoError(t, err)
	future := now.Add(time.Hour).UTC().Truncate(time.Millisecond)
	key := pre + "{0}:token:t"

	tok := token("t", "c", "s")
	tok.PurgeAt = future
	require.NoError(t, s.CreateToken(ctx, tok))
	assert.WithinDuration(t, future.Add(week), dropsAt(t, client, key), 0)

	tok.Version, tok.PurgeAt = 1, future.Add(time.Hour)
	require.NoError(t, s.UpdateToken(ctx, tok))
	assert.WithinDuration(t, future.Add(week+time.Hour), dropsAt(t, client, key), 0, "put off")

	tok.Version, tok.PurgeAt = 2, time.Time{}
	require.NoError(t, s.UpdateToken(ctx, tok))
	assert.True(t, dropsAt(t, client, key).IsZero(), "never")

	tok.Version, tok.PurgeAt = 3, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, s.UpdateToken(ctx, tok))
	assert.True(t, dropsAt(t, client, key).IsZero(), "too far away")

	for _, past := range []time.Time{time.UnixMicro(1).UTC(), time.Date(1903, 1, 1, 0, 0, 0, 0, time.UTC), now.Add(-time.Hour)} {
		_, err = s.RevokeTokens(ctx, store.TokenQuery{ID: "t"}, epoch, past)
		require.NoError(t, err)
		assert.WithinDuration(t, now.Add(week), dropsAt(t, client, key), time.Minute, "a past PurgeAt leaves a week from now")
		require.NoError(t, client.HSet(ctx, key, "r", "").Err())
	}

	require.NoError(t, s.CreateCode(ctx, store.Code{Kind: "k", Key: "never"}))
	assert.True(t, dropsAt(t, client, pre+"{0}:code:1:k:never").IsZero())
}

// drop does to a record what Redis does to it at the end.
func drop(t *testing.T, client *redis.Client, key string) {
	t.Helper()
	require.NoError(t, client.PExpireAt(t.Context(), key, time.UnixMilli(1)).Err())
	require.Zero(t, client.Exists(t.Context(), key).Val())
}

func TestIndexesOfDroppedRecordsAreHarmlessAndGoAway(t *testing.T) {
	setUp := func(t *testing.T) (store.Store, *redis.Client, string) {
		s, client, pre := fresh(t, 1)
		ctx := t.Context()
		for _, id := range ids(10) {
			require.NoError(t, s.CreateToken(ctx, token(id, "c", "s")))
			require.NoError(t, s.CreateCode(ctx, code("k", id)))
			require.NoError(t, s.CreateClient(ctx, store.Client{ID: id, PurgeAt: epoch}))
			drop(t, client, pre+"{0}:token:"+id)
			drop(t, client, pre+"{0}:code:1:k:"+id)
			drop(t, client, pre+"{0}:client:"+id)
		}
		live := token("live", "c", "s")
		live.PurgeAt = epoch.AddDate(1, 0, 0)
		require.NoError(t, s.CreateToken(ctx, live))
		return s, client, pre
	}
	size := func(t *testing.T, client *redis.Client, index string) int64 {
		n, err := client.ZCard(t.Context(), index).Result()
		require.NoError(t, err)
		return n
	}

	t.Run("lists and revocations do not see them", func(t *testing.T) {
		s, _, _ := setUp(t)
		for _, limit := range []int{1, 100} {
			list, err := s.ListTokens(t.Context(), store.TokenQuery{Subject: "s"}, "", limit)
			require.NoError(t, err)
			require.Len(t, list, 1)
			assert.Equal(t, "live", list[0].ID)
			clients, err := s.ListClients(t.Context(), "", limit)
			require.NoError(t, err)
			assert.Empty(t, clients)
		}
		n, err := s.RevokeTokens(t.Context(), store.TokenQuery{ClientID: "c"}, epoch, epoch)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
	t.Run("DeleteExpired removes them and does not count them", func(t *testing.T) {
		s, client, pre := setUp(t)
		require.NoError(t, s.CreateCode(t.Context(), code("k", "due")))
		n, err := s.DeleteExpired(t.Context(), epoch.AddDate(0, 1, 0), 1)
		require.NoError(t, err)
		assert.Equal(t, store.Deleted{Codes: 1}, n)
		assert.EqualValues(t, 1, size(t, client, pre+"{0}:subject:s"))
		assert.EqualValues(t, 1, size(t, client, pre+"{0}:app:c"))
		assert.EqualValues(t, 0, size(t, client, pre+"{0}:clients"))
		n, err = s.DeleteExpired(t.Context(), epoch.AddDate(0, 1, 0), 1)
		require.NoError(t, err)
		assert.Zero(t, n)
		assert.EqualValues(t, 1, size(t, client, pre+"{0}:purge"))
	})
	t.Run("creating removes more of them than it adds", func(t *testing.T) {
		s, client, pre := setUp(t)
		before := size(t, client, pre+"{0}:purge")
		for _, id := range ids(40) {
			c := code("k", id)
			c.PurgeAt = epoch.AddDate(1, 0, 0)
			require.NoError(t, s.CreateCode(t.Context(), c))
			drop(t, client, pre+"{0}:code:1:k:"+id)
		}
		assert.Less(t, size(t, client, pre+"{0}:purge"), before+40-20)
		assert.EqualValues(t, 1, size(t, client, pre+"{0}:subject:s"))
		assert.EqualValues(t, 1, size(t, client, pre+"{0}:app:c"))
		assert.EqualValues(t, 0, size(t, client, pre+"{0}:clients"))
	})
	t.Run("a record created again is not taken for the dropped one", func(t *testing.T) {
		s, client, pre := setUp(t)
		id := ids(1)[0]
		again := token(id, "other", "someone")
		again.PurgeAt = epoch.AddDate(1, 0, 0)
		require.NoError(t, s.CreateToken(t.Context(), again))
		again.Version = 1
		list, err := s.ListTokens(t.Context(), store.TokenQuery{Subject: "s"}, "", 100)
		require.NoError(t, err)
		assert.Len(t, list, 1)
		n, err := s.RevokeTokens(t.Context(), store.TokenQuery{Subject: "s"}, epoch, epoch)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		_, err = s.DeleteExpired(t.Context(), epoch.AddDate(0, 1, 0), 100)
		require.NoError(t, err)
		got, err := s.Token(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, again, got)
		list, err = s.ListTokens(t.Context(), store.TokenQuery{Subject: "someone"}, "", 100)
		require.NoError(t, err)
		assert.Len(t, list, 1)
		assert.EqualValues(t, 1, size(t, client, pre+"{0}:purge"), "the record's own entry")
	})
}
