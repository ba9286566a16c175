-- Shared by the scripts that change records; put before each of them.
--
-- A record is a hash. Fields that scripts look at: v the version, p the
-- PurgeAt as 16 hex digits in order of time ('' never), r the RevokedAt and c
-- the ClientID and s the Subject of a token. Versions and times are only ever
-- compared as strings and counted by HINCRBY, so that no Lua number rounds
-- them.
--
-- The purge index holds one entry per record that has a PurgeAt: the 16
-- digits, a letter for the kind of record, and what it takes to find the
-- record and its other index entries.
--
-- All keys of one call have the same hash tag. A script makes what a later
-- line needs before it takes anything away, so that an error in its middle (a
-- slot on its way to another node) cannot leave a record without an index
-- entry.

-- While a slot moves, the node that gets it answers for a key that it does not
-- have yet as if there were none. A command with two keys it refuses. So what
-- is not there, and whose key is not in KEYS, is asked for once more together
-- with an index that is: see missing.

local names = {c = ':client:', o = ':code:', t = ':token:'}

local function token_entry(id, client, subject)
  return 't' .. #id .. ':' .. #client .. ':' .. id .. client .. subject
end

-- parse returns of a purge entry: the kind, the record's key, and of a client
-- or token the ID, of a token also the ClientID and Subject.
local function parse(tag, entry)
  local kind, rest = entry:sub(17, 17), entry:sub(18)
  if kind ~= 't' then
    return kind, tag .. names[kind] .. rest, rest
  end
  local n, m, ids = rest:match('^(%d+):(%d+):(.*)$')
  n, m = tonumber(n), tonumber(m)
  local id = ids:sub(1, n)
  return kind, tag .. ':token:' .. id, id, ids:sub(n + 1, n + m), ids:sub(n + m + 1)
end

-- missing reports whether there is no such key, and raises an error if it may be
-- on another node. The index has to be there.
local function missing(index, key)
  return redis.call('EXISTS', index, key) < 2
end

-- remove takes a member out of an index that may not be in KEYS.
local function remove(purge, index, member)
  if redis.call('ZREM', index, member) == 0 then
    missing(purge, index)
  end
end

-- forget removes the index entries of a record that does not exist any more.
local function forget(tag, purge, entry)
  local kind, _, id, client, subject = parse(tag, entry)
  if kind == 'c' then
    remove(purge, tag .. ':clients', id)
  elseif kind == 't' then
    remove(purge, tag .. ':app:' .. client, id)
    if subject ~= '' then
      remove(purge, tag .. ':subject:' .. subject, id)
    end
  end
  redis.call('ZREM', purge, entry)
end

-- sweep looks at the two oldest purge entries and forgets those whose record
-- Redis has dropped. A create adds one entry, so that the index stays as small
-- as the records, also where DeleteExpired is never called.
local function sweep(tag, purge)
  for _, entry in ipairs(redis.call('ZRANGE', purge, 0, 1)) do
    local _, key = parse(tag, entry)
    if missing(purge, key) then
      forget(tag, purge, entry)
    end
  end
end

-- drop_at is when Redis may drop a record: a week after its PurgeAt (ms since
-- 1970), or a week after this write if that is later; '' for never.
local week = 7 * 24 * 3600 * 1000
local function drop_at(ms)
  if ms == '' then
    return ''
  end
  local at, now = tonumber(ms), redis.call('TIME')[1] * 1000
  if at < now then
    at = now
  end
  return string.format('%.0f', at + week)
end

-- keep has Redis drop a record at the time that drop_at returned.
local function keep(key, at)
  if at == '' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIREAT', key, at)
  end
end

-- put writes fields into an existing record, adds 1 to its version, and moves
-- its purge entry.
local function put(key, purge, entry, old, p, ms, fields)
  local at = drop_at(ms)
  if p ~= '' and p ~= old then
    redis.call('ZADD', purge, 0, p .. entry)
  end
  redis.call('HSET', key, 'p', p, unpack(fields))
  redis.call('HINCRBY', key, 'v', 1)
  if p ~= old then
    keep(key, at)
    if old ~= '' then
      redis.call('ZREM', purge, old .. entry)
    end
  end
end

-- revoke marks a token as revoked if it is what the query selects, and returns
-- how many it marked: 0 or 1. The index is the one that names it.
local function revoke(key, index, purge, id, client, subject, at, p, ms)
  local f = redis.call('HMGET', key, 'v', 'r', 'p', 'c', 's')
  if not f[1] then
    missing(index, key)
    return 0
  end
  if f[2] ~= '' then
    return 0
  end
  if (client ~= '' and client ~= f[4]) or (subject ~= '' and subject ~= f[5]) then
    return 0
  end
  put(key, purge, token_entry(id, f[4], f[5]), f[3], p, ms, {'r', at})
  return 1
end
