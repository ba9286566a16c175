-- Replaces a record if it has the version given and its end has not come.
-- KEYS: record, purge index.
-- ARGV: version, the field that is not empty once the record has ended, p,
-- PurgeAt in ms, purge entry without p, then field and value.
-- Returns 1, 0 if there is no record, 2 if it has ended, 3 if its version is
-- another.
local f = redis.call('HMGET', KEYS[1], 'v', 'p', ARGV[2])
if not f[1] then
  return 0
end
if f[3] and f[3] ~= '' then
  return 2
end
if f[1] ~= ARGV[1] then
  return 3
end
put(KEYS[1], KEYS[2], ARGV[5], f[2], ARGV[3], ARGV[4], {unpack(ARGV, 6)})
return 1
