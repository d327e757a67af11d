-- +goose Up

-- What a registry remembers about itself: always exactly one row.
CREATE TABLE registry (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    registry_id    TEXT    NOT NULL,           -- random, made with the file
    next_job       INTEGER NOT NULL DEFAULT 1, -- never goes back, whatever is purged
    last_seq       INTEGER NOT NULL DEFAULT 0, -- of the last change, whatever is pruned
    epoch          INTEGER NOT NULL DEFAULT 0,
    cursor_journal TEXT    NOT NULL DEFAULT '',
    cursor_boot    TEXT    NOT NULL DEFAULT '',
    cursor_seq     INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE queues (
    name TEXT PRIMARY KEY,
    doc  TEXT NOT NULL     -- job.Queue as JSON
) WITHOUT ROWID;

-- The columns are what SQL selects, orders and counts by; doc is the whole record as JSON, without
-- its number, the same text that a change carries. Times are microseconds since 1970.
CREATE TABLE jobs (
    id       INTEGER PRIMARY KEY,
    rev      INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    queue    TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    priority INTEGER NOT NULL,
    head     INTEGER NOT NULL,
    key      TEXT,             -- NULL = none
    owner    TEXT    NOT NULL,
    tags     TEXT,             -- JSON array, NULL = none
    search   TEXT    NOT NULL, -- name and command in lower case
    env_id   INTEGER NOT NULL, -- 0 = empty
    ended_at INTEGER,          -- when it entered its ended state; NULL = it has not ended
    doc      TEXT    NOT NULL
);
CREATE INDEX jobs_waiting ON jobs (queue, head DESC, priority DESC, id) WHERE state = 'queued';
-- Lists: within each value by id.
CREATE INDEX jobs_state ON jobs (state);
CREATE INDEX jobs_queue ON jobs (queue);
CREATE INDEX jobs_type  ON jobs (type);
CREATE INDEX jobs_owner ON jobs (owner);
CREATE UNIQUE INDEX jobs_key ON jobs (key) WHERE key IS NOT NULL;
CREATE INDEX jobs_ended      ON jobs (state, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_type_ended ON jobs (type, ended_at)  WHERE ended_at IS NOT NULL;

-- The same tags as jobs.tags, one a row: lists look them up. The triggers alone write it.
CREATE TABLE job_tags (
    tag    TEXT    NOT NULL,
    job_id INTEGER NOT NULL,
    PRIMARY KEY (tag, job_id)
) WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER jobs_tags_insert AFTER INSERT ON jobs WHEN new.tags IS NOT NULL BEGIN
    INSERT OR IGNORE INTO job_tags (tag, job_id) SELECT value, new.id FROM json_each(new.tags);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER jobs_tags_delete AFTER DELETE ON jobs WHEN old.tags IS NOT NULL BEGIN
    DELETE FROM job_tags WHERE job_id = old.id AND tag IN (SELECT value FROM json_each(old.tags));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER jobs_tags_update AFTER UPDATE OF tags ON jobs WHEN new.tags IS NOT old.tags BEGIN
    DELETE FROM job_tags WHERE job_id = old.id AND tag IN (SELECT value FROM json_each(old.tags));
    INSERT OR IGNORE INTO job_tags (tag, job_id) SELECT value, new.id FROM json_each(new.tags);
END;
-- +goose StatementEnd

CREATE TABLE attempts (
    job_id  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    doc     TEXT    NOT NULL, -- job.Attempt as JSON
    PRIMARY KEY (job_id, attempt)
) WITHOUT ROWID;

-- Captured environments, one row for each distinct one. The text stands apart, so that counting a
-- reference does not write it again.
CREATE TABLE envs (
    id   INTEGER PRIMARY KEY,
    hash BLOB    NOT NULL UNIQUE, -- SHA-256 of the text
    refs INTEGER NOT NULL
);
CREATE TABLE env_texts (
    env_id INTEGER PRIMARY KEY,
    text   BLOB NOT NULL          -- KEY=VALUE, each ended by NUL
);

CREATE TABLE counters (
    queue TEXT    NOT NULL,
    type  TEXT    NOT NULL,
    state TEXT    NOT NULL,
    n     INTEGER NOT NULL,
    PRIMARY KEY (queue, type, state)
) WITHOUT ROWID;

CREATE TABLE changes (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    job_id INTEGER NOT NULL, -- 0 = a queue's change
    state  TEXT    NOT NULL,
    queue  TEXT    NOT NULL,
    doc    TEXT    NOT NULL  -- JSON object without seq, at, change and id
);
