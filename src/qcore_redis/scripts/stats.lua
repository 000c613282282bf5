-- Counts jobs by state, and what came and went.
--
-- KEYS: meta leased delayed dead {fair} {gates} {outbox} {lines}
-- ARGV: none
-- Returns {ready, delayed, held, dead, enqueued, acked, dropped, paused, outbox}.
--- include: common
--- include: store
--- include: counts

local enqueued, acked, dropped = came_and_went()
return {
  ready_count(),
  redis.call('ZCARD', key.delayed),
  redis.call('ZCARD', key.leased),
  redis.call('ZCARD', key.dead),
  enqueued, acked, dropped,
  redis.call('HEXISTS', key.meta, 'paused'),
  redis.call('ZCARD', key.outbox),
}
