-- Removes a group; what others have to do stays. Works at full memory.
--
-- KEYS: entries meta leased delayed jobs dead graves started notes back bell gate
-- ARGV: group
-- Returns 1 if there was one.
--- include: common

check_types()
redis.call('DEL', key.meta, key.leased, key.delayed, key.jobs, key.dead, key.graves, key.started,
           key.notes, key.back, key.bell, key.gate)
if redis.call('EXISTS', key.entries) == 0 then return 0 end
return redis.call('XGROUP', 'DESTROY', key.entries, ARGV[1])
