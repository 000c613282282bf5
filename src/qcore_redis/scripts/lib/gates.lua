-- Gates at take: at most so many jobs of one key in hand, and so many taken in one window of time.
-- A job whose gate is shut when it is met leaves its line and waits in `parked`, so that nobody is
-- behind it. Whatever may open a gate puts it into `open`: the end of a delivery, the end of a
-- window. A take tries those gates, and puts out what is shut or has nobody left.
--
-- slots    key|token                 what is in hand and takes up a slot              score 0
-- parked   key|level|place|element   what waits at its gate, next one first           score 0
-- open     key                       score: the level of the first that waits there
-- windows  key                       score: when the window of this gate ends
-- rates    key -> how many were taken in that window
--
-- The gate of a job is text: key,concurrency,rate,window in milliseconds; 0 is no limit.

-- Members of one key lie between `key|` and `key}`, since } is the character after |.
local MIDDLE = 5e15
local FRONT, BACK = -1, 1
local LOOK = 20
local are_open, have_windows = false, false

-- Fails, before anything is written, if what gates are kept in is not what it should be.
local function check_gates()
  redis.call('ZCARD', key.slots)
  redis.call('ZCARD', key.parked)
  redis.call('HLEN', key.rates)
  are_open = redis.call('ZCARD', key.open) > 0
  have_windows = redis.call('ZCARD', key.windows) > 0
end

local function gate_of(job)
  local name, most, rate, window = string.match(job.gate, '^(.+),(%d+),(%d+),(%d+)$')
  return name, tonumber(most), tonumber(rate), tonumber(window)
end

-- Up to `want` members of one key, first ones first.
local function members_of(zset, name, want)
  return redis.call('ZRANGEBYLEX', zset, '[' .. name .. '|', '(' .. name .. '}', 'LIMIT', 0, want)
end

-- The element and the level of what is parked; what is none of ours is an element as it is.
local function parked_in(member)
  local first, rest = string.match(member, '^[^|]+|(.?)(.*)$')
  local level = first and (first < '1' and 1 or tonumber(first)) or LEVELS
  return rest and string.match(rest, '^|%d+|(.+)$') or member, level
end

-- The least and the last of what waits at one gate on one level, or on any.
local function bounds_of(name, level)
  local first = level > 1 and '[' .. name .. '|' .. level or '[' .. name .. '|'
  local last = level < LEVELS and '(' .. name .. '|' .. level + 1 or '(' .. name .. '}'
  return first, last
end

-- Puts jobs behind all others of their level that wait at their gate, in this order; or each before
-- all others.
local function park(jobs, where)
  if #jobs == 0 then return end
  local field = where == FRONT and 'gate_front' or 'gate_back'
  local last = MIDDLE + redis.call('HINCRBY', key.meta, field, where * #jobs)
  local members = {}
  for i, job in ipairs(jobs) do
    local place = last - where * (#jobs - i)
    members[#members + 1] = 0
    members[#members + 1] =
      string.format('%s|%d|%.0f|%s', (gate_of(job)), job.level, place, element_of(job))
  end
  call_many({'ZADD', key.parked}, members)
end

-- Lets the next take try a gate, if anybody waits there; says whether.
local function reopen(name)
  local first = members_of(key.parked, name, 1)[1]
  if not first then return false end
  local _, level = parked_in(first)
  redis.call('ZADD', key.open, level, name)
  are_open = true
  return true
end

-- Frees what a delivery that ended took up; says whether somebody may go on now.
local function free_slot(job, token)
  local name, most = gate_of(job)
  if most == 0 then return false end
  redis.call('ZREM', key.slots, name .. '|' .. token)
  return reopen(name)
end

-- Puts a job that came out of hands before all others that wait at its gate.
local function give_back(job)
  park({job}, FRONT)
  reopen((gate_of(job)))
end

-- Takes some of those out that wait. Who waited behind them may have wider gates.
local function leave_gates(members)
  call_many({'ZREM', key.parked}, members)
  local names = {}
  for _, member in ipairs(members) do names[string.match(member, '^[^|]+')] = true end
  for name in pairs(names) do reopen(name) end
  if redis.call('EXISTS', key.parked) == 0 then redis.call('DEL', key.open) end
end

-- Drops up to `most` of those that wait, shown to `before` while they are there; returns how many.
local function drop_parked(most, before)
  local members = most > 0 and redis.call('ZRANGE', key.parked, 0, most - 1) or {}
  local jobs = {}
  for _, member in ipairs(members) do jobs[#jobs + 1] = parse((parked_in(member))) end
  before(jobs)
  store.forget(jobs)
  forget_notes(jobs)
  leave_gates(members)
  return #members
end
