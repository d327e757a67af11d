package runner

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/queuemgr/queuemgr/internal/runas"
)

// options are the flags of the runner as a program.
type options struct {
	cfg          Config
	shutdown     time.Duration
	system, drop bool
	policy       string
	daemon, logs string
	emptyCgroup  bool
	version      bool
}

// defaultShutdown caps the grace of jobs until a daemon says its shutdown_timeout.
const defaultShutdown = 30 * time.Second

func parseOptions(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("queuemgr-runner", flag.ContinueOnError)
	flags.StringVar(&o.cfg.Socket, "socket", "", "unix socket for the daemon")
	flags.StringVar(&o.cfg.Journal, "journal", "", "journal file")
	flags.StringVar(&o.cfg.Lock, "lock", "", "lock file")
	flags.DurationVar(&o.cfg.Linger, "linger", 10*time.Second,
		"end after so long without a daemon and without a job; 0 = never")
	flags.DurationVar(&o.shutdown, "shutdown-timeout", defaultShutdown,
		"on SIGTERM, KILL the jobs that have not ended after so long; the daemon's setting goes first")
	flags.BoolVar(&o.drop, "drop", false, "as root: start each job as the user that the daemon and the policy say")
	flags.StringVar(&o.policy, "policy", runas.PolicyFile, "with --drop: file that says whom jobs may run as")
	flags.StringVar(&o.daemon, "daemon-user", runas.DaemonAccount, "with --drop: the account that may connect, beside root")
	flags.StringVar(&o.logs, "logs", systemLogs, "with --drop: folder of the jobs' logs")
	flags.BoolVar(&o.system, "system", false, "be the runner of the system service: --drop --linger 0, at its places")
	flags.BoolVar(&o.emptyCgroup, "empty-cgroup", false, "for ExecStopPost= of the runner's unit: kill what is left in its control group")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.drop = o.drop || o.system
	o.cfg.Shutdown = &o.shutdown
	if o.system {
		for path, place := range map[*string]string{&o.cfg.Socket: systemSocket, &o.cfg.Lock: systemLock, &o.cfg.Journal: systemJournal} {
			if *path == "" {
				*path = place
			}
		}
		if !given["linger"] {
			o.cfg.Linger = 0
		}
	}
	if o.version || o.emptyCgroup {
		return o, nil
	}
	err := o.check(given)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "queuemgr-runner:", err)
	}
	return o, err
}

func (o *options) check(given map[string]bool) error {
	if o.cfg.Socket == "" || o.cfg.Journal == "" || o.cfg.Lock == "" {
		return errors.New("--socket, --journal and --lock are needed, or --system")
	}
	if o.shutdown < 0 {
		return fmt.Errorf("--shutdown-timeout %s is less than nothing", o.shutdown)
	}
	for _, name := range []string{"policy", "daemon-user", "logs"} {
		if given[name] && !o.drop {
			return fmt.Errorf("--%s is of use with --drop or --system only", name)
		}
	}
	if o.drop && os.Geteuid() != 0 {
		return errors.New("only root can start jobs as other users: start this runner as root, or without --drop and --system")
	}
	return nil
}

// dropping fills in what a runner needs that starts jobs as other users.
func (o *options) dropping(ctx context.Context) error {
	if o.system {
		if err := o.cfg.makePlaces(); err != nil {
			return err
		}
	}
	accounts := runas.New(runas.Options{Policy: o.policy, Daemon: o.daemon})
	daemon, err := accounts.Daemon(ctx)
	if err != nil {
		return err
	}
	if _, err := accounts.Policy(); err != nil {
		// It may be mended while the runner lives, and jobs may be alive that it has to look after.
		o.cfg.Log.Error(err.Error())
	}
	o.cfg.Drop = &Drop{Accounts: accounts, Daemon: daemon.UID, Logs: o.logs}
	return nil
}
