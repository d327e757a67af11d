package servicetest

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

var outcomeCases = []testCase{
	{"Ends", outcomeEnds},
	{"Spawn", outcomeSpawn},
	{"Timeout", outcomeTimeout},
	{"WhatAJobSees", outcomeSees},
	{"WaitEnds", outcomeWaitEnds},
	{"ManyWaiters", outcomeManyWaiters},
}

func outcomeEnds(s *suite) {
	for _, c := range []struct {
		script string
		state  job.State
		reason job.Reason
		code   int
		signal int
	}{
		{"exit 0", job.Completed, "", 0, 0},
		{"exit 7", job.Failed, job.ReasonExit, 7, 0},
		{"exit 255", job.Failed, job.ReasonExit, 255, 0},
		{"kill -SEGV $$", job.Failed, job.ReasonSignal, -1, int(syscall.SIGSEGV)},
		{"kill -KILL $$", job.Failed, job.ReasonSignal, -1, int(syscall.SIGKILL)},
	} {
		added := s.shell(c.script)
		j := s.wait(added.ID)
		code := -1
		if j.ExitCode != nil {
			code = *j.ExitCode
		}
		if j.State != c.state || j.Reason != c.reason || code != c.code || j.Signal != c.signal {
			s.Errorf("%q: %s(%s), exit code %d, signal %d", c.script, j.State, j.Reason, code, j.Signal)
		}
		if j.Attempt != 1 || j.RunID == "" || j.PID != 0 || j.Usage == nil || j.WaitReason != "" {
			s.Errorf("%q: %+v", c.script, j)
		}
		if j.StartedAt.Before(j.CreatedAt) || j.FinishedAt.Before(j.StartedAt) {
			s.Errorf("%q: created %s, started %s, finished %s", c.script, j.CreatedAt, j.StartedAt, j.FinishedAt)
		}
		s.same("waited for and asked for", visible(s.job(j.ID)), visible(j))
	}
}

func outcomeSpawn(s *suite) {
	plain := filepath.Join(s.TempDir(), "plain")
	for _, c := range []struct {
		spec job.Spec
		code int
	}{
		{job.Spec{Command: []string{"/no/such/program"}}, 127},
		{job.Spec{Command: []string{"no-such-program-anywhere"}}, 127},
		{job.Spec{Command: []string{"/etc"}}, 126},
		{job.Spec{Command: []string{"true"}, Cwd: plain}, -1},
	} {
		j := s.wait(s.add(c.spec).ID)
		if j.State != job.Failed || j.Reason != job.ReasonSpawn || j.Error == "" {
			s.Errorf("%v in %q: %s(%s) %q", c.spec.Command, c.spec.Cwd, j.State, j.Reason, j.Error)
		}
		if c.code >= 0 && (j.ExitCode == nil || *j.ExitCode != c.code) {
			s.Errorf("%v: exit code %v, want %d", c.spec.Command, j.ExitCode, c.code)
		}
	}
}

func outcomeTimeout(s *suite) {
	g := s.gate()
	j := s.wait(s.add(job.Spec{Shell: g.wait(), Timeout: job.Duration(100 * time.Millisecond), Grace: job.Duration(time.Second)}).ID)
	if j.State != job.Failed || j.Reason != job.ReasonTimeout {
		s.Errorf("%s(%s)", j.State, j.Reason)
	}
}

func outcomeSees(s *suite) {
	dir := s.TempDir()
	mask := uint32(0o077)
	j := s.add(job.Spec{Shell: `echo "$QUEUEMGR_JOB_ID $QUEUEMGR_ATTEMPT $QUEUEMGR_QUEUE $A"; pwd; umask; cat; echo err >&2`,
		Cwd: dir, Env: map[string]string{"A": "own value"}, Umask: &mask})
	s.wait(j.ID)
	got := strings.Split(s.log(j.ID, job.LogOptions{}), "\n")
	s.same("output", got, []string{strconv.FormatInt(j.ID, 10) + " 1 default own value", dir, "0077", "err", ""})
}

func outcomeWaitEnds(s *suite) {
	g := s.gate()
	j := s.shell(g.wait())
	s.until(j.ID, job.Running)
	ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
	defer cancel()
	got, err := s.WaitJob(ctx, j.ID)
	if !errors.Is(err, context.DeadlineExceeded) || got == nil || got.State != job.Running {
		s.Errorf("a wait that ran out: %v, %v", got, err)
	}
	g.open()
	if got := s.wait(j.ID); got.State != job.Completed {
		s.Errorf("state %s", got.State)
	}
}

func outcomeManyWaiters(s *suite) {
	g := s.gate()
	j := s.shell(g.wait() + "; exit 5")
	codes := make(chan int)
	const waiters = 20
	for range waiters {
		go func() {
			got, err := s.WaitJob(s.ctx, j.ID)
			if err != nil || got.ExitCode == nil {
				codes <- -1
				return
			}
			codes <- *got.ExitCode
		}()
	}
	g.open()
	for range waiters {
		if code := <-codes; code != 5 {
			s.Errorf("a waiter got %d", code)
		}
	}
}
