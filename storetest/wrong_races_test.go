package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// Each of these checks first and acts later. Between the two it waits until
// another caller has done what it must not do then.
var wrongRaces = []wrongStore{
	{"looks whether a token exists and then stores it", "of concurrent CreateCode and CreateToken calls for one key exactly one succeeds", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			if _, err := m.Token(ctx, t.ID); err == nil {
				return store.ErrExists
			}
			between.wait()
			if err := m.CreateToken(ctx, t); !errors.Is(err, store.ErrExists) {
				return err
			}
			return nil
		}})
	}},
	{"compares the version of a client and then stores it", "of concurrent CreateClient, UpdateClient and DeleteClient calls for one client exactly one succeeds", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, updateClient: func(ctx context.Context, c store.Client) error {
			old, err := m.Client(ctx, c.ID)
			if err != nil {
				return err
			}
			if old.Version != c.Version {
				return store.ErrConflict
			}
			between.wait()
			_ = m.UpdateClient(ctx, c)
			return nil
		}})
	}},
	{"compares the version of a token and then stores it", "of updates that race on one version exactly one succeeds", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, updateToken: func(ctx context.Context, t store.Token) error {
			old, err := m.Token(ctx, t.ID)
			if err != nil {
				return err
			}
			if old.Version != t.Version {
				return store.ErrConflict
			}
			between.wait()
			for errors.Is(m.UpdateToken(ctx, t), store.ErrConflict) {
				t.Version++
			}
			return nil
		}})
	}},
	{"looks whether a code is consumed and then consumes it", "of concurrent ConsumeCode calls exactly one gets a nil error", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, consumeCode: func(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
			c, err := m.Code(ctx, kind, key)
			if err != nil {
				return c, err
			}
			if !c.ConsumedAt.IsZero() {
				return c, store.ErrConsumed
			}
			between.wait()
			c, _ = m.ConsumeCode(ctx, kind, key, at)
			return c, nil
		}})
	}},
	{"looks whether a code is consumed and then updates it", "once ConsumeCode has returned no UpdateCode succeeds", func(m *store.Memory) (a, b store.Store) {
		var consumed sync.Map
		return twice(wrong{Memory: m,
			updateCode: func(ctx context.Context, c store.Code) error {
				if old, err := m.Code(ctx, c.Kind, c.Key); err != nil || !old.ConsumedAt.IsZero() {
					return errors.Join(err, store.ErrConsumed)
				}
				waitUntil(func() bool { _, ok := consumed.Load(c.Key); return ok })
				if err := m.UpdateCode(ctx, c); !errors.Is(err, store.ErrConsumed) {
					return err
				}
				return nil
			},
			consumeCode: func(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
				defer consumed.Store(key, true)
				return m.ConsumeCode(ctx, kind, key, at)
			},
		})
	}},
	{"looks whether a token is revoked and then updates it", "once RevokeTokens has returned no selected record is returned as not revoked and no UpdateToken of one succeeds", func(m *store.Memory) (a, b store.Store) {
		var revocations atomic.Int64
		return twice(wrong{Memory: m,
			updateToken: func(ctx context.Context, t store.Token) error {
				before := revocations.Load()
				if old, err := m.Token(ctx, t.ID); err != nil || !old.RevokedAt.IsZero() {
					return errors.Join(err, store.ErrRevoked)
				}
				waitUntil(func() bool { return revocations.Load() > before })
				if err := m.UpdateToken(ctx, t); !errors.Is(err, store.ErrRevoked) {
					return err
				}
				return nil
			},
			revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
				defer revocations.Add(1)
				return m.RevokeTokens(ctx, q, at, purgeAt)
			},
		})
	}},
	{"returns from a revocation before it was made", "once RevokeTokens has returned no selected record is returned as not revoked and no UpdateToken of one succeeds", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
			list, err := m.ListTokens(ctx, q, "", store.MaxPage)
			for i := range list {
				list[i].RevokedAt, list[i].PurgeAt = at, purgeAt
				_ = m.UpdateToken(ctx, list[i])
			}
			return len(list), err
		}})
	}},
	{"revokes what its index has, which lags", "RevokeTokens marks every record that was created before it was called", func(m *store.Memory) (a, b store.Store) {
		var mu sync.Mutex
		var latest []string
		return twice(wrong{Memory: m,
			createToken: func(ctx context.Context, t store.Token) error {
				err := m.CreateToken(ctx, t)
				mu.Lock()
				defer mu.Unlock()
				latest = append(latest, t.ID)
				return err
			},
			revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (n int, err error) {
				mu.Lock()
				lag := slices.Clone(latest[max(0, len(latest)-50):])
				mu.Unlock()
				list, err := m.ListTokens(ctx, q, "", store.MaxPage)
				for _, t := range list {
					if !slices.Contains(lag, t.ID) {
						k, _ := m.RevokeTokens(ctx, store.TokenQuery{ID: t.ID}, at, purgeAt)
						n += k
					}
				}
				return n, err
			},
		})
	}},
	{"revokes what will be created", "RevokeTokens marks every record that was created before it was called", func(m *store.Memory) (a, b store.Store) {
		var revoked sync.Map
		return twice(wrong{Memory: m,
			createToken: func(ctx context.Context, t store.Token) error {
				if at, ok := revoked.Load(t.ClientID); ok {
					t.RevokedAt = at.(time.Time)
				}
				return m.CreateToken(ctx, t)
			},
			revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
				revoked.Store(q.ClientID, at)
				return m.RevokeTokens(ctx, q, at, purgeAt)
			},
		})
	}},
	{"counts what is to be revoked and then revokes it", "of concurrent RevokeTokens calls each record is counted once", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (int, error) {
			list, err := m.ListTokens(ctx, q, "", store.MaxPage)
			list = slices.DeleteFunc(list, func(t store.Token) bool { return !t.RevokedAt.IsZero() })
			between.wait()
			_, _ = m.RevokeTokens(ctx, q, at, purgeAt)
			return len(list), err
		}})
	}},
	{"reads a consent and then writes the sum", "concurrent grants of consent all count", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, grantConsent: func(ctx context.Context, c store.Consent) error {
			old, err := m.Consent(ctx, c.Subject, c.ClientID)
			if err == nil && old.ClientHash == c.ClientHash {
				c.Scopes, c.Resources = append(old.Scopes, c.Scopes...), append(old.Resources, c.Resources...)
				c.GrantedAt = old.GrantedAt
			}
			between.wait()
			_, _ = m.RevokeConsents(ctx, store.ConsentQuery{Subject: c.Subject, ClientID: c.ClientID})
			return m.GrantConsent(ctx, c)
		}})
	}},
	{"counts consents and then deletes them", "of concurrent RevokeConsents calls each record is counted once", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, revokeConsents: func(ctx context.Context, q store.ConsentQuery) (n int, err error) {
			if q.Subject == "" || q.ClientID != "" {
				return m.RevokeConsents(ctx, q)
			}
			list, err := m.ListConsents(ctx, q.Subject, "", store.MaxPage)
			between.wait()
			_, _ = m.RevokeConsents(ctx, q)
			return len(list), err
		}})
	}},
	{"counts what is due and then deletes it", "of concurrent DeleteExpired calls each deleted record is counted once", func(m *store.Memory) (a, b store.Store) {
		var between meeting
		return twice(wrong{Memory: m, deleteExpired: func(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
			list, _ := m.ListTokens(ctx, store.TokenQuery{ClientID: "c"}, "", limit)
			between.wait()
			d, err := m.DeleteExpired(ctx, before, limit)
			d.Tokens = max(d.Tokens, len(list))
			return d, err
		}})
	}},
	{"looks what is due and then deletes it", "a record whose PurgeAt was put off is not deleted by a DeleteExpired that runs at the time", func(m *store.Memory) (a, b store.Store) {
		var updates atomic.Int64
		return twice(wrong{Memory: m,
			deleteExpired: func(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
				list, _ := m.ListTokens(ctx, store.TokenQuery{ClientID: "c"}, "", store.MaxPage)
				seen := updates.Load()
				waitUntil(func() bool { return updates.Load() > seen })
				for _, t := range list {
					if t.PurgeAt.IsZero() || t.PurgeAt.After(before) {
						continue
					}
					if t, err := m.Token(ctx, t.ID); err == nil {
						t.PurgeAt = before
						_ = m.UpdateToken(ctx, t)
					}
				}
				return m.DeleteExpired(ctx, before, limit)
			},
			updateToken: func(ctx context.Context, t store.Token) error {
				waitUntil(func() bool { return false }) // others are to look first
				defer updates.Add(1)
				return m.UpdateToken(ctx, t)
			},
		})
	}},
}
