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
  local key = ARGV[1] .. ':consent:' .. #subject .. ':' .. subject .. ':' .. client
  local consents, consenters = ARGV[1] .. ':consents:' .. subject, ARGV[1] .. ':consenters:' .. client
  local deleted = redis.call('DEL', key)
  if deleted == 0 then
    missing(KEYS[1], key)
  end
  n = n + deleted
  -- KEYS[1], by which the record is found, comes last.
  if KEYS[1] == consents then
    remove(KEYS[1], consenters, subject)
    redis.call('ZREM', consents, client)
  else
    remove(KEYS[1], consents, client)
    redis.call('ZREM', consenters, subject)
  end
end
if #members < tonumber(ARGV[3]) then
  return {'', n}
end
return {'(' .. members[#members], n}
