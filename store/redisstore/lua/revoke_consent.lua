-- Deletes one consent.
-- KEYS: record, index of the subject's consents, index of the client's.
-- ARGV: subject, client.
-- Returns how many there were.
local n = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return n
