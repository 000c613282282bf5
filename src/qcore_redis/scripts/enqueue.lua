-- Stores jobs, all or none. Its first write is one that a full server refuses, so that nothing is
-- half done there.
--
-- KEYS: flush meta delayed jobs expires {fair} {records} {bell} {lines} then one key for each caller's id or dedup key
-- ARGV: number ttl window, then for each job: id level delay at options envelope
--       (at is unix milliseconds or ''; options begin with which keys are its own, in order: '', i,
--       d, id; behind that stand `;name=value` for each of what not every job has:
--       ttl    milliseconds in which it must be taken once it is due
--       tenant whose turn it waits for
--       front  that it goes before everything on its level
--       gate   what it has to pass when it is taken
--       keep   milliseconds that its record stays once it is done, dead or dropped, by commas)
-- Returns {flags, id, ...}: a flag for each job, 1 created and 0 known; the ids of the known ones.
--- include: common
--- include: replay
--- include: store
--- include: fair
--- include: records

local FIXED, FIELDS = 3, 6
local number, ttl, window = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
local next_unique = UNIQUE_KEYS
local flags, known, created = {}, {}, 0
local news = {}
local urgent_first, woken = false, false
local timed = {}
local fairly, fronts = {}, {}
local gated = false

-- Asked in place of the probe of its type, so that it costs nothing.
PROBES.meta = nil
local fair = redis.call('HEXISTS', key.meta, 'fair') == 1

local function reply()
  local answer = {table.concat(flags)}
  for i, id in ipairs(known) do answer[i + 1] = id end
  return answer
end

-- What the options of a job say of a name, or nil.
local function option(options, name)
  return options ~= '' and string.match(options, ';' .. name .. '=([^;]*)') or nil
end

check_types()
local told = first_answer(number)
if told then
  local answer = {}
  for word in string.gmatch(told, '%S+') do answer[#answer + 1] = word end
  return answer
end

for at = FIXED + 1, #ARGV, FIELDS do
  check_level(tonumber(ARGV[at + 1]))
  if option(ARGV[at + 4], 'ttl') then redis.call('ZCARD', key.expires) end
  fair = fair or option(ARGV[at + 4], 'tenant')
  gated = gated or option(ARGV[at + 4], 'gate')
  if option(ARGV[at + 4], 'keep') then watch_records(true) end
end
if fair then check_fair() end
local kept = {}
for i = UNIQUE_KEYS, #KEYS do
  -- Behind the id of a job that was moved to another queue stands a `>`.
  kept[KEYS[i]] = string.match(redis.call('GET', KEYS[i]) or '', '^[^>]+')
end

-- The id under which a job is known already, or nil; notes its keys otherwise.
local function known_as(id, options)
  local keys, found = {}, nil
  for kind in string.gmatch(string.match(options, '^%a*'), '%a') do
    keys[#keys + 1] = KEYS[next_unique]
    next_unique = next_unique + 1
    found = found or kept[keys[#keys]]
    if kind == 'i' and not found and redis.call('HEXISTS', key.jobs, id) == 1 then found = id end
  end
  if not found then
    for _, name in ipairs(keys) do
      redis.call('SET', name, id, 'PX', window)
      kept[name] = id
    end
  end
  return found
end

for at = FIXED + 1, #ARGV, FIELDS do
  local id, level, options = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 4]
  local due = ARGV[at + 3] ~= '' and tonumber(ARGV[at + 3]) or now + tonumber(ARGV[at + 2])
  local first = known_as(id, options)
  if first then
    flags[#flags + 1], known[#known + 1] = '0', first
  else
    flags[#flags + 1] = '1'
    created = created + 1
    local job = {ref = id, level = level, number = 0, attempt = 1, crashes = 0, lost = 0,
                 tenant = option(options, 'tenant'), gate = option(options, 'gate')}
    if due > now then
      store.save_delayed(job, ARGV[at + 5])
      local element = element_of(job)
      redis.call('ZADD', key.delayed, due, element)
      -- Sleepers know the first due time only; an earlier one must wake them.
      if redis.call('ZRANK', key.delayed, element) == 0 then urgent_first = true end
    elseif option(options, 'front') then
      store.save_delayed(job, ARGV[at + 5])
      fronts[#fronts + 1] = job
      woken = woken or store.must_ring(level)
    elseif fair then
      store.save_delayed(job, ARGV[at + 5])
      fairly[#fairly + 1] = job
    else
      store.save_ready(job, ARGV[at + 5])
      woken = woken or store.must_ring(level)
    end
    local keep = option(options, 'keep')
    if keep then begin_record(id, due, keep, now) end
    local ttl_ms = option(options, 'ttl')
    if ttl_ms then
      timed[#timed + 1], timed[#timed + 2] = math.max(due, now) + tonumber(ttl_ms), job.ref
    end
  end
end
if #timed > 0 then
  call_many({'ZADD', key.expires}, timed)
  redis.call('HSET', key.meta, 'timed', '1')
end
if gated then redis.call('HSET', key.meta, 'gated', '1') end
if fair and created > 0 then
  redis.call('HSET', key.meta, 'fair', '1')
  enter(fairly, NEW)
end
for i = #fronts, 1, -1 do store.requeue(fronts[i]) end
if urgent_first or woken or #fairly > 0 then store.ring() end
count('enqueued', created)
keep_answer(number, table.concat(reply(), ' '), ttl)
return reply()
