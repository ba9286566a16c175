-- Deletes a client.
-- KEYS: record, purge index, index of clients. ARGV: ID.
-- Returns 1, or 0 if there is none.
local p = redis.call('HGET', KEYS[1], 'p')
if not p then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[2], p .. 'c' .. ARGV[1])
return 1
