package runner

import "time"

// The runner is a subreaper: what its jobs leave behind becomes its child and must be reaped. A
// zombie that is no run's leader is such an orphan, unless it is a job so new that its fork has
// not been answered; so a zombie of unknown birth waits until every fork that was under way when
// it was first seen is answered.

const (
	// sweepAfter gathers the signals of many ends into one sweep.
	sweepAfter = 50 * time.Millisecond
	// listPause is the least time between two looks at all processes of the machine, and so is
	// listShare times what the last one took.
	listPause = time.Second
	listShare = 50
)

// HandleChild takes word that some child ended.
func (c *Core) HandleChild() { c.sweepSoon() }

func (c *Core) sweepSoon() {
	if c.sweepAt == nil {
		c.timers.set(&c.sweepAt, c.sys.Now().Add(sweepAfter), atSweep, nil)
	}
}

// sweep reaps orphans. The kernel shows one zombie at a time; where that one is not to be reaped
// yet and may hide others, they are looked for among all processes, but not often.
func (c *Core) sweep() {
	for {
		pid := c.sys.Zombie()
		if pid == 0 {
			clear(c.suspects)
			return
		}
		if !c.orphan(pid) {
			break
		}
		c.sys.ReapOrphan(pid)
	}
	begin := c.sys.Now()
	if begin.Before(c.listFrom) {
		c.timers.set(&c.sweepAt, c.listFrom, atSweep, nil)
		return
	}
	for _, pid := range c.sys.Zombies() {
		if c.orphan(pid) {
			c.sys.ReapOrphan(pid)
		}
	}
	end := c.sys.Now()
	c.listFrom = end.Add(max(listPause, listShare*end.Sub(begin)))
}

// orphan says whether the zombie pid can be none of our runs.
func (c *Core) orphan(pid int) bool {
	if r := c.kids[pid]; r != nil {
		delete(c.suspects, pid)
		if _, blind := c.blind[r]; blind {
			c.lookAt(r)
		}
		if _, givenUp := c.tokens[r.token].(*Process); givenUp {
			c.HandleReady([]uint64{r.token}) // it may be that nothing else tells its end
		}
		return false
	}
	if len(c.flying) == 0 {
		delete(c.suspects, pid)
		return true
	}
	seen, ok := c.suspects[pid]
	if !ok {
		c.suspects[pid] = c.spawnNo
		return false
	}
	for _, no := range c.flying {
		if no <= seen {
			return false
		}
	}
	delete(c.suspects, pid)
	return true
}
