package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// TestCorruptRegistryIsRefused holds that a damaged registry.db stops the start, is left as it is,
// and can be rebuilt from registry.jsonl as the message says.
func TestCorruptRegistryIsRefused(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"overwritten header": func(b []byte) []byte { return append([]byte("this is no database at all"), b[26:]...) },
		"truncated":          func(b []byte) []byte { return b[:len(b)/2/4096*4096+100] },
		"empty pages": func(b []byte) []byte {
			clear(b[4096:])
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.start()
			h.must("queue", "add", "kept", "--concurrency", "3")
			failed, held := h.add("--name", "kept job", "--", "sh", "-c", "exit 3"), h.add("--queue", "kept", "--hold", "--", "true")
			h.wait(failed)
			records := h.must("job", "status", fmt.Sprintf("%d,%d", failed, held), "--json")
			h.must("daemon", "stop")

			path := h.Path("lib", "registry.db")
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			broken := damage(whole)
			if err := os.WriteFile(path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			h.refused(1, []string{path, "registry import"}, "daemon", "start", "--daemon")
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, broken) {
				t.Errorf("registry.db was changed by the refused start: %v", err)
			}

			if err := os.Rename(path, path+".broken"); err != nil {
				t.Fatal(err)
			}
			journal := h.Path("lib", "registry.jsonl")
			copied := h.write("saved.jsonl", h.read(journal))
			h.must("registry", "import", copied)
			h.start()
			if now := h.must("job", "status", fmt.Sprintf("%d,%d", failed, held), "--json"); now != records {
				t.Errorf("the records were\n%s\nand are now\n%s", records, now)
			}
			h.wantEnd(failed, job.Failed, job.ReasonExit, 3)
			if q := h.queue("kept"); q.Concurrency != 3 {
				t.Errorf("queue kept has %d slots, want 3", q.Concurrency)
			}
			if id := h.add("--", "true"); id != held+1 {
				t.Errorf("the next number is %d, want %d", id, held+1)
			}
		})
	}
}

func (h *home) read(path string) string {
	h.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// TestTornRegistryJSONL cuts the last line as a power loss does: it is written whole again, and no
// change is missing or double.
func TestTornRegistryJSONL(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	h.wait(h.add("--", "true"))
	h.must("daemon", "stop")
	path := h.Path("lib", "registry.jsonl")
	text := h.read(path)
	if err := os.WriteFile(path, []byte(text[:len(text)-20]), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.wait(h.add("--", "true"))
	h.must("daemon", "stop")
	now := h.read(path)
	if !strings.HasPrefix(now, text) {
		t.Errorf("the torn line was not made whole:\nbefore:\n%s\nnow:\n%s", text, now)
	}
	followed(t, now)
}

// followed returns the last state of each job in a registry.jsonl that has every change once.
func followed(t *testing.T, text string) map[int64]job.State {
	t.Helper()
	states := map[int64]job.State{}
	// A file begins with a snapshot, whose lines all have one number; then every change follows the other.
	var base, last uint64
	for line := range strings.Lines(text) {
		c, err := job.ParseChange([]byte(line))
		if err != nil {
			t.Fatalf("bad line %q: %v", line, err)
		}
		if last == 0 {
			base = c.Seq
		}
		if last != 0 && c.Seq != last+1 && (c.Seq != base || last != base) {
			t.Errorf("change %d follows %d", c.Seq, last)
		}
		last = c.Seq
		if c.JobID != 0 {
			states[c.JobID] = c.State
		}
	}
	return states
}

// TestTornRunnerJournal damages the end of the runner's journal while a job runs and neither daemon
// nor runner lives: the job's outcome cannot be known and must be called lost, not guessed.
func TestTornRunnerJournal(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	id := h.add("--", "sh", "-c", g.script("exit 5"))
	pid := g.arrived.pid()
	h.kill()
	h.killRunner()
	path := h.Path("lib", "runner.journal")
	text := h.read(path)
	if err := os.WriteFile(path, []byte(text[:len(text)-10]), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	follow := h.follow(0)
	g.gate.release(1)
	h.waitPID(pid)
	follow.until("the job's end", func(c job.Change) bool { return c.JobID == id && c.State.Ended() })
	if j := h.job(id); j.State != job.Failed || j.Reason != job.ReasonLost || j.Attempt != 1 {
		t.Errorf("state %s, reason %s, attempt %d; want failed, lost, 1", j.State, j.Reason, j.Attempt)
	}
	if code := h.wait(id); code != 125 {
		t.Errorf("job wait exits %d, want 125", code)
	}
	if code := h.wait(h.add("--", "sh", "-c", "exit 2")); code != 2 {
		t.Errorf("a job afterwards exits %d, want 2", code)
	}
}

// TestTornRunnerJournalKeepsItsBeginning tears a record that follows the end of a job which no daemon
// has heard of yet: that end is still delivered.
func TestTornRunnerJournalKeepsItsBeginning(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	id := h.add("--", "sh", "-c", g.script("exit 5"))
	pid := g.arrived.pid()
	h.kill()
	g.gate.release(1)
	h.waitPID(pid)
	ended := time.Now()
	h.untilReaped(pid) // its end is in the journal by then
	h.killRunner()
	path := h.Path("lib", "runner.journal")
	text := h.read(path)
	torn := text[:strings.IndexByte(text, '\n')/2]
	if err := os.WriteFile(path, []byte(text+torn), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	if code := h.wait(id); code != 5 {
		t.Errorf("job wait exits %d, want 5", code)
	}
	j := h.wantEnd(id, job.Failed, job.ReasonExit, 5)
	wantFinished(t, j, ended)
	if j.Attempt != 1 {
		t.Errorf("attempt %d, want 1", j.Attempt)
	}
	if kept := h.read(path + ".torn-1"); kept != torn {
		t.Errorf("the torn part was %q, and %q is kept of it", torn, kept)
	}
	if code := h.wait(h.add("--", "sh", "-c", "exit 2")); code != 2 {
		t.Errorf("a job afterwards exits %d, want 2", code)
	}
}

// TestImportOfThePythonService takes its file: states as names and as numbers, the newest line of a
// job wins.
func TestImportOfThePythonService(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	const line = `{"job_id":"%[1]s","status":%[2]s,"progress":%[3]d,"description":"the %[1]s one","result":null,` +
		`"created_at":"2024-03-01T10:00:00","updated_at":"2024-03-01T10:0%[4]d:00","started_at":null,"completed_at":null}`
	states := map[string]job.State{"PENDING": job.Held, "RUNNING": job.Failed, "COMPLETED": job.Completed, "ERROR": job.Failed,
		"STOPPED": job.Stopped, "DELETED": job.Deleted}
	var lines []string
	for number, name := range []string{"PENDING", "RUNNING", "COMPLETED", "ERROR", "STOPPED", "DELETED"} {
		named, numbered := strings.ToLower(name), "number-"+strings.ToLower(name)
		lines = append(lines,
			fmt.Sprintf(line, named, `"PENDING"`, 0, 1), fmt.Sprintf(line, numbered, "0", 0, 1),
			fmt.Sprintf(line, named, fmt.Sprintf("%q", name), 40, 2), fmt.Sprintf(line, numbered, fmt.Sprint(number), 40, 2))
	}
	h.must("registry", "import", h.write("python.jsonl", strings.Join(lines, "\n")+"\n"))
	h.start()
	for name, want := range states {
		for _, key := range []string{strings.ToLower(name), "number-" + strings.ToLower(name)} {
			var found []*job.Job
			h.decode(h.must("job", "list", "--state", allStates(), "--name", "job_id "+key, "--json"), &found)
			if len(found) != 1 {
				t.Errorf("%d jobs came of %s, want 1", len(found), key)
				continue
			}
			j := found[0]
			if j.State != want || (j.Reason == job.ReasonLost) != (name == "RUNNING") {
				t.Errorf("%s: state %s, reason %q; want %s", key, j.State, j.Reason, want)
			}
			if j.Progress == nil || *j.Progress != 40 || !strings.Contains(j.StatusText, "the "+key+" one") || j.CreatedAt.Year() != 2024 {
				t.Errorf("%s: progress %v, status text %q, created %v", key, j.Progress, j.StatusText, j.CreatedAt)
			}
		}
	}
}

func allStates() string {
	var names []string
	for _, s := range job.States {
		names = append(names, string(s))
	}
	return strings.Join(names, ",")
}

// TestExportImport takes a registry to another home.
func TestExportImport(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	done, held := h.add("--tag", "x", "--", "sh", "-c", "exit 3"), h.add("--hold", "--env", "SECRET=hidden", "--", "true")
	h.wait(done)
	file := h.Path("export.jsonl")
	h.must("registry", "export", file)
	if strings.Contains(h.read(file), "hidden") {
		t.Error("the export holds a job's environment")
	}
	other := newHome(t)
	other.must("registry", "import", file)
	if out := other.must("registry", "check"); strings.Contains(out, "wrong") {
		t.Errorf("registry check: %s", out)
	}
	other.start()
	other.wantEnd(done, job.Failed, job.ReasonExit, 3)
	if j := other.job(held); j.State != job.Held {
		t.Errorf("the held job is %s", j.State)
	}
}
