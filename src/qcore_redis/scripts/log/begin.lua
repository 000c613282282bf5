-- Begins a group, or begins it anew.
--
-- KEYS: totals entries index meta leased delayed graves started notes back bell
-- ARGV: verb group kind id millis; verb is begin or rewind; kind is all, new, id or time.
-- Returns 1, or 0 if the log does not reach back that far; then nothing was changed.
--- include: common
--- include: log

local verb, group, kind, id, millis = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

check_types()

-- The greatest id before an entry's.
local function just_before(entry)
  local ms, seq = string.match(entry, '^(%d+)%-(%d+)$')
  if seq ~= '0' then return ms .. '-' .. string.format('%.0f', tonumber(seq) - 1) end
  return string.format('%.0f', tonumber(ms) - 1) .. '-18446744073709551615'
end

local function total()
  return tonumber(redis.call('HGET', key.totals, 'last') or 0)
end

local function at_end()
  if redis.call('EXISTS', key.entries) == 0 then return '0-0', total() end
  local facts = redis.call('XINFO', 'STREAM', key.entries)
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then return facts[i + 1], total() end
  end
end

-- The entry behind which the group begins, and its number; nil if that is gone.
local function place()
  if kind == 'all' then return '0-0', dropped_number() end
  if kind == 'new' then return at_end() end
  local first
  if kind == 'id' then
    local entry = redis.call('HGET', key.index, id)
    first = entry and redis.call('XRANGE', key.entries, entry, entry)[1]
    if not first then return nil end
  else
    local dropped = redis.call('HGET', key.totals, 'dropped_id')
    if dropped and millis <= parts_of(dropped) then return nil end
    first = redis.call('XRANGE', key.entries, string.format('%.0f', millis), '+', 'COUNT', 1)[1]
    if not first then return at_end() end
  end
  local fields = fields_of(first)
  return just_before(first[1]), fields and fields.n - 1 or total()
end

local function is_copy(job)
  return job and string.sub(job.ref, 1, 2) == 'j:'
end

-- Lets go of what the group has in hand and what waits, but for the copies of dead letters that
-- were redriven: no entry brings them back. Says how many of these there are.
local function let_go()
  local copies, gone = {}, {}
  local function sort(job)
    if is_copy(job) then copies[#copies + 1] = element_of(job) elseif job then gone[#gone + 1] = job end
  end
  for _, token in ipairs(redis.call('ZRANGE', key.leased, 0, -1)) do sort(parse_token(token)) end
  for _, element in ipairs(redis.call('ZRANGE', key.delayed, 0, -1)) do sort(parse(element)) end
  for _, element in ipairs(redis.call('LRANGE', key.back, 0, -1)) do sort(parse(element)) end
  redis.call('DEL', key.leased, key.delayed, key.back, key.started)
  call_many({'LPUSH', key.back}, copies)
  forget_notes(gone)
  return #copies
end

-- Dead letters whose entries are still pending, see `entomb`, need them.
local function keep_pending()
  for _, element in ipairs(redis.call('HVALS', key.graves)) do
    local job = parse(element)
    local entry = job and string.match(job.ref, '^e:%d+:(.+)$')
    if entry then redis.call('XCLAIM', key.entries, group, 'qcore', 0, entry, 'FORCE', 'JUSTID') end
  end
end

local is_there = groups_of_stream()[group]
if is_there and verb == 'begin' then return 1 end
local at, last = place()
if not at then return 0 end
local more = 0
if verb == 'rewind' then
  more = let_go() + redis.call('HLEN', key.graves)
  if is_there then redis.call('XGROUP', 'DESTROY', key.entries, group) end
  redis.call('HDEL', key.meta, 'acked', 'dropped')
end
begin_group(group, at, last, more)
if verb == 'rewind' then keep_pending() end
redis.call('ZADD', key.bell, 0, '0')
return 1
