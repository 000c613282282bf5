-- What is kept of jobs that are tracked: a JSON text each in the hash `records`, a result in
-- `results`, and in `ends`, once the job has ended, until when both stay. Nothing is read or written
-- where no job is tracked; whoever waits for an end hears of it once for each script.

local TRIES = 5
local FORGET = 200
local FOR_EVER = 9e15
local NEXT = {
  take = 'held', ack = 'done', release = 'ready', retry = 'delayed', dead_letter = 'dead',
  expire = 'ready', exhaust = 'dead', due = 'ready', redrive = 'ready', reschedule = 'delayed',
  purge = 'dropped', cancel = 'dropped', late = 'dropped',
}
local STAYS = {done = 1, dead = 2, dropped = 3}
local tracked = false
local over = {}

local function forget_records(ids)
  call_many({'HDEL', key.records}, ids)
  call_many({'HDEL', key.results}, ids)
  call_many({'ZREM', key.ends}, ids)
end

-- Says whether any job is tracked; writes nothing.
local function watch_records(flag)
  tracked = key.records and flag
  if not tracked then return end
  redis.call('HLEN', key.records)
  redis.call('HLEN', key.results)
  redis.call('ZCARD', key.ends)
end

-- Drops records whose time is over: more than a step of so many jobs can leave behind.
local function sweep_records(now, jobs)
  if not tracked then return end
  local size = redis.call('HLEN', key.records)
  local most = FORGET + jobs
  local ended = redis.call('ZRANGEBYSCORE', key.ends, '-inf', now, 'LIMIT', 0, most)
  forget_records(ended)
  if size == #ended then redis.call('HDEL', key.meta, 'tracked') end
end

local function write_record(id, record)
  redis.call('HSET', key.records, id, cjson.encode(record))
end

-- Whether a job of this id has a record, and has not ended.
local function has_open_record(id)
  return tracked and redis.call('HEXISTS', key.records, id) == 1
    and not redis.call('ZSCORE', key.ends, id)
end

local function begin_record(id, due, keep, now)
  local record = {
    state = due > now and 'delayed' or 'ready', at = now, enqueued = now,
    due = due > now and due or nil, number = 0, attempt = 1, crashes = 0, keep = {},
  }
  for millis in string.gmatch(keep, '[^,]+') do table.insert(record.keep, tonumber(millis)) end
  forget_records({id})
  write_record(id, record)
  redis.call('HSET', key.meta, 'tracked', '1')
end

local function record_of(job, now)
  local id = tracked and store.name(job)
  local text = id and redis.call('HGET', key.records, id)
  if not text then return nil end
  local record = cjson.decode(text)
  if record.ended and tonumber(redis.call('ZSCORE', key.ends, id) or 0) <= now then return nil end
  return id, record
end

-- Adds the delivery that ends to the last ones.
local function add_try(record, event, note, now)
  local tries = record.tries or {}
  tries[#tries + 1] = {
    number = record.number, attempt = record.attempt, taken = record.taken, ended = now,
    outcome = event, note = note,
  }
  if #tries > TRIES then table.remove(tries, 1) end
  record.tries = tries
end

-- Keeps the record for as long as such an end asks for: milliseconds, -1 for ever.
local function finish_record(id, record, now)
  over[#over + 1] = id
  local stays = record.keep[STAYS[record.state]]
  if stays == 0 then return forget_records({id}) end
  record.ended = now
  write_record(id, record)
  redis.call('ZADD', key.ends, stays < 0 and FOR_EVER or now + stays, id)
end

-- Notes what happened to a job, with the facts that it changed.
local function noted(job, event, now, facts)
  local id, record = record_of(job, now)
  if not id then return end
  now = math.max(now, record.at)
  if record.state == 'held' then add_try(record, event, facts and facts.note, now) end
  if record.ended then redis.call('ZREM', key.ends, id) end
  record.state, record.at, record.due, record.ended = NEXT[event], now, nil, nil
  if event == 'ack' then record.note = nil end
  if record.state == 'held' then record.taken = now end
  for name, value in pairs(facts or {}) do record[name] = value end
  if STAYS[record.state] then finish_record(id, record, now) else write_record(id, record) end
end

-- Notes what the holder of a job says of it.
local function amended(job, report, now)
  local id, record = record_of(job, now)
  if not id then return end
  record.report = report
  write_record(id, record)
end

local function keep_result(job, result, now)
  local id = result ~= '' and record_of(job, now)
  if id then redis.call('HSET', key.results, id, result) end
end

-- Wakes those who wait for an end. A user who may not publish has settled all the same.
local function tell_ends()
  if #over > 0 then redis.pcall('PUBLISH', key.records, table.concat(over, ' ')) end
end
