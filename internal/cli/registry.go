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
	return group("registry", "export, import and check the record of jobs",
		newRegistryExportCommand(a), newRegistryImportCommand(a), newRegistryCheckCommand(a))
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
		held = fmt.Sprintf("; %d of them wait, held: queuemgr job start", s.Held)
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
