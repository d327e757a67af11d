package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

func importText(t *testing.T, s store.Store, text string) (Summary, error) {
	t.Helper()
	r, ok := s.(Registry)
	if !ok {
		t.Fatalf("%T is no Registry", s)
	}
	return Import(t.Context(), r, strings.NewReader(text), ImportOptions{Now: now, Owner: "ann", UID: 1001, GID: 1002})
}

// records returns all records as lines.
func records(t *testing.T, s store.Store) string {
	t.Helper()
	page, err := s.ListJobs(t.Context(), job.Filter{States: job.States, Oldest: true, Limit: job.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, j := range page.Jobs {
		line, err := json.Marshal(store.NewRecord(j))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func export(t *testing.T, r Registry) string {
	t.Helper()
	var b bytes.Buffer
	if err := Export(t.Context(), r, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestImportLegacy(t *testing.T) {
	s := openStore(t)
	text, err := os.ReadFile("testdata/legacy.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	summary, err := importText(t, s, string(text))
	if err != nil {
		t.Fatal(err)
	}
	head, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got := string(head) + "\n" + records(t, s)
	if *updateGolden {
		if err := os.WriteFile("testdata/legacy.golden", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/legacy.golden")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("differs from testdata/legacy.golden (-want +got); -update writes it anew:\n%s", d)
	}
	again, err := importText(t, s, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if again.Unchanged != 6 || again.Jobs != 0 {
		t.Errorf("imported again: %+v", again)
	}
}

func TestRoundTrip(t *testing.T) {
	s := openStore(t)
	if err := s.AddQueue(t.Context(), job.Queue{Name: "night", Concurrency: 2, Start: job.StartManual, Paused: true, CreatedAt: start}, start); err != nil {
		t.Fatal(err)
	}
	if err := s.AddQueue(t.Context(), job.Queue{Name: "gone"}, start); err != nil {
		t.Fatal(err)
	}
	waiting := add(t, s, func(j *job.Job) { j.Key, j.Head, j.Queue, j.Name = "k", 4, "night", "Ü <&> \u2028" })
	live := add(t, s)
	update(t, s, live, job.Starting)
	live.RunID, live.Fence, live.Attempt, live.PID, live.Want = "run", 7, 1, 99, job.WantStop
	update(t, s, live, job.Running)
	done := add(t, s, func(j *job.Job) { j.Queue = "gone" })
	update(t, s, done, job.Starting)
	done.FinishedAt, done.Result = start, json.RawMessage(`{"a":[1,2]}`)
	update(t, s, done, job.Completed)
	purged := add(t, s)
	update(t, s, purged, job.Stopped)
	if _, err := s.Purge(t.Context(), store.Purge{States: []job.State{job.Stopped}, Limit: 1, At: start}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteQueue(t.Context(), "gone", start); err != nil {
		t.Fatal(err)
	}
	first := export(t, s)
	if strings.Contains(first, "hunter2") {
		t.Error("the export holds an environment")
	}

	rebuilt := openStore(t)
	summary, err := importText(t, rebuilt, first)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Summary{Jobs: 3, Queues: 2, Held: 1}, summary); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	held, err := rebuilt.Job(t.Context(), waiting.ID)
	if err != nil {
		t.Fatal(err)
	}
	if held.State != job.Held || held.Head != 0 || held.UID != 1001 || held.Key != "k" || held.EnvID != 0 {
		t.Errorf("a waiting job arrives as %+v", held)
	}
	running, err := rebuilt.Job(t.Context(), live.ID)
	if err != nil {
		t.Fatal(err)
	}
	if running.State != job.Running || running.RunID != "run" || running.Fence != 7 || running.Want != job.WantStop {
		t.Errorf("a live job arrives as %+v", running)
	}
	if next := rebuilt.NextID(); next != 5 {
		t.Errorf("the next job has the number %d; 4 was given out before", next)
	}
	if problems, err := rebuilt.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("Check: %v %v", problems, err)
	}

	// What was imported exports and imports as the same.
	third := openStore(t)
	if _, err := importText(t, third, export(t, rebuilt)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(records(t, rebuilt), records(t, third)); d != "" {
		t.Errorf("records (-imported +imported again):\n%s", d)
	}
	again, err := importText(t, third, export(t, third))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Summary{Unchanged: 3}, again); d != "" {
		t.Errorf("imported into itself (-want +got):\n%s", d)
	}
}

// meanwhile calls f at the first write, and is a buffer.
type meanwhile struct {
	bytes.Buffer
	f func()
}

func (w *meanwhile) Write(p []byte) (int, error) {
	if f := w.f; f != nil {
		w.f = nil
		f()
	}
	return w.Buffer.Write(p)
}

// A daemon writes on while another process exports.
func TestExportOfARegistryInUse(t *testing.T) {
	db := filepath.Join(t.TempDir(), "registry.db")
	s := openStoreAt(t, db, nil)
	first := add(t, s, func(j *job.Job) { j.Key = "k" })
	for range job.MaxLimit { // more than a page, so that some are read after the first write
		add(t, s, func(j *job.Job) { j.Name = strings.Repeat("x", 100) })
	}
	reader, err := sqlite.Open(t.Context(), sqlite.Options{Path: db, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	out := &meanwhile{f: func() {
		update(t, s, first, job.Deleted)
		if err := s.AddQueue(t.Context(), job.Queue{Name: "new"}, start); err != nil {
			t.Fatal(err)
		}
		add(t, s, func(j *job.Job) { j.Key, j.Queue = "k", "new" })
	}}
	if err := errors.Join(Export(t.Context(), reader, out), reader.Close()); err != nil {
		t.Fatal(err)
	}
	rebuilt := openStore(t)
	if _, err := Import(t.Context(), rebuilt, bytes.NewReader(out.Bytes()), ImportOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	if j, err := rebuilt.JobByKey(t.Context(), "k"); err != nil || j.ID != job.MaxLimit+2 || j.Queue != "new" {
		t.Errorf("the key's job: %+v %v", j, err)
	}
}

// A pipe can be read once, a file where it stands: both give the same.
func TestImportFromPipeAndFile(t *testing.T) {
	s := openStore(t)
	for range 100 {
		add(t, s, func(j *job.Job) { j.WaitReason = "the queue is full" })
	}
	text := "\n \t" + export(t, s) + `{"job_id":"old","status":0}` + "\n"
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	written := make(chan error, 1)
	go func() {
		_, err := w.WriteString(text)
		written <- errors.Join(err, w.Close())
	}()
	f, err := os.Create(filepath.Join(t.TempDir(), "export"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const before = "what stands before is not read\n"
	if _, err := f.WriteString(before + text); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(int64(len(before)), io.SeekStart); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, in := range []io.Reader{r, f} {
		rebuilt := openStore(t)
		summary, err := Import(t.Context(), rebuilt, in, ImportOptions{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(Summary{Jobs: 101, Held: 101, Legacy: 1}, Summary{Jobs: summary.Jobs, Held: summary.Held, Legacy: summary.Legacy}); d != "" {
			t.Errorf("summary (-want +got):\n%s", d)
		}
		got = append(got, records(t, rebuilt))
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got[0], got[1]); d != "" {
		t.Errorf("records (-pipe +file):\n%s", d)
	}
	if strings.Contains(got[0], "wait_reason") {
		t.Error("a reason to wait, which time makes untrue, is on record")
	}
}

// BenchmarkImport is an import of a file of 200,000 jobs; B/op is not what it holds at a time.
func BenchmarkImport(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "export"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	const jobs = 200_000
	for i := range jobs {
		fmt.Fprintf(w, `{"seq":%d,"at":"2031-05-06T07:00:00Z","change":"added","id":%d,"name":"job number %d","queue":"default","type":"command","state":"completed","command":["/bin/true"],"cwd":"/home/ann","owner":"ann","attempt":1,"max_attempts":1,"created_at":"2031-05-06T07:00:00Z","finished_at":"2031-05-06T07:00:01Z","uid":1001,"gid":1002}`+"\n", i+1, i+1, i)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "registry.db")})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		if _, err := Import(b.Context(), s, f, ImportOptions{Now: now}); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(u.Maxrss)*1024/jobs, "peak-RSS-B/job")
	b.ReportMetric(jobs*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

func TestImportTakesTheLastChange(t *testing.T) {
	line := func(seq, kind, rest string) string {
		return `{"seq":` + seq + `,"at":"2031-05-06T07:00:00Z","change":"` + kind + `",` + rest + "}\n"
	}
	body := `"queue":"default","type":"command","priority":0,"attempt":0,"max_attempts":1,"created_at":"2031-05-06T07:00:00Z"`
	s := openStore(t)
	summary, err := importText(t, s,
		line("5", "changed", `"id":1,"state":"completed",`+body)+
			line("4", "reported", `"id":1,"state":"running","progress":50,`+body)+
			line("3", "added", `"id":1,"state":"queued",`+body)+ // older, though behind
			line("6", "added", `"id":2,"state":"queued",`+body)+
			line("7", "purged", `"id":2,"state":"queued","queue":"default"`)+
			line("8", "added", `"id":3,"state":"held",`+strings.Replace(body, "default", "lost", 1))+
			`{"job_id":"old","status":"COMPLETED","created_at":0}`+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if summary.Jobs != 3 || summary.Queues != 1 || summary.Legacy != 1 || len(summary.Warnings) != 1 || !strings.Contains(summary.Warnings[0], "line 6") {
		t.Errorf("summary: %+v", summary)
	}
	if j, err := s.Job(t.Context(), 1); err != nil || j.State != job.Completed {
		t.Errorf("job 1: %v %v", j, err)
	}
	if _, err := s.Job(t.Context(), 2); job.CodeOf(err) != job.NotFound {
		t.Errorf("a purged job is there: %v", err)
	}
	if j, err := s.JobByKey(t.Context(), "old"); err != nil || j.ID != 4 {
		t.Errorf("the legacy job: %v %v", j, err)
	}
}

func TestImportRefuses(t *testing.T) {
	good := `{"job_id":"a","status":0}` + "\n"
	cases := []struct {
		name, text string
		line       int
		code       job.Code
	}{
		{"no JSON in the middle", good + "oops\n" + good, 2, job.Invalid},
		{"no JSON at the end, but a whole line", good + "oops\n", 2, job.Invalid},
		{"something else", good + good + `{"a":1}` + "\n", 3, job.Invalid},
		{"an unknown status", `{"job_id":"a","status":9}`, 1, job.Invalid},
		{"no status", `{"job_id":"a"}`, 1, job.Invalid},
		{"no job_id", `{"job_id":null,"status":0}`, 1, job.Invalid},
		{"an unknown change", `{"seq":1,"change":"melted","id":1}`, 1, job.Invalid},
		{"an unknown state", `{"seq":1,"change":"added","id":1,"state":"odd","queue":"default"}`, 1, job.Invalid},
		{"a bad queue", `{"seq":1,"change":"added","id":1,"state":"held","queue":"../x"}`, 1, job.Invalid},
		{"a job number that is too high", good + `{"seq":1,"change":"added","id":9223372036854775807,"state":"held","queue":"default"}`, 2, job.Invalid},
		{"a next number that is too high", `{"seq":1,"change":"snapshot","next_id":9007199254740993}`, 1, job.Invalid},
		{"a key twice", good + `{"seq":1,"change":"added","id":7,"key":"k","state":"held","queue":"default"}` + "\n" +
			`{"seq":2,"change":"added","id":8,"key":"k","state":"held","queue":"default"}`, 3, job.Conflict},
		{"job number 0", `{"seq":1,"change":"added","id":0,"state":"held"}`, 1, job.Invalid},
		{"a number that is taken", good + `{"seq":1,"change":"added","id":1,"state":"failed","queue":"default","type":"x"}`, 2, job.Conflict},
		{"a key that is taken", `{"seq":1,"change":"added","id":9,"key":"taken","state":"failed","queue":"default","type":"x"}`, 1, job.Conflict},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t)
			add(t, s, func(j *job.Job) { j.Key = "taken" })
			seq := s.Seq()
			_, err := importText(t, s, c.text)
			var e *job.Error
			if !errors.As(err, &e) || e.Code != c.code || e.Line != c.line {
				t.Errorf("got %v (%+v), want %s at line %d", err, e, c.code, c.line)
			}
			if s.Seq() != seq {
				t.Error("something was written")
			}
		})
	}
}
