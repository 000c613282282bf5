-- Takes jobs in one step: recovers deliveries whose lease ran out, makes due jobs ready, leases what
-- is ready, most urgent first. Works at full memory.
--
-- KEYS: flush meta leased delayed jobs dead graves notes started expires {fair} {gates} {records} {outbox} {bell} {claims} {lines}
-- ARGV: owner number ttl limit lease alive started crash_limit delivery_cap looks; alive is for how
--       long the owner counts as alive once it goes to sleep; looks is 1 if it may be told to look
--       behind sleepers first
-- Returns {more, due, dead_owners, {token, id, body, ...}}: more is 1 if work was left behind, due
-- the milliseconds until something becomes due (-1: nothing will; -2: the queue is paused),
-- dead_owners the connections whose processing lists must be swept. A fifth item that is 1 says that
-- they are asleep instead, and that what they were given goes before all that could be taken. A
-- sixth is what acks enqueued elsewhere and nobody has brought there in time.
--- include: common
--- include: replay
--- include: store
--- include: counts
--- include: records
--- include: bury
--- include: fair
--- include: gates
--- include: passing
--- include: outbox

local owner, number, ttl = ARGV[1], ARGV[2], ARGV[3]
local limit, lease, alive = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local started = ARGV[7] == '1'
local crash_limit, delivery_cap = tonumber(ARGV[8]), tonumber(ARGV[9])
local looks = ARGV[10] == '1'
local now = now_ms()

-- Asked in place of the probe of its type, so that it costs nothing.
PROBES.meta = nil
local flags = redis.call('HMGET', key.meta, 'paused', 'timed', 'fair', 'gated', 'tracked', 'outbox')
local paused, timed, fair, gated = flags[1], flags[2], flags[3] and key.fair, flags[4] and key.parked
check_types()
watch_records(flags[5])
if timed then redis.call('ZCARD', key.expires) end
if fair then check_fair() end
if gated then check_gates() end
local posts = flags[6] and key.outbox and redis.call('ZCARD', key.outbox) > 0
-- A first write that a full server allows; after it the server lets the others pass.
redis.call('ZREMRANGEBYSCORE', key.leased, 1, 0)

-- Nobody has seen these jobs yet, so their leases begin anew; those taken over by others are left
-- out.
local function again(answer)
  local tokens, jobs = {}, {}
  for token in string.gmatch(answer, '%S+') do
    if redis.call('ZSCORE', key.leased, token) then
      redis.call('ZADD', key.leased, 'XX', now + lease, token)
      tokens[#tokens + 1] = token
      jobs[#jobs + 1] = parse_token(token)
    end
  end
  local flat = {}
  for i, body in ipairs(store.bodies(jobs)) do
    flat[#flat + 1], flat[#flat + 2], flat[#flat + 3] = tokens[i], jobs[i].id, body or ''
  end
  return {1, -1, {}, flat}
end

-- A job whose line is sound, or false where there is none.
local function checked_job(job)
  if job then check_level(job.level) end
  return job or false
end

local function recover()
  local tokens = redis.call('ZRANGEBYSCORE', key.leased, '-inf', now, 'LIMIT', 0, SWEEP)
  local jobs = {}
  for i, token in ipairs(tokens) do jobs[i] = checked_job(parse_token(token)) end
  for i = #tokens, 1, -1 do
    local token, job = tokens[i], jobs[i]
    if not job then
      bury_raw(token, now)
    else
      local marked = redis.call('SREM', key.started, token) == 1
      job.lost = job.lost + 1
      if marked or job.mark == 's' then
        job.attempt, job.crashes = job.attempt + 1, job.crashes + 1
      end
      if job.crashes >= crash_limit then
        bury(job, 'its worker died ' .. job.crashes .. ' times', now, 'exhaust')
      elseif job.lost >= delivery_cap then
        bury(job, job.lost .. ' deliveries were lost', now, 'exhaust')
      else
        noted(job, 'expire', now, {attempt = job.attempt, crashes = job.crashes})
        local requeue = job.gate and give_back or store.requeue
        requeue(job)
      end
      if job.gate then free_slot(job, token) end
    end
  end
  call_many({'ZREM', key.leased}, tokens)
  return #tokens == SWEEP
end

-- The earliest come first; of more than fit into one step, later steps go before what is left.
local function promote()
  local elements = redis.call('ZRANGEBYSCORE', key.delayed, '-inf', now, 'LIMIT', 0, PROMOTE)
  local jobs = {}
  for i, element in ipairs(elements) do jobs[i] = checked_job(parse(element)) end
  local sound = {}
  for i, job in ipairs(jobs) do
    if job then sound[#sound + 1] = job else bury_raw(elements[i], now) end
  end
  for _, job in ipairs(sound) do noted(job, 'due', now) end
  if fair then
    enter(sound, DUE)
  else
    for i = #sound, 1, -1 do store.requeue(sound[i]) end
  end
  call_many({'ZREM', key.delayed}, elements)
  return #elements == PROMOTE
end

local until_ms = now + lease
local leases, tokens, flat, leased = {}, {}, {}, {}
local alone = false
local late, in_time = {}, {}
local sink = {junk = function(element) bury_raw(element, now) end}

-- Whether a job has to wait since a sleeper was given one that goes before it, and has not woken.
local asleep = nil
local function is_behind_sleepers(job)
  if job.level <= NORMAL or not looks or not store.sleepers then return false end
  asleep = asleep or some_are_hidden() and store.sleepers(owner, now) or {}
  return #asleep > 0
end

function sink.job(job, body)
  -- A job that was in dying hands goes out alone, so that it can harm no other.
  if alone or (#tokens > 0 and job.lost > 0) or is_behind_sleepers(job) then return false end
  local ends = timed and job.number == 0 and redis.call('ZSCORE', key.expires, job.ref)
  if ends and tonumber(ends) <= now then
    late[#late + 1] = job
    return true
  end
  if gated and job.gate and body and not gates.lets(job, now) then return gates.has_left() end
  if ends then in_time[#in_time + 1] = job.ref end
  if not body then
    local foreign = store.remains(job) ~= ''
    local reason = foreign and 'this is no entry that qcore wrote' or 'its stored body is missing'
    bury(job, reason, now, 'dead_letter')
    return true
  end
  alone = job.lost > 0
  job.number = job.number + 1
  local mark = (started or alone) and 's' or 'p'
  local token = table.concat({element_of(job), mark, owner}, '|')
  if gated and job.gate then gates.note(job, token, now) end
  tokens[#tokens + 1], leased[#leased + 1] = token, job
  leases[#leases + 1], leases[#leases + 2] = until_ms, token
  flat[#flat + 1], flat[#flat + 2], flat[#flat + 3] = token, job.id, body
  return true
end

-- How many more jobs may be offered.
function sink.room()
  if gates.are_busy() then
    sink.cut = true
    return 0
  end
  return alone and 0 or limit - #tokens
end

-- Drops those whose time is over, and forgets what the time of the others was.
local function drop_late()
  for _, job in ipairs(late) do noted(job, 'late', now) end
  store.forget(late)
  forget_notes(late)
  count('dropped', #late)
  call_many({'ZREM', key.expires}, in_time)
  if redis.call('ZCARD', key.expires) == 0 then redis.call('HDEL', key.meta, 'timed') end
end

-- Offers what is ready on one level: first what waits where a gate may be open.
local function consume(level, trims)
  if gated then
    -- What is found wrong here must not be found after somebody was let through a gate.
    check_level(level)
    if not gates.consume(level, sink) then return false end
  end
  return (fair and consume_fairly or store.consume)(level, sink, trims)
end

local function choose()
  local trims, go_on = {}, true
  for level = 1, LEVELS do
    if not go_on or sink.room() == 0 then break end
    local sound, answer = pcall(consume, level, trims)
    -- What was read before something unsound was met is delivered all the same.
    if not sound and #tokens == 0 and #late == 0 then error(answer) end
    go_on = sound and answer
  end
  -- The lease is written before the job leaves its list: an error in between loses nothing.
  if gated then gates.write() end
  call_many({'ZADD', key.leased}, leases)
  for _, trim in ipairs(trims) do drop_next(trim[1], trim[2]) end
  leave_served()
  if gated then gates.leave(now) end
  if timed then drop_late() end
  for _, job in ipairs(tracked and leased or {}) do
    noted(job, 'take', now, {
      number = job.number, attempt = job.attempt, crashes = job.crashes, worker = owner,
    })
  end
end

local function head(zset)
  local first = redis.call('ZRANGE', zset, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

local function next_due(others)
  local due = nil
  local windows = gated and tonumber(gates.next_window() or nil)
  local rows = posts and head(key.outbox)
  for _, moment in ipairs({head(key.delayed) or false, head(key.leased) or false,
                           windows or false, rows or false, others or false}) do
    if moment and (not due or moment < due) then due = moment end
  end
  return due and math.max(0, due - now) or -1
end

-- Whether another take would find something.
local function left_behind(rest)
  if rest or sink.cut or gated and gates.left_behind() then return true end
  if sink.room() > 0 then return false end
  if fair and redis.call('EXISTS', key.fair) == 1 then return true end
  local sound, more = pcall(store.has_more)
  -- What is unsound is left to the next take, which says so; this one has jobs to hand over.
  return more or not sound
end

-- The answer, with what is to be brought elsewhere: last, since what fails before has handed out
-- nothing.
local function answered(answer)
  local rows = posts and due_rows(now) or {}
  if #rows > 0 then answer[5], answer[6] = answer[5] or 0, rows end
  return answer
end

local told = first_answer(number)
if told then return again(told) end
if paused then
  if store.claimed then store.claimed(owner, now) end
  return answered({0, -2, {}, {}})
end
sweep_records(now, limit)
local rest = recover()
rest = promote() or rest
rest = gated and gates.open_windows(now) or rest
local dead_owners = store.claimed and store.claimed(owner, now) or {}
choose()
tell_ends()
if asleep and #asleep > 0 then
  if #tokens == 0 then return {1, -1, asleep, {}, 1} end
  sink.cut = true
end
if #tokens > 0 then keep_answer(number, table.concat(tokens, ' '), ttl) end
if left_behind(rest) then
  store.ring()
  return answered({1, -1, dead_owners, flat})
end
if #tokens > 0 then return answered({0, -1, dead_owners, flat}) end
local others = store.register and store.register(owner, now, alive)
local answer = answered({0, -1, dead_owners, flat})
-- Asked last: rows that are handed out now are due later, and those for which there was no room
-- at once.
answer[2] = next_due(others)
return answer
