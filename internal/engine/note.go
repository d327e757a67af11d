package engine

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/queuemgr/queuemgr/job"
)

// Limits of what is noted on a job's record.
const (
	maxNotes = 20
	maxNote  = 300 // bytes of one
)

// Note puts a line of words on a job's record, once. A job that is not on record any more is no error.
func (e *Engine) Note(ctx context.Context, id int64, text string) error {
	for len(text) > maxNote {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	for ctx.Err() == nil {
		j, err := e.o.Store.Job(ctx, id)
		if job.CodeOf(err) == job.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		stale := false // changed since it was read
		err = e.do(ctx, func(c *core, t *tx) error {
			if now := c.current(t, id); now != nil {
				j = now
			} else if stale = j.State.Live(); stale {
				return nil
			}
			if len(j.Notes) >= maxNotes || slices.Contains(j.Notes, text) {
				return nil
			}
			ed := t.edit(j)
			ed.to.Notes = append(slices.Clone(ed.to.Notes), text)
			t.after = append(t.after, func() { stale = t.edits[id] == nil })
			return nil
		})
		if err != nil || !stale {
			return err
		}
	}
	return ctx.Err()
}
