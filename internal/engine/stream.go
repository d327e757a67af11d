package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/queuemgr/queuemgr/job"
)

// streamPage is how many changes are read at once.
const streamPage = 512

// Events implements job.Service. A slow reader holds nothing back: it reads from the store at its
// own pace, until what it has not read is pruned.
func (e *Engine) Events(ctx context.Context, o job.EventOptions) iter.Seq2[job.Change, error] {
	after := e.o.Store.Seq()
	if o.After != nil {
		after = *o.After
	}
	return func(yield func(job.Change, error) bool) {
		if seq := e.o.Store.Seq(); after > seq {
			yield(job.Change{}, &job.Error{Code: job.Exhausted, Field: "after", Message: fmt.Sprintf("change %d is ahead of the last one, %d", after, seq),
				Hint: "it is of another registry: read the present state and begin again from its seq"})
			return
		}
		for {
			next := e.o.Hub.changed()
			changes, err := e.o.Store.Changes(ctx, after, streamPage)
			if err != nil {
				if ctx.Err() == nil {
					yield(job.Change{}, err)
				}
				return
			}
			for i := range changes {
				after = changes[i].Seq
				if wanted(o, &changes[i]) && !yield(changes[i], nil) {
					return
				}
			}
			if len(changes) > 0 {
				continue
			}
			select {
			case <-next:
			case <-ctx.Done():
				return
			case <-e.done:
				yield(job.Change{}, errStopping())
				return
			}
		}
	}
}

func wanted(o job.EventOptions, c *job.Change) bool {
	return (len(o.JobIDs) == 0 || slices.Contains(o.JobIDs, c.JobID)) && (o.Queue == "" || o.Queue == c.Queue)
}
