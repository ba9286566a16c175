-- Deletes records whose PurgeAt has come.
-- KEYS: purge index. ARGV: tag, up to where in the index, how many.
-- Returns how many clients, codes and tokens it deleted, and how many entries
-- it looked at.
local due = redis.call('ZRANGEBYLEX', KEYS[1], '-', ARGV[2], 'LIMIT', 0, ARGV[3])
local n = {c = 0, o = 0, t = 0}
for _, entry in ipairs(due) do
  local kind, key = parse(ARGV[1], entry)
  local p = redis.call('HGET', key, 'p')
  if p == entry:sub(1, 16) then
    redis.call('DEL', key)
    n[kind] = n[kind] + 1
    p = false
  elseif not p then
    missing(KEYS[1], key)
  end
  if p then -- dropped by Redis, and created again with another PurgeAt
    redis.call('ZREM', KEYS[1], entry)
  else
    forget(ARGV[1], KEYS[1], entry)
  end
end
return {n.c, n.o, n.t, #due}
