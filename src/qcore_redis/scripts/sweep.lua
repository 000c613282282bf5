-- Gives back what lies in the processing lists of connections that are gone or give up waiting.
-- Works at full memory. Only the list adapter has such lists.
--
-- KEYS: waiters lapsed {lines} then the processing list of each owner
-- ARGV: whose, then the owners in the order of their keys. Whose lists: dead, of those who are not
--       alive; given_up, of one who lives on and may wait again; left, of one who will not.
-- Returns how many jobs were given back.
--- include: common
--- include: store

-- A command of a dead connection may still be on its way for as long as packets are: its list is
-- looked at again until then.
local LOOK_AGAIN, FORGET = 20000, 120000

redis.call('ZREMRANGEBYSCORE', key.waiters, 1, 0)
local now = now_ms()
local moved = 0

local function forget(owner)
  redis.call('ZREM', key.waiters, owner)
  redis.call('HDEL', key.lapsed, owner)
end

for i = 2, #ARGV do
  local owner, claim = ARGV[i], KEYS[UNIQUE_KEYS + i - 2]
  local alive_until = tonumber(redis.call('ZSCORE', key.waiters, owner) or 0)
  if ARGV[1] ~= 'dead' then
    moved = moved + store.unclaim(claim)
    if ARGV[1] == 'left' then forget(owner) end
  elseif alive_until <= now then
    moved = moved + store.unclaim(claim)
    redis.call('HSETNX', key.lapsed, owner, now)
    if now - redis.call('HGET', key.lapsed, owner) > FORGET then
      forget(owner)
    else
      redis.call('ZADD', key.waiters, 'XX', now + LOOK_AGAIN, owner)
    end
  end
end
if moved > 0 then store.ring() end
return moved
