-- How the streams adapter keeps a log: one stream `entries` for all groups, each a group of the
-- stream, so that what a group has yet to settle is pending there. A ref is `e:`, the turn of the
-- group and an entry's id; or `j:` and a job's id whose body lies in the group's hash `jobs` (dead
-- letters). A turn begins when a group does, or is rewound, so that no token of a former one fits.

local GROUP = string.match(key.back, ':g:([^:]+):back$')
local READER = 'qcore'
local store = {}

function store.requeue(job)
  redis.call('RPUSH', key.back, element_of(job))
end

function store.append(job)
  redis.call('LPUSH', key.back, element_of(job))
end

function store.ring()
  redis.call('ZADD', key.bell, 0, '0')
end

local function entry_of(job)
  return string.match(job.ref, '^e:%d+:(.+)$')
end

function store.forget(jobs)
  local fields, entries = {}, {}
  for _, job in ipairs(jobs) do
    local entry = entry_of(job)
    if entry then
      entries[#entries + 1] = entry
    else
      fields[#fields + 1] = string.sub(job.ref, 3)
    end
  end
  call_many({'HDEL', key.jobs}, fields)
  call_many({'XACK', key.entries, GROUP}, entries)
end

function store.bodies(jobs)
  local found = {}
  for i, job in ipairs(jobs) do
    local entry = entry_of(job)
    if entry then
      local read = redis.call('XRANGE', key.entries, entry, entry)
      if read[1] then
        local fields = fields_of(read[1])
        if fields then job.id, found[i] = fields.id, fields.job end
      end
    else
      job.id = string.sub(job.ref, 3)
      found[i] = redis.call('HGET', key.jobs, job.id)
    end
    job.id = job.id or job.ref
    found[i] = found[i] or false
  end
  return found
end

-- What lies where no body of ours was found: the fields of a foreign entry, or nothing.
function store.remains(job)
  local entry = entry_of(job)
  local read = entry and redis.call('XRANGE', key.entries, entry, entry) or {}
  return read[1] and table.concat(read[1][2], ' ') or ''
end

-- Copies a dead job, so that the log need not be kept for it. Its entry stays pending only if a job
-- of the same id is dead already.
function store.entomb(job)
  local entry = entry_of(job)
  if not entry then return job.ref end
  local body = store.bodies({job})[1]
  if body and redis.call('HSETNX', key.jobs, job.id, body) == 0 then return job.ref end
  redis.call('XACK', key.entries, GROUP, entry)
  return body and 'j:' .. job.id or job.ref
end

-- What is pending in a group that somebody removed: all that has an element.
local function pending_again()
  local function note(job)
    local entry = job and entry_of(job)
    if entry then
      redis.call('XCLAIM', key.entries, GROUP, READER, 0, entry, 'FORCE', 'JUSTID')
    end
  end
  for _, token in ipairs(redis.call('ZRANGE', key.leased, 0, -1)) do note(parse_token(token)) end
  for _, element in ipairs(redis.call('ZRANGE', key.delayed, 0, -1)) do note(parse(element)) end
  for _, element in ipairs(redis.call('LRANGE', key.back, 0, -1)) do note(parse(element)) end
end

-- Makes a group that nobody began; one that was lost goes on where it was.
local function make_group()
  local at = redis.call('HGET', key.meta, 'at')
  if at then
    redis.call('XGROUP', 'CREATE', key.entries, GROUP, at, 'MKSTREAM')
    pending_again()
  else
    begin_group(GROUP, '0-0', dropped_number(), 0)
  end
end

local function read_new(want)
  local words = {'XREADGROUP', 'GROUP', GROUP, READER, 'COUNT', want, 'STREAMS', key.entries, '>'}
  local reply = redis.pcall(unpack(words))
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP') then error(reply.err) end
    make_group()
    reply = redis.call(unpack(words))
  end
  local entries = reply and reply[1] and reply[1][2] or {}
  local last = tonumber(redis.call('HGET', key.meta, 'last') or 0)
  local skipped = 0
  for _, entry in ipairs(entries) do
    local fields = fields_of(entry)
    if fields then
      skipped = skipped + fields.n - last - 1
      last = fields.n
    end
  end
  if #entries > 0 then
    redis.call('HSET', key.meta, 'last', last, 'at', entries[#entries][1])
    count('dropped', skipped)
  end
  return entries
end

-- Lets go of a job whose entry retention has dropped, before the next sink sees it.
local function unless_dropped(sink)
  local dropped = redis.call('HGET', key.totals, 'dropped_id')
  if not dropped then return sink end
  return {room = sink.room, junk = sink.junk, job = function(job, body)
    local entry = entry_of(job)
    if body or not entry or is_before(dropped, entry) then return sink.job(job, body) end
    store.forget({job})
    forget_notes({job})
    count('dropped', 1)
    return true
  end}
end

function store.consume(level, sink, trims)
  if level ~= NORMAL then return true end
  local first = unless_dropped(sink)
  local used, go_on = offer_line(store, key.back, first)
  sink.cut = first.cut
  trims[#trims + 1] = {key.back, used}
  if not go_on then return false end
  for _ = 1, SWEEP do
    -- What is read here is delivered, so it must not be refused afterwards.
    local want = sink.room()
    local entries = want > 0 and read_new(want) or {}
    local turn = #entries > 0 and redis.call('HGET', key.meta, 'turn')
    for _, entry in ipairs(entries) do
      local fields = fields_of(entry)
      sink.job({ref = 'e:' .. turn .. ':' .. entry[1], level = NORMAL, number = 0, attempt = 1,
                crashes = 0, lost = 0, id = fields and fields.id or entry[1]},
               fields and fields.job or false)
    end
    if want == 0 or #entries < want then return true end
  end
  sink.cut = true
  return true
end

local function undelivered()
  if redis.call('XLEN', key.entries) == 0 then return 0 end
  local total = tonumber(redis.call('HGET', key.totals, 'last') or 0)
  local last = tonumber(redis.call('HGET', key.meta, 'last') or 0)
  return math.max(0, total - math.max(last, dropped_number()))
end

function store.has_more()
  return redis.call('EXISTS', key.back) > 0 or undelivered() > 0
end

function store.ready_count()
  return undelivered() + redis.call('LLEN', key.back)
end

-- The `want` first elements of a level.
function store.first_of(level, want)
  if level ~= NORMAL or want <= 0 then return {} end
  local first = next_of(key.back, 0, want)
  if #first == want then return first end
  local at = groups_of_stream()[GROUP] or '0-0'
  for _, entry in ipairs(redis.call('XRANGE', key.entries, '(' .. at, '+', 'COUNT', want - #first)) do
    first[#first + 1] = 'e:0:' .. entry[1] .. '|' .. NORMAL .. '|0|1|0|0'
  end
  return first
end

function store.drop_ready(most)
  local jobs = {}
  local elements = next_of(key.back, 0, most)
  for _, element in ipairs(elements) do
    jobs[#jobs + 1] = parse(element) or {ref = 'j:' .. element}
  end
  if #jobs < most then
    local entries = read_new(most - #jobs)
    for _, entry in ipairs(entries) do jobs[#jobs + 1] = {ref = 'e:0:' .. entry[1]} end
  end
  store.forget(jobs)
  forget_notes(jobs)
  drop_next(key.back, #elements)
  return #jobs
end

-- Dead jobs lie in the hash; what is foreign is called by its ref.
function store.refs_of_id(id)
  return {'j:' .. id, id}
end
