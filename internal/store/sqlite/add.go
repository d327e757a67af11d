package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// AddJobs implements store.Jobs.
func (s *Store) AddJobs(ctx context.Context, p store.AddJobs) (store.Added, error) {
	if len(p.Jobs) == 0 {
		return store.Added{}, nil
	}
	op := &addOp{opBase: opBase{lane: adding, grows: true, size: len(p.Jobs)}, at: p.At.UTC(),
		maxWaiting: p.MaxWaiting, typeLimits: p.TypeLimits, rows: make([]row, len(p.Jobs))}
	for i, n := range p.Jobs {
		r, err := newColumns(n.Job)
		if err != nil {
			return store.Added{}, atLine(err, i+1)
		}
		r.rev = 0
		op.rows[i] = r
	}
	// They are encoded while the first of them are written already.
	op.docs = encodeDocs(op.rows, p.Jobs)
	defer op.docs.wait()
	if only := op.docs.parts; len(only) == 1 && only[0].err != nil {
		return store.Added{}, only[0].err // before it meets others in a transaction
	}
	// Jobs added together mostly share one slice: hash it once.
	var last []string
	var lastEnv *env
	for i, n := range p.Jobs {
		if i == 0 || !sameSlice(n.Env, last) {
			last, lastEnv = n.Env, newEnv(n.Env)
		}
		op.envs = append(op.envs, lastEnv)
	}
	if err := s.write(ctx, op); err != nil {
		return store.Added{}, err
	}
	for i, n := range p.Jobs {
		n.Job.ID, n.Job.Rev, n.Job.EnvID = op.first+int64(i), 1, op.envIDs[i]
	}
	return store.Added{Purged: op.purged}, nil
}

// encodeTogether is how many jobs of an addition are encoded by one goroutine at a time: enough that
// it is worth one, and a multiple of insertRowsAtOnce.
const encodeTogether = 16 * insertRowsAtOnce

// docs are the docs of an addition's rows, which are encoded by other processors part by part, in order.
type docs struct {
	parts []docsPart
	next  atomic.Int64 // the first part that nobody has begun
	wg    sync.WaitGroup
}

type docsPart struct {
	rows []row
	jobs []store.NewJob
	done chan struct{} // closed when rows have their docs, or err is set
	err  error         // of the first that can't be encoded, with its place in the addition
}

func encodeDocs(rows []row, jobs []store.NewJob) *docs {
	d := &docs{parts: make([]docsPart, 0, len(rows)/encodeTogether+1)}
	for from := 0; from < len(rows); from += encodeTogether {
		to := min(from+encodeTogether, len(rows))
		d.parts = append(d.parts, docsPart{rows: rows[from:to], jobs: jobs[from:to], done: make(chan struct{})})
	}
	if len(d.parts) == 1 {
		d.encode()
		return d
	}
	for range min(runtime.GOMAXPROCS(0), len(d.parts)) {
		d.wg.Go(d.encode)
	}
	return d
}

// encode encodes parts until none is left.
func (d *docs) encode() {
	for {
		n := int(d.next.Add(1)) - 1
		if n >= len(d.parts) {
			return
		}
		p := &d.parts[n]
		for i := range p.rows {
			if p.rows[i].doc, p.err = encodeJob(p.jobs[i].Job); p.err != nil {
				p.err = atLine(p.err, n*encodeTogether+i+1)
				break
			}
		}
		close(p.done)
	}
}

// wait returns when all is encoded: nobody reads the jobs any more.
func (d *docs) wait() { d.wg.Wait() }

func sameSlice(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// addOp adds jobs.
type addOp struct {
	opBase
	rows       []row
	docs       *docs
	envs       []*env
	at         time.Time
	maxWaiting int64
	typeLimits map[string]int64

	evict  map[string]int64 // how many ended jobs of a type go first
	first  int64            // number of the first job
	envIDs []int64
	purged []store.Purged
}

func (op *addOp) check(t *tx) error {
	op.evict, op.purged, op.envIDs = nil, nil, make([]int64, len(op.rows))
	keys := map[driver.Value]bool{}
	for i := range op.rows {
		r := &op.rows[i]
		if _, ok := t.state.queues[r.queue]; !ok {
			return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no queue %q", r.queue),
				Hint: "queuemgr queue list shows the queues, queuemgr queue add makes one", Field: "queue", Line: i + 1}
		}
		if r.key == nil {
			continue
		}
		if keys[r.key] {
			return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("the key %q is given twice", r.key),
				Hint: "a key belongs to one job", Field: "key", Line: i + 1}
		}
		keys[r.key] = true
		if err := checkKeyFree(t, r, i+1); err != nil {
			return err
		}
	}
	if err := op.checkWaiting(t); err != nil {
		return err
	}
	return op.checkTypes(t)
}

// checkKeyFree refuses a key that another job has.
func checkKeyFree(t *tx, r *row, line int) error {
	holder := int64(0)
	err := t.conn.query("SELECT id FROM jobs WHERE key = ?", 1, func(v []driver.Value) error {
		holder, _ = v[0].(int64)
		return nil
	}, r.key)
	if err != nil {
		return err
	}
	if holder != 0 && holder != r.id {
		return keyTaken(r.key, holder, line)
	}
	return nil
}

func keyTaken(key driver.Value, holder int64, line int) error {
	return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("the key %q belongs to job %d", key, holder),
		Hint: "choose another key, or delete that job first", Field: "key", Line: line, JobID: holder}
}

func (op *addOp) checkWaiting(t *tx) error {
	if op.maxWaiting <= 0 {
		return nil
	}
	waiting := t.counted(func(k counter) bool { return k.state.Waiting() })
	for i := range op.rows {
		if !op.rows[i].state.Waiting() {
			continue
		}
		if waiting++; waiting > op.maxWaiting {
			return &job.Error{Code: job.Exhausted, Message: fmt.Sprintf("no more than %d jobs may wait", op.maxWaiting),
				Hint: "wait until some have started, or raise max_queue_size", Line: i + 1}
		}
	}
	return nil
}

func (op *addOp) checkTypes(t *tx) error {
	added := map[string]int64{}
	for i := range op.rows {
		typ := op.rows[i].typ
		limit, limited := op.typeLimits[typ]
		if !limited {
			continue
		}
		added[typ]++
		if added[typ] > 1 {
			continue
		}
		total := int64(0)
		for k := range op.rows[i:] {
			if op.rows[i+k].typ == typ {
				total++
			}
		}
		onRecord := t.counted(func(k counter) bool { return k.typ == typ })
		ended := t.counted(func(k counter) bool { return k.typ == typ && k.state.Ended() })
		over := onRecord + total - limit
		if over > ended {
			return &job.Error{Code: job.Exhausted, Message: fmt.Sprintf("no more than %d jobs of type %s may be on record", limit, typ),
				Hint: "wait until some have ended, or raise type_limits", Line: op.lineOver(typ, limit-(onRecord-ended))}
		}
		if over > 0 {
			if op.evict == nil {
				op.evict = map[string]int64{}
			}
			op.evict[typ] = over
		}
	}
	return nil
}

// lineOver returns which job is the first of its type that does not fit in room.
func (op *addOp) lineOver(typ string, room int64) int {
	for i := range op.rows {
		if op.rows[i].typ != typ {
			continue
		}
		if room--; room < 0 {
			return i + 1
		}
	}
	return 0
}

func (op *addOp) write(t *tx) error {
	for typ, n := range op.evict {
		victims, err := selectVictims(t, "type = ?1", typ, 0, n)
		if err != nil {
			return err
		}
		purged, err := purge(t, victims, op.at)
		if err != nil {
			return err
		}
		op.purged = append(op.purged, purged...)
	}
	op.first = t.state.nextJob
	ids := map[[sha256.Size]byte]int64{} // environments of this addition
	for i := range op.rows {
		r := &op.rows[i]
		r.id = t.state.nextJob
		t.state.nextJob++
		if e := op.envs[i]; e != nil {
			id, known := ids[e.hash]
			if !known {
				var err error
				if id, err = t.env(e, r.id); err != nil {
					return err
				}
				ids[e.hash] = id
			}
			op.envIDs[i] = id
			t.envs[id]++
		}
	}
	envIDs := op.envIDs
	for i := range op.docs.parts {
		p := &op.docs.parts[i]
		if <-p.done; p.err != nil {
			return p.err
		}
		if err := insertRows(t, p.rows, envIDs[:len(p.rows)], op.at, job.JobAdded); err != nil {
			return err
		}
		envIDs = envIDs[len(p.rows):]
	}
	return nil
}
