-- Stores jobs, all or none. Its first write is one that a full server refuses, so that nothing is
-- half done there.
--
-- KEYS: flush meta delayed jobs expires {fair} {records} {bell} {lines} then one key for each caller's id, dedup key or join
-- ARGV: number ttl window, then for each job: id level delay at options envelope
--       (at is unix milliseconds or ''; options begin with which keys are its own, in order: i for
--       the id, b for that of a job that is brought and has none of its caller's, d for the dedup
--       key, j for the join; behind that stand `;name=value` for each of what not every job has:
--       ttl    milliseconds in which it must be taken once it is due
--       tenant whose turn it waits for
--       front  that it goes before everything on its level
--       gate   what it has to pass when it is taken
--       keep   milliseconds that its record stays once it is done, dead or dropped, by commas
--       join   how many have to ask, milliseconds for which is known who did, who asks, by commas)
-- Returns {flags, id, ...}: a flag for each job, 1 created and 0 known, or that others have to ask
-- for it; the ids of those that were not created.
--- include: common
--- include: replay
--- include: store
--- include: fair
--- include: records

local FIXED, FIELDS = 3, 6
-- Milliseconds in which a second try to bring a job finds the first, however short the window is: no
-- caller can want to use such an id again.
local BROUGHT = 3600000
local number, ttl, window = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
local next_unique = UNIQUE_KEYS
local flags, known, created = {}, {}, 0
local news = {}
local urgent_first, woken = false, false
local timed, keeps, named = {}, false, false
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

-- The letters of the keys that are a job's own.
local function own_keys(options)
  return string.gmatch(string.match(options, '^%a*'), '%a')
end

check_types()
local told = first_answer(number)
if told then
  local answer = {}
  for word in string.gmatch(told, '%S+') do answer[#answer + 1] = word end
  return answer
end

local kept, own = {}, UNIQUE_KEYS
for at = FIXED + 1, #ARGV, FIELDS do
  check_level(tonumber(ARGV[at + 1]))
  if option(ARGV[at + 4], 'ttl') then redis.call('ZCARD', key.expires) end
  fair = fair or option(ARGV[at + 4], 'tenant')
  gated = gated or option(ARGV[at + 4], 'gate')
  keeps = keeps or option(ARGV[at + 4], 'keep')
  named = named or string.find(ARGV[at + 4], '^i')
  for kind in own_keys(ARGV[at + 4]) do
    if kind == 'j' then
      redis.call('SCARD', KEYS[own])
    else
      -- Behind the id of a job that was moved to another queue stands a `>`.
      kept[KEYS[own]] = string.match(redis.call('GET', KEYS[own]) or '', '^[^>]+')
    end
    own = own + 1
  end
end
watch_records(keeps or named and redis.call('HEXISTS', key.meta, 'tracked') == 1)
if fair then check_fair() end

-- Notes who asks for a job, and says whether others have to ask for it as well.
local function waits_for_others(name, options)
  local of, within, member = string.match(option(options, 'join'), '^(%d+),(%d+),(.+)$')
  redis.call('SADD', name, member)
  if redis.call('SCARD', name) < tonumber(of) then
    redis.call('PEXPIRE', name, within)
    return true
  end
  redis.call('DEL', name)
  return false
end

-- The id under which a job is known already, or its own if others have to ask for it; or nil, with
-- its keys noted.
local function known_as(id, options)
  local keys, found, join = {}, nil, nil
  for kind in own_keys(options) do
    local name = KEYS[next_unique]
    next_unique = next_unique + 1
    if kind == 'j' then join = name else keys[#keys + 1] = {name, kind} end
    found = found or kept[name]
    local is_here = (kind == 'i' or kind == 'b') and not found
      and (redis.call('HEXISTS', key.jobs, id) == 1 or has_open_record(id))
    if is_here then found = id end
  end
  if not found and join and waits_for_others(join, options) then return id end
  if not found then
    for _, own in ipairs(keys) do
      local name, kind = own[1], own[2]
      redis.call('SET', name, id, 'PX', kind == 'b' and math.max(window, BROUGHT) or window)
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
    if keep then
      begin_record(id, due, keep, now)
    elseif tracked and string.find(options, '^i') then
      -- What is kept of an earlier job of this id is not of this one.
      forget_records({id})
    end
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
