-- How the streams adapter keeps jobs: one stream for each level, read by one group; an entry stays
-- until its job is finished. A ref is `e:`, the level and an entry's id, which two streams may have
-- in common; or `j:` and a job's id whose body lies in the hash `jobs` (delayed from the start, or
-- dead). What comes back (released, recovered, due) waits in the list `again` of its level, and goes
-- out before what is new.

local GROUP = 'qcore'
local STEP = 100
local LOOK = 2000
local store = {}

function store.requeue(job)
  redis.call('RPUSH', key.again[job.level], element_of(job))
end

function store.append(job)
  redis.call('LPUSH', key.again[job.level], element_of(job))
end

function store.ring()
  redis.call('ZADD', key.bell, 0, '0')
end

local function entry_of(job)
  return string.match(job.ref, '^e:%d:(.+)$')
end

local function ref_of(level, entry)
  return 'e:' .. level .. ':' .. entry
end

function store.forget(jobs)
  local fields, entries = {}, {}
  for _, job in ipairs(jobs) do
    local entry = entry_of(job)
    if entry then
      entries[job.level] = entries[job.level] or {}
      table.insert(entries[job.level], entry)
    else
      fields[#fields + 1] = string.sub(job.ref, 3)
    end
  end
  call_many({'HDEL', key.jobs}, fields)
  for level = 1, LEVELS do
    if entries[level] then
      call_many({'XACK', key.new[level], GROUP}, entries[level])
      call_many({'XDEL', key.new[level]}, entries[level])
    end
  end
end

-- The job's id, body and gate in the fields of an entry; nil if it is none of ours.
local function fields_of(entry)
  local fields = entry[2]
  if not fields or fields[1] ~= 'id' or fields[3] ~= 'job' then return nil end
  return fields[2], fields[4], fields[5] == 'gate' and fields[6] or nil
end

function store.bodies(jobs)
  local found = {}
  for i, job in ipairs(jobs) do
    local entry = entry_of(job)
    if entry then
      local read = redis.call('XRANGE', key.new[job.level], entry, entry)
      if read[1] then job.id, found[i] = fields_of(read[1]) end
    else
      job.id = string.sub(job.ref, 3)
      found[i] = redis.call('HGET', key.jobs, job.id)
    end
    job.id = job.id or job.ref
    found[i] = found[i] or false
  end
  return found
end

-- The id of a job.
function store.name(job)
  local entry = entry_of(job)
  if not entry then return string.sub(job.ref, 3) end
  local read = not job.id and redis.call('XRANGE', key.new[job.level], entry, entry) or {}
  return job.id or (read[1] and fields_of(read[1])) or job.ref
end

-- What lies where no body of ours was found: the fields of a foreign entry, or nothing.
function store.remains(job)
  local entry = entry_of(job)
  local read = entry and redis.call('XRANGE', key.new[job.level], entry, entry) or {}
  return read[1] and table.concat(read[1][2], ' ') or ''
end

-- Moves a dead job out of its stream, so that pending entries are jobs in hand. It stays there only
-- if it is foreign, or if another job of the same id has its body in the hash.
function store.entomb(job)
  local entry = entry_of(job)
  if not entry then return job.ref end
  local body = store.bodies({job})[1]
  if not body then
    -- An entry that was deleted would be pending for ever.
    if store.remains(job) == '' then redis.call('XACK', key.new[job.level], GROUP, entry) end
    return job.ref
  end
  if redis.call('HSETNX', key.jobs, job.id, body) == 0 then return job.ref end
  store.forget({job})
  return 'j:' .. job.id
end

-- The entries of a level that were handed out before and still have a job.
local function known_entries(level)
  local known = {}
  local function note(job)
    local entry = job and job.level == level and entry_of(job)
    if entry then known[#known + 1] = entry end
  end
  for _, token in ipairs(redis.call('ZRANGE', key.leased, 0, -1)) do note(parse_token(token)) end
  for _, element in ipairs(redis.call('ZRANGE', key.delayed, 0, -1)) do note(parse(element)) end
  for _, element in ipairs(redis.call('LRANGE', key.again[level], 0, -1)) do note(parse(element)) end
  for _, element in ipairs(redis.call('HVALS', key.graves)) do note(parse(element)) end
  for _, member in ipairs(redis.call('ZRANGE', key.fair, 0, -1)) do
    note(parse(string.match(member, '^[^|]*|(.+)$') or ''))
  end
  for _, member in ipairs(redis.call('ZRANGE', key.parked, 0, -1)) do
    note(parse(string.match(member, '^[^|]+|%d|%d+|(.+)$') or ''))
  end
  return known
end

-- Makes the group of a level. Where there was one, what it had handed out is pending again, and new
-- is what comes after: entries are handed out in order, and deleted when their job is finished.
local function make_group(level)
  local known, last, last_ms, last_seq = known_entries(level), '0', 0, 0
  for _, entry in ipairs(known) do
    local ms, seq = string.match(entry, '^(%d+)%-(%d+)$')
    ms, seq = tonumber(ms), tonumber(seq)
    if ms and (ms > last_ms or (ms == last_ms and seq > last_seq)) then
      last, last_ms, last_seq = entry, ms, seq
    end
  end
  redis.call('XGROUP', 'CREATE', key.new[level], GROUP, last)
  for _, entry in ipairs(known) do
    redis.call('XCLAIM', key.new[level], GROUP, GROUP, 0, entry, 'FORCE', 'JUSTID')
  end
end

-- Reads new entries; a group that is missing is made.
local function read_new(level, want)
  if redis.call('EXISTS', key.new[level]) == 0 then return {} end
  local words = {'XREADGROUP', 'GROUP', GROUP, GROUP, 'COUNT', want,
                 'STREAMS', key.new[level], '>'}
  local reply = redis.pcall(unpack(words))
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP') then error(reply.err) end
    make_group(level)
    reply = redis.call(unpack(words))
  end
  return reply and reply[1] and reply[1][2] or {}
end

function store.consume(level, sink, trims)
  local used, go_on = offer_line(store, key.again[level], sink)
  trims[#trims + 1] = {key.again[level], used}
  if not go_on then return false end
  for _ = 1, SWEEP do
    -- What is read here is delivered, so it must not be refused afterwards.
    local want = sink.room()
    local entries = want > 0 and read_new(level, want) or {}
    for _, entry in ipairs(entries) do
      local id, body, gate = fields_of(entry)
      sink.job({ref = ref_of(level, entry[1]), level = level, number = 0, attempt = 1, crashes = 0,
                lost = 0, id = id or entry[1], gate = gate}, body or false)
    end
    if want == 0 or #entries < want then return true end
  end
  sink.cut = true
  return true
end

local function undelivered(level)
  local size = redis.call('XLEN', key.new[level])
  if size == 0 then return 0 end
  local pending = redis.pcall('XPENDING', key.new[level], GROUP)
  if pending.err then return size end
  -- An entry that somebody deleted is pending all the same.
  return math.max(0, size - pending[1])
end

function store.has_more()
  if redis.call('EXISTS', unpack(key.again)) > 0 then return true end
  for level = 1, LEVELS do
    if undelivered(level) > 0 then return true end
  end
  return false
end

function store.ready_count()
  local total = 0
  for level = 1, LEVELS do
    total = total + undelivered(level) + redis.call('LLEN', key.again[level])
  end
  return total
end

local function last_delivered(level)
  local groups = redis.pcall('XINFO', 'GROUPS', key.new[level])
  if groups.err then return '0-0' end
  for _, group in ipairs(groups) do
    local facts = {}
    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
    if facts.name == GROUP then return facts['last-delivered-id'] end
  end
  return '0-0'
end

local function new_page(level, limit)
  local after = '(' .. last_delivered(level)
  local page = {}
  for _, entry in ipairs(redis.call('XRANGE', key.new[level], after, '+', 'COUNT', limit)) do
    page[#page + 1] = table.concat({ref_of(level, entry[1]), level, 0, 1, 0, 0}, '|')
  end
  return page
end

-- The `want` first elements of a level.
function store.first_of(level, want)
  if want <= 0 then return {} end
  local first = next_of(key.again[level], 0, want)
  local rest = want - #first
  for _, element in ipairs(rest > 0 and new_page(level, rest) or {}) do first[#first + 1] = element end
  return first
end

function store.drop_ready(most, before)
  local dropped = 0
  for level = 1, LEVELS do
    local jobs = {}
    local elements = next_of(key.again[level], 0, most - dropped)
    for _, element in ipairs(elements) do
      jobs[#jobs + 1] = parse(element) or {ref = 'j:' .. element, level = level}
    end
    if #jobs < most - dropped then
      for _, entry in ipairs(read_new(level, most - dropped - #jobs)) do
        jobs[#jobs + 1] = {ref = ref_of(level, entry[1]), level = level}
      end
    end
    before(jobs)
    store.forget(jobs)
    forget_notes(jobs)
    drop_next(key.again[level], #elements)
    dropped = dropped + #jobs
    if dropped >= most then break end
  end
  return dropped
end

function store.save_ready(job, envelope)
  local words = {'XADD', key.new[job.level], '*', 'id', job.ref, 'job', envelope}
  if job.gate then words[8], words[9] = 'gate', job.gate end
  local entry = redis.call(unpack(words))
  job.ref = ref_of(job.level, entry)
end

function store.save_delayed(job, envelope)
  redis.call('HSET', key.jobs, job.ref, envelope)
  job.ref = 'j:' .. job.ref
end

function store.must_ring()
  return true
end

-- Dead jobs lie in the hash; what is foreign is called by its ref.
function store.refs_of_id(id)
  return {'j:' .. id, id}
end

-- The job of this id, if there is one; or nothing and where to go on, since bodies are looked
-- through: an entry stays in its place until its job is finished.
function store.locate(id, where)
  if redis.call('HEXISTS', key.jobs, id) == 1 then return {ref = 'j:' .. id} end
  local first, after = string.match(where, '^(%d) (.+)$')
  local looked = 0
  for level = tonumber(first or 1), LEVELS do
    after = after or '-'
    repeat
      local entries = redis.call('XRANGE', key.new[level], after, '+', 'COUNT', STEP)
      for _, entry in ipairs(entries) do
        if fields_of(entry) == id then return {ref = ref_of(level, entry[1]), level = level} end
        after = '(' .. entry[1]
      end
      looked = looked + #entries
      if looked >= LOOK then return nil, level .. ' ' .. after end
    until #entries < STEP
    after = nil
  end
  return nil
end

function store.lines()
  return key.again
end

-- An entry that nobody has taken yet waits where it is.
function store.elsewhere(job)
  return entry_of(job) and 'ready' or ''
end
