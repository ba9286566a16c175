package redisstore_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// While a slot moves from one node to another, key by key, calls on its records
// may fail. None may be half done.
func slotsMove(t *testing.T, cluster *redis.ClusterClient) {
	pre := prefix(t, cluster)
	s := open(t, cluster, pre, 2)
	fill := ids(400)
	for _, id := range fill {
		require.NoError(t, s.CreateToken(t.Context(), token(id, "many", "many")))
	}

	var over atomic.Bool
	pause := func() { time.Sleep(20 * time.Millisecond) } // the nodes are other processes, on another clock
	result := make(chan *history)
	go func() {
		result <- load(t.Context(), []store.Store{s}, 4, func(int64) bool { return over.Load() }, pause)
	}()
	nodes := nodesOf(t, cluster)
	for i := range 24 {
		slot := int(nodes[0].ClusterKeySlot(t.Context(), []string{"{0}", "{1}"}[i%2]).Val())
		moveSlot(t, nodes, slot, i)
	}
	over.Store(true)
	h := <-result
	// A call that fails may have revoked some, which the next one does not count.
	require.Eventually(t, func() bool {
		_, err := s.RevokeTokens(t.Context(), store.TokenQuery{Subject: "many"}, epoch, epoch)
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	for _, id := range fill {
		record, err := s.Token(t.Context(), id)
		require.NoError(t, err)
		require.False(t, record.RevokedAt.IsZero(), "%s was missed", id)
	}
	finalReads(t, s, h)
	t.Logf("%d operations, %d of unknown outcome", len(h.ops), h.unknown())
	h.check(t)
	require.Equal(t, fill, tokenIDs(t, s, store.TokenQuery{ClientID: "many"}, 100))
	requireIndexed(t, s, h)
}

// halfMoved are calls while some keys have not arrived at the node that gets the
// slot, and all others have.
var halfMoved = []struct {
	name string
	stay string // the key that has not arrived
	call func(ctx context.Context, s store.Store) error
}{
	{"revoke a user's tokens", "token:t", func(ctx context.Context, s store.Store) error {
		_, err := s.RevokeTokens(ctx, store.TokenQuery{Subject: "s"}, epoch, epoch)
		return err
	}},
	{"list a user's tokens", "token:t", func(ctx context.Context, s store.Store) error {
		_, err := s.ListTokens(ctx, store.TokenQuery{Subject: "s"}, "", 10)
		return err
	}},
	{"delete expired records", "token:t", deleteDue},
	{"delete expired records before their index", "app:c", deleteDue},
	{"list clients", "client:c", func(ctx context.Context, s store.Store) error {
		_, err := s.ListClients(ctx, "", 10)
		return err
	}},
	{"list consents", "consent:1:s:c", func(ctx context.Context, s store.Store) error {
		_, err := s.ListConsents(ctx, "s", "", 10)
		return err
	}},
	{"revoke a user's consents", "consent:1:s:c", func(ctx context.Context, s store.Store) error {
		_, err := s.RevokeConsents(ctx, store.ConsentQuery{Subject: "s"})
		return err
	}},
	{"revoke a client's consents", "consent:1:s:c", revokeOfClient},
	{"revoke a client's consents before an index", "consents:s", revokeOfClient},
}

func deleteDue(ctx context.Context, s store.Store) error {
	_, err := s.DeleteExpired(ctx, epoch.AddDate(1, 0, 0), 10)
	return err
}

func revokeOfClient(ctx context.Context, s store.Store) error {
	_, err := s.RevokeConsents(ctx, store.ConsentQuery{ClientID: "c"})
	return err
}

// The node that gets a slot answers for keys that it does not have yet as if
// there were none. A revocation that believed it would leave tokens valid, and
// a cleanup that did would lose them.
func slotHalfMoved(t *testing.T, cluster *redis.ClusterClient) {
	ctx := t.Context()
	keys := []string{"token:t", "client:c", "consent:1:s:c", "purge", "app:c", "subject:s", "clients", "consents:s", "consenters:c"}
	nodes := nodesOf(t, cluster)
	slot := int(nodes[0].ClusterKeySlot(ctx, "{0}").Val())
	for i, tt := range halfMoved {
		t.Run(tt.name, func(t *testing.T) {
			pre := prefix(t, cluster)
			s := open(t, cluster, pre, 1)
			require.NoError(t, s.CreateToken(ctx, token("t", "c", "s")))
			require.NoError(t, s.CreateClient(ctx, store.Client{ID: "c", PurgeAt: epoch.AddDate(2, 0, 0)}))
			require.NoError(t, s.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"a"}}))
			move, finish := beginMove(t, nodes, slot, i)
			for _, key := range keys {
				if key != tt.stay {
					move(pre + "{0}:" + key)
				}
			}
			err := tt.call(ctx, s)
			require.Error(t, err)
			require.False(t, isAnswer(err), "%v", err)
			for move("") {
			}
			finish()
			require.Eventually(t, func() bool { return tt.call(ctx, s) == nil }, time.Minute, 10*time.Millisecond)
			requireNothingLost(t, s)
			require.Equal(t, []string{pre + "layout"}, keysOf(t, cluster, pre), "nothing else is left")
		})
	}
}

// requireNothingLost finds by their indexes what there is, and deletes it.
func requireNothingLost(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	_, err := s.RevokeTokens(ctx, store.TokenQuery{ClientID: "c"}, epoch, epoch)
	require.NoError(t, err)
	if tok, err := s.Token(ctx, "t"); err == nil {
		require.False(t, tok.RevokedAt.IsZero(), "it was in the index all the time")
	}
	_, err = s.RevokeConsents(ctx, store.ConsentQuery{Subject: "s"})
	require.NoError(t, err)
	_, err = s.DeleteExpired(ctx, epoch.AddDate(3, 0, 0), 10)
	require.NoError(t, err)
}

// moveSlot moves a slot to another node than the one that has it.
func moveSlot(t *testing.T, nodes []*redis.Client, slot, seed int) {
	t.Helper()
	move, finish := beginMove(t, nodes, slot, seed)
	for move("") {
	}
	finish()
}

// beginMove opens a slot for moving. The function move takes the key given to
// the other node, or some keys if it is empty, and reports whether there was
// anything to move; finish gives the slot to the other node.
func beginMove(t *testing.T, nodes []*redis.Client, slot, seed int) (move func(key string) bool, finish func()) {
	t.Helper()
	ctx := t.Context()
	source := owner(t, nodes, slot)
	var others []*redis.Client
	for _, n := range nodes {
		if n != source {
			others = append(others, n)
		}
	}
	target := others[seed%len(others)]
	from, to := nodeID(t, source), nodeID(t, target)
	require.NoError(t, target.Do(ctx, "cluster", "setslot", slot, "importing", from).Err())
	require.NoError(t, source.Do(ctx, "cluster", "setslot", slot, "migrating", to).Err())
	host, port, err := net.SplitHostPort(target.Options().Addr)
	require.NoError(t, err)
	move = func(key string) bool {
		keys := []string{key}
		if key == "" {
			keys, err = source.ClusterGetKeysInSlot(ctx, slot, 2).Result()
			require.NoError(t, err)
		}
		if len(keys) == 0 {
			return false
		}
		args := []any{"migrate", host, port, "", 0, 60000, "keys"}
		for _, key := range keys {
			args = append(args, key)
		}
		require.Equal(t, "OK", source.Do(ctx, args...).Val(), keys)
		return true
	}
	finish = func() {
		for _, n := range append([]*redis.Client{target, source}, others...) {
			require.NoError(t, n.Do(ctx, "cluster", "setslot", slot, "node", to).Err())
		}
		agreed(t, nodes, slot, target)
	}
	return move, finish
}

// agreed waits until all nodes have heard of the slot's new owner and of the
// epoch that it took it in. A slot that moves again before that can fall back to
// a node that has given it away, and Redis drops its keys.
func agreed(t *testing.T, nodes []*redis.Client, slot int, target *redis.Client) {
	t.Helper()
	id := nodeID(t, target)
	require.Eventually(t, func() bool {
		epochs := map[string]bool{}
		for _, n := range nodes {
			info, err := n.ClusterInfo(t.Context()).Result()
			if err != nil || ownerAs(t, n, slot) != id {
				return false
			}
			for line := range strings.Lines(info) {
				if epoch, ok := strings.CutPrefix(line, "cluster_current_epoch:"); ok {
					epochs[epoch] = true
				}
			}
		}
		return len(epochs) == 1
	}, time.Minute, 20*time.Millisecond)
}

func nodeID(t *testing.T, node *redis.Client) string {
	t.Helper()
	id, err := node.Do(t.Context(), "cluster", "myid").Text()
	require.NoError(t, err)
	return id
}

func owner(t *testing.T, nodes []*redis.Client, slot int) *redis.Client {
	t.Helper()
	for _, n := range nodes {
		if ownerAs(t, n, slot) == nodeID(t, n) {
			return n
		}
	}
	t.Fatalf("nobody has slot %d", slot)
	return nil
}

// ownerAs is the ID of the node that has the slot, as this one sees it.
func ownerAs(t *testing.T, node *redis.Client, slot int) string {
	t.Helper()
	shards, err := node.ClusterShards(context.Background()).Result()
	require.NoError(t, err)
	for _, shard := range shards {
		for _, r := range shard.Slots {
			if r.Start <= int64(slot) && int64(slot) <= r.End {
				return shard.Nodes[0].ID
			}
		}
	}
	return ""
}
