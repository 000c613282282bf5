-- Counts the jobs of a group by state, and what came and went.
--
-- KEYS: meta leased delayed dead {lines}
-- ARGV: none
-- Returns {ready, delayed, held, dead, enqueued, acked, dropped, paused, age}: age is the
-- milliseconds since the oldest entry was stored that the group has not settled, -1 if there is none.
--- include: common
--- include: store

local facts = redis.call('HMGET', key.meta, 'base', 'last', 'acked', 'dropped', 'paused', 'at')
local gone = dropped_number()
local base, last = tonumber(facts[1] or gone), tonumber(facts[2] or gone)
local total = tonumber(redis.call('HGET', key.totals, 'last') or 0)

local function oldest()
  local pending = redis.pcall('XPENDING', key.entries, GROUP)
  if not pending.err and pending[1] > 0 then return pending[2] end
  local read = redis.call('XRANGE', key.entries, '(' .. (facts[6] or '0-0'), '+', 'COUNT', 1)
  return read[1] and read[1][1]
end

local entry = oldest()
return {
  store.ready_count(),
  redis.call('ZCARD', key.delayed),
  redis.call('ZCARD', key.leased),
  redis.call('ZCARD', key.dead),
  total - base, tonumber(facts[3] or 0),
  tonumber(facts[4] or 0) + math.max(0, gone - last),
  facts[5] and 1 or 0,
  entry and math.max(0, now_ms() - parts_of(entry)) or -1,
}
