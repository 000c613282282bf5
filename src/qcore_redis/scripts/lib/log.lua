-- A log: the stream `entries` with the fields `id`, `n` and `job`, n counting from 1; the hash
-- `totals` with `last`, the n of the newest, and `dropped`, that of the newest which retention
-- dropped, `dropped_id` being its entry; and for each group a hash `meta` with `turn`, `last` and
-- `at`, the n and the entry that it was handed last, and `base`, the n before its first.

local function fields_of(entry)
  local fields = entry[2]
  if not fields or fields[1] ~= 'id' or fields[3] ~= 'n' or fields[5] ~= 'job' then return nil end
  return {id = fields[2], n = tonumber(fields[4]), job = fields[6]}
end

local function parts_of(id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

-- Whether one entry comes before another.
local function is_before(one, other)
  local ms, seq = parts_of(one)
  local other_ms, other_seq = parts_of(other)
  return ms < other_ms or (ms == other_ms and seq < other_seq)
end

local function dropped_number()
  return tonumber(redis.call('HGET', key.totals, 'dropped') or 0)
end

-- The groups of the stream: their names, each with the entry that it was handed last.
local function groups_of_stream()
  local groups = {}
  if redis.call('EXISTS', key.entries) == 0 then return groups end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', key.entries)) do
    local facts = {}
    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
    groups[facts.name] = facts['last-delivered-id']
  end
  return groups
end

-- Makes a group that is handed next what comes after the entry `at`, which has the number `last`;
-- `more` jobs are the group's already.
local function begin_group(group, at, last, more)
  redis.call('XGROUP', 'CREATE', key.entries, group, at, 'MKSTREAM')
  local turn = redis.call('HINCRBY', key.totals, 'turns', 1)
  redis.call('HSET', key.meta, 'turn', turn, 'base', last - more, 'last', last, 'at', at)
end
