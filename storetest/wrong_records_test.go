package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

var wrongClients = []wrongStore{
	{"believes the version of a new client", "CreateClient stores a new client with Version 1", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createClient: func(ctx context.Context, c store.Client) error {
			err := m.CreateClient(ctx, c)
			for said := c.Version; err == nil && said > 1; said-- {
				c.Version = 8 - said
				err = m.UpdateClient(ctx, c)
			}
			return err
		}})
	}},
	{"replaces a client that exists", "CreateClient of an ID that is taken is ErrExists, and the stored client is unchanged", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createClient: func(ctx context.Context, c store.Client) error {
			err := m.CreateClient(ctx, c)
			if errors.Is(err, store.ErrExists) {
				c.Version = 1
				_ = m.UpdateClient(ctx, c)
			}
			return err
		}})
	}},
	{"updates a client whatever its version", "UpdateClient replaces the client if its stored Version is the record's, and adds 1", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateClient: func(ctx context.Context, c store.Client) error {
			old, _ := m.Client(ctx, c.ID)
			c.Version = old.Version
			return m.UpdateClient(ctx, c)
		}})
	}},
	{"keeps fields that the update empties", "UpdateClient replaces the client if its stored Version is the record's, and adds 1", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateClient: func(ctx context.Context, c store.Client) error {
			if c.RedirectURIs == nil {
				old, _ := m.Client(ctx, c.ID)
				c.RedirectURIs = old.RedirectURIs
			}
			return m.UpdateClient(ctx, c)
		}})
	}},
	{"creates what it cannot update", "UpdateClient of a client that does not exist is ErrNotFound", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateClient: func(ctx context.Context, c store.Client) error {
			err := m.UpdateClient(ctx, c)
			if errors.Is(err, store.ErrNotFound) {
				_ = m.CreateClient(ctx, c)
			}
			return err
		}})
	}},
	{"deletes what hangs on a client", "DeleteClient deletes the client and nothing else", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteClient: func(ctx context.Context, id string) error {
			_, _ = m.RevokeConsents(ctx, store.ConsentQuery{ClientID: id})
			return m.DeleteClient(ctx, id)
		}})
	}},
	{"disables clients instead of deleting them", "DeleteClient deletes the client and nothing else", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteClient: func(ctx context.Context, id string) error {
			c, err := m.Client(ctx, id)
			if err != nil {
				return err
			}
			c.Disabled = true
			return m.UpdateClient(ctx, c)
		}})
	}},
}

var wrongCodes = []wrongStore{
	{"stores a new code as consumed if it says so", "CreateCode stores a new record with Version 1 and not consumed", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createCode: func(ctx context.Context, c store.Code) error {
			err := m.CreateCode(ctx, c)
			if err == nil && !c.ConsumedAt.IsZero() {
				_, err = m.ConsumeCode(ctx, c.Kind, c.Key, c.ConsumedAt)
			}
			return err
		}})
	}},
	{"lets a key be used again once it was consumed", "CreateCode of a Kind and Key that exist is ErrExists", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createCode: func(ctx context.Context, c store.Code) error {
			if old, err := m.Code(ctx, c.Kind, c.Key); err == nil && !old.ConsumedAt.IsZero() {
				return nil
			}
			return m.CreateCode(ctx, c)
		}})
	}},
	{"lets a key be used again once it has expired", "CreateCode of a Kind and Key that exist is ErrExists", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createCode: func(ctx context.Context, c store.Code) error {
			old, err := m.Code(ctx, c.Kind, c.Key)
			if err == nil && !old.ExpiresAt.IsZero() && old.ExpiresAt.Before(now) {
				c.Version = old.Version
				return m.UpdateCode(ctx, c)
			}
			return m.CreateCode(ctx, c)
		}})
	}},
	{"does not look at the kind", "kinds of codes are separate namespaces", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consumeCode: func(ctx context.Context, _, key string, at time.Time) (c store.Code, err error) {
			for _, kind := range []string{"par", "code", "Code", "device"} {
				if c, err = m.ConsumeCode(ctx, kind, key, at); err == nil {
					return c, nil
				}
			}
			return c, err
		}})
	}},
	{"updates a code whatever its version", "UpdateCode replaces the record if its stored Version is the record's, and adds 1", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateCode: func(ctx context.Context, c store.Code) error {
			old, _ := m.Code(ctx, c.Kind, c.Key)
			c.Version = old.Version
			return m.UpdateCode(ctx, c)
		}})
	}},
	{"says ErrConflict before ErrConsumed", "UpdateCode of a consumed record is ErrConsumed, whatever the version", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateCode: func(ctx context.Context, c store.Code) error {
			if old, err := m.Code(ctx, c.Kind, c.Key); err == nil && old.Version != c.Version {
				return store.ErrConflict
			}
			return m.UpdateCode(ctx, c)
		}})
	}},
	{"consumes by an update", "UpdateCode never changes ConsumedAt", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateCode: func(ctx context.Context, c store.Code) error {
			err := m.UpdateCode(ctx, c)
			if err == nil && !c.ConsumedAt.IsZero() {
				_, err = m.ConsumeCode(ctx, c.Kind, c.Key, c.ConsumedAt)
			}
			return err
		}})
	}},
	{"returns a code as it was before it was consumed", "ConsumeCode marks the record as used and returns it as it is from then on", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consumeCode: func(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
			before, _ := m.Code(ctx, kind, key)
			_, err := m.ConsumeCode(ctx, kind, key, at)
			return before, err
		}})
	}},
	{"returns nothing beside ErrConsumed", "ConsumeCode of a consumed record returns it, with the ConsumedAt of the call that won, and ErrConsumed", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consumeCode: func(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
			c, err := m.ConsumeCode(ctx, kind, key, at)
			if err != nil {
				c = store.Code{}
			}
			return c, err
		}})
	}},
	{"returns the time of the call that lost", "ConsumeCode of a consumed record returns it, with the ConsumedAt of the call that won, and ErrConsumed", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consumeCode: func(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
			c, err := m.ConsumeCode(ctx, kind, key, at)
			c.ConsumedAt = at
			return c, err
		}})
	}},
}

var wrongTokens = []wrongStore{
	{"believes the version of a new token", "CreateToken stores a new record with Version 1", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			err := m.CreateToken(ctx, t)
			for said := t.Version; err == nil && said > 1; said-- {
				t.Version = 8 - said
				err = m.UpdateToken(ctx, t)
			}
			return err
		}})
	}},
	{"replaces a token that exists", "CreateToken of an ID that is taken is ErrExists, and the stored record is unchanged", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			err := m.CreateToken(ctx, t)
			if errors.Is(err, store.ErrExists) {
				t.Version = 1
				return m.UpdateToken(ctx, t)
			}
			return err
		}})
	}},
	{"stores a token that was created revoked as valid", "a token may be created revoked", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			t.RevokedAt = time.Time{}
			return m.CreateToken(ctx, t)
		}})
	}},
	{"updates a token whatever its version", "UpdateToken replaces the record if its stored Version is the record's, and adds 1", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateToken: func(ctx context.Context, t store.Token) error {
			old, _ := m.Token(ctx, t.ID)
			t.Version = old.Version
			return m.UpdateToken(ctx, t)
		}})
	}},
	{"revokes by an update", "UpdateToken never changes RevokedAt", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateToken: func(ctx context.Context, t store.Token) error {
			err := m.UpdateToken(ctx, t)
			if err == nil && !t.RevokedAt.IsZero() {
				_, err = m.RevokeTokens(ctx, store.TokenQuery{ID: t.ID}, t.RevokedAt, t.PurgeAt)
			}
			return err
		}})
	}},
	{"says ErrConflict before ErrRevoked", "UpdateToken of a revoked record is ErrRevoked, whatever the version", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateToken: func(ctx context.Context, t store.Token) error {
			if old, err := m.Token(ctx, t.ID); err == nil && old.Version != t.Version {
				return store.ErrConflict
			}
			return m.UpdateToken(ctx, t)
		}})
	}},
	{"does not list what was revoked", "pending, expired and revoked tokens are returned like any other", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, listTokens: func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
			list, err := m.ListTokens(ctx, q, after, limit)
			return slices.DeleteFunc(list, func(t store.Token) bool { return !t.RevokedAt.IsZero() }), err
		}})
	}},
	{"does not revoke what is pending", "RevokeTokens marks every record that the query selects, pending ones included, and no other", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (n int, err error) {
			list, err := m.ListTokens(ctx, q, "", store.MaxPage)
			for _, t := range list {
				if t.State == store.TokenActive {
					k, _ := m.RevokeTokens(ctx, store.TokenQuery{ID: t.ID}, at, purgeAt)
					n += k
				}
			}
			return n, err
		}})
	}},
	{"revokes what any field selects", "RevokeTokens marks every record that the query selects, pending ones included, and no other", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
			if q.Subject != "" {
				q.ClientID = ""
			}
			return m.RevokeTokens(ctx, q, at, purgeAt)
		}})
	}},
	{"counts what was revoked before", "RevokeTokens leaves records that were revoked before as they are", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
			_, err := m.RevokeTokens(ctx, q, at, purgeAt)
			list, _ := m.ListTokens(ctx, q, "", store.MaxPage)
			return len(list), err
		}})
	}},
	{"takes the empty query for everything", "RevokeTokens of the empty query is ErrInvalid", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
			if q == (store.TokenQuery{}) {
				q.ClientID = fullToken("", 0).ClientID
			}
			return m.RevokeTokens(ctx, q, at, purgeAt)
		}})
	}},
	{"does not make PurgeAt earlier", "RevokeTokens sets the PurgeAt that it was given, the zero time too", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
			if t, err := m.Token(ctx, q.ID); err == nil && purgeAt.Before(t.PurgeAt) {
				purgeAt = t.PurgeAt
			}
			return m.RevokeTokens(ctx, q, at, purgeAt)
		}})
	}},
}

var wrongConsents = []wrongStore{
	{"keeps the last grant only", "GrantConsent adds scopes and resources to those of the stored record", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, grantConsent: func(ctx context.Context, c store.Consent) error {
			_, _ = m.RevokeConsents(ctx, store.ConsentQuery{Subject: c.Subject, ClientID: c.ClientID})
			return m.GrantConsent(ctx, c)
		}})
	}},
	{"takes the new GrantedAt", "GrantConsent adds scopes and resources to those of the stored record", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, grantConsent: func(ctx context.Context, c store.Consent) error {
			old, err := m.Consent(ctx, c.Subject, c.ClientID)
			if err == nil && old.ClientHash == c.ClientHash {
				c.Scopes, c.Resources = append(old.Scopes, c.Scopes...), append(old.Resources, c.Resources...)
				_, _ = m.RevokeConsents(ctx, store.ConsentQuery{Subject: c.Subject, ClientID: c.ClientID})
			}
			return m.GrantConsent(ctx, c)
		}})
	}},
	{"keeps scopes in the order they were granted", "scopes and resources of a consent are sets, in ascending byte order", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consent: func(ctx context.Context, subject, clientID string) (store.Consent, error) {
			c, err := m.Consent(ctx, subject, clientID)
			slices.Reverse(c.Scopes)
			return c, err
		}})
	}},
	{"lets a stranger inherit", "GrantConsent with another ClientHash replaces the stored record", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, grantConsent: func(ctx context.Context, c store.Consent) error {
			old, err := m.Consent(ctx, c.Subject, c.ClientID)
			if err == nil && old.ClientHash != c.ClientHash {
				c.Scopes = append(c.Scopes, old.Scopes...)
			}
			return m.GrantConsent(ctx, c)
		}})
	}},
	{"revokes all consents of the user", "RevokeConsents deletes the records that the query selects, and no other", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeConsents: func(ctx context.Context, q store.ConsentQuery) (int, error) {
			if q.Subject != "" {
				q.ClientID = ""
			}
			return m.RevokeConsents(ctx, q)
		}})
	}},
	{"revokes tokens with the consent", "RevokeConsents does not touch tokens", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeConsents: func(ctx context.Context, q store.ConsentQuery) (int, error) {
			_, _ = m.RevokeTokens(ctx, store.TokenQuery{Subject: q.Subject, ClientID: q.ClientID}, now, later)
			return m.RevokeConsents(ctx, q)
		}})
	}},
	{"takes the empty query for nothing", "RevokeConsents of the empty query is ErrInvalid", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeConsents: func(ctx context.Context, q store.ConsentQuery) (int, error) {
			if q == (store.ConsentQuery{}) {
				return 0, nil
			}
			return m.RevokeConsents(ctx, q)
		}})
	}},
}

var wrongCleanups = []wrongStore{
	{"deletes records that have no PurgeAt", "DeleteExpired deletes codes and tokens whose PurgeAt is set and not after before, and nothing else", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			if t.PurgeAt.IsZero() {
				t.PurgeAt = t.PurgeAt.Add(time.Microsecond)
			}
			return m.CreateToken(ctx, t)
		}})
	}},
	{"deletes records that have expired", "DeleteExpired deletes codes and tokens whose PurgeAt is set and not after before, and nothing else", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createCode: func(ctx context.Context, c store.Code) error {
			if !c.ExpiresAt.IsZero() {
				c.PurgeAt = c.ExpiresAt
			}
			return m.CreateCode(ctx, c)
		}})
	}},
	{"leaves what is due just then", "DeleteExpired deletes codes and tokens whose PurgeAt is set and not after before, and nothing else", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteExpired: func(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
			return m.DeleteExpired(ctx, before.Add(-time.Microsecond), limit)
		}})
	}},
	{"deletes what is due within the second", "DeleteExpired deletes codes and tokens whose PurgeAt is set and not after before, and nothing else", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteExpired: func(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
			return m.DeleteExpired(ctx, before.Truncate(time.Second).Add(time.Second), limit)
		}})
	}},
	{"does not count clients", "DeleteExpired deletes clients whose PurgeAt is set and not after before, and nothing else", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteExpired: func(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
			d, err := m.DeleteExpired(ctx, before, limit)
			d.Clients = 0
			return d, err
		}})
	}},
	{"counts the limit for each kind of record", "DeleteExpired deletes at most limit records, and fewer only if it has left none", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteExpired: func(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
			return m.DeleteExpired(ctx, before, 3*limit)
		}})
	}},
	{"deletes half of it", "DeleteExpired deletes at most limit records, and fewer only if it has left none", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteExpired: func(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
			return m.DeleteExpired(ctx, before, (limit+1)/2)
		}})
	}},
	{"keeps the first PurgeAt", "DeleteExpired goes by the PurgeAt that the record has now", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateToken: func(ctx context.Context, t store.Token) error {
			old, _ := m.Token(ctx, t.ID)
			t.PurgeAt = old.PurgeAt
			return m.UpdateToken(ctx, t)
		}})
	}},
	{"remembers IDs that were deleted", "a record that DeleteExpired deleted is gone, and its key is free", func(m *store.Memory) (a, b store.Store) {
		used := map[string]bool{}
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			if used[t.ID] {
				return store.ErrExists
			}
			used[t.ID] = true
			return m.CreateToken(ctx, t)
		}})
	}},
}
