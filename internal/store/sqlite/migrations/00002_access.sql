-- +goose Up

-- Who may ask over TCP. Only the hashes of secrets are here (SHA-256 of 256 random bits, which no
-- salt would make harder to guess). Times are microseconds since 1970, 0 = none.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    role       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    uid        INTEGER NOT NULL,
    token_id   TEXT    NOT NULL, -- '' = none
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) WITHOUT ROWID;

-- What was changed by whom. The oldest go first, so that numbers do not come again.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    role    TEXT    NOT NULL,
    via     TEXT    NOT NULL,
    "from"  TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    outcome TEXT    NOT NULL
);
