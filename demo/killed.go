package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/test/harness"
)

// sceneKilled ends the daemon with SIGKILL and watches, without any daemon, jobs end and go on.
func sceneKilled(ctx context.Context, s *story) error {
	out, err := s.must(ctx, "job", "add", "-q", "--name", "unwatched", "--", "sh", "-c", "sleep 2; echo made it; exit 42")
	if err != nil {
		return err
	}
	if _, err := fmt.Sscan(out, &s.watcher); err != nil {
		return fmt.Errorf("job add -q printed %q: %w", out, err)
	}
	if err := until(ctx, "the job to start", func() (bool, error) {
		j, err := s.job(ctx, s.watcher)
		return err == nil && !j.StartedAt.IsZero(), err
	}); err != nil {
		return err
	}
	pid, err := s.service.DaemonPID()
	if err != nil {
		return err
	}
	s.say("$ kill -9 %d", pid)
	if err := s.service.Kill(ctx); err != nil {
		return err
	}
	s.killed = time.Now()
	r, err := s.service.Run(ctx, "service", "status")
	if err != nil {
		return err
	}
	s.claim(r.Code != 0 && !daemonLives(s, pid), "no daemon lives", "process %d is gone; `queuemgr service status` exits %d", pid, r.Code)

	before := s.archived()
	var ended []string
	if err := until(ctx, "an archive job to end without a daemon", func() (bool, error) {
		ended = newOnes(before, s.archived())
		return len(ended) > 0, nil
	}); err != nil {
		return err
	}
	s.orphan = ended[0]
	largest := s.folders[0]
	working, err := s.workingOn(largest)
	if err != nil {
		return err
	}
	s.claim(!daemonLives(s, pid), "while no daemon lived, a job ended", "archive and checksum of %q appeared %.1f s after the kill",
		s.orphan, time.Since(s.killed).Seconds())
	s.claim(working != "" && !daemonLives(s, pid), "while no daemon lived, another job went on",
		"%q is still being worked on by process %s", largest, working)
	// Before the daemon comes back the small job's two seconds pass, and the archive's script ends behind
	// its last file: so that both ends are missed.
	return until(ctx, "both jobs to end without a daemon", func() (bool, error) {
		packing, err := s.packing(s.orphan)
		return !packing && time.Since(s.killed) > 2500*time.Millisecond, err
	})
}

// packing reports whether a folder's job still has its script's process.
func (s *story) packing(folder string) (bool, error) {
	processes, err := s.service.Processes()
	return slices.ContainsFunc(processes, func(p harness.Process) bool { return strings.HasSuffix(p.Command, "/pack "+folder) }), err
}

// daemonLives looks for any process of the home that runs the daemon.
func daemonLives(s *story, pid int) bool {
	processes, err := s.service.Processes()
	if err != nil {
		return true // unknown: the claim that none lives must not pass
	}
	for _, p := range processes {
		if p.PID == pid || strings.Contains(p.Command, "daemon start") {
			return true
		}
	}
	return false
}

// archived returns the folders whose checksum is written.
func (s *story) archived() map[string]bool {
	done := map[string]bool{}
	for _, folder := range s.folders {
		if ok, err := exists(s.archives, folder+".sum"); err == nil && ok {
			done[folder] = true
		}
	}
	return done
}

func newOnes(before, after map[string]bool) []string {
	var found []string
	for name := range after {
		if !before[name] {
			found = append(found, name)
		}
	}
	return found
}

// workingOn returns the process that compresses or packs a folder, "" for none.
func (s *story) workingOn(folder string) (string, error) {
	processes, err := s.service.Processes()
	if err != nil {
		return "", err
	}
	var found harness.Process
	for _, p := range processes {
		if strings.HasSuffix(p.Command, " "+folder+".tar") || strings.HasSuffix(p.Command, ".tar "+folder) {
			found = p
		}
	}
	if found.PID == 0 {
		return "", nil
	}
	return found.String(), nil
}
