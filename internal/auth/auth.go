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

// Accounts says which account a job runs as.
type Accounts interface {
	// RunAs returns the account for a job of caller; wanted is what was asked for by name, "" =
	// nothing. Errors: *job.Error, Forbidden where the caller may not choose or the account may not
	// be used, Invalid for one that does not exist.
	RunAs(ctx context.Context, caller job.Caller, wanted string) (string, error)
}

// Options of New.
type Options struct {
	// UID and GID are the daemon's own user: in a user's own service all jobs are theirs.
	UID, GID uint32
	// RoleOf returns what a caller may do, see Roles.
	RoleOf func(job.Caller) job.Role
	// Accounts is nil in a user's own service, where every job runs as that user.
	Accounts Accounts
	// Audit is told of every change, tried or done, and of what callers are refused. Additions over the
	// unix socket it is told of only where they are refused: the record of the job itself tells of the
	// others. May be nil.
	Audit *Recorder
}

// Service is a job.Service that lets through what the caller in the context may do.
type Service struct {
	job.Service
	o Options
}

var _ job.Service = (*Service)(nil)

// New returns a service that guards s.
func New(s job.Service, o Options) *Service {
	return &Service{Service: s, o: o}
}

// caller returns who asks and their role. Errors: Forbidden where nobody is known.
func (s *Service) caller(ctx context.Context) (job.Caller, job.Role, error) {
	c, ok := job.CallerFrom(ctx)
	if !ok {
		return c, "", nobody()
	}
	return c, s.o.RoleOf(c), nil
}

func nobody() error {
	return &job.Error{Code: job.Forbidden, Message: "nobody is known to ask", Hint: "use the daemon's unix socket, or log in"}
}

// require returns an error unless the caller has the right to do what.
func (s *Service) require(ctx context.Context, needed right, what string) (job.Caller, error) {
	c, role, err := s.caller(ctx)
	if err == nil {
		if err = refuse(c, role, needed, what); err != nil {
			s.audit(c, what, "", err)
		}
	}
	return c, err
}

// mayTouch returns an error unless the caller may do what with j.
func mayTouch(c job.Caller, role job.Role, j *job.Job, what string) error {
	if may(role, touchAny) || may(role, touchOwn) && !c.OverTCP() && j.UID == c.UID {
		return nil
	}
	if c.OverTCP() {
		return refuse(c, role, touchAny, what+" jobs")
	}
	return &job.Error{Code: job.Forbidden, JobID: j.ID, Message: fmt.Sprintf("%s may not %s job %d, which is %s's", c.Name, what, j.ID, j.Owner),
		Hint: fmt.Sprintf("ask %s, root, or somebody listed in the setting [access] operators", j.Owner)}
}

// mayRead returns an error unless the caller may do what with the output of j.
func (s *Service) mayRead(c job.Caller, role job.Role, j *job.Job, what string) error {
	err := mayTouch(c, role, j, what+" the output of")
	if err != nil {
		s.auditJobs(c, what+" output", spanOf(j.ID), err)
	}
	return err
}

// AddJob implements job.Service.
func (s *Service) AddJob(ctx context.Context, spec job.Spec) (*job.Job, error) {
	c, err := s.require(ctx, addJobs, "add jobs")
	if err != nil {
		return nil, err
	}
	if spec.User, err = s.runAs(ctx, c, spec.User); err != nil {
		s.audit(c, actionAdd, "", err)
		return nil, err
	}
	j, err := s.Service.AddJob(s.asOwner(ctx, c), spec)
	if c.OverTCP() {
		var jobs span
		if err == nil {
			jobs = spanOf(j.ID)
		}
		s.auditJobs(c, actionAdd, jobs, err)
	}
	return j, err
}

// AddJobs implements job.Service.
func (s *Service) AddJobs(ctx context.Context, b job.Batch) ([]int64, error) {
	c, err := s.require(ctx, addJobs, "add jobs")
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
				s.audit(c, actionAdd, "", err)
				return nil, job.AtLine(err, i+1)
			}
			accounts[wanted] = account
		}
		jobs[i].User = account
	}
	b.Jobs = jobs
	ids, err := s.Service.AddJobs(s.asOwner(ctx, c), b)
	if c.OverTCP() {
		s.auditJobs(c, actionAdd, spanOf(ids...), err)
	}
	return ids, err
}

// asOwner is ctx with the caller as the owner of jobs: in a user's own service they are that user's,
// whoever has logged in.
func (s *Service) asOwner(ctx context.Context, c job.Caller) context.Context {
	if !c.OverTCP() || s.o.Accounts != nil {
		return ctx
	}
	c.UID, c.GID = s.o.UID, s.o.GID
	return job.WithCaller(ctx, c)
}

// runAs returns the account that a job of c runs as: "" where no job ever changes its user.
func (s *Service) runAs(ctx context.Context, c job.Caller, wanted string) (string, error) {
	if s.o.Accounts != nil {
		return s.o.Accounts.RunAs(ctx, c, wanted)
	}
	if wanted != "" && (wanted != c.Name || c.OverTCP()) {
		return "", &job.Error{Code: job.Forbidden, Field: "user", Message: fmt.Sprintf("jobs of this service can't run as %s: it is one user's own", wanted),
			Hint: "leave the user out, or use the system's service (sudo ./install.sh)"}
	}
	return "", nil
}

// Act implements job.Service. Jobs that the caller may not touch are failures where they are named
// one by one and are passed over otherwise.
func (s *Service) Act(ctx context.Context, r job.ActRequest) (job.ActResult, error) {
	c, role, err := s.caller(ctx)
	if err == nil {
		err = r.Action.Check() // before it is told of
	}
	if err != nil {
		return job.ActResult{}, err
	}
	if !may(role, touchOwn) {
		err := refuse(c, role, touchAny, string(r.Action)+" jobs")
		s.audit(c, string(r.Action), "", err)
		return job.ActResult{}, err
	}
	r.May = func(j *job.Job) error { return mayTouch(c, role, j, string(r.Action)) }
	result, err := s.Service.Act(ctx, r)
	if !r.DryRun {
		s.auditAct(c, r, result, err)
	}
	return result, err
}

// Logs implements job.Service: what a job wrote is its owner's.
func (s *Service) Logs(ctx context.Context, id int64, o job.LogOptions) (io.ReadCloser, error) {
	c, role, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if !may(role, readOutput) {
		j, err := s.Job(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := s.mayRead(c, role, j, "read"); err != nil {
			return nil, err
		}
	}
	return s.Service.Logs(ctx, id, o)
}

// AddQueue implements job.Service.
func (s *Service) AddQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	c, err := s.require(ctx, manageQueues, "add queues")
	if err != nil {
		return nil, err
	}
	q, err := s.Service.AddQueue(ctx, name, u)
	s.audit(c, "add queue", "queue "+name, err)
	return q, err
}

// SetQueue implements job.Service.
func (s *Service) SetQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	c, err := s.require(ctx, manageQueues, "change queues")
	if err != nil {
		return nil, err
	}
	q, err := s.Service.SetQueue(ctx, name, u)
	s.audit(c, "change queue", "queue "+name, err)
	return q, err
}

// DeleteQueue implements job.Service.
func (s *Service) DeleteQueue(ctx context.Context, name string) error {
	c, err := s.require(ctx, manageQueues, "delete queues")
	if err != nil {
		return err
	}
	err = s.Service.DeleteQueue(ctx, name)
	s.audit(c, "delete queue", "queue "+name, err)
	return err
}

// Shutdown implements job.Service.
func (s *Service) Shutdown(ctx context.Context, keepJobs bool) error {
	c, err := s.require(ctx, runDaemon, "end the daemon")
	if err != nil {
		return err
	}
	err = s.Service.Shutdown(ctx, keepJobs)
	s.audit(c, "shut down", "daemon", err)
	return err
}

// Reload implements job.Service.
func (s *Service) Reload(ctx context.Context) (job.Reloaded, error) {
	c, err := s.require(ctx, runDaemon, "reload the settings")
	if err != nil {
		return job.Reloaded{}, err
	}
	what, err := s.Service.Reload(ctx)
	s.audit(c, "reload", "settings", err)
	return what, err
}
