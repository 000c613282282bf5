-- Drops jobs of one state, at most so many in one call. Works at full memory.
--
-- KEYS: meta leased delayed jobs dead graves notes expires {fair} {gates} {records} {lines}
-- ARGV: state most
-- Returns how many were dropped.
--- include: common
--- include: store
--- include: records
--- include: fair
--- include: gates

check_types()
check_levels()
if key.fair then check_fair() end
if key.parked then check_gates() end
watch_records(redis.call('HGET', key.meta, 'tracked'))
redis.call('ZCARD', key.expires)
redis.call('ZREMRANGEBYSCORE', key.delayed, 1, 0)
local state, most = ARGV[1], tonumber(ARGV[2])
local now = now_ms()

local function dropping(jobs)
  for _, job in ipairs(jobs) do noted(job, 'purge', now) end
end

local function drop(members, read)
  local jobs, refs = {}, {}
  for i, member in ipairs(members) do
    local job = read(member)
    if job then jobs[#jobs + 1] = job end
    refs[i] = job and job.ref or member
  end
  dropping(jobs)
  store.forget(jobs)
  call_many({'HDEL', key.notes}, refs)
  call_many({'HDEL', key.graves}, refs)
  call_many({'ZREM', key.expires}, refs)
end

local dropped
if state == 'ready' then
  dropped = store.drop_ready(most, dropping)
  if key.fair then dropped = dropped + drop_fair(most - dropped, dropping) end
  if key.parked then dropped = dropped + drop_parked(most - dropped, dropping) end
else
  local zset = state == 'dead' and key.dead or key.delayed
  local members = redis.call('ZRANGE', zset, 0, most - 1)
  drop(members, state == 'dead'
    and function(ref) return parse(redis.call('HGET', key.graves, ref) or '') end or parse)
  call_many({'ZREM', zset}, members)
  dropped = #members
end
tell_ends()
count('dropped', dropped)
return dropped
