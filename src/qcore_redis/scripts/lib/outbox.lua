-- What acks enqueue in other queues, until somebody has brought it there: a queue's keys are all
-- that a script may touch.
--
-- outbox   serial, and what to bring     score: from when others than the acking program bring it
--
-- A serial is 14 hexadecimal digits that grow, so that rows of one moment keep their order. The
-- last one is counted in `meta`, which also says that there may be rows.

-- Milliseconds in which whoever acked brings its rows itself.
local HEAD_START = 1500
local ROWS = 100

-- Sets serials aside, and says the first. What is not used of them is not missed.
local function next_serials(amount)
  return redis.call('HINCRBY', key.meta, 'outbox', amount) - amount + 1
end

-- Adds rows, the first with this serial.
local function put_rows(rows, serial, now)
  local words = {}
  for i, row in ipairs(rows) do
    words[#words + 1] = now + HEAD_START
    words[#words + 1] = string.format('%014x', serial + i - 1) .. row
  end
  call_many({'ZADD', key.outbox}, words)
end

-- Rows that nobody has brought in time; the next one to ask is given them later.
local function due_rows(now)
  local rows = redis.call('ZRANGEBYSCORE', key.outbox, '-inf', now, 'LIMIT', 0, ROWS)
  local words = {}
  for _, row in ipairs(rows) do
    words[#words + 1] = now + HEAD_START
    words[#words + 1] = row
  end
  call_many({'ZADD', key.outbox}, words)
  return rows
end
