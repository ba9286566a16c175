// Package store is what a store of the oauth package has to keep, and what it
// has to promise. It is all that the author of a store reads: four small
// interfaces, the records that go through them, six errors, and [NewMemory],
// which is the contract in running code. It imports nothing but the standard
// library.
//
// A program that only uses a store needs one line of this package,
// store.NewMemory(), or the constructor of another store.
//
// # The four rules
//
// They hold for every method of every interface here.
//
// Atomic and visible. A method does all of what it says or nothing. Once it
// has returned, every handle on the same data, in every process, sees its
// effect; there is no replica that lags, and no cache that has to expire. A
// call that returns an error which is none of this package's may or may not
// have had its effect (a connection can break after the commit), but never
// half of it.
//
// Reads no clock. Every time comes in as an argument or in a record, in UTC
// and to the microsecond, and comes out as the same instant in UTC. Whether
// something has expired is the caller's judgement: a store returns expired,
// consumed and revoked records like any other, and removes a record only in a
// Delete method.
//
// Sees no secret. Codes, refresh tokens and client secrets arrive as digests
// or sealed. A copy of the store's data opens nothing.
//
// Values, not pointers. What goes in is copied, and so is what comes out: no
// caller can change a stored record by changing a slice it still holds.
//
// # Versions
//
// Clients, codes and tokens carry a Version. Create stores it as 1, whatever
// the record says. Update replaces the record if the stored Version equals the
// record's, stores Version + 1, and fails with [ErrConflict] otherwise: it is
// a compare-and-swap, in one statement, never a read followed by a write. Of
// any number of updates that race on one version exactly one succeeds.
//
// # Errors
//
// [ErrNotFound], [ErrExists], [ErrConflict], [ErrConsumed], [ErrRevoked] and
// [ErrInvalid] are answers; a store may wrap them. Every other error means
// that the store could not answer, and the provider reports it as an outage,
// never as an invalid token. Where several apply, the order is: ErrInvalid,
// ErrNotFound, then ErrConsumed or ErrRevoked, then ErrConflict.
//
// A method called with a context that has ended returns the context's error
// (possibly wrapped) and does nothing.
//
// # Strings and limits
//
// Keys are compared byte by byte: no case folding, no Unicode normalisation,
// no trimming. Records hold valid UTF-8 without NUL, in the sizes that their
// Check methods say; a store calls Check first in every Create, Update and
// Grant and returns its error, which wraps ErrInvalid. A look-up by a key that
// no record can have (see [ValidKey]) finds nothing: it returns ErrNotFound,
// an empty list, false or zero, like any other key that is not there.
//
// Lists are in ascending byte order of the key they page by. The argument
// after is the last key of the page before, empty for the first page; limit is
// between 1 and [MaxPage], anything else is ErrInvalid.
//
// # Writing one
//
// Implement [Store], run storetest.Run against the real thing, and read the
// names of the cases that fail: each is the sentence of this package that was
// not kept. A store may take parts from different places by embedding: struct
// { *mystore.Store; ldapClients }. One whose clients cannot be changed returns
// errors.ErrUnsupported from the methods that would.
package store
