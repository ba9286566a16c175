-- Adds to a consent, or stores a new one if there is none or its hash is
-- another. Scopes and resources are fields of the hash, so that adding one is
-- setting a field.
-- KEYS: record, index of the subject's consents, index of the client's.
-- ARGV: subject, client, hash, GrantedAt, UpdatedAt, then a field of each
-- scope and resource.
local hash = redis.call('HGET', KEYS[1], 'h')
if not hash then
  redis.call('ZADD', KEYS[2], 0, ARGV[2])
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
end
local old = {}
if hash ~= ARGV[3] then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    old[field] = true
  end
  redis.call('HSET', KEYS[1], 'h', ARGV[3], 'g', ARGV[4])
  old['h'], old['g'], old['u'] = nil, nil, nil
end
redis.call('HSET', KEYS[1], 'u', ARGV[5])
for i = 6, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[i], '')
  old[ARGV[i]] = nil
end
for field in pairs(old) do
  redis.call('HDEL', KEYS[1], field)
end
return 1
