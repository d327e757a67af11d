package queuemgr

import (
	"context"
	"runtime/debug"
	"time"
)

// restAfter is how long nothing is committed before the daemon gives memory back to the system.
const restAfter = 2 * time.Second

// giveBack gives memory back whenever a time of work is over: the collector comes by amount, and would
// keep what the work has left behind for as long as nothing new comes. work gets a token with each
// commit. An idle daemon is never woken for this.
func giveBack(ctx context.Context, work <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-work:
		}
		for busy := true; busy; {
			rest := time.NewTimer(restAfter)
			select {
			case <-ctx.Done():
				rest.Stop()
				return
			case <-rest.C:
			}
			select {
			case <-work:
			default:
				busy = false
			}
		}
		debug.FreeOSMemory()
	}
}
