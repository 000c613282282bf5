-- One row for each job that is not finished. level 0 is the most urgent; place orders a level,
-- and what comes back gets a place before all others. Times are unix milliseconds of SQLite.
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
    token     TEXT,
    note      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS jobs_waiting ON jobs (queue, state, level, place);
CREATE INDEX IF NOT EXISTS jobs_place ON jobs (queue, place);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (queue, state, due);
CREATE INDEX IF NOT EXISTS jobs_held ON jobs (token) WHERE token IS NOT NULL;

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
    queue    TEXT PRIMARY KEY,
    enqueued INTEGER NOT NULL DEFAULT 0,
    acked    INTEGER NOT NULL DEFAULT 0,
    dropped  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
