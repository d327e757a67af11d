package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
)

// installOptions are the flags of `service install` and `service uninstall`.
type installOptions struct {
	upgrade, uninstall, purge, noStart, dryRun, user, packaged bool
	prefix                                                     string
}

// flags declares those that both commands have.
func (o *installOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and change nothing")
	f.BoolVar(&o.purge, "purge", false, "remove settings, registry, logs and accounts, too")
	f.BoolVar(&o.user, "user", false, "a service of your own, without root, in place of the system's")
	f.StringVar(&o.prefix, "prefix", "", "`DIR` with the service's programs (default that of the installation, else "+install.DefaultPrefix+")")
	f.BoolVar(&o.packaged, "packaged", false, "called by a package, which has the files")
	if err := f.MarkHidden("packaged"); err != nil {
		panic(err) // the flag is declared above
	}
}

func newServiceInstallCommand(a *app) *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install",
		Short: "install or upgrade the service, to be run by systemd",
		Long: `Installs the programs beside this one as the system's service, or with --user as your own: accounts, folders, programs, settings
(never overwritten), units, completions and manual pages; enables and starts it. Running it again completes and brings up to date;
where nothing is to be done it changes nothing. Jobs go on running meanwhile. A new version that does not become ready is
replaced by the old one again, and whatever fails, what was done before is undone.

` + exitCodesHelp,
		Example: `  sudo bin/queuemgr service install
  queuemgr service install --dry-run
  queuemgr service install --user`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceInstall(cmd.Context(), a, o)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.upgrade, "upgrade", false, "bring an installation up to date; an error where there is none")
	cmd.Flags().BoolVar(&o.uninstall, "uninstall", false, "the same as queuemgr service uninstall")
	cmd.Flags().BoolVar(&o.noStart, "no-start", false, "neither enable nor start the service")
	return cmd
}

func newServiceUninstallCommand(a *app) *cobra.Command {
	o := installOptions{uninstall: true}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "stop the service and remove it",
		Long: `Stops the service with its jobs, gracefully, and removes what service install has put there, also what is left after a removal by
hand. Settings, registry, logs and accounts stay, unless --purge is given.

` + exitCodesHelp,
		Example: "  sudo queuemgr service uninstall\n  sudo queuemgr service uninstall --purge --dry-run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceInstall(cmd.Context(), a, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func runServiceInstall(ctx context.Context, a *app, o installOptions) error {
	switch {
	case o.uninstall && (o.upgrade || o.noStart):
		return usage("--uninstall goes with neither --upgrade nor --no-start", "give one of them")
	case o.purge && !o.uninstall:
		return usage("--purge removes everything that the service keeps, and goes with --uninstall alone", "queuemgr service uninstall --purge")
	case o.user && (o.prefix != "" || o.packaged):
		return usage("--prefix goes with the system's service alone: your own runs the programs where they are", "leave out --prefix or --user")
	case a.home != "" && !o.user:
		return usage("--home goes with a service of your own: the system's has its files in "+filepath.Dir(config.SystemConfig)+", /var/lib and /var/log", "leave out --home, or add --user")
	}
	io := install.Options{Prefix: o.prefix, Upgrade: o.upgrade, NoStart: o.noStart, DryRun: o.dryRun, Purge: o.purge,
		Out: a.Stdout, UID: os.Geteuid(), Environ: a.Environ}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	io.Source = filepath.Dir(self)
	switch {
	case o.packaged:
		io.Kind = install.Packaged
	case o.user:
		io.Kind = install.User
		paths, err := config.FindPaths(a.home, a.Environ, config.ForDaemon)
		if err != nil {
			return err
		}
		io.Home = paths.Home
	}
	if io.Assets, err = a.assets(); err != nil {
		return err
	}
	if o.uninstall {
		return install.Uninstall(ctx, io)
	}
	if err := install.Install(ctx, io); err != nil || !o.user {
		return err
	}
	if reached, err := config.FindPaths(a.home, a.Environ, config.ForClient); err == nil && reached.Home != io.Home {
		a.warn("commands reach the system service; to reach your own: export QUEUEMGR_HOME=%s", shellQuote(io.Home))
	}
	return nil
}
