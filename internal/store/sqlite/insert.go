package sqlite

import (
	"database/sql/driver"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// A multi-row INSERT spares most of a statement's own cost; beyond some tens of rows there is
// nothing left to spare.
const insertRowsAtOnce = 32

const (
	insertJobHead    = "INSERT INTO jobs (id, rev, state, queue, type, priority, head, key, owner, tags, search, env_id, ended_at, doc) VALUES "
	insertJobRow     = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	jobColumnCount   = 14
	insertChangeHead = "INSERT INTO changes (seq, at, kind, job_id, state, was, queue, doc) VALUES "
	insertChangeRow  = "(?, ?, ?, ?, ?, ?, ?, ?)"
	changeColumns    = 8
)

var (
	insertJob        = insertJobHead + insertJobRow
	insertManyJobs   = insertJob + strings.Repeat(", "+insertJobRow, insertRowsAtOnce-1)
	insertChange     = insertChangeHead + insertChangeRow
	insertManyChange = insertChange + strings.Repeat(", "+insertChangeRow, insertRowsAtOnce-1)
)

// insertRows writes new records, which have their numbers, and their changes.
func insertRows(t *tx, rows []row, envIDs []int64, at time.Time, kind job.ChangeKind) error {
	jobs := make([]driver.Value, 0, jobColumnCount*insertRowsAtOnce)
	for len(rows) > 0 {
		n, jobSQL := 1, insertJob
		if len(rows) >= insertRowsAtOnce {
			n, jobSQL = insertRowsAtOnce, insertManyJobs
		}
		jobs = jobs[:0]
		for i := range rows[:n] {
			r := &rows[i]
			jobs = append(jobs, r.id, r.rev+1, string(r.state), r.queue, r.typ, r.priority, r.head, r.key, r.owner, r.tags, r.search,
				envIDs[i], r.endedAt(at), r.doc)
			t.count(counter{r.queue, r.typ, r.state}, 1)
		}
		if _, err := t.conn.exec(jobSQL, jobs...); err != nil {
			return err
		}
		for i := range rows[:n] {
			r := &rows[i]
			if err := t.jobChange(at, kind, r.id, r.state, "", r.queue, r.changeDoc()); err != nil {
				return err
			}
			if err := r.archive(t); err != nil {
				return err
			}
		}
		rows, envIDs = rows[n:], envIDs[n:]
	}
	return nil
}

// endedAt is the ended_at of a record that is new at the time given.
func (r *row) endedAt(at time.Time) driver.Value {
	if !r.state.Ended() {
		return nil
	}
	if r.ended != 0 {
		return r.ended
	}
	return micros(at)
}
