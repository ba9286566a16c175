package storetest

import (
	"context"

	"github.com/seed-e797c9ce/oauth/store"
)

// clientCases are about the methods of store.Clients.
var clientCases = []testCase{
	{
		name:        "CreateClient stores a new client with Version 1",
		explanation: "package store, Versions: whatever the record says",
		clients:     true,
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			for i, version := range []int64{0, 1, 7, -1} {
				id := string(rune('a' + i))
				f.ok("CreateClient", a.CreateClient(ctx, store.Client{ID: id, Version: version}))
				returned(&f, "Client", store.Client{ID: id, Version: 1})(b.Client(ctx, id))
			}
			return f.err()
		},
	},
	{
		name:        "CreateClient of an ID that is taken is ErrExists, and the stored client is unchanged",
		explanation: "package store, CreateClient",
		clients:     true,
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			f.ok("CreateClient", a.CreateClient(ctx, fullClient("c", 1)))
			f.is("CreateClient again", b.CreateClient(ctx, fullClient("c", 2)), store.ErrExists)
			returned(&f, "Client", clientAt(fullClient("c", 1), 1))(a.Client(ctx, "c"))
			return f.err()
		},
	},
	{
		name:        "UpdateClient replaces the client if its stored Version is the record's, and adds 1",
		explanation: "package store, Versions: otherwise it is ErrConflict, and the stored client is unchanged",
		clients:     true,
		f:           updateClient,
	},
	{
		name:        "UpdateClient of a client that does not exist is ErrNotFound",
		explanation: "package store, UpdateClient: and creates none",
		clients:     true,
		f: func(ctx context.Context, a, b store.Store) error {
			var f failures
			for _, version := range []int64{0, 1} {
				f.is("UpdateClient", a.UpdateClient(ctx, store.Client{ID: "c", Version: version}), store.ErrNotFound)
			}
			result[store.Client](&f, "Client", store.ErrNotFound)(b.Client(ctx, "c"))
			return f.err()
		},
	},
	{
		name:        "DeleteClient deletes the client and nothing else",
		explanation: "package store, DeleteClient: what it was granted is ended by the caller",
		clients:     true,
		f:           deleteClient,
	},
}

func updateClient(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateClient", a.CreateClient(ctx, fullClient("c", 1)))
	f.ok("CreateClient of another", a.CreateClient(ctx, fullClient("d", 1)))
	f.ok("UpdateClient", a.UpdateClient(ctx, clientAt(fullClient("c", 2), 1)))
	want := clientAt(fullClient("c", 2), 2)
	returned(&f, "Client", want)(b.Client(ctx, "c"))
	for _, version := range []int64{0, 1, 3, -1, 1 << 62} {
		f.is("UpdateClient at another version", b.UpdateClient(ctx, clientAt(fullClient("c", 3), version)), store.ErrConflict)
	}
	returned(&f, "Client after the conflicts", want)(a.Client(ctx, "c"))
	f.ok("UpdateClient at the right version", b.UpdateClient(ctx, store.Client{ID: "c", Version: 2}))
	returned(&f, "Client after all fields were emptied", store.Client{ID: "c", Version: 3})(a.Client(ctx, "c"))
	returned(&f, "the other Client", clientAt(fullClient("d", 1), 1))(a.Client(ctx, "d"))
	return f.err()
}

func deleteClient(ctx context.Context, a, b store.Store) error {
	var f failures
	f.ok("CreateClient", a.CreateClient(ctx, fullClient("c", 1)))
	f.ok("CreateClient of another", a.CreateClient(ctx, fullClient("d", 1)))
	f.ok("CreateToken", a.CreateToken(ctx, token("t", "s", "c")))
	f.ok("CreateCode", a.CreateCode(ctx, store.Code{Kind: "c", Key: "c"}))
	f.ok("GrantConsent", a.GrantConsent(ctx, store.Consent{Subject: "s", ClientID: "c"}))

	f.ok("DeleteClient", a.DeleteClient(ctx, "c"))
	result[store.Client](&f, "Client", store.ErrNotFound)(b.Client(ctx, "c"))
	returned(&f, "ListClients", []store.Client{clientAt(fullClient("d", 1), 1)})(b.ListClients(ctx, "", 10))
	f.is("UpdateClient of the deleted client", b.UpdateClient(ctx, clientAt(fullClient("c", 1), 1)), store.ErrNotFound)
	f.is("DeleteClient again", b.DeleteClient(ctx, "c"), store.ErrNotFound)
	for _, id := range badKeys(store.MaxClientID) {
		f.is("DeleteClient of an ID that no client can have", b.DeleteClient(ctx, id), store.ErrNotFound)
	}
	returned(&f, "Token", tokenAt(token("t", "s", "c"), 1))(b.Token(ctx, "t"))
	returned(&f, "Code", store.Code{Kind: "c", Key: "c", Version: 1})(b.Code(ctx, "c", "c"))
	returned(&f, "Consent", store.Consent{Subject: "s", ClientID: "c"})(b.Consent(ctx, "s", "c"))

	f.ok("CreateClient after DeleteClient", b.CreateClient(ctx, fullClient("c", 2)))
	returned(&f, "Client that was created anew", clientAt(fullClient("c", 2), 1))(a.Client(ctx, "c"))
	return f.err()
}
