package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

func newRootCommand(a *app) *cobra.Command {
	var o overviewOptions
	cmd := &cobra.Command{
		Use:   "queuemgr",
		Short: "a job-queue manager: durable queues of commands, each in its own process",
		Long: `queuemgr keeps commands in durable queues and runs each in its own process. Jobs and their exit codes
outlive the daemon: they go on running while it is stopped, upgraded or killed.

Without a command it shows what is going on.

` + exitCodesHelp,
		Example: `  queuemgr service start
  queuemgr job add -- tar czf /backup/home.tgz /home
  queuemgr job list --state failed
  queuemgr job logs -f last`,
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return runOverview(cmd.Context(), a, o)
		},
	}
	cmd.PersistentFlags().StringVar(&a.home, "home", "", "`DIR` with everything of a service of your own (variable QUEUEMGR_HOME)")
	o.flags(cmd)
	cmd.Version = a.Version
	cmd.SetVersionTemplate("queuemgr {{.Version}}\n")
	cmd.SetHelpCommand(newHelpCommand())
	cmd.SetFlagErrorFunc(wrongFlag)
	cmd.AddCommand(newDaemonCommand(a), newServiceCommand(a), newJobCommand(a), newQueueCommand(a), newTypeCommand(a), newMonitorCommand(a), newWebCommand(a), newTokenCommand(a), newHookCommand(a), newDoctorCommand(a),
		newRegistryCommand(a), newReportCommand(a), newConfigCommand(a), newCompletionCommand(a), newVersionCommand(a), newManCommand(a), newPackageFilesCommand(a))
	return cmd
}

// newHelpCommand is cobra's, with wrong usage for what there is not.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]...",
		Short:   "explain a command",
		Long:    "Explains a command, as --help behind it does.\n\n" + exitCodesHelp,
		Example: "  queuemgr help job add",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return verbs(of), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(of, rest[0])
			}
			of.InitDefaultHelpFlag()
			of.InitDefaultVersionFlag()
			return of.Help()
		},
	}
}

// group makes a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  capital(short) + ".\n\n" + exitCodesHelp,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return usage(fmt.Sprintf("%s needs a verb", cmd.CommandPath()), "one of: "+strings.Join(verbs(cmd), ", "))
		},
	}
	cmd.AddCommand(subs...)
	return cmd
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func verbs(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

func unknownCommand(cmd *cobra.Command, word string) error {
	if below := verbsCalled(cmd, word); len(below) > 0 {
		return usage(fmt.Sprintf("%s has no command %q", cmd.CommandPath(), word), "did you mean "+strings.Join(below, " or ")+"?")
	}
	return usage(fmt.Sprintf("%s has no command %q", cmd.CommandPath(), word), didYouMean(word, "the commands are", verbs(cmd)))
}

// verbsCalled returns the commands called word that stand one level below those of cmd.
func verbsCalled(cmd *cobra.Command, word string) []string {
	var paths []string
	for _, group := range cmd.Commands() {
		for _, sub := range group.Commands() {
			if sub.Name() == word && sub.IsAvailableCommand() {
				paths = append(paths, sub.CommandPath())
			}
		}
	}
	return paths
}

// wrongFlag tells of a flag that there is not, with the nearest that there is.
func wrongFlag(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return unknownCommand(cmd, cmd.Flags().Arg(0)) // the flag is of what was meant
	}
	e := &job.Error{Code: job.Invalid, Message: err.Error(), Err: err, Hint: fmt.Sprintf("see %s --help", cmd.CommandPath())}
	var missing *pflag.NotExistError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &bad) && bad.GetFlag().Value.Type() == "int":
		e.Message, e.Field = fmt.Sprintf("--%s: bad number %q", bad.GetFlag().Name, bad.GetValue()), bad.GetFlag().Name
		e.Hint = "give a whole number"
	case errors.As(err, &bad) && bad.GetFlag().Value.Type() == "intSlice":
		e.Message, e.Field = fmt.Sprintf("--%s: bad number in %q", bad.GetFlag().Name, bad.GetValue()), bad.GetFlag().Name
		e.Hint = fmt.Sprintf("give whole numbers: --%s 1,137", bad.GetFlag().Name)
	case errors.As(err, &bad) && bad.GetFlag().Value.Type() == "bool":
		e.Message, e.Field = fmt.Sprintf("--%s: bad value %q", bad.GetFlag().Name, bad.GetValue()), bad.GetFlag().Name
		e.Hint = fmt.Sprintf("give --%s alone", bad.GetFlag().Name)
	case errors.As(err, &missing) && strings.Trim(missing.GetSpecifiedShortnames(), "0123456789") == "" && missing.GetSpecifiedShortnames() != "":
		e.Message = fmt.Sprintf("-%s is neither a flag nor a job's number", missing.GetSpecifiedShortnames())
		e.Hint = "numbers of jobs begin at 1; last is the newest job"
	case errors.As(err, &missing):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := config.Nearest(missing.GetSpecifiedName(), names); near != "" {
			e.Hint = fmt.Sprintf("did you mean --%s?", near)
		}
	}
	return e
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(fmt.Sprintf("%s takes no argument, and was given %q", cmd.CommandPath(), args[0]), fmt.Sprintf("see %s --help", cmd.CommandPath()))
}

// oneArg wants exactly one argument, called what.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usage(fmt.Sprintf("%s needs one %s, and was given %d", cmd.CommandPath(), what, len(args)), cmd.UseLine())
	}
}
