package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// story is what the scenes share.
type story struct {
	begin    time.Time
	dir      string // everything the demo writes
	source   string // the Go toolchain's src
	archives string // what the archive jobs make
	effects  string // a file for each small job that ran
	compress []string
	service  *harness.Service
	claims   []claim

	folders  []string         // top-level folders of source, each one job
	numbers  map[string]int64 // their jobs
	watcher  int64            // the job that ends with code 42 while no daemon lives
	killed   time.Time        // when the first SIGKILL had ended the daemon
	returned time.Time        // when the second daemon was asked to start
	orphan   string           // folder whose job ended while no daemon lived
}

// claim is something that queuemgr promises, and what was seen.
type claim struct {
	text, evidence string
	held           bool
}

// claim records whether something held and says so at once.
func (s *story) claim(held bool, text, format string, args ...any) {
	c := claim{text: text, evidence: fmt.Sprintf(format, args...), held: held}
	s.claims = append(s.claims, c)
	mark := "ok  "
	if !held {
		mark = "FAIL"
	}
	fmt.Printf("   %s %s\n        %s\n", mark, c.text, c.evidence)
}

func (s *story) say(format string, args ...any) {
	fmt.Printf("   "+format+"\n", args...)
}

// must shows a command as a user types it, runs it and returns its output.
func (s *story) must(ctx context.Context, args ...string) (string, error) {
	fmt.Printf("   $ queuemgr %s\n", shown(args))
	return s.service.Must(ctx, args...)
}

// show runs a command as must does and shows what it printed.
func (s *story) show(ctx context.Context, args ...string) error {
	out, err := s.must(ctx, args...)
	for line := range strings.Lines(out) {
		fmt.Printf("   %s\n", strings.TrimSuffix(line, "\n"))
	}
	return err
}

// script writes an executable shell script of the demo's and returns its path.
func (s *story) script(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700)
}

// shown quotes arguments as a shell wants them.
func shown(args []string) string {
	var words []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"$&|;<>*?()") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// job reads a job's record.
func (s *story) job(ctx context.Context, id int64) (*job.Job, error) {
	out, err := s.service.Must(ctx, "job", "status", fmt.Sprint(id), "--json")
	if err != nil {
		return nil, err
	}
	j := new(job.Job)
	return j, json.Unmarshal([]byte(out), j)
}

// status reads the service's status.
func (s *story) status(ctx context.Context) (*job.Status, error) {
	out, err := s.service.Must(ctx, "service", "status", "--json")
	if err != nil {
		return nil, err
	}
	st := new(job.Status)
	return st, json.Unmarshal([]byte(out), st)
}

// until looks again and again, a few times a second, whether done holds: a demo watches from
// outside and has nothing that would wake it.
func until(ctx context.Context, what string, done func() (bool, error)) error {
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// exists reports whether a file is there.
func exists(elem ...string) (bool, error) {
	_, err := os.Stat(filepath.Join(elem...))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// end prints the table and returns an error unless every claim held.
func (s *story) end() error {
	fmt.Printf("\nAll claims, after %.0f s\n\n", time.Since(s.begin).Seconds())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "   \tCLAIM\tEVIDENCE")
	failed := 0
	for _, c := range s.claims {
		mark := "ok"
		if !c.held {
			mark = "FAIL"
			failed++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", mark, c.text, c.evidence)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d claims did not hold", failed, len(s.claims))
	}
	fmt.Printf("\nall %d claims held\n", len(s.claims))
	return nil
}
