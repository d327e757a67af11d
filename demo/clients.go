package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// clients is how many shell-like loops add jobs at once.
const clients = 4

// effectScript appends a line to the job's own file, so that a second run would show.
const effectScript = `echo run >>"$1/$QUEUEMGR_JOB_ID"; exit "$2"`

// ledger is what the clients were told.
type ledger struct {
	mu      sync.Mutex
	codes   map[int64]int // exit code of each acknowledged job
	refused int           // additions that ended with an error
}

// sceneClients kills the daemon while clients add, and holds what they were told against what is.
func sceneClients(ctx context.Context, s *story) error {
	program, err := s.script("effect", effectScript)
	if err != nil {
		return err
	}
	adding, stopAdding := context.WithCancel(ctx)
	defer stopAdding()
	l := &ledger{codes: map[int64]int{}}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { l.addUntilDone(adding, s, program, i) })
	}
	defer wg.Wait()
	if err := l.reach(ctx, 100); err != nil {
		return err
	}
	pid, err := s.service.DaemonPID()
	if err != nil {
		return err
	}
	s.say("%d clients add jobs; $ kill -9 %d", clients, pid)
	if err := s.service.Kill(ctx); err != nil {
		return err
	}
	if err := until(ctx, "a client to be refused", func() (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.refused > 0, nil
	}); err != nil {
		return err
	}
	if err := s.show(ctx, "daemon", "start", "--daemon"); err != nil {
		return err
	}
	if err := l.reach(ctx, len(l.snapshot())+100); err != nil {
		return err
	}
	stopAdding()
	wg.Wait()
	return l.check(ctx, s)
}

func (l *ledger) addUntilDone(ctx context.Context, s *story, program string, client int) {
	for i := client; ctx.Err() == nil; i++ {
		want := i % 5
		// Not cancelled midway: an addition whose answer is not read would be unknown to the ledger.
		r, err := s.service.Run(context.WithoutCancel(ctx), "job", "add", "-q", "--tag", "effect", "--",
			program, s.effects, strconv.Itoa(want))
		id, parseErr := strconv.ParseInt(strings.TrimSpace(r.Stdout), 10, 64)
		l.mu.Lock()
		if err == nil && r.Code == 0 && parseErr == nil {
			l.codes[id] = want
		} else {
			l.refused++
		}
		l.mu.Unlock()
	}
}

func (l *ledger) snapshot() map[int64]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	codes := map[int64]int{}
	for id, c := range l.codes {
		codes[id] = c
	}
	return codes
}

// reach waits until so many additions were acknowledged.
func (l *ledger) reach(ctx context.Context, n int) error {
	return until(ctx, fmt.Sprintf("%d acknowledged jobs", n), func() (bool, error) {
		return len(l.snapshot()) >= n, nil
	})
}

// check compares every acknowledged job with its record and its effect.
func (l *ledger) check(ctx context.Context, s *story) error {
	codes := l.snapshot()
	begin := time.Now()
	right, once := 0, 0
	for id, want := range codes {
		if _, err := s.service.Run(ctx, "job", "wait", fmt.Sprint(id)); err != nil {
			return err
		}
		j, err := s.job(ctx, id)
		if err != nil {
			return err
		}
		if j.ExitCode != nil && *j.ExitCode == want && (j.State == job.Completed) == (want == 0) {
			right++
		}
		effect, err := os.ReadFile(filepath.Join(s.effects, fmt.Sprint(id)))
		if err == nil && string(effect) == "run\n" {
			once++
		}
	}
	s.say("checked in %.1f s; %d additions were refused while no daemon lived, and said so", time.Since(begin).Seconds(), l.refused)
	s.claim(right == len(codes), "every acknowledged job is there with its true exit code", "%d of %d, codes 0 to 4", right, len(codes))
	s.claim(once == len(codes), "every one ran exactly once", "%d of %d files with one line", once, len(codes))
	return nil
}
