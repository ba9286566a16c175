-- Revokes the token with one ID.
-- KEYS: record, purge index.
-- ARGV: ID, client filter, subject filter, time, p, PurgeAt in ms.
-- Returns how many it marked.
return revoke(KEYS[1], KEYS[2], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
