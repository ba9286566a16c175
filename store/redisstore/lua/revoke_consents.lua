-- Deletes the consents that an index names, at most a number of them per call.
-- KEYS: index.
-- ARGV: tag, from where in the index, how many, the subject whose index it is,
-- or '', the client whose index it is, or ''.
-- Returns where the next call goes on ('' if there is nothing left), and how
-- many it deleted.
local members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local n = 0
for _, member in ipairs(members) do
  local subject, client = ARGV[4], ARGV[5]
  if subject == '' then
    subject = member
  else
    client = member
  end
  n = n + redis.call('DEL', ARGV[1] .. ':consent:' .. #subject .. ':' .. subject .. ':' .. client)
  redis.call('ZREM', ARGV[1] .. ':consents:' .. subject, client)
  redis.call('ZREM', ARGV[1] .. ':consenters:' .. client, subject)
end
if #members < tonumber(ARGV[3]) then
  return {'', n}
end
return {'(' .. members[#members], n}
