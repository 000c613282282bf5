-- Brings jobs of one state to another queue, in one step: those that were just seen there, and are
-- still where they were seen. Works at full memory.
--
-- KEYS: meta leased delayed jobs dead graves notes expires {fair} {gates} {records} {bell} {lines} then the same of the other queue, and the keys of the ids, of this queue and of the other
-- ARGV: state skip, then the ids; skip is how many lie before them
-- Returns {moved, stayed}: how many of them went, and how many lie there still. A job stays if the
-- other queue knows its id, if it is tracked, or if its body is missing. The key of an id that a caller gave goes with
-- the job; the one that is left behind ends in `>`, so that the job may come back.
--- include: common
--- include: store
--- include: bury
--- include: fair
--- include: gates

local FIXED = 2
local state, skip = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local here, there, count_here = key, {}, UNIQUE_KEYS - 1
local number = #ARGV - FIXED

local twins = {}
for i = 1, count_here do twins[KEYS[i]] = KEYS[count_here + i] end
for name, value in pairs(here) do
  if type(value) == 'table' then
    there[name] = {}
    for level, line in ipairs(value) do there[name][level] = twins[line] end
  else
    there[name] = twins[value]
  end
end

-- Does something in the other queue.
local function over_there(act)
  key = there
  act()
  key = here
end

local function check_all()
  checked = {}
  check_types()
  check_levels()
  check_fair()
  check_gates()
  redis.call('ZCARD', key.expires)
  redis.call('HLEN', key.records)
end

check_all()
over_there(check_all)
local fair_here = redis.call('HEXISTS', here.meta, 'fair') == 1
local fair_there = redis.call('HEXISTS', there.meta, 'fair') == 1

-- The keys of the ids that may go, by id; none for one that is known there.
local fit = {}
for i = 1, number do
  local id = ARGV[FIXED + i]
  local mine, theirs = KEYS[2 * count_here + i], KEYS[2 * count_here + number + i]
  local known = redis.call('GET', theirs)
  local is_known = known and string.sub(known, -1) ~= '>'
    or redis.call('HEXISTS', there.jobs, id) == 1
    or redis.call('HEXISTS', here.records, id) == 1
    or redis.call('HEXISTS', there.records, id) == 1
  if id ~= '' and not is_known then
    fit[id] = {mine, theirs, known = redis.call('GET', mine)}
  end
end

-- A first write that a full server allows; after it the server lets the others pass.
redis.call('ZREMRANGEBYSCORE', key.delayed, 1, 0)

local going, walked, stayed = {}, 0, 0

-- Whether a job goes; the next one if there are several.
local function chosen(job, body, due)
  walked = walked + 1
  if walked <= skip then return false end
  if not body or not fit[job.id] then
    stayed = stayed + 1
    return false
  end
  going[#going + 1] = {
    job = job, body = body, due = due, old = {ref = job.ref, level = job.level}, keys = fit[job.id],
  }
  fit[job.id] = nil
  return true
end

local function choose_of(zset, read)
  local listed = redis.call('ZRANGE', zset, skip, skip + number - 1, 'WITHSCORES')
  local jobs, dues = {}, {}
  walked = skip
  for i = 1, #listed, 2 do
    local job = read(listed[i])
    if job then
      job.member, jobs[#jobs + 1], dues[#dues + 1] = listed[i], job, listed[i + 1]
    else
      stayed = stayed + 1
    end
  end
  local bodies = store.bodies(jobs)
  local gone = {}
  for i, job in ipairs(jobs) do
    if chosen(job, bodies[i], dues[i]) then gone[#gone + 1] = job.member end
  end
  return gone
end

-- What waits is gone through as if it were taken; what stays goes back to where it was.
local function choose_ready()
  local trims, back, kept, in_line = {}, {}, {}, true
  local sink = {junk = function(element) bury_raw(element, now) end}
  function sink.room() return skip + number - walked end
  function sink.job(job, body)
    if chosen(job, body) then return true end
    if in_line then back[#back + 1] = job else kept[element_of(job)] = true end
    return true
  end
  for level = 1, LEVELS do
    in_line = true
    if sink.room() > 0 then store.consume(level, sink, trims) end
    in_line = false
    if fair_here and sink.room() > 0 then consume_turns(level, sink) end
  end
  local parked = sink.room() > 0 and redis.call('ZRANGE', key.parked, 0, sink.room() - 1) or {}
  local elements = {}
  for i, member in ipairs(parked) do elements[i] = (parked_in(member)) end
  offer(store, elements, sink)
  local function without_kept(members, element_of_member)
    local gone = {}
    for _, member in ipairs(members) do
      if not kept[(element_of_member(member))] then gone[#gone + 1] = member end
    end
    return gone
  end
  return function()
    for _, trim in ipairs(trims) do drop_next(trim[1], trim[2]) end
    for i = #back, 1, -1 do store.requeue(back[i]) end
    for level, members in pairs(served) do
      local gone = without_kept(members, element_in)
      served[level] = #gone > 0 and gone or nil
    end
    leave_served()
    leave_gates(without_kept(parked, parked_in))
  end
end

local leave
if state == 'ready' then
  leave = choose_ready()
elseif state == 'delayed' then
  local gone = choose_of(key.delayed, parse)
  leave = function() call_many({'ZREM', key.delayed}, gone) end
else
  local gone = choose_of(key.dead, function(ref)
    return parse(redis.call('HGET', key.graves, ref) or '')
  end)
  leave = function()
    call_many({'ZREM', key.dead}, gone)
    call_many({'HDEL', key.graves}, gone)
  end
end

local gated = false
for _, one in ipairs(going) do
  one.note = redis.call('HGET', key.notes, one.old.ref)
  one.ends = redis.call('ZSCORE', key.expires, one.old.ref)
  fair_there, gated = fair_there or one.job.tenant, gated or one.job.gate
end

local function is_new(job)
  return job.number == 0 and job.attempt == 1 and job.crashes == 0 and job.lost == 0
end

-- Stores a job as it was, among what waits or is delayed there.
local function settle_in(one, turns)
  local job = one.job
  job.ref = job.id
  if state == 'dead' then job.attempt, job.crashes, job.lost = 1, 0, 0 end
  if state == 'ready' and not fair_there and is_new(job) then
    store.save_ready(job, one.body)
    return
  end
  store.save_delayed(job, one.body)
  if state == 'delayed' then
    redis.call('ZADD', key.delayed, one.due, element_of(job))
  elseif fair_there then
    turns[#turns + 1] = job
  else
    store.append(job)
  end
end

local function keep_more(one)
  if one.note then redis.call('HSET', key.notes, one.job.ref, one.note) end
  if one.ends then
    redis.call('ZADD', key.expires, one.ends, one.job.ref)
    redis.call('HSET', key.meta, 'timed', '1')
  end
  if one.keys.known then
    local left = math.max(1, redis.call('PTTL', one.keys[1]))
    redis.call('SET', one.keys[2], one.job.id, 'PX', left)
    redis.call('SET', one.keys[1], one.job.id .. '>', 'PX', left)
  end
end

if #going > 0 then
  over_there(function()
    local turns = {}
    for _, one in ipairs(going) do
      settle_in(one, turns)
      keep_more(one)
    end
    if fair_there then redis.call('HSET', key.meta, 'fair', '1') end
    if gated then redis.call('HSET', key.meta, 'gated', '1') end
    enter(turns, NEW)
    count('enqueued', #going)
    store.ring()
  end)
end
leave()
local olds = {}
for i, one in ipairs(going) do olds[i] = one.old end
store.forget(olds)
forget_notes(olds)
-- Who was rung for to look here has nothing to hear any more.
if state == 'ready' then store.ring() end
if #going > 0 then redis.call('HINCRBY', key.meta, 'enqueued', -#going) end
return {#going, stayed}
