-- +goose Up

-- How many jobs ended in a minute, and how long those that started in it had waited.
CREATE TABLE stats (
    at        INTEGER PRIMARY KEY, -- minutes since 1970
    completed INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    stopped   INTEGER NOT NULL,
    waits     BLOB    NOT NULL     -- counts by length (store.Waits) as varints, zeros at the end left out
);
