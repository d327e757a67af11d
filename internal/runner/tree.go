package runner

import "slices"

// tree returns the living processes that belong to a run: everything in the session of its
// leader, every carrier of its run id, and every descendant of these and of known (pid to start
// ticks), in the order of the snapshot. session is 0 when the leader's pid is not held, because
// the number may then be another process's.
func tree(snap Snapshot, runID string, session int, known map[int]uint64) []ProcessInfo {
	in := make(map[int]bool)
	children := make(map[int][]int, len(snap))
	var todo []int
	add := func(pid int) {
		if !in[pid] {
			in[pid] = true
			todo = append(todo, pid)
		}
	}
	for _, p := range snap {
		children[p.PPID] = append(children[p.PPID], p.PID)
		if session != 0 && (p.PID == session || p.Session == session) || p.RunID == runID {
			add(p.PID)
		} else if ticks, ok := known[p.PID]; ok && ticks == p.Ticks {
			add(p.PID)
		}
	}
	for len(todo) > 0 {
		pid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, child := range children[pid] {
			add(child)
		}
	}
	return slices.Collect(func(yield func(ProcessInfo) bool) {
		for _, p := range snap {
			if in[p.PID] && !p.Zombie && !yield(p) {
				return
			}
		}
	})
}

// carrier picks the process that most likely is the leader of a run whose fork is in doubt: a
// session leader before others, then the oldest.
func carrier(snap Snapshot, runID string) (ProcessInfo, bool) {
	var best ProcessInfo
	found := false
	for _, p := range snap {
		if p.RunID != runID || p.Zombie {
			continue
		}
		leader, bestLeader := p.PID == p.Session, best.PID == best.Session
		if !found || leader && !bestLeader || leader == bestLeader && p.Ticks < best.Ticks {
			best, found = p, true
		}
	}
	return best, found
}
