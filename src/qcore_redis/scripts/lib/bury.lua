-- Sets a job aside: its ref in `dead` by time of death, its element in `graves`, the reason in
-- `notes`. An element that cannot be parsed is kept as it is.

local function bury(job, note, now, event)
  noted(job, event, now, {note = note, attempt = job.attempt, crashes = job.crashes})
  local ref = store.entomb(job)
  if ref ~= job.ref then
    redis.call('HDEL', key.notes, job.ref)
    job.ref = ref
  end
  redis.call('ZADD', key.dead, now, job.ref)
  redis.call('HSET', key.graves, job.ref, element_of(job))
  redis.call('HSET', key.notes, job.ref, note)
end

local function bury_raw(element, now)
  redis.call('ZADD', key.dead, now, element)
  redis.call('HSET', key.notes, element, 'this is no element that qcore wrote')
end
