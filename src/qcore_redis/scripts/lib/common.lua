-- Shared by every script: the clock, elements and tokens, variadic calls, counters.
--
-- element  ref|level|number|attempt|crashes|lost        what waits, is delayed or dead; with ^gate
--                                                        and ~tenant behind it if the job has them
-- token    element|mark|owner                           what is held: the member of `leased`
--
-- level 1 is the most urgent (priority 4), 5 the normal one, 9 the least; number counts
-- deliveries; lost counts deliveries whose lease ran out; mark is s (started) or p (taken ahead).

local LEVELS = 9
local NORMAL = 5
local CHUNK = 500
local SWEEP = 200
local PROMOTE = 1000

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function parse(element)
  local mark, tenant, gate = string.find(element, '~', 1, true), nil, nil
  if mark then element, tenant = string.sub(element, 1, mark - 1), string.sub(element, mark + 1) end
  mark = string.find(element, '^', 1, true)
  if mark then element, gate = string.sub(element, 1, mark - 1), string.sub(element, mark + 1) end
  local ref, level, number, attempt, crashes, lost =
    string.match(element, '^(.+)|([1-9])|(%d+)|(%d+)|(%d+)|(%d+)$')
  if not ref or gate and not string.find(gate, '^[^|]+,%d+,%d+,%d+$') then return nil end
  return {
    ref = ref, level = tonumber(level), number = tonumber(number),
    attempt = tonumber(attempt), crashes = tonumber(crashes), lost = tonumber(lost),
    tenant = tenant, gate = gate,
  }
end

local function parse_token(token)
  local element, mark, owner = string.match(token, '^(.+)|([sp])|([^|]+)$')
  local job = element and parse(element)
  if not job then return nil end
  job.mark, job.owner = mark, owner
  return job
end

-- An element without the job's tenant.
local function bare_element_of(job)
  local bare = table.concat(
    {job.ref, job.level, job.number, job.attempt, job.crashes, job.lost}, '|')
  return job.gate and bare .. '^' .. job.gate or bare
end

local function element_of(job)
  return job.tenant and bare_element_of(job) .. '~' .. job.tenant or bare_element_of(job)
end

-- Calls `verb key a b c ...` in parts that fit on the Lua stack; `head` goes before each part.
local function call_many(head, items)
  for first = 1, #items, CHUNK do
    local words = {}
    for i = 1, #head do words[i] = head[i] end
    for i = first, math.min(first + CHUNK - 1, #items) do words[#words + 1] = items[i] end
    redis.call(unpack(words))
  end
end

local function forget_notes(jobs)
  local refs = {}
  for i, job in ipairs(jobs) do refs[i] = job.ref end
  call_many({'HDEL', key.notes}, refs)
  if key.expires then call_many({'ZREM', key.expires}, refs) end
end

local function count(field, amount)
  if amount > 0 then redis.call('HINCRBY', key.meta, field, amount) end
end

-- Offers elements that wait to `sink`, in order, until it refuses one: sink.job(job, body) says
-- whether it took the job, sink.junk(element) takes what cannot be parsed; a blank only rang.
-- Returns how many were used up, and whether to go on.
local function offer(store, elements, sink)
  local jobs, places = {}, {}
  for i, element in ipairs(elements) do
    local job = element ~= '' and parse(element)
    if job then
      jobs[#jobs + 1] = job
      places[i] = #jobs
    end
  end
  local bodies = store.bodies(jobs)
  for i, element in ipairs(elements) do
    local at = places[i]
    if at then
      if not sink.job(jobs[at], bodies[at]) then return i - 1, false end
    elseif element ~= '' then
      sink.junk(element)
    end
  end
  return #elements, true
end

-- The `want` next elements of a line after the first `skip`, next one first: the next one lies at
-- the right end, where BRPOPLPUSH takes it.
local function next_of(line, skip, want)
  local elements = redis.call('LRANGE', line, -skip - want, -skip - 1)
  local i, j = 1, #elements
  while i < j do
    elements[i], elements[j] = elements[j], elements[i]
    i, j = i + 1, j - 1
  end
  return elements
end

-- Offers what `next_ones(skip, want)` gives to `sink` until it is closed: blanks and junk do not
-- fill its room. Returns how many elements were used up, and whether to go on with other lines.
local function offer_all(store, next_ones, sink)
  local used = 0
  for _ = 1, SWEEP do
    local want = sink.room()
    local elements = want > 0 and next_ones(used, want) or {}
    local done, go_on = offer(store, elements, sink)
    used = used + done
    if not go_on or want == 0 or #elements < want then return used, go_on end
  end
  sink.cut = true
  return used, true
end

-- The same for what waits in a line.
local function offer_line(store, line, sink)
  return offer_all(store, function(skip, want) return next_of(line, skip, want) end, sink)
end

-- Drops the `used` next elements of a line.
local function drop_next(line, used)
  if used > 0 then redis.call('LTRIM', line, 0, -used - 1) end
end

local PROBES = {
  meta = 'HLEN', leased = 'ZCARD', delayed = 'ZCARD', jobs = 'HLEN', dead = 'ZCARD',
  graves = 'HLEN', notes = 'HLEN', started = 'SCARD', bell = 'ZCARD', waiters = 'ZCARD',
  lapsed = 'HLEN', claim = 'LLEN', gate = 'LLEN',
  entries = 'XLEN', totals = 'HLEN', index = 'HLEN', back = 'LLEN',
}
local LINE_PROBES = {ready = 'LLEN', again = 'LLEN', new = 'XLEN'}
local checked = {}

-- Fails, before anything is written, if what a level waits in is not what it should be.
local function check_level(level)
  if checked[level] then return end
  checked[level] = true
  for name, probe in pairs(LINE_PROBES) do
    if key[name] then redis.call(probe, key[name][level]) end
  end
end

local function check_levels()
  for level = 1, LEVELS do check_level(level) end
end

-- Fails, before anything is written, if a declared key holds what it should not.
local function check_types()
  for name, probe in pairs(PROBES) do
    if key[name] then redis.call(probe, key[name]) end
  end
  -- Whatever happens may have to ring there.
  check_level(NORMAL)
end
