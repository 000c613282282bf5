-- Finds the element of one job, whose ref is known, among many.

local PAGE = 1000

-- How the element of a job looks that was never taken.
local function fresh(job, level)
  return job.ref .. '|' .. level .. '|0|1|0|0'
end

-- The first member of a sorted set that matches a pattern and `is_it(member)`; or false.
local function scan(zset, pattern, is_it)
  local cursor = '0'
  repeat
    local reply = redis.call('ZSCAN', zset, cursor, 'MATCH', pattern, 'COUNT', PAGE)
    cursor = reply[1]
    for i = 1, #reply[2], 2 do
      if is_it(reply[2][i]) then return reply[2][i] end
    end
  until cursor == '0'
  return false
end

-- The job's member of a sorted set; false if it has none.
local function member_of(zset, job)
  for level = 1, LEVELS do
    if redis.call('ZSCORE', zset, fresh(job, level)) then return fresh(job, level) end
  end
  return scan(zset, job.ref .. '|*', function() return true end)
end
