-- Ends or extends deliveries that are still held; changes nothing for those that are not. Works at
-- full memory.
--
-- KEYS: flush meta leased delayed jobs dead graves notes started {gates} {records} {bell} {lines}
-- ARGV: number ttl, then for each step: token verb millis note; of an ack the note is the result
-- Returns a text of one character for each step: 1 done, 0 no longer held.
--- include: common
--- include: replay
--- include: store
--- include: records
--- include: bury
--- include: gates

local FIXED, FIELDS = 2, 4
local number, ttl = ARGV[1], ARGV[2]
local now = now_ms()

-- Asked in place of the probe of its type, so that it costs nothing.
PROBES.meta = nil
watch_records(redis.call('HGET', key.meta, 'tracked'))
check_types()
local jobs, gated = {}, false
for at = FIXED + 1, #ARGV, FIELDS do
  local job = parse_token(ARGV[at])
  if job then check_level(job.level) end
  jobs[at] = job
  gated = gated or job and job.gate
end
if gated then check_gates() end
-- A first write that a full server allows; after it the server lets the others pass.
redis.call('ZREMRANGEBYSCORE', key.leased, 1, 0)
local told = first_answer(number)
if told then return told end
sweep_records(now)

local done, ended, acked, seen = {}, {}, {}, {}
local released, given_back = {}, {}
local must_ring = false
local verbs = {}

function verbs.ack(job, _, result)
  keep_result(job, result)
  noted(job, 'ack', now)
  acked[#acked + 1] = job
  if job.number > 1 then seen[#seen + 1] = job.ref end
end

function verbs.release(job)
  noted(job, 'release', now)
  released[#released + 1] = job
  must_ring = true
end

function verbs.retry(job, millis, note)
  job.attempt = job.attempt + 1
  if note ~= '' then redis.call('HSET', key.notes, job.ref, note) end
  noted(job, 'retry', now, {due = now + millis, note = note, attempt = job.attempt})
  local element = element_of(job)
  redis.call('ZADD', key.delayed, now + millis, element)
  if redis.call('ZRANK', key.delayed, element) == 0 then must_ring = true end
end

function verbs.dead_letter(job, _, note)
  bury(job, note, now, 'dead_letter')
end

local function go_on(token, job, verb, millis, note)
  if verb == 'report' then
    amended(job, note)
  elseif verb == 'extend' then
    redis.call('ZADD', key.leased, 'XX', now + millis, token)
  elseif job.mark == 'p' then
    redis.call('SADD', key.started, token)
  end
end

local function step(job, token, verb, millis, note)
  local ends = tonumber(redis.call('ZSCORE', key.leased, token) or 0)
  if not job or ends <= now or given_back[token] then return '0' end
  local finish = verbs[verb]
  if finish then
    finish(job, millis, note)
    -- A second step for the same delivery must find nothing. What is released has no other place
    -- yet, so its lease is removed only after it got one.
    if verb == 'release' then
      given_back[token] = true
      released[#released].token = token
    else
      redis.call('ZREM', key.leased, token)
    end
    if job.gate and free_slot(job, token) then must_ring = true end
    if job.mark == 'p' then ended[#ended + 1] = token end
  else
    go_on(token, job, verb, millis, note)
  end
  return '1'
end

for at = FIXED + 1, #ARGV, FIELDS do
  done[#done + 1] = step(jobs[at], ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3])
end
-- Each goes before all others, so that they come back in the order of their steps.
for i = #released, 1, -1 do
  local requeue = released[i].gate and give_back or store.requeue
  requeue(released[i])
  redis.call('ZREM', key.leased, released[i].token)
end
call_many({'SREM', key.started}, ended)
store.forget(acked)
call_many({'HDEL', key.notes}, seen)
count('acked', #acked)
if must_ring then store.ring() end
tell_ends()
local answer = table.concat(done)
keep_answer(number, answer, ttl)
return answer
