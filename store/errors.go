package store

import "errors"

// The answers of a store that are not a record. Compare with errors.Is. Any
// other error is an outage.
var (
	ErrNotFound = errors.New("store: no such record")
	ErrExists   = errors.New("store: a record with this key exists")
	ErrConflict = errors.New("store: the record was changed by someone else")
	ErrConsumed = errors.New("store: the code was used before")
	ErrRevoked  = errors.New("store: the token was revoked")
	ErrInvalid  = errors.New("store: the arguments cannot be stored")
)
