-- +goose Up

-- How jobs ended that did not complete: a rare exit code or reason is found among any number of
-- failures. Both are of the record itself and of no columns, so that a write of any other job costs a
-- comparison of its state. Lists say the same condition in the same words (outcome.go).
CREATE INDEX jobs_exit_code ON jobs (json_extract(doc, '$.exit_code')) WHERE state IN ('failed', 'stopped');
CREATE INDEX jobs_reason    ON jobs (json_extract(doc, '$.reason'))    WHERE state IN ('failed', 'stopped');

-- What the registry remembers about itself is written when jobs and changes go, not with each addition:
-- its row has lower bounds of next_job and last_seq, and what jobs and changes hold counts too. Whoever
-- reads takes the view. It has the name that the table had, for programs before this schema: they refuse
-- the registry, but read its numbers when they put an older copy in its place.
ALTER TABLE registry RENAME TO registry_row;
CREATE VIEW registry AS SELECT id, registry_id,
    max(next_job, (SELECT coalesce(max(id), 0) + 1 FROM jobs))   AS next_job,
    max(last_seq, (SELECT coalesce(max(seq), 0)    FROM changes)) AS last_seq,
    epoch, cursor_journal, cursor_boot, cursor_seq FROM registry_row;
