-- Reads a subject's consents in the order of their clients.
-- KEYS: index of the subject's consents.
-- ARGV: what comes before the client in a record's key, from where in the
-- index, how many, how many bytes.
-- Returns where the next call goes on ('' if there is nothing left), then the
-- client and the fields and values of each record.
local clients = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local limit, size, out = tonumber(ARGV[4]), 0, {''}
for _, client in ipairs(clients) do
  if size > limit then
    return out
  end
  local fields = redis.call('HGETALL', ARGV[1] .. client)
  if #fields == 0 then
    redis.call('EXISTS', KEYS[1], ARGV[1] .. client) -- an error if it is on another node: see lib.lua
  else
    out[#out + 1] = client
    out[#out + 1] = fields
  end
  for _, field in ipairs(fields) do
    size = size + #field
  end
  out[1] = '(' .. client
end
if #clients < tonumber(ARGV[3]) then
  out[1] = ''
end
return out
