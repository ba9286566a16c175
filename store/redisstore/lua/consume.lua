-- Marks a code as used, once.
-- KEYS: record. ARGV: the time.
-- Returns the fields v, d, e, u, p as they are from then on, and 1 for the one
-- caller that marked it, 0 for every other. Nothing if there is no record.
local f = redis.call('HMGET', KEYS[1], 'v', 'd', 'e', 'u', 'p')
if not f[1] then
  return {}
end
if f[4] ~= '' then
  f[6] = 0
  return f
end
redis.call('HSET', KEYS[1], 'u', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'v', 1)
f = redis.call('HMGET', KEYS[1], 'v', 'd', 'e', 'u', 'p')
f[6] = 1
return f
