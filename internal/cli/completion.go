package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newCompletionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print a script that completes commands in a shell",
		Long:  "Prints a script that completes commands, flags, job numbers, queues, types and states in a shell.\n\n" + exitCodesHelp,
		Example: `  bash: source <(queuemgr completion bash)
  zsh:  queuemgr completion zsh > "${fpath[1]}/_queuemgr"
  fish: queuemgr completion fish > ~/.config/fish/completions/queuemgr.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      oneArg("shell: bash, zsh or fish"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.Stdout, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.Stdout)
			case "fish":
				return cmd.Root().GenFishCompletion(a.Stdout, true)
			default:
				return usage(fmt.Sprintf("there is no completion for %q", args[0]), "give bash, zsh or fish")
			}
		},
	}
}

// completionTime bounds what a press of the tab key may cost.
const completionTime = time.Second

// completer offers words for what is typed.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// completeFlag sets what is offered for a flag's value.
func completeFlag(cmd *cobra.Command, flag string, complete completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // no such flag, or twice: a mistake in this package
	}
}

// fixed offers words.
func fixed(words ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeStates offers states, after a comma too.
func completeStates(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	words := stateNames()
	for i := range words {
		words[i] = before + words[i]
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeJobs offers the newest jobs in the states given, with what they are.
func (a *app) completeJobs(states ...job.State) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return append(a.jobNumbers(cmd, args, states...), "last\tthe newest job", "all\tall jobs"), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeJobNumber offers the numbers of the newest jobs, with what they are.
func (a *app) completeJobNumber(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.jobNumbers(cmd, nil), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// jobNumbers returns the newest jobs in the states given but for those in but, as words with what they are.
func (a *app) jobNumbers(cmd *cobra.Command, but []string, states ...job.State) []string {
	var words []string
	a.forCompletion(cmd, func(ctx context.Context, svc job.Service) error {
		page, err := svc.ListJobs(ctx, job.Filter{States: states})
		if err != nil {
			return err
		}
		for _, j := range page.Jobs {
			if id := fmt.Sprint(j.ID); !slices.Contains(but, id) {
				words = append(words, fmt.Sprintf("%s\t%s %s", id, j.State, shorten(commandText(j), 40)))
			}
		}
		return nil
	})
	return words
}

// completeQueues offers the names of queues.
func (a *app) completeQueues(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	a.forCompletion(cmd, func(ctx context.Context, svc job.Service) error {
		queues, err := svc.Queues(ctx)
		for _, q := range queues {
			words = append(words, q.Name)
		}
		return err
	})
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeTypes offers the names of job types, with what they are.
func (a *app) completeTypes(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	a.forCompletion(cmd, func(ctx context.Context, svc job.Service) error {
		types, err := svc.Types(ctx)
		for i := range types {
			words = append(words, types[i].Name+"\t"+shorten(firstLine(types[i].Description), 60))
		}
		return err
	})
	return words, cobra.ShellCompDirectiveNoFileComp
}

// forCompletion asks the daemon. What goes wrong is not told: it would land in the line that is
// being typed, and there is nothing to offer then.
func (a *app) forCompletion(cmd *cobra.Command, ask func(context.Context, job.Service) error) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	svc, err := a.svc()
	if err == nil {
		err = ask(ctx, svc)
	}
	if err != nil {
		cobra.CompDebugln(err.Error(), false)
	}
}
