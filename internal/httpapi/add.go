package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/queuemgr/queuemgr/job"
)

const typeNDJSON = "application/x-ndjson"

type idList struct {
	IDs []int64 `json:"ids"`
}

func (h *Handler) addRoutes() []route {
	return []route{{
		method: http.MethodPost, path: "/api/jobs", role: job.Operator, id: "addJobs", group: "jobs", summary: "Add one job or many",
		about: "One job: its spec is the body (up to 4 MiB), and the job is the answer, with its address in Location. " +
			"Many: {\"defaults\": spec, \"jobs\": [spec, …]}, or one spec a line as " + typeNDJSON + " (up to 512 MiB, read as a stream); " +
			"all are added or none, the answer is {\"ids\": […]} in the order given, and an error says in `line` which of them it is about. " +
			"What is answered with 201 is on disk. Of one job `job_class_name` and `job_id` are taken for `type` and `key`, as the Python service called them.",
		body: oneOf{"NewJobs", "One job or many.", []any{job.Spec{}, job.Batch{}}}, bodies: map[string]any{typeNDJSON: job.Spec{}},
		status: 201, result: oneOf{"AddedJobs", "The job, or the numbers of many.", []any{job.Job{}, idList{}}},
		errors: []job.Code{job.Invalid, job.NotFound, job.Conflict, job.Exhausted}, serve: h.add,
	}}
}

func (h *Handler) add(w http.ResponseWriter, r *request) error {
	if mediaType(r) == typeNDJSON {
		return h.addBatch(w, r, h.readLines)
	}
	if err := wantJSON(r); err != nil {
		return err
	}
	// The first name tells: a spec has no field of a batch, a batch none of a spec.
	head := heads.Get().(*bufio.Reader)
	head.Reset(r.Body)
	defer func() {
		head.Reset(nil)
		heads.Put(head)
	}()
	r.Body = struct {
		io.Reader
		io.Closer
	}{head, r.Body}
	switch firstName(head) {
	case "jobs", "defaults":
		return h.addBatch(w, r, h.readBatch)
	}
	return h.addOne(w, r)
}

// heads are readers that look at the beginning of a body.
var heads = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// firstName returns the name of the first member of the JSON object that begins r, "" where the
// first bytes hold none. It consumes nothing.
func firstName(r *bufio.Reader) string {
	for n := 1; n <= r.Size(); n++ {
		b, err := r.Peek(max(n, r.Buffered()))
		n = len(b)
		rest, isObject := bytes.CutPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{"))
		name, isName := bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
		if end := bytes.IndexByte(name, '"'); isObject && isName && end >= 0 {
			return string(name[:end])
		}
		if err != nil || len(bytes.TrimSpace(b)) > 64 {
			return "" // whatever it is, it begins with no name of a batch
		}
	}
	return ""
}

func (h *Handler) addOne(w http.ResponseWriter, r *request) error {
	var o oldSpec
	if err := decode(r, &o, false); err != nil {
		return err
	}
	s, err := o.spec()
	if err != nil {
		return err
	}
	j, err := h.o.Service.AddJob(r.Context(), s)
	if err != nil {
		return o.named(err)
	}
	w.Header()["Location"] = []string{"/api/jobs/" + strconv.FormatInt(j.ID, 10)}
	return h.reply(w, r, http.StatusCreated, j)
}

// largeBatch is a batch whose memory is given back to the system, in jobs: the collector would keep
// it for the next, which may never come.
const largeBatch = 10_000

// addBatch reads all jobs while they come and adds them.
func (h *Handler) addBatch(w http.ResponseWriter, r *request, read func(io.Reader) (job.Batch, func(int) int, error)) error {
	ids, err := h.readAndAdd(r, read)
	if err != nil {
		return err
	}
	if err := h.reply(w, r, http.StatusCreated, idList{ids}); err != nil || len(ids) < largeBatch {
		return err
	}
	_ = http.NewResponseController(w).Flush() // who has gone away needs no answer
	debug.FreeOSMemory()
	return nil
}

// readAndAdd reads a batch and adds it. read returns it, and on which line of the body a job stands.
func (h *Handler) readAndAdd(r *request, read func(io.Reader) (job.Batch, func(int) int, error)) ([]int64, error) {
	b, lines, err := read(&limited{r.Body, maxBatch, maxBatch})
	if err != nil {
		readRest(r)
		return nil, err
	}
	ids, err := h.o.Service.AddJobs(r.Context(), b)
	if err != nil {
		e := (*job.Error)(nil)
		if errors.As(err, &e) && e.Line > 0 {
			return nil, atLine(err, lines(e.Line))
		}
		return nil, err
	}
	if ids == nil {
		ids = []int64{}
	}
	return ids, nil
}

// atLine is job.AtLine that keeps an error's status.
func atLine(err error, line int) error {
	at := job.AtLine(err, line)
	if s, e := (statusError{}), (*job.Error)(nil); errors.As(err, &s) && errors.As(at, &e) {
		return statusError{s.status, e}
	}
	return at
}

// readLines reads one spec a line. Empty lines are passed over, and counted.
func (h *Handler) readLines(in io.Reader) (job.Batch, func(int) int, error) {
	found := &specs{workers: h.decoding}
	err := splitLines(in, found)
	jobs, lines, err := found.done(err)
	return job.Batch{Jobs: jobs}, func(k int) int { return lines[k-1] }, err
}

// splitLines reads lines until the end, or until one is known to be wrong.
func splitLines(in io.Reader, to *specs) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(r)
		if len(bytes.TrimSpace(line)) > 0 {
			if to.n == job.MaxBatch {
				return atLine(job.TooManyJobs(), n)
			}
			if !to.add(line, n) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return atLine(unreadable(err), n)
		}
	}
}

// readLine returns the next line, which is as long as one job may be at most.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if line, err = r.ReadSlice('\n'); len(long)+len(line) > maxBody {
			return nil, tooLarge(maxBody)
		}
		long = append(long, line...)
	}
	return long, err
}
