-- Ends or extends deliveries that are still held; changes nothing for those that are not. Works at
-- full memory.
--
-- KEYS: flush meta leased delayed jobs dead graves notes started {gates} {records} {outbox} {bell} {lines}
-- ARGV: number ttl, then for each step: token verb millis note; of an ack the note is the result.
--       Behind an ack stands `then` for each job that it enqueues, with the row as its note, and
--       `tell` for each message, with channel, newline and payload as its note.
-- Returns a text of one character for each step: 1 done, 0 no longer held; if rows were put into the
-- outbox, behind it a blank and the serial of the first.
--- include: common
--- include: replay
--- include: store
--- include: records
--- include: bury
--- include: gates
--- include: outbox

local FIXED, FIELDS = 2, 4
local EFFECTS = {['then'] = true, tell = true}
local number, ttl = ARGV[1], ARGV[2]
local now = now_ms()

-- Asked in place of the probe of its type, so that it costs nothing.
PROBES.meta = nil
watch_records(redis.call('HGET', key.meta, 'tracked'))
check_types()
local jobs, gated, follows, tells = {}, false, 0, false
for at = FIXED + 1, #ARGV, FIELDS do
  local job = parse_token(ARGV[at])
  if job then check_level(job.level) end
  jobs[at] = job
  gated = gated or job and job.gate
  if ARGV[at + 1] == 'then' then follows = follows + 1 end
  tells = tells or ARGV[at + 1] == 'tell'
end
if follows > 0 then redis.call('ZCARD', key.outbox) end
if gated then check_gates() end
-- A first write that a full server allows; after it the server lets the others pass.
redis.call('ZREMRANGEBYSCORE', key.leased, 1, 0)
local told = first_answer(number)
if told then return told end
local first = follows > 0 and next_serials(follows)
local rows = 0
sweep_records(now, (#ARGV - FIXED) / FIELDS)

local done, ended, acked, seen = {}, {}, {}, {}
local released, given_back = {}, {}
local messages = {}
local must_ring = false
local verbs = {}

function verbs.ack(job, _, result)
  keep_result(job, result, now)
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
    amended(job, note, now)
  elseif verb == 'extend' then
    redis.call('ZADD', key.leased, 'XX', now + millis, token)
  elseif job.mark == 'p' then
    redis.call('SADD', key.started, token)
  end
end

-- Takes note of what goes with the step at a place.
local function note_effects(at)
  local further = {}
  while EFFECTS[ARGV[at + FIELDS + 1]] do
    at = at + FIELDS
    local kind = ARGV[at + 1] == 'then' and further or messages
    kind[#kind + 1] = ARGV[at + 3]
  end
  if #further == 0 then return end
  put_rows(further, first + rows, now)
  rows = rows + #further
end

-- Tells those who listen. A user who may not publish has settled all the same.
local function tell_messages()
  for _, message in ipairs(messages) do
    redis.pcall('PUBLISH', string.match(message, '^([^\n]*)\n(.*)$'))
  end
end

local function step(job, at)
  local token, verb, millis, note = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local ends = tonumber(redis.call('ZSCORE', key.leased, token) or 0)
  if not job or ends <= now or given_back[token] then return '0' end
  local finish = verbs[verb]
  if finish then
    finish(job, millis, note)
    -- Beside the end of its lease, so that no error of a later step comes between the two.
    if first or tells then note_effects(at) end
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
  if not EFFECTS[ARGV[at + 1]] then done[#done + 1] = step(jobs[at], at) end
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
tell_messages()
local answer = table.concat(done)
if rows > 0 then answer = answer .. ' ' .. first end
keep_answer(number, answer, ttl)
return answer
