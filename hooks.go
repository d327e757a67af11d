package queuemgr

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/job"
)

// openHooks makes the hooks, which the engine is told of before it starts.
func (d *daemon) openHooks(ctx context.Context) error {
	configured, err := configuredHooks(d.c)
	if err != nil {
		return err
	}
	d.hooks, err = hooks.New(ctx, hooks.Options{
		Store: d.store, Hooks: configured, Types: d.types.Hooks(), Now: time.Now, Random: rand.Float64, After: after, Version: Version(), Log: d.log,
		NewRunID: func() string { return engine.HiddenPrefix + newRunID() },
		RemoveLog: func(jobID, delivery int64) {
			if err := joblog.RemoveHook(d.c.Paths.JobLogs(), jobID, delivery); err != nil {
				d.log.Warn("remove the log of a hook's command", "job", jobID, "error", err)
			}
		},
	})
	if err != nil {
		return err
	}
	d.hub.OnCommit(d.hooks.Wake)
	return nil
}

// after is a timer and what ends it.
func after(pause time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(pause)
	return t.C, func() { t.Stop() }
}

// configuredHooks returns the hooks of the settings, their secrets read.
func configuredHooks(c *config.Config) ([]hooks.Configured, error) {
	var all []hooks.Configured
	for i := range c.Hooks {
		h := &c.Hooks[i]
		secret, err := h.Secret(c.File)
		if err != nil {
			return nil, err
		}
		all = append(all, hooks.Configured{Name: h.Name, On: h.On, Queue: h.Queue, Type: h.Type, Command: h.Command, URL: h.URL, Secret: secret,
			Timeout: time.Duration(h.Timeout), GiveUp: time.Duration(h.GiveUp)})
	}
	return all, nil
}

// hookEngine is the engine as hooks need it.
type hookEngine struct{ *engine.Engine }

var _ hooks.Engine = hookEngine{}

// RunHook implements hooks.Engine.
func (e hookEngine) RunHook(ctx context.Context, r hooks.Run) error {
	return e.RunHidden(ctx, engine.HiddenRun{RunID: r.ID, JobID: r.JobID, Log: r.Delivery, Argv: r.Argv, Env: r.Env, AsJob: r.AsJob, Stdin: r.Stdin, Timeout: r.Timeout})
}

// hookAccount returns who decides as whom commands of the settings' hooks run: as the jobs of nobody in
// particular do; nil where all is the service's own user's.
func (d *daemon) hookAccount() func(context.Context) (string, error) {
	accounts := d.accounts()
	if accounts == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		return accounts.RunAs(ctx, job.Caller{UID: job.NoUID, GID: job.NoUID, Name: "hooks", Via: job.ViaToken, Role: job.Operator}, "")
	}
}
