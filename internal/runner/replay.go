package runner

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// maxRecord bounds a journal line in bytes. The longest real one is the end of a run with a result file.
const maxRecord = 6*wire.MaxResultFile + 1<<20 // a byte may be written as six

// runRecord is what the journal knows of one run.
type runRecord struct {
	Intent  intent
	UID     *uint32 // account, where it is on record
	Started *wire.Event
	Stop    *stopped
	Status  *wire.Event
	Exited  *wire.Event
}

// replayed is a journal read back.
type replayed struct {
	header header
	runs   map[string]*runRecord
	order  []string // run ids as they came; may name runs that are done
	cut    []byte   // what could not be read, in the order of the file
	intact bool     // nothing was cut and the header was there
}

// replay reads a journal. It never fails on its content: what cannot be read is in cut.
func replay(r io.Reader) (*replayed, error) {
	p := &replayed{runs: map[string]*runRecord{}, intact: true}
	br := bufio.NewReaderSize(r, 64<<10)
	for first := true; ; first = false {
		line, err := readRecordLine(br)
		if len(line) > 0 {
			rec, bad := parseRecord(line)
			if bad != nil {
				p.cut = append(p.cut, line...)
				p.intact = false
			} else {
				if first != (rec.Header != nil) {
					p.intact = false
				}
				p.apply(rec)
			}
		}
		if errors.Is(err, io.EOF) {
			p.intact = p.intact && p.header.Journal != ""
			return p, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
	}
}

// readRecordLine reads up to '\n', to the end of the file, or to maxRecord bytes.
func readRecordLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) && len(line) < maxRecord {
			continue
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil // an over-long line is cut as several bad ones
		}
		return line, err
	}
}

func (p *replayed) apply(r record) {
	switch {
	case r.Header != nil:
		p.header = *r.Header
	case r.Epoch != nil:
		p.header.Epoch = *r.Epoch
	case r.Intent != nil:
		if r.Intent.RunID != "" && p.runs[r.Intent.RunID] == nil {
			p.runs[r.Intent.RunID] = &runRecord{Intent: *r.Intent}
			p.order = append(p.order, r.Intent.RunID)
		}
	case r.Started != nil:
		if run := p.run(r.Started); run != nil && run.Started == nil {
			run.Started, run.UID = r.Started, r.UID
		}
	case r.Stop != nil:
		if run := p.runs[r.Stop.RunID]; run != nil {
			run.Stop = r.Stop
		}
	case r.Status != nil:
		if run := p.run(r.Status); run != nil && run.Status == nil {
			run.Status = r.Status
		}
	case r.Exit != nil:
		if run := p.run(r.Exit); run != nil && run.Exited == nil {
			run.Exited = r.Exit
		}
	case r.Done != nil:
		p.done(r.Done.Cursor)
	}
}

// run finds the run of an event, which may be the first record of it that is left, and keeps the
// count of Seq.
func (p *replayed) run(e *wire.Event) *runRecord {
	if e.RunID == "" {
		return nil
	}
	p.header.LastSeq = max(p.header.LastSeq, e.Seq)
	run := p.runs[e.RunID]
	if run == nil {
		run = &runRecord{Intent: intent{RunID: e.RunID, JobID: e.JobID, Fence: e.Fence}}
		p.runs[e.RunID] = run
		p.order = append(p.order, e.RunID)
	}
	return run
}

func (p *replayed) done(cursor uint64) {
	if cursor <= p.header.Acked {
		return
	}
	p.header.Acked = cursor
	p.header.LastSeq = max(p.header.LastSeq, cursor)
	for id, run := range p.runs {
		if run.Exited != nil && run.Exited.Seq <= cursor {
			delete(p.runs, id)
		}
	}
	if len(p.order) > 2*len(p.runs)+1024 {
		p.order = slices.DeleteFunc(p.order, func(id string) bool { return p.runs[id] == nil })
	}
}

// live returns the runs in the order they came.
func (p *replayed) live() []*runRecord {
	seen := make(map[string]bool, len(p.runs))
	var runs []*runRecord
	for _, id := range p.order {
		if run := p.runs[id]; run != nil && !seen[id] {
			seen[id] = true
			runs = append(runs, run)
		}
	}
	return runs
}

// appendRun appends all records of a run, for a rewrite of the journal.
func appendRun(dst []byte, run *runRecord) ([]byte, error) {
	recs := []record{{Intent: &run.Intent}}
	var started record
	if run.Started != nil {
		started = record{Started: run.Started, UID: run.UID}
	}
	for _, r := range []record{started, {Stop: run.Stop}, {Status: run.Status}, {Exit: run.Exited}} {
		if r != (record{}) {
			recs = append(recs, r)
		}
	}
	var err error
	for _, r := range recs {
		if dst, err = appendRecord(dst, r); err != nil {
			return dst, err
		}
	}
	return dst, nil
}
