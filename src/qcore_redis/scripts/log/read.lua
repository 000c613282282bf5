-- Reads entries of a log; changes nothing.
--
-- KEYS: totals entries index
-- ARGV: kind id millis of the start, the same of the end, after most newest_first
-- Returns {1, id, millis, body, ...}, or {0} if the log does not reach back that far.
--- include: common
--- include: log

local after, most, newest_first = ARGV[7], tonumber(ARGV[8]), ARGV[9] == '1'

-- The id of a bound; nil if it is gone.
local function bound(first, all)
  local kind, id, millis = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  if kind == 'all' then return all end
  if kind == 'time' then return millis end
  return redis.call('HGET', key.index, id) or nil
end

local low, high = bound(1, '-'), bound(4, '+')
local dropped = redis.call('HGET', key.totals, 'dropped_id')
if not low or not high then return {0} end
if ARGV[1] == 'time' and dropped and tonumber(ARGV[3]) <= parts_of(dropped) then return {0} end

-- Whether a bound lies on this side of an entry, as far as that one narrows the range.
local function narrows(entry, limit, is_low)
  if limit == '-' or limit == '+' then return true end
  local whole = string.find(limit, '-', 1, true) and limit
    or limit .. (is_low and '-0' or '-18446744073709551615')
  if is_low then return not is_before(entry, whole) end
  return not is_before(whole, entry)
end

if after ~= '' then
  local entry = redis.call('HGET', key.index, after)
  if not entry then return {0} end
  if newest_first then
    if narrows(entry, high, false) then high = '(' .. entry end
  elseif narrows(entry, low, true) then
    low = '(' .. entry
  end
end

local read = newest_first and redis.call('XREVRANGE', key.entries, high, low, 'COUNT', most)
  or redis.call('XRANGE', key.entries, low, high, 'COUNT', most)
local answer = {1}
for _, entry in ipairs(read) do
  local fields = fields_of(entry)
  local millis = string.match(entry[1], '^%d+')
  for _, cell in ipairs({
    fields and fields.id or entry[1], millis, fields and fields.job or table.concat(entry[2], ' '),
  }) do
    answer[#answer + 1] = cell
  end
end
return answer
