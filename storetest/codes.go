package storetest

import (
	"context"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// codeCases are about the methods of store.Codes.
var codeCases = []testCase{
	{
		name:        "CreateCode stores a new record with Version 1 and not consumed",
		explanation: "package store, CreateCode: whatever the record says",
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			for i, version := range []int64{0, 1, 7, -1} {
				c := fullCode("k", string(rune('a'+i)), 1)
				said := codeAt(c, version)
				said.ConsumedAt = now
				f.ok("CreateCode", a.CreateCode(ctx, said))
				returned(&f, "Code", codeAt(c, 1))(b.Code(ctx, "k", c.Key))
				_, err := b.ConsumeCode(ctx, "k", c.Key, later)
				f.ok("ConsumeCode", err)
			}
			return f.err()
		},
	},
	{
		name:        "CreateCode of a Kind and Key that exist is ErrExists",
		explanation: "package store, CreateCode: expired and consumed ones included, and the stored record is unchanged",
		f:           createCodeAgain,
	},
	{
		name:        "kinds of codes are separate namespaces",
		explanation: "package store, Codes: the same Key under two kinds is two records",
		f:           kinds,
	},
	{
		name:        "UpdateCode replaces the record if its stored Version is the record's, and adds 1",
		explanation: "package store, Versions: otherwise it is ErrConflict, and the stored record is unchanged",
		f:           updateCode,
	},
	{
		name:        "UpdateCode of a consumed record is ErrConsumed, whatever the version",
		explanation: "package store, Errors: ErrConsumed comes before ErrConflict",
		f:           updateConsumed,
	},
	{
		name:        "UpdateCode never changes ConsumedAt",
		explanation: "package store, UpdateCode: only ConsumeCode consumes",
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 1)))
			c := codeAt(fullCode("k", "x", 2), 1)
			c.ConsumedAt = now
			f.ok("UpdateCode with ConsumedAt", a.UpdateCode(ctx, c))
			returned(&f, "Code", codeAt(fullCode("k", "x", 2), 2))(b.Code(ctx, "k", "x"))
			_, err := b.ConsumeCode(ctx, "k", "x", later)
			f.ok("ConsumeCode", err)
			return f.err()
		},
	},
	{
		name:        "ConsumeCode marks the record as used and returns it as it is from then on",
		explanation: "package store, ConsumeCode: with ConsumedAt set and 1 added to the Version",
		f:           consumeCode,
	},
	{
		name:        "ConsumeCode of a consumed record returns it, with the ConsumedAt of the call that won, and ErrConsumed",
		explanation: "package store, ConsumeCode: repeated calls change nothing",
		f:           consumeAgain,
	},
}

func createCodeAgain(ctx context.Context, a, b store.Store) error {
	var f failures
	c := fullCode("k", "x", 1)
	f.ok("CreateCode", a.CreateCode(ctx, c))
	f.is("CreateCode again", b.CreateCode(ctx, fullCode("k", "x", 2)), store.ErrExists)
	returned(&f, "Code", codeAt(c, 1))(a.Code(ctx, "k", "x"))
	used, err := a.ConsumeCode(ctx, "k", "x", now)
	f.ok("ConsumeCode", err)
	f.is("CreateCode over a consumed record", b.CreateCode(ctx, fullCode("k", "x", 2)), store.ErrExists)
	returned(&f, "consumed Code", used)(a.Code(ctx, "k", "x"))
	past := time.Unix(1000, 0)
	f.ok("CreateCode of an expired record", a.CreateCode(ctx, store.Code{Kind: "k", Key: "past", ExpiresAt: past, PurgeAt: past}))
	f.is("CreateCode over an expired record", b.CreateCode(ctx, fullCode("k", "past", 2)), store.ErrExists)
	return f.err()
}

func kinds(ctx context.Context, a, b store.Store) error {
	var f failures
	list := []string{"code", "par", "Code", "device"}
	for i, kind := range list {
		f.ok("CreateCode", a.CreateCode(ctx, fullCode(kind, "x", i)))
	}
	f.ok("UpdateCode of one kind", a.UpdateCode(ctx, codeAt(fullCode("par", "x", 9), 1)))
	_, err := a.ConsumeCode(ctx, "code", "x", now)
	f.ok("ConsumeCode of one kind", err)
	used := codeAt(fullCode("code", "x", 0), 2)
	used.ConsumedAt = now
	want := []store.Code{used, codeAt(fullCode("par", "x", 9), 2), codeAt(fullCode("Code", "x", 2), 1), codeAt(fullCode("device", "x", 3), 1)}
	for i, kind := range list {
		returned(&f, "Code of kind "+kind, want[i])(b.Code(ctx, kind, "x"))
	}
	result[store.Code](&f, "Code of a kind that has none", store.ErrNotFound)(b.Code(ctx, "other", "x"))
	result[store.Code](&f, "Code with kind and key exchanged", store.ErrNotFound)(b.Code(ctx, "x", "code"))
	return f.err()
}

func updateCode(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 1)))
	f.ok("CreateCode of another", a.CreateCode(ctx, fullCode("k", "y", 1)))
	f.ok("UpdateCode", a.UpdateCode(ctx, codeAt(fullCode("k", "x", 2), 1)))
	want := codeAt(fullCode("k", "x", 2), 2)
	returned(&f, "Code", want)(b.Code(ctx, "k", "x"))
	for _, version := range []int64{0, 1, 3, -1, 1 << 62} {
		f.is("UpdateCode at another version", b.UpdateCode(ctx, codeAt(fullCode("k", "x", 3), version)), store.ErrConflict)
	}
	returned(&f, "Code after the conflicts", want)(a.Code(ctx, "k", "x"))
	f.ok("UpdateCode at the right version", b.UpdateCode(ctx, store.Code{Kind: "k", Key: "x", Version: 2}))
	returned(&f, "Code after all fields were emptied", store.Code{Kind: "k", Key: "x", Version: 3})(a.Code(ctx, "k", "x"))
	returned(&f, "the other Code", codeAt(fullCode("k", "y", 1), 1))(a.Code(ctx, "k", "y"))
	f.is("UpdateCode of none", a.UpdateCode(ctx, codeAt(fullCode("k", "z", 1), 1)), store.ErrNotFound)
	result[store.Code](&f, "Code of none", store.ErrNotFound)(b.Code(ctx, "k", "z"))
	return f.err()
}

func updateConsumed(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 1)))
	used, err := a.ConsumeCode(ctx, "k", "x", now)
	f.ok("ConsumeCode", err)
	for _, version := range []int64{0, 1, 2, 3} {
		c := codeAt(fullCode("k", "x", 2), version)
		f.is("UpdateCode after ConsumeCode", b.UpdateCode(ctx, c), store.ErrConsumed)
		c.ConsumedAt = later
		f.is("UpdateCode after ConsumeCode, with a ConsumedAt", b.UpdateCode(ctx, c), store.ErrConsumed)
	}
	f.is("UpdateCode with a record that cannot be stored", b.UpdateCode(ctx, store.Code{Kind: "k", Key: "x", Data: make([]byte, store.MaxRecord)}), store.ErrInvalid)
	returned(&f, "Code", used)(b.Code(ctx, "k", "x"))
	return f.err()
}

func consumeCode(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 1)))
	f.ok("CreateCode of another", a.CreateCode(ctx, fullCode("k", "y", 1)))
	f.ok("UpdateCode", a.UpdateCode(ctx, codeAt(fullCode("k", "x", 2), 1)))
	want := codeAt(fullCode("k", "x", 2), 3)
	want.ConsumedAt = later
	returned(&f, "ConsumeCode", want)(b.ConsumeCode(ctx, "k", "x", later))
	returned(&f, "Code", want)(a.Code(ctx, "k", "x"))
	returned(&f, "the other Code", codeAt(fullCode("k", "y", 1), 1))(a.Code(ctx, "k", "y"))
	result[store.Code](&f, "ConsumeCode of none", store.ErrNotFound)(b.ConsumeCode(ctx, "k", "z", now))
	result[store.Code](&f, "ConsumeCode of another kind", store.ErrNotFound)(b.ConsumeCode(ctx, "l", "x", now))
	return f.err()
}

func consumeAgain(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateCode", a.CreateCode(ctx, fullCode("k", "x", 1)))
	_, err := a.ConsumeCode(ctx, "k", "x", now)
	f.ok("ConsumeCode", err)
	want := codeAt(fullCode("k", "x", 1), 2)
	want.ConsumedAt = now
	for _, at := range []time.Time{later, now, now.Add(-time.Hour)} {
		for _, s := range []store.Store{a, b} {
			got, err := s.ConsumeCode(ctx, "k", "x", at)
			f.is("ConsumeCode again", err, store.ErrConsumed)
			same(&f, "ConsumeCode again", got, want)
		}
	}
	returned(&f, "Code", want)(b.Code(ctx, "k", "x"))
	return f.err()
}
