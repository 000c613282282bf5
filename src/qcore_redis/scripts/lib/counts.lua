-- Counts jobs.

local function ready_count()
  return store.ready_count() + (key.fair and redis.call('ZCARD', key.fair) or 0)
    + (key.parked and redis.call('ZCARD', key.parked) or 0)
end

-- How many jobs came and went: enqueued, acked, dropped.
local function came_and_went()
  local counters = redis.call('HMGET', key.meta, 'enqueued', 'acked', 'dropped')
  return tonumber(counters[1] or 0), tonumber(counters[2] or 0), tonumber(counters[3] or 0)
end

-- Whether the jobs that can be seen are not all there are: a sleeper was given one on its way, or
-- somebody tampered with the queue.
local function some_are_hidden()
  local enqueued, acked, dropped = came_and_went()
  return enqueued - acked - dropped ~= ready_count() + redis.call('ZCARD', key.delayed)
    + redis.call('ZCARD', key.leased) + redis.call('ZCARD', key.dead)
end
