-- Adds to a consent, or stores a new one if there is none or its hash is
-- another. Scopes and resources are fields of the hash, so that adding one is
-- setting a field.
-- KEYS: record, index of the subject's consents, index of the client's.
-- ARGV: subject, client, hash, GrantedAt, UpdatedAt, how many bytes the scopes
-- and resources may have, then a field of each (two bytes and what it is).
-- Returns 1, or 4 if there would be more bytes.
local hash = redis.call('HGET', KEYS[1], 'h')
local old, size = {}, 0
for _, field in ipairs(hash and redis.call('HKEYS', KEYS[1]) or {}) do
  if #field > 1 then
    old[field] = true
    size = size + #field - 2
  end
end
if hash == ARGV[3] then
  for i = 7, #ARGV do
    if not old[ARGV[i]] then
      size = size + #ARGV[i] - 2
    end
  end
  if size > tonumber(ARGV[6]) then
    return 4
  end
  old = {}
else
  redis.call('ZADD', KEYS[2], 0, ARGV[2])
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
  redis.call('HSET', KEYS[1], 'h', ARGV[3], 'g', ARGV[4])
end
redis.call('HSET', KEYS[1], 'u', ARGV[5])
for i = 7, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[i], '')
  old[ARGV[i]] = nil
end
for field in pairs(old) do
  redis.call('HDEL', KEYS[1], field)
end
return 1
