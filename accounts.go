package queuemgr

import (
	"context"
	"errors"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/runas"
	"github.com/queuemgr/queuemgr/job"
)

// accounts returns who decides which account a job runs as: the policy that the runner enforces, asked
// beforehand, or nil where every job runs as the service's own user.
func (d *daemon) accounts() auth.Accounts {
	if !d.c.Paths.System {
		return nil
	}
	return policy{runas.New(runas.Options{})}
}

// policy is the machine's rules as auth.Accounts.
type policy struct{ checker *runas.Checker }

// RunAs implements auth.Accounts.
func (p policy) RunAs(ctx context.Context, caller job.Caller, wanted string) (string, error) {
	by := &caller.UID
	if caller.OverTCP() {
		by = nil // a token or a login, whatever its name
	}
	choice, err := p.checker.Choose(ctx, wanted, by)
	if err == nil {
		return choice.Name, nil
	}
	e := &job.Error{Code: job.Forbidden, Field: "user", Message: err.Error(), Err: err}
	if cause := (*runas.Error)(nil); errors.As(err, &cause) {
		switch cause.Kind {
		case runas.Unknown:
			e.Code = job.Invalid
		case runas.Broken:
			e.Code = job.Internal
		case runas.Unavailable:
			e.Code = job.Unavailable
		}
	}
	return "", e
}
