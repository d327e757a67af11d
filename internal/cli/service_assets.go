package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
)

// assets makes the files of an installation that come from the command line itself.
func (a *app) assets() (install.Assets, error) {
	root := newRootCommand(a)
	var bash, zsh, fish bytes.Buffer
	if err := root.GenBashCompletionV2(&bash, true); err != nil {
		return install.Assets{}, fmt.Errorf("making the completion for bash: %w", err)
	}
	if err := root.GenZshCompletion(&zsh); err != nil {
		return install.Assets{}, fmt.Errorf("making the completion for zsh: %w", err)
	}
	if err := root.GenFishCompletion(&fish, true); err != nil {
		return install.Assets{}, fmt.Errorf("making the completion for fish: %w", err)
	}
	pages := map[string][]byte{}
	root.InitDefaultVersionFlag()
	if err := addManPages(pages, root, a.Version); err != nil {
		return install.Assets{}, err
	}
	return install.Assets{Config: systemExample(), Bash: bash.Bytes(), Zsh: zsh.Bytes(), Fish: fish.Bytes(), Man: pages}, nil
}

// nodeLine is the one default that differs between machines.
var nodeLine = regexp.MustCompile(`(?m)^#node = .*$`)

// systemExample is the commented settings file of the system's service. It is the same on every
// machine, so that only a new version brings new defaults.
func systemExample() string {
	text := config.Example(config.Paths{Home: "/var/lib/queuemgr", System: true, Config: config.SystemConfig,
		Lib: "/var/lib/queuemgr", Log: "/var/log/queuemgr", Run: "/run/queuemgr"})
	return nodeLine.ReplaceAllString(text, "# node = the host's name")
}

// addManPages adds the manual page of cmd and of each command below it. They bear no date: a page
// changes with the program alone.
func addManPages(pages map[string][]byte, cmd *cobra.Command, version string) error {
	cmd.DisableAutoGenTag = true
	var page bytes.Buffer
	none := time.Time{}
	if err := doc.GenMan(cmd, &doc.GenManHeader{Section: "1", Date: &none, Source: "queuemgr " + version, Manual: "queuemgr"}, &page); err != nil {
		return fmt.Errorf("making the manual page of %s: %w", cmd.CommandPath(), err)
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
	pages[name] = bytes.Replace(page.Bytes(), []byte(none.Format("Jan 2006")), nil, 1)
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		if err := addManPages(pages, sub, version); err != nil {
			return err
		}
	}
	return nil
}

// newManCommand writes the manual pages into a folder, for packages and for looking at them.
func newManCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Hidden:  true,
		Short:   "write the manual pages",
		Long:    "Writes the manual page of each command into the folder DIR.\n\n" + exitCodesHelp,
		Example: "  queuemgr man dist/man",
		Args:    oneArg("folder"),
		RunE: func(_ *cobra.Command, args []string) error {
			assets, err := a.assets()
			if err != nil {
				return err
			}
			return writeFiles(args[0], assets.Man)
		},
	}
}

// newPackageFilesCommand writes everything that a package contains beside the programs.
func newPackageFilesCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "_package DIR",
		Hidden:  true,
		Short:   "write the files of a package",
		Long:    "Writes what a package contains beside the programs into the folder DIR, laid out as on a machine.\n\n" + exitCodesHelp,
		Example: "  queuemgr _package dist/root",
		Args:    oneArg("folder"),
		RunE: func(_ *cobra.Command, args []string) error {
			assets, err := a.assets()
			if err != nil {
				return err
			}
			return writeFiles(args[0], install.PackageFiles(assets))
		},
	}
}

// writeFiles writes files, by their names below dir.
func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return openError("folder", filepath.Dir(path), err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return openError("file", path, err)
		}
	}
	return nil
}
