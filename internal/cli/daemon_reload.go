package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func newDaemonReloadCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "have the daemon read its settings again",
		Long: `Has the daemon read its settings again and open its log anew, and shows what has changed. Settings that are not right change
nothing. Flags that the daemon was started with stay.

` + exitCodesHelp,
		Example: "  queuemgr daemon reload",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonReload(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func runDaemonReload(ctx context.Context, a *app, asJSON bool) error {
	svc, err := a.ownDaemon()
	if err != nil {
		return err
	}
	what, err := svc.Reload(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(what)
	}
	if len(what.Changed)+len(what.Restart)+len(what.Types)+len(what.Problems) == 0 {
		return a.print("settings read again: nothing has changed\n")
	}
	for _, c := range what.Changed {
		if err := a.print("%s: %s, was %s\n", c.Key, settingText(c.New), settingText(c.Old)); err != nil {
			return err
		}
	}
	for _, c := range what.Restart {
		if err := a.print("%s: %s after a restart (queuemgr service restart), now %s\n", c.Key, settingText(c.New), settingText(c.Old)); err != nil {
			return err
		}
	}
	for _, t := range what.Types {
		if err := a.print("job types: %s\n", printable(t)); err != nil {
			return err
		}
	}
	for _, p := range what.Problems {
		if err := a.print("problem: %s\n", printable(p)); err != nil {
			return err
		}
	}
	return nil
}

// settingText is a setting's value for people.
func settingText(text string) string {
	if text == "" {
		return "not set"
	}
	return printable(text)
}
