package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/queuemgr/queuemgr/job"
)

// batchReader reads a batch object, its jobs one by one, each no larger than a body of its own: a
// decoder holds a whole value in memory.
type batchReader struct {
	in      io.Reader
	dec     *json.Decoder
	read    int64 // bytes of in
	workers chan struct{}
}

// readBatch reads a batch object. Its jobs are told by their number in the list.
func (h *Handler) readBatch(in io.Reader) (job.Batch, func(int) int, error) {
	r := &batchReader{in: in, workers: h.decoding}
	r.dec = json.NewDecoder(r)
	b, err := r.batch()
	return b, func(n int) int { return n }, err
}

// Read gives the decoder more of a value that is not too large yet.
func (r *batchReader) Read(p []byte) (int, error) {
	left := r.dec.InputOffset() + maxBody - r.read
	if left <= 0 {
		return 0, tooLarge(maxBody)
	}
	n, err := r.in.Read(p[:min(int64(len(p)), left)])
	r.read += int64(n)
	return n, err
}

func (r *batchReader) batch() (b job.Batch, err error) {
	if _, err := r.dec.Token(); err != nil { // the brace that firstName has seen
		return b, jsonError(err)
	}
	given := map[json.Token]bool{}
	for r.dec.More() {
		name, err := r.dec.Token()
		if err != nil {
			return b, jsonError(err)
		}
		field := fmt.Sprint(name)
		switch {
		case given[name]:
			err = &job.Error{Code: job.Invalid, Field: field, Message: field + " is given twice", Hint: "put all jobs into one list"}
		case name == "defaults":
			err = r.value(&b.Defaults)
		case name == "jobs":
			b.Jobs, err = r.jobs()
		default:
			err = &job.Error{Code: job.Invalid, Field: field, Message: fmt.Sprintf("unknown field %q", field), Hint: "a batch has defaults and jobs"}
		}
		if err != nil {
			return b, err
		}
		given[name] = true
	}
	if _, err := r.dec.Token(); err != nil {
		return b, jsonError(err)
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return b, &job.Error{Code: job.Invalid, Message: "something follows the batch", Hint: "send one JSON object"}
	}
	return b, nil
}

func (r *batchReader) jobs() ([]job.Spec, error) {
	if t, err := r.dec.Token(); err != nil {
		return nil, jsonError(err)
	} else if t != json.Delim('[') {
		return nil, &job.Error{Code: job.Invalid, Field: "jobs", Message: "jobs is no list", Hint: `send {"jobs": [{…}, {…}]}`}
	}
	found := &specs{workers: r.workers}
	jobs, _, err := found.done(r.eachJob(found))
	return jobs, err
}

// eachJob reads the list's jobs until its end, or until one is known to be wrong.
func (r *batchReader) eachJob(to *specs) error {
	var raw json.RawMessage // its room is used again
	for r.dec.More() {
		if to.n == job.MaxBatch {
			return atLine(job.TooManyJobs(), to.n+1)
		}
		if err := r.dec.Decode(&raw); err != nil {
			return atLine(jsonError(err), to.n+1)
		}
		if !to.add(raw, to.n+1) {
			return nil
		}
	}
	if _, err := r.dec.Token(); err != nil {
		return atLine(jsonError(err), to.n+1)
	}
	return nil
}

// value reads the next value as strictly as a body of its own.
func (r *batchReader) value(v any) error {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return jsonError(err)
	}
	return unmarshal(raw, v)
}
