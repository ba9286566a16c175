// Package redisstore keeps what a provider has to remember in Redis or Valkey,
// alone or as a Redis Cluster. It implements [store.Store]; any number of
// providers may share one server or cluster.
//
// Every change of a record is one Lua script, so that what decides and what
// changes is one step; every operation on one record is one round trip to one
// hash slot, index entries included. README.md describes keys and scripts.
//
// # Durability
//
// Redis answers, by default, before a write is on disk. A used code, a replaced
// refresh token or a revocation that is lost in a crash comes back to life, so
// [New] refuses a server that forgets: it wants appendonly yes, appendfsync
// always, no-appendfsync-on-rewrite no and maxmemory-policy noeviction.
// [Options.AllowDataLoss] says otherwise.
//
// A replica that takes over lacks the writes that had not reached it; Redis has
// no setting that rules this out. Where that is not acceptable, keep codes and
// tokens in SQL.
//
// # Where it differs from the contract
//
// Three things that the package comment of store promises hold here with a
// limit:
//
// RevokeTokens and RevokeConsents are atomic for each record. They are atomic
// as a whole if they concern one record, or at most 1,000 in one partition
// (without a cluster there is one partition, see [Options.Partitions]). Beyond
// that they work in steps; a call that returns an error may have ended some of
// the records and not others, never one that it should not have. Calling again
// completes it.
//
// Redis itself drops a record a week after its PurgeAt, or a week after the
// write that set this PurgeAt if that is later, so that memory is bounded where
// nobody calls DeleteExpired. A record whose PurgeAt is zero, or after the year
// 9999, is never dropped.
//
// A context that ends during a call ends the call only if the client was made
// with ContextTimeoutEnabled, and then only by its deadline; otherwise the
// client's read timeout does.
package redisstore
