package store

import (
	"context"
	"time"
)

// A Store keeps everything that a provider has to remember. All methods are
// safe for use by many goroutines at once.
type Store interface {
	Clients
	Codes
	Tokens
	Consents

	// DeleteExpired deletes at most limit records, clients, codes and tokens
	// together, whose PurgeAt is set and not after before, and says how many of
	// each it deleted. A call that deletes fewer than limit has left none. It
	// works in short steps: no other call waits for the whole of it. Several
	// machines may call it at once; each deleted record is counted once.
	DeleteExpired(ctx context.Context, before time.Time, limit int) (Deleted, error)
}

// Deleted counts what DeleteExpired deleted.
type Deleted struct{ Clients, Codes, Tokens int }

// Total is the number of deleted records of all kinds.
func (d Deleted) Total() int { return d.Clients + d.Codes + d.Tokens }

// Clients keeps the applications that may ask for tokens.
type Clients interface {
	// Client returns the client with this ID, or ErrNotFound.
	Client(ctx context.Context, id string) (Client, error)

	// CreateClient stores a new client, with Version 1. ErrExists if the ID is
	// taken; the stored client is then unchanged.
	CreateClient(ctx context.Context, c Client) error

	// UpdateClient replaces the client if its stored Version is c.Version, and
	// stores c.Version+1. ErrNotFound, ErrConflict.
	UpdateClient(ctx context.Context, c Client) error

	// DeleteClient deletes the client, and nothing else: what it was granted is
	// ended by the caller. ErrNotFound if there is none.
	DeleteClient(ctx context.Context, id string) error

	// ListClients returns up to limit clients in order of their IDs, from the
	// first whose ID is greater than after.
	ListClients(ctx context.Context, after string, limit int) ([]Client, error)
}

// Codes keeps short-lived records that are used once: authorization codes, and
// whatever else is of that sort (pushed requests, device codes, identifiers of
// assertions that must not be seen twice, the provider's own keys). Kind says
// which sort. Kinds are separate namespaces: the same Key under two kinds is
// two records.
type Codes interface {
	// Code returns the record, or ErrNotFound. A consumed record is returned
	// like any other, with ConsumedAt set.
	Code(ctx context.Context, kind, key string) (Code, error)

	// CreateCode stores a new record, with Version 1 and not consumed, unless
	// one with its Kind and Key exists, expired and consumed ones included:
	// ErrExists. Of concurrent calls exactly one succeeds.
	CreateCode(ctx context.Context, c Code) error

	// UpdateCode replaces the record if its stored Version is c.Version and it
	// was not consumed, and stores c.Version+1. It never changes ConsumedAt.
	// ErrNotFound, ErrConsumed, ErrConflict.
	UpdateCode(ctx context.Context, c Code) error

	// ConsumeCode marks the record as used at the time given and returns it as
	// it is from then on. Of concurrent and repeated calls exactly one gets a
	// nil error; all others get the record, with the ConsumedAt of the one that
	// won, together with ErrConsumed. ErrNotFound if there is none. It adds 1
	// to the Version. ErrInvalid if at is the zero time, which would leave the
	// code unused.
	ConsumeCode(ctx context.Context, kind, key string, at time.Time) (Code, error)
}

// Tokens keeps one record per authorization, from its approval to its end:
// pending until its code is redeemed, then active, at last revoked or expired.
// However often an authorization is refreshed, it stays one record.
type Tokens interface {
	// Token returns the record, or ErrNotFound. Pending, expired and revoked
	// records are returned like any other.
	Token(ctx context.Context, id string) (Token, error)

	// CreateToken stores a new record, with Version 1. ErrExists if the ID is
	// taken; the stored record is then unchanged. A record may be created
	// revoked.
	CreateToken(ctx context.Context, t Token) error

	// UpdateToken replaces the record if its stored Version is t.Version and it
	// is not revoked, and stores t.Version+1. It never changes RevokedAt; the
	// caller never changes ID, ClientID and Subject. ErrNotFound, ErrRevoked
	// (whatever the version), ErrConflict.
	UpdateToken(ctx context.Context, t Token) error

	// RevokeTokens marks every record that q selects and that is not revoked
	// yet, pending ones included, as revoked at the time given, sets its
	// PurgeAt to purgeAt, adds 1 to its Version, and returns how many it
	// marked. Once it has returned, no record that it selected is ever returned
	// as not revoked again, and no UpdateToken of one succeeds. Records that
	// were revoked before are left as they are. ErrInvalid if q is empty or at
	// is the zero time, which would leave the records valid.
	RevokeTokens(ctx context.Context, q TokenQuery, at, purgeAt time.Time) (int, error)

	// ListTokens returns up to limit of the records that q selects, in order of
	// their IDs, from the first whose ID is greater than after. ErrInvalid if q
	// is empty.
	ListTokens(ctx context.Context, q TokenQuery, after string, limit int) ([]Token, error)
}

// TokenQuery selects the token records that match all of its fields that are
// not empty. The zero TokenQuery selects nothing and is refused: "all" is
// never meant by leaving everything out.
type TokenQuery struct{ ID, Subject, ClientID string }

// Consents keeps what users have agreed to: one record per user and client.
type Consents interface {
	// Consent returns the record, or ErrNotFound.
	Consent(ctx context.Context, subject, clientID string) (Consent, error)

	// GrantConsent adds c's scopes and resources to those of the stored record,
	// keeps that record's GrantedAt, and takes c's UpdatedAt. If there is no
	// record, or its ClientHash differs from c's (the client is not what the
	// user agreed to), c is stored in its place. Scopes and resources are sets:
	// each is kept once, in ascending byte order. Concurrent grants all count.
	GrantConsent(ctx context.Context, c Consent) error

	// RevokeConsents deletes the records that q selects and returns how many
	// there were. It does not touch tokens. ErrInvalid if q is empty.
	RevokeConsents(ctx context.Context, q ConsentQuery) (int, error)

	// ListConsents returns up to limit of the subject's records in order of
	// their client IDs, from the first whose ClientID is greater than after.
	ListConsents(ctx context.Context, subject, after string, limit int) ([]Consent, error)
}

// ConsentQuery selects the consents that match all of its fields that are not
// empty: a user's, a client's, or the one of a user and a client. The zero
// ConsentQuery is refused.
type ConsentQuery struct{ Subject, ClientID string }
