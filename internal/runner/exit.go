package runner

// HandleReady takes the tokens of processes that have ended. Unknown ones are of processes that
// were let go meanwhile.
func (c *Core) HandleReady(tokens []uint64) {
	for _, t := range tokens {
		switch of := c.tokens[t].(type) {
		case *run:
			c.leaderEnded(of)
		case *member:
			c.memberEnded(of)
		case *Process: // a run's leader that outlived its KILL and was given up
			delete(c.tokens, t)
			c.staged.reap = append(c.staged.reap, of)
		}
	}
}

func (c *Core) leaderEnded(r *run) {
	x, ended := c.sys.Ended(r.proc)
	if !ended { // woken for nothing
		c.watchLeader(r)
		return
	}
	c.step("runner.after-exit-seen")
	e := exitEvent(r, x, c.sys.Now())
	if r.stop == nil || !r.stop.signalled {
		c.ended(r, e)
		return
	}
	e.Cause, e.Why = r.stop.cause, r.stop.why // known even where the exit status is not
	c.lastWords(r, e, false)
	// Its status is safe from here on. The process stays unreaped so that its session id cannot
	// become another's while we look for the rest of its tree.
	r.Status = e
	c.append(record{Status: e})
	c.staged.status = append(c.staged.status, r)
	c.wantScan(r)
}
