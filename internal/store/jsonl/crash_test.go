package jsonl

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// crashEnv makes the test binary the process that is killed: its value is the folder of a registry.
const crashEnv = "QUEUEMGR_TEST_CRASH_DIR"

// crashChild adds jobs and follows them into registry.jsonl until it is killed.
func crashChild(dir string) error {
	ctx := context.Background()
	var w *Writer
	s, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "registry.db"), OnCommit: func([]job.Change) { w.Wake() }})
	if err != nil {
		return err
	}
	if w, err = New(Options{Path: filepath.Join(dir, "registry.jsonl"), Store: s, MaxBytes: 200_000, Keep: 50}); err != nil {
		return err
	}
	go func() { fmt.Fprintln(os.Stderr, w.Run(ctx)) }()
	for i := 0; ; i++ {
		p := store.AddJobs{At: time.Now()}
		for range 1 + i%7 {
			p.Jobs = append(p.Jobs, store.NewJob{Job: &job.Job{Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Queued, Name: strings.Repeat("x", i%300)}})
		}
		if _, err := s.AddJobs(ctx, p); err != nil {
			return err
		}
		fmt.Println(s.Seq())
	}
}

// TestCrash kills a process that writes registry.jsonl again and again: over all files no change is
// missing, double or out of order, and what the registry has committed gets there.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 4))
	for range 6 {
		killAfter(t, dir, 5+random.IntN(300))
	}
	s := openStoreAt(t, filepath.Join(dir, "registry.db"), nil)
	path := filepath.Join(dir, "registry.jsonl")
	writeAll(t, Options{Path: path, Store: s, MaxBytes: 200_000, Keep: 50})
	last := uint64(0)
	files := 0
	for n := 50; n >= 0; n-- {
		name := fmt.Sprintf("%s.%d", path, n)
		if n == 0 {
			name = path
		}
		if _, err := os.Stat(name); err != nil {
			continue
		}
		files++
		for _, seq := range seqs(t, name) {
			if last != 0 && seq != last+1 {
				t.Fatalf("%s: change %d follows %d", name, seq, last)
			}
			last = seq
		}
	}
	if last != s.Seq() || files < 2 {
		t.Errorf("the files, %d, go up to %d, the registry to %d", files, last, s.Seq())
	}
	rebuilt := openStore(t)
	if _, err := Import(t.Context(), rebuilt, bytes.NewReader(readFile(t, path)), ImportOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	if rebuilt.NextID() != s.NextID() || rebuilt.Counts().ByQueue["default"][job.Held] != s.Counts().ByQueue["default"][job.Queued] {
		t.Errorf("rebuilt: %d, %v; want %d, %v", rebuilt.NextID(), rebuilt.Counts(), s.NextID(), s.Counts())
	}
}

// killAfter kills a process after a number of acknowledged additions.
func killAfter(t *testing.T, dir string, additions int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if n == additions {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the process was not killed: %v %s", err, failure.String())
	}
}
