-- How the list adapter keeps jobs: elements in one ready list for each level, bodies in a hash.
-- A ref is the job's id. A blank element in the normal list carries no job: it only rings.

local store = {}

-- Puts an element before everything that waits on its level.
function store.requeue(job)
  redis.call('RPUSH', key.ready[job.level], element_of(job))
end

-- Puts an element behind everything that waits on its level.
function store.append(job)
  redis.call('LPUSH', key.ready[job.level], element_of(job))
end

-- Wakes one consumer that sleeps on the normal list; needless while something lies there.
function store.ring()
  if redis.call('LLEN', key.ready[NORMAL]) == 0 then
    redis.call('LPUSH', key.ready[NORMAL], '')
  end
end

-- Forgets the bodies of finished jobs.
function store.forget(jobs)
  local refs = {}
  for i, job in ipairs(jobs) do refs[i] = job.ref end
  call_many({'HDEL', key.jobs}, refs)
end

function store.bodies(jobs)
  local found = {}
  for first = 1, #jobs, CHUNK do
    local refs = {}
    for i = first, math.min(first + CHUNK - 1, #jobs) do refs[#refs + 1] = jobs[i].ref end
    local bodies = redis.call('HMGET', key.jobs, unpack(refs))
    for i, body in ipairs(bodies) do
      local job = jobs[first + i - 1]
      found[#found + 1] = body or false
      job.id = job.ref
    end
  end
  return found
end

-- The id of a job.
function store.name(job)
  return job.ref
end

-- What lies where no body was found: nothing.
function store.remains()
  return ''
end

-- Where a dead job's body stays: where it is.
function store.entomb(job)
  return job.ref
end

-- Offers the jobs of one level to `sink`, and notes in `trims` what to drop afterwards. Returns
-- whether to go on with the next level.
function store.consume(level, sink, trims)
  local used, go_on = offer_line(store, key.ready[level], sink)
  trims[#trims + 1] = {key.ready[level], used}
  return go_on
end

function store.has_more()
  return redis.call('EXISTS', unpack(key.ready)) > 0
end

-- How many jobs wait on a level, without a blank.
local function waiting(level)
  local size = redis.call('LLEN', key.ready[level])
  if level == NORMAL and redis.call('LPOS', key.ready[level], '') then size = size - 1 end
  return size
end

function store.ready_count()
  local total = 0
  for level = 1, LEVELS do total = total + waiting(level) end
  return total
end

-- The `want` first elements of a level.
function store.first_of(level, want)
  local first = {}
  -- One more than is wanted, since one may be blank.
  for _, element in ipairs(want > 0 and next_of(key.ready[level], 0, want + 1) or {}) do
    if element ~= '' and #first < want then first[#first + 1] = element end
  end
  return first
end

-- Drops up to `most` ready jobs, shown to `before` while they are there; returns how many.
function store.drop_ready(most, before)
  local dropped = 0
  for level = 1, LEVELS do
    repeat
      local elements = dropped < most and next_of(key.ready[level], 0, most - dropped) or {}
      local jobs = {}
      for _, element in ipairs(elements) do
        if element ~= '' then jobs[#jobs + 1] = parse(element) or {ref = element} end
      end
      before(jobs)
      store.forget(jobs)
      forget_notes(jobs)
      drop_next(key.ready[level], #elements)
      dropped = dropped + #jobs
    until #elements == 0
  end
  return dropped
end

function store.save_ready(job, envelope)
  redis.call('HSET', key.jobs, job.ref, envelope)
  store.append(job)
end

function store.save_delayed(job, envelope)
  redis.call('HSET', key.jobs, job.ref, envelope)
end

-- Sleepers watch the normal level themselves.
function store.must_ring(level)
  return level ~= NORMAL
end

-- Puts what lies in a processing list back before everything else; blanks are dropped.
function store.unclaim(claim)
  local elements = redis.call('LRANGE', claim, 0, -1)
  local moved = 0
  for i = 1, #elements do
    if elements[i] ~= '' then
      redis.call('RPUSH', key.ready[NORMAL], elements[i])
      moved = moved + 1
    end
  end
  if #elements > 0 then redis.call('DEL', claim) end
  return moved
end

-- Makes the caller's own claim ready, to be taken first, and names connections that are gone.
function store.claimed(owner, now)
  store.unclaim(key.claim)
  local gone = {}
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', key.waiters, '-inf', now, 'LIMIT', 0, 16)) do
    if other ~= owner then gone[#gone + 1] = other end
  end
  return gone
end

-- The other connections that may be asleep, and perhaps were given a job that they know nothing of.
function store.sleepers(owner, now)
  local found = {}
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', key.waiters, now, '+inf', 'LIMIT', 0, CHUNK)) do
    if other ~= owner then found[#found + 1] = other end
  end
  return found
end

-- Registers a connection that is about to wait; says when the first other one ends.
function store.register(owner, now, alive)
  redis.call('ZADD', key.waiters, now + alive, owner)
  redis.call('HDEL', key.lapsed, owner)
  local first = redis.call('ZRANGE', key.waiters, 0, 1, 'WITHSCORES')
  if first[1] ~= owner then return tonumber(first[2]) end
  return first[4] and tonumber(first[4])
end

function store.refs_of_id(id)
  return {id}
end

-- The job of this id, if there is one.
function store.locate(id)
  return redis.call('HEXISTS', key.jobs, id) == 1 and {ref = id} or nil
end

-- Where elements wait, but for those that were given to sleepers.
function store.lines()
  return key.ready
end

-- What can be said of a job that is stored and found nowhere.
function store.elsewhere()
  return 'claimed'
end
