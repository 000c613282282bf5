-- Makes a delayed job due at another time. Works at full memory.
--
-- KEYS: meta delayed jobs expires {records} {bell} {lines}
-- ARGV: id where delay at; where the last call said to go on, '' at first; at is unix milliseconds
--       or ''
-- Returns {done, where}: '1' if that was done, '' if there is no such job that is delayed, 'more' if
-- another call has to go on looking.
--- include: common
--- include: store
--- include: records
--- include: seek

local now = now_ms()

check_types()
check_levels()
redis.call('ZCARD', key.expires)
watch_records(redis.call('HGET', key.meta, 'tracked'))
redis.call('ZREMRANGEBYSCORE', key.delayed, 1, 0)
local job, where = store.locate(ARGV[1], ARGV[2])
if not job then return {where and 'more' or '', where or ''} end
local element = member_of(key.delayed, job)
if not element then return {'', ''} end
local due = ARGV[4] ~= '' and tonumber(ARGV[4]) or now + tonumber(ARGV[3])
local ends = redis.call('ZSCORE', key.expires, job.ref)
if ends then
  local ttl_ms = ends - redis.call('ZSCORE', key.delayed, element)
  redis.call('ZADD', key.expires, 'XX', math.max(due, now) + ttl_ms, job.ref)
end
redis.call('ZADD', key.delayed, 'XX', due, element)
noted(job, 'reschedule', now, {due = due})
-- Sleepers know the first due time only; an earlier one must wake them.
if redis.call('ZRANK', key.delayed, element) == 0 then store.ring() end
return {'1', ''}
