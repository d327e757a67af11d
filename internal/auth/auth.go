// Package auth decides who may do what. Service stands between the API and the engine; it knows
// roles and owners, the engine knows neither.
package auth

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/queuemgr/queuemgr/job"
)

// Role is what a caller may do. A higher role may do all that a lower one may.
type Role int

// Roles over the unix socket. Who may connect at all is decided by the socket's mode and group.
const (
	Member   Role = iota // adds jobs, does anything with its own, sees the others'
	Operator             // also starts, stops, holds and deletes others' jobs, reads their logs, manages queues
	Admin                // also ends and reloads the daemon
)

// Accounts says which account a job runs as.
type Accounts interface {
	// RunAs returns the account for a job of caller; wanted is what was asked for by name, "" =
	// nothing. Errors: *job.Error, Forbidden where the caller may not choose or the account may not
	// be used, Invalid for one that does not exist.
	RunAs(ctx context.Context, caller job.Caller, wanted string) (string, error)
}

// Options of New.
type Options struct {
	// UID is the daemon's own user: whoever is it may do everything.
	UID uint32
	// Operators returns the names of the present operators.
	Operators func() []string
	// Accounts is nil in a user's own service, where every job runs as that user.
	Accounts Accounts
}

// Service is a job.Service that lets through what the caller in the context may do.
type Service struct {
	job.Service
	o Options
}

var _ job.Service = (*Service)(nil)

// New returns a service that guards s.
func New(s job.Service, o Options) *Service {
	if o.Operators == nil {
		o.Operators = func() []string { return nil }
	}
	return &Service{Service: s, o: o}
}

// Role returns what c may do.
func (s *Service) Role(c job.Caller) Role {
	switch {
	case c.UID == 0 || c.UID == s.o.UID:
		return Admin
	case slices.Contains(s.o.Operators(), c.Name):
		return Operator
	}
	return Member
}

// caller returns who asks and their role. Errors: Forbidden where nobody is known.
func (s *Service) caller(ctx context.Context) (job.Caller, Role, error) {
	c, ok := job.CallerFrom(ctx)
	if !ok {
		return c, Member, &job.Error{Code: job.Forbidden, Message: "nobody is known to ask", Hint: "use the daemon's unix socket"}
	}
	return c, s.Role(c), nil
}

// require returns an error unless the caller has at least role, which is needed to do what.
func (s *Service) require(ctx context.Context, role Role, what string) error {
	c, has, err := s.caller(ctx)
	if err != nil || has >= role {
		return err
	}
	hint := "ask root, or somebody listed in the setting [access] operators"
	if role == Admin {
		hint = "ask root"
	}
	return &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("%s may not %s", c.Name, what), Hint: hint}
}

// mayTouch returns an error unless the caller may do what with j.
func mayTouch(c job.Caller, has Role, j *job.Job, what string) error {
	if has >= Operator || j.UID == c.UID {
		return nil
	}
	return &job.Error{Code: job.Forbidden, JobID: j.ID, Message: fmt.Sprintf("%s may not %s job %d, which is %s's", c.Name, what, j.ID, j.Owner),
		Hint: fmt.Sprintf("ask %s, root, or somebody listed in the setting [access] operators", j.Owner)}
}

// AddJob implements job.Service.
func (s *Service) AddJob(ctx context.Context, spec job.Spec) (*job.Job, error) {
	c, _, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if spec.User, err = s.runAs(ctx, c, spec.User); err != nil {
		return nil, err
	}
	return s.Service.AddJob(ctx, spec)
}

// AddJobs implements job.Service.
func (s *Service) AddJobs(ctx context.Context, b job.Batch) ([]int64, error) {
	c, _, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	accounts := map[string]string{} // by what was asked for
	jobs := slices.Clone(b.Jobs)
	for i := range jobs {
		wanted := jobs[i].User
		if wanted == "" {
			wanted = b.Defaults.User
		}
		account, known := accounts[wanted]
		if !known {
			if account, err = s.runAs(ctx, c, wanted); err != nil {
				return nil, job.AtLine(err, i+1)
			}
			accounts[wanted] = account
		}
		jobs[i].User = account
	}
	b.Jobs = jobs
	return s.Service.AddJobs(ctx, b)
}

// runAs returns the account that a job of c runs as: "" where no job ever changes its user.
func (s *Service) runAs(ctx context.Context, c job.Caller, wanted string) (string, error) {
	if s.o.Accounts != nil {
		return s.o.Accounts.RunAs(ctx, c, wanted)
	}
	if wanted != "" && wanted != c.Name {
		return "", &job.Error{Code: job.Forbidden, Field: "user", Message: fmt.Sprintf("jobs of this service can't run as %s: it is one user's own", wanted),
			Hint: "leave the user out, or use the system's service (sudo ./install.sh)"}
	}
	return "", nil
}

// Act implements job.Service. Jobs that the caller may not touch are failures where they are named
// one by one and are passed over otherwise.
func (s *Service) Act(ctx context.Context, r job.ActRequest) (job.ActResult, error) {
	c, has, err := s.caller(ctx)
	if err != nil {
		return job.ActResult{}, err
	}
	r.May = func(j *job.Job) error { return mayTouch(c, has, j, string(r.Action)) }
	return s.Service.Act(ctx, r)
}

// Logs implements job.Service: what a job wrote is its owner's.
func (s *Service) Logs(ctx context.Context, id int64, o job.LogOptions) (io.ReadCloser, error) {
	c, has, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if has < Operator {
		j, err := s.Job(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := mayTouch(c, has, j, "read the output of"); err != nil {
			return nil, err
		}
	}
	return s.Service.Logs(ctx, id, o)
}

// AddQueue implements job.Service.
func (s *Service) AddQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	if err := s.require(ctx, Operator, "add queues"); err != nil {
		return nil, err
	}
	return s.Service.AddQueue(ctx, name, u)
}

// SetQueue implements job.Service.
func (s *Service) SetQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	if err := s.require(ctx, Operator, "change queues"); err != nil {
		return nil, err
	}
	return s.Service.SetQueue(ctx, name, u)
}

// DeleteQueue implements job.Service.
func (s *Service) DeleteQueue(ctx context.Context, name string) error {
	if err := s.require(ctx, Operator, "delete queues"); err != nil {
		return err
	}
	return s.Service.DeleteQueue(ctx, name)
}

// Shutdown implements job.Service.
func (s *Service) Shutdown(ctx context.Context, keepJobs bool) error {
	if err := s.require(ctx, Admin, "end the daemon"); err != nil {
		return err
	}
	return s.Service.Shutdown(ctx, keepJobs)
}

// Reload implements job.Service.
func (s *Service) Reload(ctx context.Context) (job.Reloaded, error) {
	if err := s.require(ctx, Admin, "reload the settings"); err != nil {
		return job.Reloaded{}, err
	}
	return s.Service.Reload(ctx)
}
