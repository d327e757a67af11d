-- +goose Up

-- How jobs ended that did not complete: a rare exit code or reason is found among any number of
-- failures. Both are of the record itself and of no columns, so that a write of any other job costs a
-- comparison of its state. Lists say the same condition in the same words (outcome.go).
CREATE INDEX jobs_exit_code ON jobs (json_extract(doc, '$.exit_code')) WHERE state IN ('failed', 'stopped');
CREATE INDEX jobs_reason    ON jobs (json_extract(doc, '$.reason'))    WHERE state IN ('failed', 'stopped');

-- From here on next_job and last_seq of the registry are lower bounds: what jobs and changes hold counts
-- too, and the row is written when those go, not with each addition. Programs before this schema read
-- the row alone, and refuse this one.
