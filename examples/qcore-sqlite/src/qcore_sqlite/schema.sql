-- One row for each job that is not finished, or of which a record stays until a time. level 0 is
-- the most urgent; place orders a level, and what comes back gets a place before all others. Times
-- are unix milliseconds of SQLite.
CREATE TABLE IF NOT EXISTS jobs (
    row       INTEGER PRIMARY KEY,
    queue     TEXT NOT NULL,
    id        TEXT NOT NULL,
    envelope  BLOB NOT NULL,
    level     INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    state     TEXT NOT NULL,
    due       INTEGER NOT NULL DEFAULT 0,
    number    INTEGER NOT NULL DEFAULT 0,
    attempt   INTEGER NOT NULL DEFAULT 1,
    crashes   INTEGER NOT NULL DEFAULT 0,
    lost      INTEGER NOT NULL DEFAULT 0,
    started   INTEGER NOT NULL DEFAULT 0,
    token     TEXT NOT NULL DEFAULT '',
    note      TEXT NOT NULL DEFAULT '',
    -- The record. until is 0 if there is none; keep says how long it stays behind each end.
    until     INTEGER NOT NULL,
    keep      TEXT NOT NULL,
    enqueued  INTEGER NOT NULL,
    changed   INTEGER NOT NULL,
    taken     INTEGER,
    worker    TEXT NOT NULL DEFAULT '',
    tries     TEXT NOT NULL DEFAULT '[]',
    report    TEXT NOT NULL DEFAULT '',
    result    BLOB NOT NULL DEFAULT x''
);
CREATE INDEX IF NOT EXISTS jobs_waiting ON jobs (queue, state, level, place, due);
CREATE INDEX IF NOT EXISTS jobs_place ON jobs (queue, place);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (queue, state, due);
CREATE UNIQUE INDEX IF NOT EXISTS jobs_held ON jobs (queue, token) WHERE state = 'held';
CREATE INDEX IF NOT EXISTS jobs_named ON jobs (queue, id);
CREATE INDEX IF NOT EXISTS jobs_over ON jobs (queue, until) WHERE state IN ('done', 'dropped');

-- The ids and dedup keys that callers gave, for as long as they are known.
CREATE TABLE IF NOT EXISTS known (
    queue TEXT NOT NULL,
    word  TEXT NOT NULL,
    id    TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (queue, word)
) WITHOUT ROWID;

-- What came and went.
CREATE TABLE IF NOT EXISTS counters (
    queue TEXT NOT NULL,
    name  TEXT NOT NULL,
    n     INTEGER NOT NULL,
    PRIMARY KEY (queue, name)
) WITHOUT ROWID;
