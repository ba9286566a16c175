-- Revokes the tokens that an index names, at most a number of them per call.
-- KEYS: index, purge index.
-- ARGV: tag, from where in the index, how many, client filter, subject filter,
-- time, p, PurgeAt in ms.
-- Returns where the next call goes on ('' if there is nothing left), and how
-- many it marked.
local ids = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local n = 0
for _, id in ipairs(ids) do
  n = n + revoke(ARGV[1] .. ':token:' .. id, KEYS[1], KEYS[2], id, ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
end
if #ids < tonumber(ARGV[3]) then
  return {'', n}
end
return {'(' .. ids[#ids], n}
