package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/doctor"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/internal/tcp"
	"github.com/queuemgr/queuemgr/job"
)

// doctorOptions are the flags of `doctor`.
type doctorOptions struct{ json, verbose bool }

func newDoctorCommand(a *app) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look the service over and say how to mend what is wrong",
		Long: `Looks the service over: settings, accounts, folders, rights, programs and their versions, units and drop-ins, daemon and runner, registry,
limits, control groups, disk and clock. For each finding it says what is wrong, where, and the command that mends it, which a shell can
run as it is (with --json: remedy; note and or have words about it and further commands). It changes nothing, works with and without a daemon, and says what only root can look at. With --home or QUEUEMGR_HOME it looks at a service of your own.

Exit codes:
  0 no problem, warnings allowed    1 a problem, as a daemon that was killed    2 wrong usage`,
		Example: "  sudo queuemgr doctor\n  queuemgr doctor --verbose\n  queuemgr doctor --json | jq '.findings[] | select(.level == \"problem\")'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), a, o)
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print all findings as JSON")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show also what is in order and what could not be looked at")
	return cmd
}

// doctorReport is what `doctor --json` prints.
type doctorReport struct {
	Version  string           `json:"version"` // of this program
	Service  string           `json:"service"` // system, user
	Home     string           `json:"home"`
	Problems int              `json:"problems"`
	Warnings int              `json:"warnings"`
	Skipped  int              `json:"skipped"`
	OK       int              `json:"ok"`
	Findings []doctor.Finding `json:"findings"` // the gravest first
}

// askWithin is how long a daemon may take to answer.
const askWithin = 5 * time.Second

func runDoctor(ctx context.Context, a *app, o doctorOptions) error {
	in, err := a.doctorInput()
	if err != nil {
		return err
	}
	found, err := doctor.Examine(ctx, in)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, func(x, y doctor.Finding) int {
		return slices.Index(doctor.Levels, x.Level) - slices.Index(doctor.Levels, y.Level)
	})
	r := doctorReport{Version: a.Version, Service: "system", Home: in.Paths.Home, Findings: found}
	if in.Kind == install.User {
		r.Service = "user"
	}
	for level, n := range map[doctor.Level]*int{doctor.Problem: &r.Problems, doctor.Warning: &r.Warnings, doctor.Skipped: &r.Skipped, doctor.OK: &r.OK} {
		for _, f := range found {
			if f.Level == level {
				*n++
			}
		}
	}
	if o.json {
		err = a.printJSON(r)
	} else {
		out := bufio.NewWriter(a.Stdout)
		a.writeReport(out, r, o.verbose)
		err = out.Flush()
	}
	if err == nil && r.Problems > 0 {
		return &exitError{code: exitFailed}
	}
	return err
}

// doctorInput finds out which service is meant. It looks at nothing in that service's folders.
func (a *app) doctorInput() (doctor.Input, error) {
	in := doctor.Input{Kind: install.User, Version: a.Version, UID: os.Geteuid(), Environ: a.Environ, Now: a.now(),
		Exec: systemd.Execute, Registry: a.Backend.GlanceRegistry, Synchronized: doctor.ClockSynchronized, Holder: tcp.Holder}
	var err error
	if in.Paths, err = config.FindPaths(a.home, a.Environ, config.ForClient); err != nil {
		return in, err
	}
	if !in.Paths.System && a.home == "" && a.env("QUEUEMGR_HOME") == "" && in.UID == 0 && leftOfSystem() {
		in.Paths = config.SystemPaths()
	}
	environ := a.Environ
	if in.Paths.System {
		in.Kind, environ = install.System, nil // its daemon has not this shell's variables
	}
	if in.Program, err = os.Executable(); err != nil {
		return in, fmt.Errorf("finding this program: %w", err)
	}
	if in.GIDs, err = os.Getgroups(); err != nil {
		return in, fmt.Errorf("finding this process' groups: %w", err)
	}
	in.GIDs = append(in.GIDs, os.Getegid())
	in.Load = func() doctor.Loaded { return a.doctorLoad(in.Paths, environ, a.ownName(in.Program)) }
	in.Ask = askState(in.Paths)
	return in, nil
}

// doctorLoad is what of the input lies in the service's folders, of which one may be on a file server that is gone.
func (a *app) doctorLoad(paths config.Paths, environ []string, program string) doctor.Loaded {
	l := doctor.Loaded{Command: program}
	if l.Config, l.ConfigErr = config.LoadAt(paths, config.Sources{Environ: environ}); l.ConfigErr != nil {
		l.Config = config.Defaults(paths)
	}
	if a.home != "" {
		l.Command += " --home " + doctor.Quote(a.home)
	}
	if _, name := ownerOf(paths); name != "" && !paths.System { // sudo takes no variables along
		l.As = asUser(name)
		l.Command = l.As + program + " --home " + doctor.Quote(paths.Home)
	}
	return l
}

// leftOfSystem reports whether something of the system's service is there, though its settings are not.
func leftOfSystem() bool {
	p := config.SystemPaths()
	for _, name := range []string{p.Lib, p.Log, p.RunnerLib, install.DefaultPrefix + "/bin/queuemgr", "/etc/systemd/system/" + install.DaemonUnit} {
		if _, err := os.Lstat(name); err == nil {
			return true
		}
	}
	return false
}

// ownName is how a shell calls this program.
func (a *app) ownName(program string) string {
	name := program
	for _, dir := range filepath.SplitList(a.env("PATH")) {
		found, err := os.Stat(filepath.Join(dir, "queuemgr"))
		if err != nil {
			continue
		}
		if self, err := os.Stat(program); err == nil && os.SameFile(found, self) {
			name = "queuemgr"
		}
		break
	}
	return name
}

// askState returns what asks the daemon for its state, and does not wait for one that is away.
func askState(p config.Paths) func(context.Context) (*job.Status, error) {
	return func(ctx context.Context) (*job.Status, error) {
		if err := checkSocket(p.Socket()); err != nil {
			return nil, err
		}
		bounded, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		return client.New(client.Options{Socket: p.Socket()}).Status(bounded)
	}
}

// levelColours are SGR parameters.
var levelColours = map[doctor.Level]string{doctor.Problem: "31", doctor.Warning: "33", doctor.OK: "32", doctor.Skipped: "2"}

// writeReport writes the findings for people: what is wrong, and with verbose everything else, too.
func (a *app) writeReport(w io.Writer, r doctorReport, verbose bool) {
	shown := slices.DeleteFunc(slices.Clone(r.Findings), func(f doctor.Finding) bool {
		return !verbose && (f.Level == doctor.OK || f.Level == doctor.Skipped)
	})
	levels, checks := 0, 0
	for _, f := range shown {
		levels, checks = max(levels, len(f.Level)), max(checks, len(f.Check))
	}
	indent := strings.Repeat(" ", levels+checks+4)
	for _, f := range shown {
		level := fmt.Sprintf("%-*s", levels, f.Level)
		if a.colours(a.Stdout) {
			level = "\x1b[" + levelColours[f.Level] + "m" + level + "\x1b[0m"
		}
		text := strings.Join(wrap(printable(f.What), a.width()-len(indent)), "\n"+indent)
		fmt.Fprintf(w, "%s  %-*s  %s\n", level, checks, f.Check, text)
		if f.Where != "" {
			fmt.Fprintf(w, "%sat    %s\n", indent, printable(f.Where))
		}
		a.writeWays(w, f, indent)
	}
	if len(shown) > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, a.verdict(r, verbose))
}

// writeWays writes how a finding is mended. Commands stand on lines of their own, which are never broken: they are to be copied.
func (a *app) writeWays(w io.Writer, f doctor.Finding, indent string) {
	words := func(label, text string) {
		if text != "" {
			more := indent + "      "
			fmt.Fprintf(w, "%s%-4s  %s\n", indent, label, strings.Join(wrap(printable(text), a.width()-len(more)), "\n"+more))
		}
	}
	if f.Remedy == "" {
		words("do", f.Note)
	} else {
		fmt.Fprintf(w, "%smend  %s\n", indent, printable(f.Remedy))
		words("", f.Note)
	}
	for _, way := range f.Or {
		fmt.Fprintf(w, "%sor    %s\n", indent, printable(way.Command))
		words("", way.For)
	}
}

// verdict is the last line.
func (a *app) verdict(r doctorReport, verbose bool) string {
	whose := "the system's service"
	if r.Service == "user" {
		whose = "the service in " + printable(r.Home)
	}
	text := fmt.Sprintf("%s: %s, %s, %s in order", whose, plural(int64(r.Problems), "problem"), plural(int64(r.Warnings), "warning"), plural(int64(r.OK), "thing"))
	if !verbose {
		text += " (all of them: --verbose)"
	}
	if r.Skipped > 0 {
		text += fmt.Sprintf("; %d could not be looked at", r.Skipped)
		if i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Level == doctor.Skipped && f.Remedy != "" }); i >= 0 {
			text += ", root can: " + r.Findings[i].Remedy
		}
	}
	return text
}

// wrap breaks text between words into lines of width cells; width ≤ 20 breaks nothing.
func wrap(text string, width int) []string {
	if width <= 20 {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		if line != "" && displayWidth(line)+1+displayWidth(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
