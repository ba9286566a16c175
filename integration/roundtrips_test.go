package integration

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/integration/dbtest"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

var now = time.Date(2031, 5, 6, 7, 8, 9, 123_456_000, time.UTC)

// call is one call of a store, and how many statements it may take.
type call struct {
	name string
	most int
	want error
	f    func(ctx context.Context, s store.Store) error
}

// calls go through every method of a store, in an order in which each finds
// what it needs. n makes the keys of one round differ from another's.
func calls(d sqlstore.Dialect, n string) []call {
	consume := 1
	if d == sqlstore.MySQL { // which cannot return what an UPDATE has changed
		consume = 2
	}
	code := store.Code{Kind: "code", Key: "k" + n, Data: []byte("d"), ExpiresAt: now, PurgeAt: now}
	token := store.Token{ID: "t" + n, ClientID: "c" + n, Subject: "s" + n, Scopes: []string{"read"}, ExpiresAt: now, PurgeAt: now}
	consent := store.Consent{Subject: "s" + n, ClientID: "c" + n, Scopes: []string{"read"}, GrantedAt: now, UpdatedAt: now}
	client := store.Client{ID: "c" + n, Name: "client", PurgeAt: now}
	at := func(version int64) (store.Code, store.Token, store.Client) {
		c, t, l := code, token, client
		c.Version, t.Version, l.Version = version, version, version
		t.State = store.TokenActive
		return c, t, l
	}
	code1, token1, client1 := at(1)
	_, token2, _ := at(2)
	first := func(_ any, err error) error { return err }
	return []call{
		{"CreateClient", 1, nil, func(ctx context.Context, s store.Store) error { return s.CreateClient(ctx, client) }},
		{"CreateClient of one that exists", 1, store.ErrExists, func(ctx context.Context, s store.Store) error { return s.CreateClient(ctx, client) }},
		{"Client", 1, nil, func(ctx context.Context, s store.Store) error { return first(s.Client(ctx, client.ID)) }},
		{"UpdateClient", 1, nil, func(ctx context.Context, s store.Store) error { return s.UpdateClient(ctx, client1) }},
		{"UpdateClient in vain", 2, store.ErrConflict, func(ctx context.Context, s store.Store) error { return s.UpdateClient(ctx, client1) }},
		{"ListClients", 1, nil, func(ctx context.Context, s store.Store) error { return first(s.ListClients(ctx, "", 10)) }},

		{"GrantConsent, the first", 1, nil, func(ctx context.Context, s store.Store) error { return s.GrantConsent(ctx, consent) }},
		{"GrantConsent, another", 3, nil, func(ctx context.Context, s store.Store) error { return s.GrantConsent(ctx, consent) }},
		{"Consent", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.Consent(ctx, consent.Subject, consent.ClientID))
		}},
		{"ListConsents", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.ListConsents(ctx, consent.Subject, "", 10))
		}},

		{"CreateToken", 1, nil, func(ctx context.Context, s store.Store) error { return s.CreateToken(ctx, token) }},
		{"CreateToken of one that exists", 1, store.ErrExists, func(ctx context.Context, s store.Store) error { return s.CreateToken(ctx, token) }},
		{"Token", 1, nil, func(ctx context.Context, s store.Store) error { return first(s.Token(ctx, token.ID)) }},
		{"Token that is not there", 1, store.ErrNotFound, func(ctx context.Context, s store.Store) error { return first(s.Token(ctx, "none")) }},
		{"UpdateToken", 1, nil, func(ctx context.Context, s store.Store) error { return s.UpdateToken(ctx, token1) }},
		{"UpdateToken in vain", 2, store.ErrConflict, func(ctx context.Context, s store.Store) error { return s.UpdateToken(ctx, token1) }},
		{"ListTokens of a user", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.ListTokens(ctx, store.TokenQuery{Subject: token.Subject}, "", 10))
		}},
		{"ListTokens of a client", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.ListTokens(ctx, store.TokenQuery{ClientID: token.ClientID}, "", 10))
		}},
		{"ListTokens of both", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.ListTokens(ctx, store.TokenQuery{Subject: token.Subject, ClientID: token.ClientID}, "", 10))
		}},
		{"RevokeTokens of a user", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.RevokeTokens(ctx, store.TokenQuery{Subject: token.Subject}, now, now))
		}},
		{"RevokeTokens of a client", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.RevokeTokens(ctx, store.TokenQuery{ClientID: token.ClientID}, now, now))
		}},
		{"RevokeTokens of both", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.RevokeTokens(ctx, store.TokenQuery{Subject: token.Subject, ClientID: token.ClientID}, now, now))
		}},
		{"RevokeTokens of one", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.RevokeTokens(ctx, store.TokenQuery{ID: token.ID}, now, now))
		}},
		{"UpdateToken once revoked", 2, store.ErrRevoked, func(ctx context.Context, s store.Store) error { return s.UpdateToken(ctx, token2) }},

		{"CreateCode", 1, nil, func(ctx context.Context, s store.Store) error { return s.CreateCode(ctx, code) }},
		{"CreateCode of one that exists", 1, store.ErrExists, func(ctx context.Context, s store.Store) error { return s.CreateCode(ctx, code) }},
		{"Code", 1, nil, func(ctx context.Context, s store.Store) error { return first(s.Code(ctx, code.Kind, code.Key)) }},
		{"UpdateCode", 1, nil, func(ctx context.Context, s store.Store) error { return s.UpdateCode(ctx, code1) }},
		{"UpdateCode in vain", 2, store.ErrConflict, func(ctx context.Context, s store.Store) error { return s.UpdateCode(ctx, code1) }},
		{"ConsumeCode", consume, nil, func(ctx context.Context, s store.Store) error {
			return first(s.ConsumeCode(ctx, code.Kind, code.Key, now))
		}},
		{"ConsumeCode again", 2, store.ErrConsumed, func(ctx context.Context, s store.Store) error {
			return first(s.ConsumeCode(ctx, code.Kind, code.Key, now))
		}},

		{"RevokeConsents of both", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.RevokeConsents(ctx, store.ConsentQuery{Subject: consent.Subject, ClientID: consent.ClientID}))
		}},
		{"RevokeConsents of a user", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.RevokeConsents(ctx, store.ConsentQuery{Subject: consent.Subject}))
		}},
		{"RevokeConsents of a client", 1, nil, func(ctx context.Context, s store.Store) error {
			return first(s.RevokeConsents(ctx, store.ConsentQuery{ClientID: consent.ClientID}))
		}},
		{"DeleteClient", 1, nil, func(ctx context.Context, s store.Store) error { return s.DeleteClient(ctx, client.ID) }},
	}
}

func TestSQLStoreTakesOneRoundTripPerCall(t *testing.T) {
	dbtest.Each(t, dbtest.All, func(t *testing.T, k dbtest.Kind) {
		d := k.Open(t)
		db, recorder := d.Recorded(t)
		db.SetMaxOpenConns(1) // each statement is prepared once
		s := d.Handle(t, db)
		for _, c := range calls(d.Dialect, "-first") {
			require.ErrorIs(t, c.f(t.Context(), s), c.want, c.name)
		}
		for _, c := range calls(d.Dialect, "-second") {
			recorder.Take()
			require.ErrorIs(t, c.f(t.Context(), s), c.want, c.name)
			ran, prepared := recorder.Take()
			assert.LessOrEqual(t, len(ran), c.most, "%s: %v", c.name, ran)
			assert.NotEmpty(t, ran, c.name)
			assert.Zero(t, prepared, "%s: statements prepared anew", c.name)
		}
	})
}
