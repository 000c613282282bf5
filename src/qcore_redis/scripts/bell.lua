-- Rings, so that one consumer looks again. For a wait that was given up with its signal in flight.
--
-- KEYS: {bell} {lines}
-- ARGV: none
-- Returns 0.
--- include: common
--- include: store

store.ring()
return 0
