package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/queuemgr/queuemgr/job"
)

// step is one small change of the machine.
type step struct {
	// todo says what is to be done, "" for nothing. It changes nothing, and must hold when steps before
	// it have only been told and not done.
	todo func(ctx context.Context) (string, error)
	// do does it, and returns how to undo it (nil for nothing to undo). When it fails it leaves nothing behind.
	do func(ctx context.Context) (revert func(ctx context.Context) error, err error)
}

// undo takes back a step.
type undo struct {
	what   string
	revert func(ctx context.Context) error
}

// apply does what is to be done of steps, in order. After a failure, or the end of ctx, it undoes what was done.
func (r *run) apply(ctx context.Context, steps []step) error {
	for _, s := range steps {
		err := ctx.Err()
		if err == nil {
			err = r.applyOne(ctx, s)
		}
		if err != nil {
			return r.rollback(context.WithoutCancel(ctx), err)
		}
	}
	return nil
}

func (r *run) applyOne(ctx context.Context, s step) error {
	what, err := s.todo(ctx)
	if err != nil || what == "" {
		return err
	}
	r.changed++
	if r.DryRun {
		r.say("would %s", what)
		return nil
	}
	r.say("%s", what)
	revert, err := s.do(ctx)
	if err != nil {
		return noRoom(fmt.Errorf("%s: %w", what, err))
	}
	if revert != nil {
		r.undo = append(r.undo, undo{what, revert})
	}
	return nil
}

// noRoom gives err, where it is of a full disk, the way on.
func noRoom(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	disk := "that disk"
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		disk = "the disk of " + filepath.Dir(at.Path)
	}
	return &job.Error{Code: job.Exhausted, Message: err.Error(), Err: err, Hint: "free some room on " + disk + " (or inodes: df -i, or a quota), then run this again"}
}

// rollback undoes all steps that were done, the last first, and returns cause with how that went.
func (r *run) rollback(ctx context.Context, cause error) error {
	var left []error
	if r.backup != "" && !r.tried { // the registry is as it was, and a copy would only take room
		if err := removeIfThere(r.path(r.backup)); err != nil {
			left = append(left, err)
		}
		r.backup = ""
	}
	if len(r.undo) == 0 && len(left) == 0 && !r.tried {
		outcome := "nothing was changed"
		if r.wasActive {
			outcome += "; the service runs as before"
		}
		return withOutcome(cause, outcome)
	}
	r.say("failed; undoing what was done")
	for i := len(r.undo) - 1; i >= 0; i-- {
		if err := r.undo[i].revert(ctx); err != nil {
			left = append(left, fmt.Errorf("not undone: %s: %w", r.undo[i].what, err))
		}
	}
	if err := r.serveAgain(ctx); err != nil {
		left = append(left, err)
	}
	if len(left) > 0 {
		return withOutcome(errors.Join(append([]error{cause}, left...)...), "the rest was undone; mend what is named above and run this again")
	}
	outcome := "everything that was done has been undone"
	if r.wasActive {
		outcome += "; the service runs as before, and its jobs went on"
	}
	return withOutcome(cause, outcome)
}

// withOutcome adds to err how the machine is now.
func withOutcome(err error, outcome string) error {
	e := &job.Error{Code: job.Internal, Message: err.Error() + "; " + outcome, Err: err}
	if inner := (*job.Error)(nil); errors.As(err, &inner) {
		e.Code, e.Hint, e.Field = inner.Code, inner.Hint, inner.Field
		if _, unwrapped := err.(*job.Error); unwrapped { //nolint:errorlint // what wraps it has said more, and that is kept
			e.Message = inner.Message + "; " + outcome
		}
	}
	return e
}
