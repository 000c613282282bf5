-- Counts jobs by state, and what came and went.
--
-- KEYS: meta leased delayed dead {fair} {gates} {lines}
-- ARGV: none
-- Returns {ready, delayed, held, dead, enqueued, acked, dropped, paused}.
--- include: common
--- include: store

local counters = redis.call('HMGET', key.meta, 'enqueued', 'acked', 'dropped', 'paused')
return {
  store.ready_count() + (key.fair and redis.call('ZCARD', key.fair) or 0)
    + (key.parked and redis.call('ZCARD', key.parked) or 0),
  redis.call('ZCARD', key.delayed),
  redis.call('ZCARD', key.leased),
  redis.call('ZCARD', key.dead),
  tonumber(counters[1] or 0), tonumber(counters[2] or 0), tonumber(counters[3] or 0),
  counters[4] and 1 or 0,
}
