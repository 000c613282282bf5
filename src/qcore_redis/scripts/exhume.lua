-- Makes dead jobs ready again, or drops them. Works at full memory.
--
-- KEYS: meta delayed jobs dead graves notes {fair} {records} {bell} {lines}
-- ARGV: action most, then ids; none means all. action is redrive or remove.
-- Returns how many were redriven or removed. What cannot be parsed is never redriven.
--- include: common
--- include: store
--- include: records
--- include: fair

local fair = key.fair and redis.call('HEXISTS', key.meta, 'fair') == 1

check_types()
check_levels()
if fair then check_fair() end
watch_records(redis.call('HGET', key.meta, 'tracked'))
redis.call('ZREMRANGEBYSCORE', key.delayed, 1, 0)
local action, most = ARGV[1], tonumber(ARGV[2])
local now = now_ms()

local function grave_of(id)
  for _, ref in ipairs(store.refs_of_id(id)) do
    if redis.call('ZSCORE', key.dead, ref) then return ref end
  end
end

local refs = {}
if #ARGV > 2 then
  for i = 3, #ARGV do refs[#refs + 1] = grave_of(ARGV[i]) end
else
  refs = redis.call('ZRANGE', key.dead, 0, most - 1)
end

local moved = 0
for _, ref in ipairs(refs) do
  local job = parse(redis.call('HGET', key.graves, ref) or '')
  if action == 'remove' then
    if job then
      noted(job, 'purge', now)
      store.forget({job})
    end
    redis.call('HDEL', key.notes, ref)
  elseif job then
    job.attempt, job.crashes, job.lost = 1, 0, 0
    noted(job, 'redrive', now, {attempt = 1, crashes = 0})
    if fair then enter({job}, NEW) else store.append(job) end
  end
  -- An id that is named twice is there once.
  if (job or action == 'remove') and redis.call('ZREM', key.dead, ref) == 1 then
    redis.call('HDEL', key.graves, ref)
    moved = moved + 1
  end
end
tell_ends()
if action == 'remove' then count('dropped', moved) elseif moved > 0 then store.ring() end
return moved
