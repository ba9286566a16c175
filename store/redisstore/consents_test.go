package redisstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// A consent is a hash with the scopes among its fields: none may pass for one
// of the others.
func TestScopesAreNotTakenForOtherFields(t *testing.T) {
	s, _, _ := fresh(t, 1)
	ctx := t.Context()
	c := store.Consent{
		Subject: "s", ClientID: "c", ClientHash: store.Hash{7}, GrantedAt: epoch, UpdatedAt: epoch,
		Scopes: []string{"", "g", "h", "r:", "s:", "u"}, Resources: []string{"", "g", "h", "r:x", "s:", "u"},
	}
	require.NoError(t, s.GrantConsent(ctx, c))
	got, err := s.Consent(ctx, "s", "c")
	require.NoError(t, err)
	require.Equal(t, c, got)

	// Of another client than the user saw, nothing of the old is left.
	c.ClientHash, c.Scopes, c.Resources = store.Hash{8}, []string{"h", "x"}, nil
	require.NoError(t, s.GrantConsent(ctx, c))
	got, err = s.Consent(ctx, "s", "c")
	require.NoError(t, err)
	require.Equal(t, c, got)
}

func TestGrantsDoNotAddUpToMoreThanARecordMayHave(t *testing.T) {
	s, _, _ := fresh(t, 1)
	ctx := t.Context()
	room := store.MaxRecord - len("s") - len("c")
	half := func(letter string) store.Consent {
		return store.Consent{Subject: "s", ClientID: "c", Scopes: []string{strings.Repeat(letter, room/2)}}
	}
	require.NoError(t, s.GrantConsent(ctx, half("a")))
	require.NoError(t, s.GrantConsent(ctx, half("b")), "just as much as may be")
	require.NoError(t, s.GrantConsent(ctx, half("b")), "nothing new")
	before, err := s.Consent(ctx, "s", "c")
	require.NoError(t, err)
	require.ErrorIs(t, s.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"c"}, UpdatedAt: epoch}), store.ErrInvalid)
	after, err := s.Consent(ctx, "s", "c")
	require.NoError(t, err)
	assert.Equal(t, before, after)

	other := half("c")
	other.ClientHash = store.Hash{1}
	require.NoError(t, s.GrantConsent(ctx, other), "in place of the others")
}

func TestConsentOfVeryManyScopes(t *testing.T) {
	s, _, _ := fresh(t, 1)
	c := store.Consent{Subject: "s", ClientID: "c"}
	for i := range 40_000 {
		c.Scopes = append(c.Scopes, fmt.Sprintf("%05d", i))
	}
	require.NoError(t, s.GrantConsent(t.Context(), c))
	got, err := s.Consent(t.Context(), "s", "c")
	require.NoError(t, err)
	assert.Equal(t, c.Scopes, got.Scopes)
}

func TestConsentsOfManyClientsAndUsers(t *testing.T) {
	for _, partitions := range []int{1, 16} {
		s, client, pre := fresh(t, partitions)
		ctx := t.Context()
		for _, id := range ids(1500) {
			require.NoError(t, s.GrantConsent(ctx, store.Consent{Subject: "many", ClientID: id}))
			require.NoError(t, s.GrantConsent(ctx, store.Consent{Subject: id, ClientID: "popular"}))
		}
		page, err := s.ListConsents(ctx, "many", "id-000009", 1000)
		require.NoError(t, err)
		require.Len(t, page, 1000)
		assert.Equal(t, "id-000010", page[0].ClientID)
		assert.Equal(t, "id-001009", page[999].ClientID)
		n, err := s.RevokeConsents(ctx, store.ConsentQuery{Subject: "many"})
		require.NoError(t, err)
		assert.Equal(t, 1500, n)
		n, err = s.RevokeConsents(ctx, store.ConsentQuery{ClientID: "popular"})
		require.NoError(t, err)
		assert.Equal(t, 1500, n)
		assert.Equal(t, []string{pre + "layout"}, keysOf(t, client, pre), "nothing else is left")
	}
}
