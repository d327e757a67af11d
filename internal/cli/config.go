package cli

import (
	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/config"
)

func newConfigCommand(a *app) *cobra.Command {
	return group("config", "show the settings", newConfigShowCommand(a), newConfigExampleCommand(a))
}

func newConfigShowCommand(a *app) *cobra.Command {
	var asJSON bool
	var file string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "show each setting and where it came from",
		Long: `Shows each setting as a daemon started now would have it, and where it came from: default, file and line, environment variable.
` + exitCodesHelp,
		Example: "  queuemgr config show\n  QUEUEMGR_MAX_CONCURRENT_JOBS=4 queuemgr config show --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return runConfigShow(a, file, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&file, "config", "", "settings `FILE` to read in place of the home's config.toml")
	return cmd
}

// shownConfig is what `config show --json` prints.
type shownConfig struct {
	Home     string         `json:"home"`
	File     string         `json:"file,omitempty"` // absent: there is none
	Settings []config.Value `json:"settings"`
}

func runConfigShow(a *app, file string, asJSON bool) error {
	c, err := a.loadConfig(file)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(shownConfig{Home: c.Paths.Home, File: c.File, Settings: c.Values()})
	}
	t := &table{columns: []column{{title: "SETTING"}, {title: "VALUE"}, {title: "FROM"}}}
	for _, v := range c.Values() {
		t.add(v.Key, printable(v.Text), printable(v.Origin))
	}
	return t.write(a.Stdout, 0)
}

func newConfigExampleCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "print a settings file in which every setting is explained",
		Long:    "Prints a settings file in which every setting stands with its meaning and default.\n\n" + exitCodesHelp,
		Example: "  queuemgr config example > config.toml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			paths, err := config.FindPaths(a.home, a.Environ, config.ForDaemon)
			if err != nil {
				return err
			}
			return a.print("%s", config.Example(paths))
		},
	}
}
