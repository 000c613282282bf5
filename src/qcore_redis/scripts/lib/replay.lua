-- The answer to the last flush of one lane of one connection, so that a flush whose reply was
-- lost takes effect once. Kept as `number answer` under the key `flush`, for `ttl` milliseconds.

local function first_answer(number)
  local kept = redis.call('GET', key.flush)
  if not kept then return nil end
  local told, answer = string.match(kept, '^(%d+) (.*)$')
  return told == number and answer or nil
end

local function keep_answer(number, answer, ttl)
  redis.call('SET', key.flush, number .. ' ' .. answer, 'PX', ttl)
end
