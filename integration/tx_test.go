package integration

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

func splitSQL(text string) (all []string) {
	for part := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(part) != "" {
			all = append(all, part)
		}
	}
	return all
}

func TestWithTxTakesEffectWithTheCommitAndNotBefore(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		ctx := t.Context()
		d.DB.SetMaxOpenConns(1) // a call in the transaction must not wait for a second connection
		for _, commit := range []bool{false, true} {
			tx, err := d.DB.BeginTx(ctx, nil)
			require.NoError(t, err)
			in := d.Store.WithTx(tx)
			for _, c := range calls(d.Dialect, "-tx") {
				if c.name != "DeleteClient" {
					require.ErrorIs(t, c.f(ctx, in), c.want, c.name)
				}
			}
			deleted, err := in.DeleteExpired(ctx, now, 2)
			require.NoError(t, err)
			require.Equal(t, 2, deleted.Total(), "the client and the code")
			if commit {
				require.NoError(t, tx.Commit())
			} else {
				require.NoError(t, tx.Rollback())
			}
			token, err := d.Store.Token(ctx, "t-tx")
			if commit {
				require.NoError(t, err)
				assert.False(t, token.RevokedAt.IsZero())
			} else {
				require.ErrorIs(t, err, store.ErrNotFound)
			}
		}
	})
}

// TestWithTxSeesPastAnOldSnapshot: a transaction that has read before must say
// why an update failed from what is there now, and must not merge a consent with
// one that was there once.
func TestWithTxSeesPastAnOldSnapshot(t *testing.T) {
	for _, k := range []dbtest.Kind{dbtest.MySQL, dbtest.Postgres} {
		t.Run(k.Name, func(t *testing.T) {
			d := k.Open(t)
			ctx := t.Context()
			require.NoError(t, d.Store.CreateToken(ctx, store.Token{ID: "t", ClientID: "c", Subject: "s"}))
			require.NoError(t, d.Store.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"a"}}))
			isolation := sql.LevelRepeatableRead
			if d.Dialect == sqlstore.Postgres {
				isolation = sql.LevelReadCommitted // where it refuses, in repeatable read, to go on at all
			}
			tx, err := d.DB.BeginTx(ctx, &sql.TxOptions{Isolation: isolation})
			require.NoError(t, err)
			defer tx.Rollback()
			in := d.Store.WithTx(tx)
			token, err := in.Token(ctx, "t")
			require.NoError(t, err)

			n, err := d.Store.RevokeTokens(ctx, store.TokenQuery{ID: "t"}, now, now)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.NoError(t, d.Store.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"b"}}))

			assert.ErrorIs(t, in.UpdateToken(ctx, token), store.ErrRevoked)
			require.NoError(t, in.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c", Scopes: []string{"c"}}))
			require.NoError(t, tx.Commit())
			consent, err := d.Store.Consent(ctx, "s", "c")
			require.NoError(t, err)
			assert.Equal(t, []string{"a", "b", "c"}, consent.Scopes)
		})
	}
}
