package security

import (
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
)

// dumpRecords is all that a memory store lists.
func dumpRecords(c *run) string {
	c.Helper()
	var b strings.Builder
	clients, err := c.store.ListClients(c.Context(), "", store.MaxPage)
	require.NoError(c, err)
	for _, client := range clients {
		fmt.Fprintf(&b, "%+v %s %s\n", client, client.Data, client.JWKS)
		tokens, err := c.store.ListTokens(c.Context(), store.TokenQuery{ClientID: client.ID}, "", store.MaxPage)
		require.NoError(c, err)
		for _, t := range tokens {
			fmt.Fprintf(&b, "%+v %s %s\n", t, t.Data, t.Successor)
		}
	}
	return b.String()
}

// dumpTables is every column of every row.
func dumpTables(c *run, d *dbtest.Database) string {
	c.Helper()
	var b strings.Builder
	for _, name := range []string{"clients", "codes", "tokens", "consents"} {
		rows, err := d.DB.QueryContext(c.Context(), "SELECT * FROM "+d.Table(name))
		require.NoError(c, err)
		columns, err := rows.Columns()
		require.NoError(c, err)
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			require.NoError(c, rows.Scan(into...))
			for _, v := range values {
				if raw, ok := v.([]byte); ok {
					v = string(raw)
				}
				fmt.Fprintf(&b, "%v ", v)
			}
			b.WriteByte('\n')
		}
		require.NoError(c, rows.Err())
		require.NoError(c, rows.Close())
	}
	return b.String()
}

// dumpKeys is every key with all that is in it.
func dumpKeys(c *run, client *redis.Client, prefix string) string {
	c.Helper()
	ctx := c.Context()
	var b strings.Builder
	for keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator(); keys.Next(ctx); {
		key := keys.Val()
		kind, err := client.Type(ctx, key).Result()
		require.NoError(c, err)
		var content any
		switch kind {
		case "string":
			content, err = client.Get(ctx, key).Result()
		case "hash":
			content, err = client.HGetAll(ctx, key).Result()
		case "zset":
			content, err = client.ZRangeWithScores(ctx, key, 0, -1).Result()
		case "set":
			content, err = client.SMembers(ctx, key).Result()
		default:
			require.Fail(c, "a key of another kind", "%s: %s", key, kind)
		}
		require.NoError(c, err)
		fmt.Fprintf(&b, "%s %v\n", key, content)
	}
	return b.String()
}
