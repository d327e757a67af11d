package httpapi

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/queuemgr/queuemgr/job"
)

const (
	// specsTogether is how many specs are decoded by one goroutine at a time: enough that it is worth one.
	specsTogether = 256
	// specsBytes is how much text at most waits for one: large specs go sooner.
	specsBytes = 1 << 20
)

// specs decodes the jobs of a batch on all processors while the batch is still being read. It
// belongs to one goroutine, which calls add for each job and at last done.
type specs struct {
	parts   []*specsPart
	workers chan struct{} // holds a token for each that is at work, of all batches
	wg      sync.WaitGroup
	failed  atomic.Bool
	n       int // how many jobs were added
}

// specsPart is a run of jobs that are decoded by the same goroutine.
type specsPart struct {
	text  []byte // of all jobs, one behind the other
	ends  []int  // of each in text
	lines []int  // of each in the body
	jobs  []job.Spec
	err   error // of the first that can't be decoded, with its line
}

// newWorkers bounds how many goroutines decode at a time, whatever the number of batches that come.
func newWorkers() chan struct{} { return make(chan struct{}, runtime.GOMAXPROCS(0)) }

// add takes the next job, which stands on the line given. The text is copied. It returns false when
// one of those before it is known to be wrong, so that nothing more needs to be read.
func (s *specs) add(text []byte, line int) bool {
	p := (*specsPart)(nil)
	if n := len(s.parts); n > 0 {
		p = s.parts[n-1]
	}
	if p == nil || len(p.ends) == specsTogether || len(p.text) >= specsBytes {
		s.decodeLast()
		p = &specsPart{}
		s.parts = append(s.parts, p)
	}
	p.text = append(p.text, text...)
	p.ends = append(p.ends, len(p.text))
	p.lines = append(p.lines, line)
	s.n++
	return !s.failed.Load()
}

// decodeLast hands the newest part to a goroutine, and waits while all are at work: what is read
// must not pile up.
func (s *specs) decodeLast() {
	if len(s.parts) == 0 {
		return
	}
	p := s.parts[len(s.parts)-1]
	s.workers <- struct{}{}
	s.wg.Go(func() {
		defer func() { <-s.workers }()
		if p.decode(); p.err != nil {
			s.failed.Store(true)
		}
	})
}

// decode fills jobs or err. What panics is the fault of this request alone, as it is in the goroutine that
// serves it, and must not end the daemon.
func (p *specsPart) decode() {
	defer func() {
		if what := recover(); what != nil {
			p.err = &job.Error{Code: job.Internal, Message: "decoding the jobs failed; none was added", Hint: "daemon.log tells the cause",
				Err: fmt.Errorf("panic: %v\n%s", what, debug.Stack())}
		}
	}()
	p.jobs = make([]job.Spec, len(p.ends))
	begin := 0
	for i, end := range p.ends {
		if err := unmarshal(p.text[begin:end], &p.jobs[i]); err != nil {
			p.err = atLine(err, p.lines[i])
			break
		}
		begin = end
	}
	p.text = nil
}

// done waits for the goroutines and returns all jobs in their order, with the line of each. readErr is
// why no more could be read: an error of a job before that place goes first, as it does when one
// reads from above.
func (s *specs) done(readErr error) (jobs []job.Spec, lines []int, err error) {
	s.decodeLast()
	s.wg.Wait()
	for _, p := range s.parts {
		if p.err != nil {
			return nil, nil, p.err
		}
	}
	if readErr != nil {
		return nil, nil, readErr
	}
	jobs, lines = make([]job.Spec, 0, s.n), make([]int, 0, s.n)
	for _, p := range s.parts {
		jobs, lines = append(jobs, p.jobs...), append(lines, p.lines...)
		p.jobs = nil // of a large batch not all is there twice
	}
	return jobs, lines, nil
}
