package runner

// index finds the processes of one snapshot by what relates them to a run. It is made once for all
// runs that the snapshot serves.
type index struct {
	snap     Snapshot
	byPID    map[int]int // to places in snap, as all of these
	children map[int][]int
	sessions map[int][]int
	carriers map[string][]int
}

func newIndex(snap Snapshot) *index {
	x := &index{
		snap: snap, byPID: make(map[int]int, len(snap)),
		children: map[int][]int{}, sessions: map[int][]int{}, carriers: map[string][]int{},
	}
	for i, p := range snap {
		x.byPID[p.PID] = i
		x.children[p.PPID] = append(x.children[p.PPID], i)
		x.sessions[p.Session] = append(x.sessions[p.Session], i)
		if p.RunID != "" {
			x.carriers[p.RunID] = append(x.carriers[p.RunID], i)
		}
	}
	return x
}

// tree returns the living processes that belong to a run: everything in the session of its
// leader, every carrier of its run id, and every descendant of these and of known (pid to start
// ticks). session is 0 when the leader's pid is not held, because the number may then be another
// process's.
func (x *index) tree(runID string, session int, known map[int]uint64) []ProcessInfo {
	in := map[int]bool{}
	var todo []int
	add := func(places ...int) {
		for _, i := range places {
			if !in[i] {
				in[i] = true
				todo = append(todo, i)
			}
		}
	}
	if session != 0 {
		add(x.sessions[session]...)
		if i, ok := x.byPID[session]; ok {
			add(i)
		}
	}
	add(x.carriers[runID]...)
	for pid, ticks := range known {
		if i, ok := x.byPID[pid]; ok && x.snap[i].Ticks == ticks {
			add(i)
		}
	}
	var living []ProcessInfo
	for len(todo) > 0 {
		p := x.snap[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		add(x.children[p.PID]...)
		if !p.Zombie {
			living = append(living, p)
		}
	}
	return living
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
