-- Stores a record unless its key is taken.
-- KEYS: record, purge index, then each index that gets the ID.
-- ARGV: tag, p, PurgeAt in ms, purge entry without p, ID, then field and value.
-- Returns 1, or 0 if the key is taken.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local at = drop_at(ARGV[3])
for i = 3, #KEYS do
  redis.call('ZADD', KEYS[i], 0, ARGV[5])
end
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[2], 0, ARGV[2] .. ARGV[4])
end
redis.call('HSET', KEYS[1], 'v', '1', 'p', ARGV[2], unpack(ARGV, 6))
keep(KEYS[1], at)
sweep(ARGV[1], KEYS[2])
return 1
