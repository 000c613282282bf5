-- Drops one job, wherever it is. Works at full memory. What waits is looked through, so this costs
-- the more the longer the queue is.
--
-- KEYS: meta leased delayed jobs dead graves notes started expires {fair} {gates} {records} {bell} {lines} then processing lists to look into
-- ARGV: id where; where the last call said to go on, '' at first
-- Returns {state, where}: the state that the job was in; '' if it is not there; 'more' if another
-- call has to go on looking; 'claimed' if it is in a processing list.
--- include: common
--- include: store
--- include: records
--- include: seek
--- include: fair
--- include: gates

check_types()
check_levels()
check_fair()
check_gates()
redis.call('ZCARD', key.expires)
watch_records(redis.call('HGET', key.meta, 'tracked'))
redis.call('ZREMRANGEBYSCORE', key.delayed, 1, 0)
local job, where = store.locate(ARGV[1], ARGV[2])
if not job then return {where and 'more' or '', where or ''} end
local prefix = job.ref .. '|'

local function is_it(element)
  return string.sub(element, 1, #prefix) == prefix
end

-- Removes the job's element from a line; says whether it was there. What came back lies in front.
local function pulled(line, level)
  if redis.call('LREM', line, 1, fresh(job, level)) == 1 then return true end
  local skip = 0
  repeat
    local elements = next_of(line, skip, PAGE)
    for _, element in ipairs(elements) do
      if is_it(element) then return redis.call('LREM', line, -1, element) == 1 end
    end
    skip = skip + #elements
  until #elements < PAGE
  return false
end

local function pulled_from_any()
  for level, line in ipairs(store.lines()) do
    if pulled(line, level) then return true end
  end
  for i = UNIQUE_KEYS, #KEYS do
    if pulled(KEYS[i], NORMAL) then return true end
  end
  return false
end

-- The score of the last job of a flow from a place on, counted from the last round; or nil.
local function last_of(level, flow, place)
  local begin = flow .. '|'
  repeat
    local page = redis.call('ZREVRANGE', key.fair, place, place + PAGE - 1, 'WITHSCORES')
    for i = 1, #page, 2 do
      if tonumber(page[i + 1]) < level * ROUNDS then return nil end
      if string.sub(page[i], 1, #begin) == begin then return page[i + 1] end
    end
    place = place + PAGE
  until #page == 0
  return nil
end

-- Removes the job from what waits in rounds; says whether it was there.
local function left_its_round()
  local member = scan(key.fair, '*|' .. prefix .. '*', function(one)
    return is_it(element_in(one))
  end)
  if not member then return false end
  local score = redis.call('ZSCORE', key.fair, member)
  local level, flow = math.floor(score / ROUNDS), string.match(member, '^([^|]*)|')
  local place, name = redis.call('ZREVRANK', key.fair, member), level .. '|' .. flow
  redis.call('ZREM', key.fair, member)
  -- After its last job is gone, the next one of a flow goes behind those that are left of it.
  if redis.call('ZSCORE', key.rounds, name) == score then
    redis.call('ZREM', key.rounds, name)
    local last = last_of(level, flow, place)
    if last then redis.call('ZADD', key.rounds, last, name) end
  end
  forget_rounds()
  return true
end

-- Removes the job from those that wait at gates; says whether it was there.
local function left_its_gate()
  local member = scan(key.parked, '*|' .. prefix .. '*', function(one)
    return is_it((parked_in(one)))
  end)
  if not member then return false end
  leave_gates({member})
  if are_open then store.ring() end
  return true
end

local function removed()
  local token = member_of(key.leased, job)
  if token then
    redis.call('SREM', key.started, token)
    redis.call('ZREM', key.leased, token)
    local held = parse_token(token)
    if held and held.gate and free_slot(held, token) then store.ring() end
    return 'held'
  end
  local element = member_of(key.delayed, job)
  if element then
    redis.call('ZREM', key.delayed, element)
    return 'delayed'
  end
  if redis.call('ZREM', key.dead, job.ref) == 1 then
    redis.call('HDEL', key.graves, job.ref)
    return 'dead'
  end
  if left_its_round() or left_its_gate() or pulled_from_any() then return 'ready' end
  return store.elsewhere(job)
end

local state = removed()
if state ~= '' and state ~= 'claimed' then
  noted(job, 'cancel', now_ms())
  tell_ends()
  store.forget({job})
  forget_notes({job})
  count('dropped', 1)
end
return {state, ''}
