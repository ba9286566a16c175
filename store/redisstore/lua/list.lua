-- Reads the records that an index names, in its order.
-- KEYS: index.
-- ARGV: what comes before the ID in a record's key, from where in the index,
-- how many, how many bytes, client filter, subject filter.
-- Returns where the next call goes on ('' if there is nothing left), then ID,
-- v, d, p, r, c, s of each record.
local ids = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local limit, size, out = tonumber(ARGV[4]), 0, {''}
for _, id in ipairs(ids) do
  if size > limit then
    return out
  end
  local f = redis.call('HMGET', ARGV[1] .. id, 'v', 'd', 'p', 'r', 'c', 's')
  if not f[1] then
    redis.call('EXISTS', KEYS[1], ARGV[1] .. id) -- an error if it is on another node: see lib.lua
  elseif (ARGV[5] == '' or ARGV[5] == f[5]) and (ARGV[6] == '' or ARGV[6] == f[6]) then
    size = size + #f[2]
    out[#out + 1] = id
    for i = 1, 6 do
      out[#out + 1] = f[i]
    end
  end
  out[1] = '(' .. id
end
if #ids < tonumber(ARGV[3]) then
  out[1] = ''
end
return out
