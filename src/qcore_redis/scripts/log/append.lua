-- Appends jobs to a log, all or none, wakes one consumer of each group, and drops what need not
-- stay. Its first write is one that a full server refuses, so that nothing is half done there.
--
-- KEYS: flush totals entries index then one bell for each group, then one for each caller's id or dedup key
-- ARGV: number ttl window retention most lossy groups, then the groups' names, then for each job:
--       id unique envelope (unique says which keys are its own, in order: '', i, d, id)
-- Returns {flags, id, ...}: a flag for each job, 1 created and 0 known; the ids of the known ones.
-- Where there are groups that the caller did not name it does nothing, and returns {'?', name, ...}.
--- include: common
--- include: log
--- include: replay

local FIXED, FIELDS = 7, 3
local number, ttl, window = ARGV[1], ARGV[2], ARGV[3]
local retention, most, lossy = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local named = tonumber(ARGV[7])
local first_job = FIXED + named + 1
local next_unique = UNIQUE_KEYS + named
local flags, known = {}, {}

local function reply()
  local answer = {table.concat(flags)}
  for i, id in ipairs(known) do answer[i + 1] = id end
  return answer
end

check_types()
local told = first_answer(number)
if told then
  local answer = {}
  for word in string.gmatch(told, '%S+') do answer[#answer + 1] = word end
  return answer
end

local groups = groups_of_stream()
local bells = {}
for i = 1, named do bells[ARGV[FIXED + i]] = KEYS[UNIQUE_KEYS + i - 1] end
local unnamed = {'?'}
for name in pairs(groups) do
  if not bells[name] then unnamed[#unnamed + 1] = name end
end
if #unnamed > 1 then return unnamed end

-- The id under which a job is known already, or nil; notes its keys otherwise.
local function known_as(id, unique)
  local keys, found = {}, nil
  for _ in string.gmatch(unique, '%a') do
    keys[#keys + 1] = KEYS[next_unique]
    next_unique = next_unique + 1
    found = found or redis.call('GET', keys[#keys]) or nil
  end
  if not found then
    for _, name in ipairs(keys) do redis.call('SET', name, id, 'PX', window) end
  end
  return found
end

local created = 0
for at = first_job, #ARGV, FIELDS do
  local id = ARGV[at]
  local first = known_as(id, ARGV[at + 1])
  if first then
    flags[#flags + 1], known[#known + 1] = '0', first
  else
    flags[#flags + 1] = '1'
    created = created + 1
    local n = redis.call('HINCRBY', key.totals, 'last', 1)
    local entry = redis.call('XADD', key.entries, '*', 'id', id, 'n', n, 'job', ARGV[at + 2])
    redis.call('HSET', key.index, id, entry)
  end
end
if created > 0 then
  for name in pairs(groups) do redis.call('ZADD', bells[name], 0, '0') end
end

-- The first entry that a group has yet to settle: of those in hand, or behind the last handed out.
local function first_unsettled(name, at)
  local pending = redis.call('XPENDING', key.entries, name)
  if pending[1] > 0 then return pending[2] end
  local after = redis.call('XRANGE', key.entries, '(' .. at, '+', 'COUNT', 1)
  return after[1] and after[1][1]
end

local function first_needed()
  local first = nil
  if lossy then return first end
  for name, at in pairs(groups) do
    local entry = first_unsettled(name, at)
    if entry and (not first or is_before(entry, first)) then first = entry end
  end
  return first
end

local function drop(entry)
  local fields = fields_of(entry)
  if fields then
    if redis.call('HGET', key.index, fields.id) == entry[1] then
      redis.call('HDEL', key.index, fields.id)
    end
    redis.call('HSET', key.totals, 'dropped', fields.n)
  end
  redis.call('HSET', key.totals, 'dropped_id', entry[1])
  redis.call('XDEL', key.entries, entry[1])
end

-- A little more than came in, so that what had to stay for long goes in small parts.
local function trim()
  local now = now_ms()
  local needed, asked = nil, false
  for _ = 1, 2 * created + 20 do
    local entry = redis.call('XRANGE', key.entries, '-', '+', 'COUNT', 1)[1]
    if not entry then return end
    local is_over = (most > 0 and redis.call('XLEN', key.entries) > most)
      or (retention > 0 and parts_of(entry[1]) <= now - retention)
    if not is_over then return end
    if not asked then needed, asked = first_needed(), true end
    if needed and not is_before(entry[1], needed) then return end
    drop(entry)
  end
end

if most > 0 or retention > 0 then trim() end
keep_answer(number, table.concat(reply(), ' '), ttl)
return reply()
