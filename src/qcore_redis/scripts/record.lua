-- What is kept of jobs. Works at full memory.
--
-- KEYS: {records}
-- ARGV: ids
-- Returns for each id its record and its result, each '' if there is none.
--- include: common

local now = now_ms()
local found = {}
for _, id in ipairs(ARGV) do
  local stays = redis.call('ZSCORE', key.ends, id)
  local is_there = not stays or tonumber(stays) > now
  found[#found + 1] = is_there and redis.call('HGET', key.records, id) or ''
  found[#found + 1] = is_there and redis.call('HGET', key.results, id) or ''
end
return found
