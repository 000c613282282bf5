-- How a take goes through gates; see gates.lua for what is kept of them.

local gates = {}
local states, new_slots, stopped, gone = {}, {}, {}, {}
local trying, shut = false, false

-- A gate that is full is looked at closely: a slot without a delivery would stay taken for ever.
local function free_lost_slots(name, state)
  state.looked = true
  for _, member in ipairs(members_of(key.slots, name, LOOK)) do
    if not redis.call('ZSCORE', key.leased, string.sub(member, #name + 2)) then
      state.held = state.held - redis.call('ZREM', key.slots, member)
    end
  end
end

-- What this take knows of a gate; asked once.
local function state_of(name)
  if not states[name] then
    states[name] = {
      held = redis.call('ZLEXCOUNT', key.slots, '[' .. name .. '|', '(' .. name .. '}'),
      ends = tonumber(redis.call('ZSCORE', key.windows, name) or 0),
      count = tonumber(redis.call('HGET', key.rates, name) or 0),
    }
  end
  return states[name]
end

local function is_open(job, now)
  local name, most, rate = gate_of(job)
  local state = state_of(name)
  if most > 0 and state.held >= most then
    if not state.looked then free_lost_slots(name, state) end
    if state.held >= most then return false end
  end
  return rate == 0 or state.ends <= now or state.count < rate
end

-- Whether a job may go on now. If not, it is to be parked; what waits at its gate already stays.
function gates.lets(job, now)
  if is_open(job, now) then return true end
  if trying then
    shut = true
  else
    stopped[#stopped + 1] = job
    state_of((gate_of(job))).stopped = true
  end
  return false
end

-- Whether a job that may not go on has left its place: one that waits at its gate has not.
function gates.has_left()
  return not trying
end

-- Whether so many were parked that the rest is left to the next take.
function gates.are_busy()
  return #stopped >= PROMOTE
end

-- Counts a job that goes on.
function gates.note(job, token, now)
  local name, most, rate, window = gate_of(job)
  local state = states[name]
  if most > 0 then
    state.held = state.held + 1
    new_slots[#new_slots + 1], new_slots[#new_slots + 2] = 0, name .. '|' .. token
  end
  if rate > 0 then
    if state.ends <= now then
      state.ends, state.count = (math.floor(now / window) + 1) * window, 0
    end
    state.count, state.counted = state.count + 1, true
  end
end

-- Opens the gates whose window is over; says whether there may be more of them.
function gates.open_windows(now)
  if not have_windows then return false end
  local names = redis.call('ZRANGEBYSCORE', key.windows, '-inf', now, 'LIMIT', 0, SWEEP)
  for _, name in ipairs(names) do reopen(name) end
  call_many({'HDEL', key.rates}, names)
  call_many({'ZREM', key.windows}, names)
  return #names == SWEEP
end

-- Offers what waits at one gate on one level. Returns whether to go on with others.
local function try(name, level, sink)
  local first, last = bounds_of(name, level)
  local offered = {}
  trying, shut = true, false
  local used, go_on = offer_all(store, function(skip, want)
    local members = redis.call('ZRANGEBYLEX', key.parked, first, last, 'LIMIT', skip, want)
    local elements = {}
    for i, member in ipairs(members) do
      offered[#offered + 1], elements[i] = member, (parked_in(member))
    end
    return elements
  end, sink)
  trying = false
  for i = 1, used do gone[#gone + 1] = offered[i] end
  if not go_on then return shut end
  -- What waits there on less urgent levels has its turn when those are looked at.
  local others = level < LEVELS and redis.call(
    'ZRANGEBYLEX', key.parked, '[' .. string.sub(last, 2), '(' .. name .. '}', 'LIMIT', 0, 1) or {}
  if others[1] then
    local _, next_level = parked_in(others[1])
    redis.call('ZADD', key.open, next_level, name)
  end
  return true
end

-- Offers what waits on one level at gates that may be open. Returns whether to go on.
function gates.consume(level, sink)
  if not are_open then return true end
  local first = level == 1 and '-inf' or level
  local last = level == LEVELS and '+inf' or '(' .. level + 1
  local names = redis.call('ZRANGEBYSCORE', key.open, first, last, 'LIMIT', 0, SWEEP)
  for _, name in ipairs(names) do
    if sink.room() == 0 then return false end
    -- Who was stopped at this gate on a more urgent level goes before all that wait there.
    if not state_of(name).stopped and not try(name, level, sink) then return false end
  end
  -- Nobody in a line may pass those who wait.
  sink.cut = sink.cut or #names == SWEEP
  return #names < SWEEP
end

-- Writes what was taken up and who has to wait, before anything leaves its place.
function gates.write()
  call_many({'ZADD', key.slots}, new_slots)
  for name, state in pairs(states) do
    if state.counted then
      redis.call('HSET', key.rates, name, state.count)
      redis.call('ZADD', key.windows, state.ends, name)
      have_windows = true
    end
  end
  park(stopped, BACK)
end

-- Whether the first of those who wait at a gate, if there is one, may go on.
local function may_go_on(name, now)
  local first = members_of(key.parked, name, 1)[1]
  local job = first and parse((parked_in(first)))
  return first and not (job and job.gate and not is_open(job, now))
end

-- Takes out who has left, and keeps those gates open through which somebody may go.
function gates.leave(now)
  call_many({'ZREM', key.parked}, gone)
  for name in pairs(states) do
    if may_go_on(name, now) then reopen(name) else redis.call('ZREM', key.open, name) end
  end
  if next(states) and redis.call('EXISTS', key.parked) == 0 then
    redis.call('HDEL', key.meta, 'gate_front', 'gate_back')
  end
end

-- Whether a gate is open for somebody who waits there.
function gates.left_behind()
  return are_open and redis.call('EXISTS', key.open) == 1
end

-- When the first window ends.
function gates.next_window()
  return have_windows and redis.call('ZRANGE', key.windows, 0, 0, 'WITHSCORES')[2]
end
