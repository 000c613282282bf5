-- Pauses a queue, or lets it go on. Works at full memory.
--
-- KEYS: meta gate {bell} {lines}
-- ARGV: pause or resume
-- Returns 1 if that changed anything, 0 if it was so before.
--- include: common
--- include: store

-- Longer than any consumer sleeps at the gate, or needs to get there.
local OPEN = 5000

check_types()
-- A first write that a full server allows; after it the server lets the others pass.
redis.call('HDEL', key.meta, '')
if ARGV[1] == 'pause' then
  redis.call('DEL', key.gate)
  return redis.call('HSETNX', key.meta, 'paused', now_ms())
end
if redis.call('HDEL', key.meta, 'paused') == 0 then return 0 end
-- Who found the queue paused sleeps at the gate; the others sleep where they always do.
redis.call('DEL', key.gate)
redis.call('RPUSH', key.gate, '')
redis.call('PEXPIRE', key.gate, OPEN)
store.ring()
return 1
