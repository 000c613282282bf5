-- Fairness between tenants: start-time fair queuing. What waits in `fair` has a round; the jobs of
-- one flow have rounds that follow each other, so that a flow has one job in a round at most. A
-- tenant has two flows: what is new, and what became due; jobs without a tenant are those of ''.
--
-- fair     flow|element, the element without its tenant    score: level and round
-- rounds   level|flow                                      score: level and the last round it has
--          level                                           score: the round that is being taken
--
-- A flow is a tenant's name, with a `+` behind it for what became due. An entry of `rounds` that is
-- not ahead of the round being taken says nothing, and is dropped; an empty `fair` has no `rounds`.

-- Rounds of one level: more than a queue can reach, and levels times that is an exact number.
local ROUNDS = 2 ^ 48
local NEW, DUE = '', '+'
local served = {}

-- Fails, before anything is written, if what tenants wait in is not what it should be.
local function check_fair()
  redis.call('ZCARD', key.fair)
  redis.call('ZCARD', key.rounds)
end

-- The round after which a flow has its next one.
local function round_before(level, name)
  local now = tonumber(redis.call('ZSCORE', key.rounds, level) or 0)
  local last = tonumber(redis.call('ZSCORE', key.rounds, name) or 0)
  return math.max(now, last - level * ROUNDS)
end

-- Gives jobs their places among the flows of a kind, those of one flow in the order given.
local function enter(jobs, kind)
  local places, last, lasts = {}, {}, {}
  for _, job in ipairs(jobs) do
    local flow = (job.tenant or '') .. kind
    local name = job.level .. '|' .. flow
    local score = last[name] or job.level * ROUNDS + round_before(job.level, name)
    last[name] = score + 1
    places[#places + 1], places[#places + 2] = score + 1, flow .. '|' .. bare_element_of(job)
  end
  for name, score in pairs(last) do lasts[#lasts + 1], lasts[#lasts + 2] = score, name end
  call_many({'ZADD', key.rounds}, lasts)
  call_many({'ZADD', key.fair}, places)
end

-- The members of a level in the order in which they go out, `want` of them after `skip`. Scores
-- that are none of ours belong to the first or the last level, so that they lie nowhere for ever.
local function members_of_level(level, skip, want)
  local first = level == 1 and '-inf' or level * ROUNDS
  local last = level == LEVELS and '+inf' or (level + 1) * ROUNDS - 1
  return redis.call('ZRANGEBYSCORE', key.fair, first, last, 'LIMIT', skip, want)
end

-- The element of a member, with its tenant; what is none of ours as it is.
local function element_in(member)
  local tenant, element = string.match(member, '^([^|+]*)%+?|(.+)$')
  if not element then return member end
  return tenant == '' and element or element .. '~' .. tenant
end

local function elements_in(members)
  local elements = {}
  for i, member in ipairs(members) do elements[i] = element_in(member) end
  return elements
end

-- Offers the jobs of one level that wait for a turn. They stay where they are until `leave_served`.
local function consume_turns(level, sink)
  local offered = {}
  local used, go_on = offer_all(store, function(skip, want)
    local members = members_of_level(level, skip, want)
    for _, member in ipairs(members) do offered[#offered + 1] = member end
    return elements_in(members)
  end, sink)
  for i = #offered, used + 1, -1 do offered[i] = nil end
  if used > 0 then served[level] = offered end
  return go_on
end

-- Offers the jobs of one level to `sink`: what came back first, then flows in turn.
local function consume_fairly(level, sink, trims)
  return store.consume(level, sink, trims) and consume_turns(level, sink)
end

-- With the last job goes what is known of rounds.
local function forget_rounds()
  if redis.call('EXISTS', key.fair) == 0 then redis.call('DEL', key.rounds) end
end

-- Takes what was served out of its rounds, and goes on to the last of them.
local function leave_served()
  for level, members in pairs(served) do
    local last = tonumber(redis.call('ZSCORE', key.fair, members[#members]))
    call_many({'ZREM', key.fair}, members)
    local round = last - level * ROUNDS
    if round > 0 and round < ROUNDS then
      redis.call('ZADD', key.rounds, round, level)
      redis.call('ZREMRANGEBYSCORE', key.rounds, level * ROUNDS, last)
    end
  end
  if next(served) then forget_rounds() end
end

-- Drops up to `most` jobs, shown to `before` while they are there; returns how many.
local function drop_fair(most, before)
  local members = most > 0 and redis.call('ZRANGE', key.fair, 0, most - 1) or {}
  local jobs = {}
  for _, element in ipairs(elements_in(members)) do jobs[#jobs + 1] = parse(element) end
  before(jobs)
  store.forget(jobs)
  forget_notes(jobs)
  call_many({'ZREM', key.fair}, members)
  forget_rounds()
  return #members
end
