package engine

import (
	"pgregory.net/rapid"

	"github.com/queuemgr/queuemgr/job"
)

// checkForks holds at every moment: no run id is ever forked twice.
func (w *world) checkForks(rt *rapid.T) {
	for id, procs := range w.os.forks {
		if len(procs) > 1 {
			rt.Fatalf("run %s was forked %d times", id, len(procs))
		}
	}
}

// checkEnds holds every acknowledged job to the truth.
func (w *world) checkEnds(rt *rapid.T) {
	for _, id := range w.jobs {
		j, err := w.store.Job(w.ctx, id)
		if err != nil {
			rt.Fatalf("job %d: acknowledged and not on record: %v", id, err)
		}
		attempts, err := w.store.Attempts(w.ctx, id)
		if err != nil {
			rt.Fatal(err)
		}
		if len(attempts) > 0 && !w.requeues[id] && !w.asked[id].start {
			rt.Fatalf("job %d ran again and nobody asked for it: %+v", id, attempts)
		}
		for _, a := range attempts {
			w.checkRun(rt, id, a.RunID, a.State, a.Reason, a.ExitCode, a.Signal, a.Progress)
			if a.Reason != job.ReasonLost && a.Reason != job.ReasonShutdown && !w.asked[id].start {
				rt.Fatalf("job %d ran again after %s (%s)", id, a.State, a.Reason)
			}
		}
		w.checkRun(rt, id, j.RunID, j.State, j.Reason, j.ExitCode, j.Signal, j.Progress)
	}
}

// checkRun holds what is on record of one run to what its process did.
func (w *world) checkRun(rt *rapid.T, id int64, runID string, state job.State, reason job.Reason, code *int, signal int, progress *int) {
	if !state.Ended() {
		rt.Fatalf("job %d: %s at the end of all", id, state)
	}
	forked := w.os.forks[runID]
	asked := w.asked[id]
	switch {
	case reason == job.ReasonLost:
		if !w.touched[runID] && len(forked) > 0 {
			rt.Fatalf("job %d run %s: lost, but neither its runner nor the machine died", id, runID)
		}
		return
	case len(forked) == 0:
		if state == job.Completed || state == job.Failed && reason != job.ReasonSpawn {
			rt.Fatalf("job %d run %s: %s (%s), but nothing was forked", id, runID, state, reason)
		}
		if state == job.Stopped && !asked.stop && !w.everShutDown || state == job.Deleted && !asked.del {
			rt.Fatalf("job %d: %s, but nobody asked for it", id, state)
		}
		return
	}
	p := forked[0]
	if said, ok := w.said[runID]; ok != (progress != nil) || ok && said != *progress {
		rt.Fatalf("job %d run %s: %s (%s) with progress %d on record, the last that it reported is %d (%v)", id, runID, state, reason, deref(progress), said, ok)
	}
	if p.alive {
		rt.Fatalf("job %d run %s: %s (%s), but its process %d lives", id, runID, state, reason, p.pid)
	}
	if p.rebootedAt {
		rt.Fatalf("job %d run %s: %s (%s), but the machine went down under it", id, runID, state, reason)
	}
	if p.orphaned && code == nil && signal == 0 {
		return // stopped by a runner that is not its parent: the code cannot be had
	}
	if signal != p.signal || p.signal == 0 && (code == nil || *code != p.code) {
		rt.Fatalf("job %d run %s: on record code %v signal %d, in truth code %d signal %d", id, runID, deref(code), signal, p.code, p.signal)
	}
	switch state {
	case job.Deleted:
		if !asked.del {
			rt.Fatalf("job %d: deleted, but nobody asked for it", id)
		}
	case job.Stopped:
		if !p.signalled || !asked.stop && !asked.del && !w.everShutDown {
			rt.Fatalf("job %d run %s: stopped, but signalled=%v asked=%+v", id, runID, p.signalled, asked)
		}
	case job.Completed:
		if p.signalled || p.code != 0 || p.signal != 0 {
			rt.Fatalf("job %d run %s: completed, in truth %+v", id, runID, *p)
		}
	case job.Failed:
		if reason == job.ReasonTimeout != p.signalled {
			rt.Fatalf("job %d run %s: failed (%s), but signalled=%v", id, runID, reason, p.signalled)
		}
	}
}

func deref(code *int) int {
	if code == nil {
		return -1
	}
	return *code
}
