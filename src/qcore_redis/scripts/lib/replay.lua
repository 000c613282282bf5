-- The answer to the last flush of one lane of one connection, so that a flush whose reply was
-- lost takes effect once. Kept as `number answer` under the key `flush`, for `ttl` milliseconds; not at
-- all for 0, which says that nobody will repeat it.

local function first_answer(number)
  local kept = redis.call('GET', key.flush)
  if not kept then return nil end
  local told, answer = string.match(kept, '^(%d+) (.*)$')
  return told == number and answer or nil
end

local function keep_answer(number, answer, ttl)
  if ttl ~= '0' then redis.call('SET', key.flush, number .. ' ' .. answer, 'PX', ttl) end
end
