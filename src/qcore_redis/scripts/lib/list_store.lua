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

-- Where a dead job's body stays: where it is.
function store.entomb(job)
  return job.ref
end

-- Offers up to `want` jobs of one level to `sink`, and notes in `trims` what to drop afterwards.
-- Returns whether to go on with the next level.
function store.consume(level, want, sink, trims)
  local elements = next_of(key.ready[level], want)
  local used, go_on = offer(store, elements, sink)
  trims[#trims + 1] = {key.ready[level], used}
  return go_on
end

function store.has_more()
  return redis.call('EXISTS', unpack(key.ready)) > 0
end

function store.ready_count()
  local total = 0
  for level = 1, LEVELS do total = total + redis.call('LLEN', key.ready[level]) end
  if redis.call('LPOS', key.ready[NORMAL], '') then total = total - 1 end
  return total
end

-- Elements that are ready, most urgent first, `limit` of them after `offset`.
function store.ready_page(limit, offset)
  local page = {}
  for level = 1, LEVELS do
    local size = redis.call('LLEN', key.ready[level])
    if offset < size and #page < limit then
      local part = next_of(key.ready[level], offset + limit - #page)
      for i = offset + 1, #part do
        if part[i] ~= '' then page[#page + 1] = part[i] end
      end
    end
    offset = math.max(0, offset - size)
  end
  return page
end

-- Drops up to `most` ready jobs; returns how many.
function store.drop_ready(most)
  local dropped = 0
  for level = 1, LEVELS do
    local elements = next_of(key.ready[level], most - dropped)
    local jobs = {}
    for _, element in ipairs(elements) do
      if element ~= '' then jobs[#jobs + 1] = parse(element) or {ref = element} end
    end
    store.forget(jobs)
    drop_next(key.ready[level], #elements)
    dropped = dropped + #jobs
    if dropped >= most then break end
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

-- Registers a connection that is about to wait, for one lease; says when the first other one ends.
function store.register(owner, now, lease)
  redis.call('ZADD', key.waiters, now + lease, owner)
  redis.call('HDEL', key.lapsed, owner)
  local first = redis.call('ZRANGE', key.waiters, 0, 1, 'WITHSCORES')
  if first[1] ~= owner then return tonumber(first[2]) end
  return first[4] and tonumber(first[4])
end

function store.refs_of_id(id)
  return {id}
end
