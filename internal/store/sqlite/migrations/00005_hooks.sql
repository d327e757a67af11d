-- +goose Up

-- The state that a change found a job in: an event of hooks is a move, which the state after it
-- alone does not tell. '' = not on record before, or not known.
ALTER TABLE changes ADD COLUMN was TEXT NOT NULL DEFAULT '';

-- One event on its way to one hook. Times are microseconds since 1970.
CREATE TABLE hook_deliveries (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id     INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    once       INTEGER NOT NULL, -- 0 for start, which an attempt has once; else seq
    hook       TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    seq        INTEGER NOT NULL, -- of the change
    receiver   TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    tries      INTEGER NOT NULL,
    due        INTEGER,          -- NULL = over, on its way, or behind an earlier one of its job
    run_id     TEXT    NOT NULL, -- of the command that runs; '' = none
    last_error TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    since      INTEGER NOT NULL, -- from when the time counts after which it is given up
    ended_at   INTEGER,          -- NULL = open
    doc        TEXT    NOT NULL  -- store.DeliveryDoc as JSON
);
CREATE UNIQUE INDEX hook_deliveries_job ON hook_deliveries (job_id, attempt, once, hook);
CREATE INDEX hook_deliveries_due   ON hook_deliveries (receiver, due, id)    WHERE due IS NOT NULL;
CREATE INDEX hook_deliveries_open  ON hook_deliveries (receiver, job_id, id) WHERE ended_at IS NULL;
CREATE INDEX hook_deliveries_ended ON hook_deliveries (ended_at)             WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX hook_deliveries_run ON hook_deliveries (run_id)          WHERE run_id <> '';

-- Up to which change events were turned into deliveries: at most one row, none = 0.
CREATE TABLE hook_cursor (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    seq   INTEGER NOT NULL,
    since TEXT    NOT NULL -- JSON object: by hook, the change after which it is told of events
);
-- Of what happened before, no hook is told.
INSERT INTO hook_cursor (id, seq, since) SELECT 1, last_seq, '{}' FROM registry;
