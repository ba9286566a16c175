package storetest

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// A wrongStore is a store that breaks a promise, and the case that says so.
type wrongStore struct {
	does   string
	caught string
	open   func(m *store.Memory) (a, b store.Store)
}

// twice returns the store as both handles.
func twice(w wrong) (a, b store.Store) { return w, w }

var wrongRules = []wrongStore{
	{"finds an empty record where there is none", "an empty store answers like one that holds nothing", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, token: func(ctx context.Context, id string) (store.Token, error) {
			t, err := m.Token(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return t, err
		}})
	}},
	{"keeps a cache in each handle", "once a method has returned every handle sees its effect", func(m *store.Memory) (a, b store.Store) {
		cached := func() store.Store {
			var cache sync.Map
			return wrong{Memory: m, token: func(ctx context.Context, id string) (store.Token, error) {
				if t, ok := cache.Load(id); ok {
					return t.(store.Token), nil
				}
				t, err := m.Token(ctx, id)
				if err == nil {
					cache.Store(id, t)
				}
				return t, err
			}}
		}
		return cached(), cached()
	}},
	{"keeps a cache of clients that are not there", "once a change to a client has returned every handle sees its effect", func(m *store.Memory) (a, b store.Store) {
		var missing sync.Map
		return m, wrong{Memory: m, client: func(ctx context.Context, id string) (store.Client, error) {
			if _, ok := missing.Load(id); ok {
				return store.Client{}, store.ErrNotFound
			}
			c, err := m.Client(ctx, id)
			if err != nil {
				missing.Store(id, true)
			}
			return c, err
		}}
	}},
	{"consumes for a caller who has gone", "a method called with a context that has ended returns the context's error and does nothing", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consumeCode: func(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
			c, err := m.ConsumeCode(context.WithoutCancel(ctx), kind, key, at)
			return c, errors.Join(err, ctx.Err())
		}})
	}},
	{"answers a caller who has gone", "a method called with a context that has ended returns the context's error and does nothing", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consent: func(_ context.Context, subject, clientID string) (store.Consent, error) {
			return m.Consent(context.Background(), subject, clientID)
		}})
	}},
	{"deletes clients for a caller who has gone", "a method of Clients called with a context that has ended returns the context's error and does nothing", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, deleteClient: func(_ context.Context, id string) error {
			return m.DeleteClient(context.Background(), id)
		}})
	}},
	{"hides what has expired", "a store returns expired records like any other", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, code: func(ctx context.Context, kind, key string) (store.Code, error) {
			c, err := m.Code(ctx, kind, key)
			if err == nil && c.ExpiresAt.Before(time.Now()) {
				return store.Code{}, store.ErrNotFound
			}
			return c, err
		}})
	}},
	{"keeps bytes as text", "every field of a code, a token and a consent comes back as it went in", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			t.Successor = []byte(strings.ToValidUTF8(string(t.Successor), "?"))
			return m.CreateToken(ctx, t)
		}})
	}},
	{"has no field for a hash", "every field of a code, a token and a consent comes back as it went in", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			t.PreviousHash = store.Hash{}
			return m.CreateToken(ctx, t)
		}})
	}},
	{"keeps lists as words", "every field of a code, a token and a consent comes back as it went in", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, grantConsent: func(ctx context.Context, c store.Consent) error {
			c.Scopes = strings.Fields(strings.Join(c.Scopes, " "))
			return m.GrantConsent(ctx, c)
		}})
	}},
	{"keeps lifetimes in seconds", "every field of a client comes back as it went in", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createClient: func(ctx context.Context, c store.Client) error {
			c.AccessTokenLifetime = c.AccessTokenLifetime.Truncate(time.Second)
			return m.CreateClient(ctx, c)
		}})
	}},
	{"keeps times in seconds", "every time comes out as the same instant in UTC", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			t.LastUsedAt = t.LastUsedAt.Truncate(time.Second)
			return m.CreateToken(ctx, t)
		}})
	}},
	{"returns times in local time", "every time comes out as the same instant in UTC", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consent: func(ctx context.Context, subject, clientID string) (store.Consent, error) {
			c, err := m.Consent(ctx, subject, clientID)
			c.GrantedAt = c.GrantedAt.In(time.FixedZone("CEST", 2*3600))
			return c, err
		}})
	}},
	{"drops the zone of a time", "every time comes out as the same instant in UTC", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createCode: func(ctx context.Context, c store.Code) error {
			at := c.ExpiresAt
			c.ExpiresAt = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
			return m.CreateCode(ctx, c)
		}})
	}},
	{"takes 1970 for no time", "every time comes out as the same instant in UTC", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createCode: func(ctx context.Context, c store.Code) error {
			if c.PurgeAt.Unix() == 0 {
				c.PurgeAt = time.Time{}
			}
			return m.CreateCode(ctx, c)
		}})
	}},
	{"keeps the caller's slice", "what goes in is copied", func(m *store.Memory) (a, b store.Store) {
		var data sync.Map
		return twice(wrong{Memory: m,
			createCode: func(ctx context.Context, c store.Code) error {
				data.Store(c.Key, c.Data)
				return m.CreateCode(ctx, c)
			},
			code: func(ctx context.Context, kind, key string) (store.Code, error) {
				c, err := m.Code(ctx, kind, key)
				if d, ok := data.Load(key); ok && err == nil {
					c.Data = slices.Clone(d.([]byte))
				}
				return c, err
			},
		})
	}},
	{"sorts the caller's slice", "what goes in is copied", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, grantConsent: func(ctx context.Context, c store.Consent) error {
			slices.Sort(c.Scopes)
			return m.GrantConsent(ctx, c)
		}})
	}},
	{"gives its own slice away", "what comes out is copied", func(m *store.Memory) (a, b store.Store) {
		var consents sync.Map
		return twice(wrong{Memory: m, consent: func(ctx context.Context, subject, clientID string) (store.Consent, error) {
			c, err := m.Consent(ctx, subject, clientID)
			if err == nil {
				kept, _ := consents.LoadOrStore(subject+clientID, c)
				c = kept.(store.Consent)
			}
			return c, err
		}})
	}},
	{"gives its own list of secrets away", "a client is copied when it goes in and when it comes out", func(m *store.Memory) (a, b store.Store) {
		var secrets sync.Map
		return twice(wrong{Memory: m, client: func(ctx context.Context, id string) (store.Client, error) {
			c, err := m.Client(ctx, id)
			kept, _ := secrets.LoadOrStore(id, c.Secrets)
			c.Secrets = kept.([]store.Secret)
			return c, err
		}})
	}},
}

var wrongKeys = []wrongStore{
	{"folds the case of IDs", "keys are compared byte by byte", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			t.ID = strings.ToLower(t.ID)
			return m.CreateToken(ctx, t)
		}})
	}},
	{"revokes by pattern", "keys are compared byte by byte", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeConsents: func(ctx context.Context, q store.ConsentQuery) (n int, err error) {
			for _, subject := range nasty {
				if ok, _ := path.Match(q.Subject, subject); ok {
					k, _ := m.RevokeConsents(ctx, store.ConsentQuery{Subject: subject, ClientID: q.ClientID})
					n += k
				}
			}
			return n, nil
		}})
	}},
	{"trims the IDs of clients", "keys of clients are compared byte by byte", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createClient: func(ctx context.Context, c store.Client) error {
			c.ID = strings.TrimSpace(c.ID)
			return m.CreateClient(ctx, c)
		}})
	}},
	{"trims what it looks for", "a look-up by one key never finds the record of another", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, code: func(ctx context.Context, kind, key string) (store.Code, error) {
			return m.Code(ctx, kind, strings.TrimRight(key, " "))
		}})
	}},
	{"folds the case of what it looks for", "a look-up by one key never finds the record of another", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, listTokens: func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
			if strings.EqualFold(q.Subject, "Straße 1") {
				q.Subject = "Straße 1"
			}
			return m.ListTokens(ctx, q, after, limit)
		}})
	}},
	{"joins kind and key with a colon", "keys of several parts never run together", func(m *store.Memory) (a, b store.Store) {
		join := func(kind, key string) string { return kind + ":" + key }
		return twice(wrong{Memory: m,
			createCode: func(ctx context.Context, c store.Code) error {
				c.Kind, c.Key = "all", join(c.Kind, c.Key)
				return m.CreateCode(ctx, c)
			},
			code: func(ctx context.Context, kind, key string) (store.Code, error) {
				c, err := m.Code(ctx, "all", join(kind, key))
				c.Kind, c.Key = kind, key
				return c, err
			},
		})
	}},
	{"mends what it should refuse", "records that cannot be stored are refused with ErrInvalid", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createToken: func(ctx context.Context, t store.Token) error {
			t.Device = strings.ReplaceAll(strings.ToValidUTF8(t.Device, ""), "\x00", "")
			return m.CreateToken(ctx, t)
		}})
	}},
	{"consumes at no time", "records that cannot be stored are refused with ErrInvalid", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, consumeCode: func(ctx context.Context, kind, key string, at time.Time) (store.Code, error) {
			if at.IsZero() {
				return m.Code(ctx, kind, key)
			}
			return m.ConsumeCode(ctx, kind, key, at)
		}})
	}},
	{"says ErrNotFound before ErrInvalid", "clients that cannot be stored are refused with ErrInvalid", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, updateClient: func(ctx context.Context, c store.Client) error {
			if _, err := m.Client(ctx, c.ID); err != nil {
				return err
			}
			return m.UpdateClient(ctx, c)
		}})
	}},
	{"cuts long keys", "records of the largest sizes are kept", func(m *store.Memory) (a, b store.Store) {
		cut := func(s string) string { return s[:min(len(s), 767)] }
		return twice(wrong{Memory: m,
			grantConsent: func(ctx context.Context, c store.Consent) error {
				c.ClientID = cut(c.ClientID)
				return m.GrantConsent(ctx, c)
			},
			consent: func(ctx context.Context, subject, clientID string) (store.Consent, error) {
				c, err := m.Consent(ctx, subject, cut(clientID))
				c.ClientID = clientID
				return c, err
			},
		})
	}},
	{"has no room for long client IDs", "clients of the largest sizes are kept", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, createClient: func(ctx context.Context, c store.Client) error {
			if len(c.ID) > 255 {
				return errors.New("value too long")
			}
			return m.CreateClient(ctx, c)
		}})
	}},
	{"takes a strange key for an outage", "a look-up by a key that no record can have finds nothing", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, token: func(ctx context.Context, id string) (store.Token, error) {
			if strings.ContainsRune(id, 0) {
				return store.Token{}, errors.New("invalid byte sequence")
			}
			return m.Token(ctx, id)
		}})
	}},
}

var wrongLists = []wrongStore{
	{"lists in the order of a dictionary", "lists of tokens and consents are in ascending byte order", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, listTokens: func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
			list, err := m.ListTokens(ctx, q, after, limit)
			slices.SortStableFunc(list, func(a, b store.Token) int { return strings.Compare(strings.ToLower(a.ID), strings.ToLower(b.ID)) })
			return list, err
		}})
	}},
	{"leaves out the first record of each page but the first", "lists of clients are in ascending byte order", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, listClients: func(ctx context.Context, after string, limit int) ([]store.Client, error) {
			list, err := m.ListClients(ctx, after, limit)
			if after != "" && len(list) > 1 {
				list, err = m.ListClients(ctx, list[0].ID, limit)
			}
			return list, err
		}})
	}},
	{"begins again if after is not there", "a page goes on after a key that is no longer there", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, listTokens: func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
			if _, err := m.Token(ctx, after); err != nil {
				after = ""
			}
			return m.ListTokens(ctx, q, after, limit)
		}})
	}},
	{"takes limit 0 for no limit", "limit is between 1 and MaxPage, anything else is ErrInvalid", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, listTokens: func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
			if limit == 0 {
				limit = store.MaxPage
			}
			return m.ListTokens(ctx, q, after, limit)
		}})
	}},
	{"returns a hundred at most", "a page holds as many as MaxPage records", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, listTokens: func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
			return m.ListTokens(ctx, q, after, min(limit, 100))
		}})
	}},
	{"revokes a page at most", "a page holds as many as MaxPage records", func(m *store.Memory) (a, b store.Store) {
		return twice(wrong{Memory: m, revokeTokens: func(ctx context.Context, q store.TokenQuery, at, purgeAt time.Time) (n int, err error) {
			list, err := m.ListTokens(ctx, q, "", store.MaxPage)
			for _, t := range list {
				k, _ := m.RevokeTokens(ctx, store.TokenQuery{ID: t.ID}, at, purgeAt)
				n += k
			}
			return n, err
		}})
	}},
	{"pages by number", "pages hold every record that is there all the time, once, while others come and go", func(m *store.Memory) (a, b store.Store) {
		var numbers sync.Map // of the records before a page, as it was when the page before was read
		return twice(wrong{Memory: m, listTokens: func(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
			skip, _ := numbers.LoadOrStore(after, 0)
			list, err := m.ListTokens(ctx, q, "", store.MaxPage)
			list = list[min(skip.(int), len(list)):]
			list = list[:min(limit, len(list))]
			if len(list) > 0 {
				numbers.Store(list[len(list)-1].ID, skip.(int)+len(list))
			}
			return list, err
		}})
	}},
}
