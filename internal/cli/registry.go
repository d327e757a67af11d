package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

func newRegistryCommand(a *app) *cobra.Command {
	return group("registry", "back up, restore, export, import and check the record of jobs",
		newRegistryBackupCommand(a), newRegistryRestoreCommand(a), newRegistryExportCommand(a), newRegistryImportCommand(a), newRegistryCheckCommand(a))
}

// loadConfig reads the settings of the home for commands that work on its files.
func (a *app) loadConfig(file string) (*config.Config, error) {
	return config.Load(config.Sources{Home: a.home, File: file, Environ: a.Environ, Use: config.ForDaemon})
}

func newRegistryExportCommand(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "export [FILE|-]",
		Short: "write all jobs and queues as JSON lines",
		Long: `Writes every job and queue as one JSON object a line, to FILE or standard output, with or without a daemon. Environments and secret
parameters are not in it.

` + exitCodesHelp,
		Example: "  queuemgr registry export backup.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "-"
			if len(args) > 1 {
				return usage(fmt.Sprintf("registry export takes one FILE at most, and was given %d", len(args)), "queuemgr registry export backup.jsonl")
			}
			if len(args) == 1 {
				name = args[0]
			}
			return runRegistryExport(cmd.Context(), a, name, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE when it exists")
	return cmd
}

func runRegistryExport(ctx context.Context, a *app, name string, force bool) (err error) {
	c, err := a.loadConfig("")
	if err != nil {
		return err
	}
	if name == "-" {
		return a.Backend.ExportRegistry(ctx, c, a.Stdout)
	}
	if _, err := os.Lstat(name); err == nil && !force {
		return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("%s exists already", name), Hint: "choose another name, or replace it with --force"}
	}
	// The file is there only when it is whole.
	part := name + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return openError("file", part, err)
	}
	written := &lineCounter{w: f}
	err = a.Backend.ExportRegistry(ctx, c, written)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, name); err != nil {
		return fmt.Errorf("putting %s in place: %w", name, err)
	}
	return a.print("%s written to %s, %s\n", plural(written.lines, "line"), name, bytesText(written.bytes))
}

// lineCounter counts what is written through it.
type lineCounter struct {
	w            io.Writer
	lines, bytes int64
}

func (c *lineCounter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.lines += int64(bytes.Count(p[:n], []byte{'\n'}))
	c.bytes += int64(n)
	return n, err
}

func newRegistryImportCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "read jobs and queues from JSON lines",
		Long: `Reads what registry export wrote, a registry.jsonl, or the registry.jsonl of the Python service. Jobs keep their numbers; waiting
ones are held, since their environment is not in the file. No daemon may run.

` + exitCodesHelp,
		Example: "  queuemgr daemon stop && queuemgr registry import backup.jsonl",
		Args:    oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRegistryImport(cmd.Context(), a, args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was done as JSON")
	return cmd
}

func runRegistryImport(ctx context.Context, a *app, name string, asJSON bool) error {
	c, err := a.loadConfig("")
	if err != nil {
		return err
	}
	in := a.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return openError("file", name, err)
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	s, err := a.Backend.ImportRegistry(ctx, c, in)
	if err != nil {
		return err
	}
	if s.Unread > 0 {
		a.warn("the last line of %s is torn and was left out", name)
	}
	if asJSON {
		return a.printJSON(s)
	}
	for _, w := range s.Warnings {
		a.warn("%s", w)
	}
	held := ""
	if s.Held > 0 {
		held = fmt.Sprintf(a.suggestFormat("; %d of them wait, held: queuemgr job start"), s.Held)
	}
	if s.Unchanged > 0 {
		held += fmt.Sprintf("; %d were there already", s.Unchanged)
	}
	return a.print("%s and %s imported%s\n", plural(int64(s.Jobs), "job"), plural(int64(s.Queues), "queue"), held)
}

func newRegistryCheckCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "check that the record of jobs is sound",
		Long:    "Checks the registry, with or without a daemon: exit code 0 when it is sound, 1 when it is not.\n\n" + exitCodesHelp,
		Example: "  queuemgr registry check",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runRegistryCheck(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what is wrong as JSON")
	return cmd
}

func runRegistryCheck(ctx context.Context, a *app, asJSON bool) error {
	c, err := a.loadConfig("")
	if err != nil {
		return err
	}
	problems, err := a.Backend.CheckRegistry(ctx, c)
	if err != nil {
		return err
	}
	switch {
	case asJSON:
		if problems == nil {
			problems = []string{}
		}
		err = a.printJSON(map[string][]string{"problems": problems})
	case len(problems) == 0:
		err = a.print("%s is sound\n", c.Paths.Database())
	default:
		for _, p := range problems {
			if err = a.print("%s\n", printable(p)); err != nil {
				break
			}
		}
	}
	if err == nil && len(problems) > 0 {
		return &exitError{code: exitFailed, err: &job.Error{Code: job.Internal,
			Message: fmt.Sprintf("%s in %s", plural(int64(len(problems)), "problem"), c.Paths.Database()),
			Hint:    "stop the daemon, move registry.db and registry.db-wal away and rebuild it: queuemgr registry import " + c.RegistryPath}}
	}
	return err
}

func newRegistryBackupCommand(a *app) *cobra.Command {
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "copy the registry as it is at this moment",
		Long: `Writes the whole registry as it is at one moment into FILE, with or without a daemon, which goes on working. The copy is checked, and
FILE is there only when it is whole. Captured environments are in it: keep it as you keep passwords (its mode is 0600).
registry restore takes it back. Registry export writes lines of JSON instead, without environments.

` + exitCodesHelp,
		Example: "  queuemgr registry backup /backup/registry-$(date +%F).db",
		Args:    oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRegistryBackup(cmd.Context(), a, args[0], force, asJSON)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE when it exists")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what the backup holds as JSON")
	return cmd
}

func runRegistryBackup(ctx context.Context, a *app, name string, force, asJSON bool) error {
	if name == "-" || name == "" {
		return usage(fmt.Sprintf("registry backup writes a file, and was given %q", name), "queuemgr registry backup FILE; registry export writes to standard output")
	}
	c, err := a.loadConfig("")
	if err != nil {
		return err
	}
	s, err := a.Backend.BackupRegistry(ctx, c, name, force)
	switch {
	case err != nil:
		return err
	case asJSON:
		return a.printJSON(s)
	}
	return a.print("%s backed up to %s, %s\n", plural(s.Jobs, "job"), printable(name), bytesText(s.Bytes))
}

func newRegistryRestoreCommand(a *app) *cobra.Command {
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "put a backup in the place of the registry",
		Long: `Checks FILE, which registry backup has made, brings it up to date and puts it in the place of the registry, which is kept beside under the
name registry.db.replaced-N. No daemon may run. Jobs that waited when the backup was made arrive held, since they may have run after it;
those that were live are decided about when the daemon starts: what still runs goes on, of the rest the outcome is lost.
Numbers of jobs that were added after the backup are not given out again.

` + exitCodesHelp,
		Example: "  queuemgr daemon stop && queuemgr registry restore /backup/registry-2031-05-06.db",
		Args:    oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRegistryRestore(cmd.Context(), a, args[0], force, asJSON)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also while jobs may be running that the backup knows nothing of")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was done as JSON")
	return cmd
}

func runRegistryRestore(ctx context.Context, a *app, name string, force, asJSON bool) error {
	c, err := a.loadConfig("")
	if err != nil {
		return err
	}
	s, err := a.Backend.RestoreRegistry(ctx, c, name, force)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(s)
	}
	for _, w := range s.Warnings {
		a.warn("%s", printable(w))
	}
	text := fmt.Sprintf("%s restored from %s; the next one gets the number %d\n", plural(s.Jobs, "job"), printable(name), s.NextID)
	if s.OldSchema > 0 {
		text += fmt.Sprintf("the backup was of an older queuemgr (schema %d) and was brought up to date\n", s.OldSchema)
	}
	if s.Replaced != "" {
		text += fmt.Sprintf("the registry before is kept: %s\n", s.Replaced)
	}
	if s.Held > 0 {
		text += fmt.Sprintf(a.suggestFormat("%s waited when the backup was made and may have run since: held now; those that shall run: queuemgr job start %s\n"),
			plural(s.Held, "job"), heldSelector(s.HeldJobs))
	}
	if s.Live > 0 {
		text += fmt.Sprintf("%s had started when the backup was made: at the daemon's start what still runs goes on, the rest is lost\n", plural(s.Live, "job"))
	}
	return a.print("%s", text)
}

// longSelector is how long a selector is worth printing.
const longSelector = 200

// heldSelector selects the jobs that a restore has held, or all that are held where they are many.
func heldSelector(exact string) string {
	if len(exact) > longSelector {
		return "--state held"
	}
	return exact
}
