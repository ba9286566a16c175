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

-- forget removes the index entries of a record that does not exist any more.
local function forget(tag, purge, entry)
  local kind, _, id, client, subject = parse(tag, entry)
  if kind == 'c' then
    redis.call('ZREM', tag .. ':clients', id)
  elseif kind == 't' then
    redis.call('ZREM', tag .. ':app:' .. client, id)
    if subject ~= '' then
      redis.call('ZREM', tag .. ':subject:' .. subject, id)
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
    if redis.call('EXISTS', key) == 0 then
      forget(tag, purge, entry)
    end
  end
end

-- keep lets Redis drop a record a week after its PurgeAt (ms since 1970, ''
-- never), or a week after this write if that is later.
local grace = 7 * 24 * 3600 * 1000
local function keep(key, ms)
  if ms == '' then
    redis.call('PERSIST', key)
    return
  end
  local at, now = tonumber(ms), redis.call('TIME')[1] * 1000
  if at < now then
    at = now
  end
  redis.call('PEXPIREAT', key, string.format('%.0f', at + grace))
end

-- put writes fields into an existing record, adds 1 to its version, and moves
-- its purge entry.
local function put(key, purge, entry, old, p, ms, fields)
  if p ~= '' and p ~= old then
    redis.call('ZADD', purge, 0, p .. entry)
  end
  redis.call('HSET', key, 'p', p, unpack(fields))
  redis.call('HINCRBY', key, 'v', 1)
  if p ~= old then
    keep(key, ms)
    if old ~= '' then
      redis.call('ZREM', purge, old .. entry)
    end
  end
end

-- revoke marks a token as revoked if it is what the query selects, and returns
-- how many it marked: 0 or 1.
local function revoke(key, purge, id, client, subject, at, p, ms)
  local f = redis.call('HMGET', key, 'v', 'r', 'p', 'c', 's')
  if not f[1] or f[2] ~= '' then
    return 0
  end
  if (client ~= '' and client ~= f[4]) or (subject ~= '' and subject ~= f[5]) then
    return 0
  end
  put(key, purge, token_entry(id, f[4], f[5]), f[3], p, ms, {'r', at})
  return 1
end
