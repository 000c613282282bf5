-- Shows jobs in one state, next one first; changes nothing.
--
-- KEYS: leased delayed jobs dead graves notes {fair} {gates} {lines}
-- ARGV: state limit offset what; what is `ids` if nothing else is asked for
-- Returns {id, element, due, body, note, ...}: due is the milliseconds until the job is due or its
-- lease ends, -1 where nothing is awaited; element is '' for what cannot be parsed. Of ids alone
-- such a one is ''.
--- include: common
--- include: store
--- include: fair
--- include: gates

local state, limit, offset = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local bare = ARGV[4] == 'ids'
local now = now_ms()
local rows = {}

local function show(jobs, dues)
  if bare then
    for _, job in ipairs(jobs) do rows[#rows + 1] = store.name(job) end
    return
  end
  local bodies = store.bodies(jobs)
  for i, job in ipairs(jobs) do
    local note = redis.call('HGET', key.notes, job.ref) or ''
    for _, cell in ipairs({job.id, element_of(job), dues[i] or -1, bodies[i] or store.remains(job), note}) do
      rows[#rows + 1] = cell
    end
  end
end

local function show_raw(text)
  if bare then
    rows[#rows + 1] = ''
    return
  end
  local note = redis.call('HGET', key.notes, text) or ''
  for _, cell in ipairs({text, '', -1, text, note}) do rows[#rows + 1] = cell end
end

local function show_all(elements, read, dues)
  local jobs, kept = {}, {}
  for i, element in ipairs(elements) do
    local job = read(element)
    if job then
      jobs[#jobs + 1], kept[#jobs + 1] = job, dues and dues[i]
    else
      show_raw(element)
    end
  end
  show(jobs, kept)
end

local function timed(zset, read)
  local pairs_of = redis.call('ZRANGE', zset, offset, offset + limit - 1, 'WITHSCORES')
  local elements, dues = {}, {}
  for i = 1, #pairs_of, 2 do
    elements[#elements + 1] = pairs_of[i]
    dues[#dues + 1] = math.max(0, tonumber(pairs_of[i + 1]) - now)
  end
  show_all(elements, read, dues)
end

-- What is ready, in the order in which it would go out; then what waits at its gate.
local function ready()
  local all, want = {}, limit + offset
  for level = 1, LEVELS do
    for _, element in ipairs(store.first_of(level, want - #all)) do all[#all + 1] = element end
    local members = key.fair and members_of_level(level, 0, want - #all) or {}
    for _, element in ipairs(elements_in(members)) do all[#all + 1] = element end
  end
  local rest = limit + offset - #all
  local parked = key.parked and rest > 0 and redis.call('ZRANGE', key.parked, 0, rest - 1) or {}
  for _, member in ipairs(parked) do all[#all + 1] = parked_in(member) end
  return {unpack(all, offset + 1)}
end

if state == 'ready' then
  show_all(ready(), parse)
elseif state == 'delayed' then
  timed(key.delayed, parse)
elseif state == 'held' then
  timed(key.leased, parse_token)
else
  local refs = redis.call('ZRANGE', key.dead, offset, offset + limit - 1)
  show_all(refs, function(ref) return parse(redis.call('HGET', key.graves, ref) or '') end)
end
return rows
