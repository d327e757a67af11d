package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// sceneVerify waits for the archives and compares each with its checksum and its source.
func sceneVerify(ctx context.Context, s *story) error {
	var p progress
	err := until(ctx, "the last archive", func() (bool, error) {
		st, err := s.status(ctx)
		if err != nil {
			return false, err
		}
		p.show(st)
		return archiveDone(st), nil
	})
	p.end()
	if err != nil {
		return err
	}
	sums, sources, exits := 0, 0, 0
	for _, folder := range s.folders {
		j, err := s.job(ctx, s.numbers[folder])
		if err != nil {
			return err
		}
		if j.State == job.Completed && j.ExitCode != nil && *j.ExitCode == 0 && j.Attempt == 1 {
			exits++
		}
		check := exec.CommandContext(ctx, "sha256sum", "--check", "--quiet", folder+".sum")
		check.Dir = s.archives
		if out, err := check.CombinedOutput(); err == nil {
			sums++
		} else {
			s.say("%s: %v: %s", folder, err, out)
		}
		if out, err := s.compare(ctx, folder); err == nil {
			sources++
		} else {
			s.say("%s: %v: %s", folder, err, out)
		}
	}
	ran, err := os.ReadFile(filepath.Join(s.archives, "ran"))
	if err != nil {
		return err
	}
	n := len(s.folders)
	s.claim(exits == n, "every archive job completed in its first attempt, across two SIGKILLs", "%d of %d exited 0", exits, n)
	s.claim(strings.Count(string(ran), "\n") == n, "and ran exactly once", "%d lines for %d jobs", strings.Count(string(ran), "\n"), n)
	s.claim(sums == n, "every archive has its checksum", "sha256sum --check: %d of %d", sums, n)
	s.claim(sources == n, "every archive holds its source", "tar --compare: %d of %d", sources, n)
	return nil
}

// archiveDone reports whether nothing of the archive queue waits or lives.
func archiveDone(st *job.Status) bool {
	for _, q := range st.Queues {
		if q.Name != "archive" {
			continue
		}
		for state, n := range q.Jobs {
			if n > 0 && !state.Ended() {
				return false
			}
		}
		return true
	}
	return false
}

// compare holds an archive against the files it was made of.
func (s *story) compare(ctx context.Context, folder string) ([]byte, error) {
	found, err := filepath.Glob(filepath.Join(s.archives, folder+".tar.*"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("archives of %s: %v, %w", folder, found, err)
	}
	return exec.CommandContext(ctx, "tar", "--compare", "--file", found[0], "-C", s.source).CombinedOutput()
}
