-- Gives back what lies in the processing lists of connections that are gone or give up waiting.
-- Works at full memory. Only the list adapter has such lists.
--
-- KEYS: waiters {lines} then the processing list of each owner
-- ARGV: only_dead, then the owners in the order of their keys
-- Returns how many jobs were given back.
--- include: common
--- include: store

redis.call('ZREMRANGEBYSCORE', key.waiters, 1, 0)
local now = now_ms()
local moved = 0
for i = 2, #ARGV do
  local owner, claim = ARGV[i], KEYS[UNIQUE_KEYS + i - 2]
  local seen = tonumber(redis.call('ZSCORE', key.waiters, owner) or 0)
  if ARGV[1] == '0' or seen <= now then
    moved = moved + store.unclaim(claim)
    redis.call('ZREM', key.waiters, owner)
  end
end
if moved > 0 then store.ring() end
return moved
