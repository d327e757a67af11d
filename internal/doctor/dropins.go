package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/regular"
)

// limit are directives that bound processes: jobs', where they stand on the runner's unit.
var limit = regexp.MustCompile(`^(Limit[A-Z]+|Memory(Max|High|Low|Min|SwapMax|Limit)|CPU(Weight|Quota|Shares)|TasksMax|IO(Weight|DeviceWeight|(Read|Write)(BandwidthMax|IOPSMax))|BlockIOWeight|AllowedCPUs|Nice|OOMScoreAdjust)$`)

// directive is a line of a drop-in.
type directive struct{ file, key, value string }

// dropIns looks whether an administrator's additions to the units do what they are meant to.
func (e *exam) dropIns(context.Context) {
	daemon, runner := e.directives(install.DaemonUnit), e.directives(install.RunnerUnit)
	before := len(e.findings)
	e.limitsOnDaemon(daemon)
	e.breaking(install.DaemonUnit, daemon, []rule{
		{"PrivateUsers", isYes, last, "the daemon can't tell who connects: every user is nobody"},
		{"DynamicUser", isYes, last, "the daemon is not the user its files belong to"},
		{"RuntimeDirectory", isSet, list, "systemd removes that folder when the daemon stops, and the folders in /run are shared with the runner"},
	})
	e.breaking(install.RunnerUnit, runner, []rule{
		{"KillMode", func(v string) bool { return v != "" && v != "process" }, last, "a crash or a restart of the runner kills all jobs"},
		{"Delegate", isNo, last, "the control group is systemd's own, and it may move or kill jobs in it"},
		{"RuntimeDirectory", isSet, list, "systemd removes that folder when the runner stops, with the socket that the daemon looks for"},
		{"StopPropagatedFrom", isSet, dependency, "a crash of the daemon stops all jobs"},
		{"PartOf", isSet, dependency, "a restart of the daemon stops all jobs"},
		{"BindsTo", isSet, dependency, "a crash of the daemon stops all jobs"},
	})
	if e.system() {
		e.breaking(install.RunnerUnit, runner, []rule{{"User", isSet, last, "the runner must be root to become each job's user"}})
	}
	if i := slices.IndexFunc(daemon, func(d directive) bool { return d.key == "ExecStop" }); i >= 0 {
		d := daemon[i]
		remedy, note := e.without(d)
		e.warn(d.file, remedy, "ExecStop= is changed: the unit's own stops the runner and its jobs with the service").note(note)
	}
	if len(e.findings) == before {
		e.ok("", "the drop-ins, %d lines in all, are in order", len(daemon)+len(runner))
	}
}

func isYes(v string) bool {
	return slices.Contains([]string{"yes", "y", "true", "t", "on", "1", "self", "identity", "full"}, strings.ToLower(v))
}
func isNo(v string) bool {
	return slices.Contains([]string{"no", "n", "false", "f", "off", "0"}, strings.ToLower(v))
}
func isSet(v string) bool { return v != "" && v != "root" && v != "0" }

// rule is a value of a directive that breaks something.
type rule struct {
	key   string
	bad   func(value string) bool
	lines lines
	what  string
}

// lines says what several lines of one directive are together; systemd.syntax(7).
type lines int

const (
	last       lines = iota // the last one holds
	list                    // all hold that stand behind the last empty one
	dependency              // all hold
)

// breaking tells of directives that break something: in a drop-in, or as systemd has them in force.
func (e *exam) breaking(name string, dropIns []directive, rules []rule) {
	for _, r := range rules {
		d, bad := effective(dropIns, r)
		u := e.units[name]
		value, known := u[r.key]
		// Where systemd has read the drop-in, what it has made of it counts.
		read := known && u["NeedDaemonReload"] != "yes" && (d == nil || slices.Contains(strings.Fields(u["DropInPaths"]), d.file))
		switch {
		case bad && !(read && !r.bad(value)):
			remedy, note := e.without(*d)
			e.problem(d.file, remedy, "%s=%s on %s: %s", d.key, d.value, name, r.what).note(note)
			continue
		case !r.bad(value), d != nil && !read: // mended by the reload that another check asks for
			continue
		}
		if file := e.shared(name, r); file != "" {
			e.problem(file, e.sudo(e.systemctl("edit "+strings.TrimSuffix(name, ".service"))),
				"%s=%s on %s: %s; the file holds for other services, too", r.key, value, name, r.what).note("overrule it for this service alone")
			continue
		}
		e.problem(u["FragmentPath"], e.repair(), "%s=%s on %s: %s", r.key, value, name, r.what)
	}
}

// effective returns the line of a directive that holds when systemd has read all, nil for none, and whether it
// breaks the rule; of those that hold together one that does.
func effective(dropIns []directive, r rule) (held *directive, bad bool) {
	for i, d := range dropIns {
		if d.key != r.key {
			continue
		}
		reset := r.lines == last || r.lines == list && d.value == ""
		if reset || !bad {
			held, bad = &dropIns[i], r.bad(d.value)
		}
	}
	return held, bad
}

// shared returns the drop-in of several units (service.d, queuemgr-.service.d) that breaks a rule, "" for none.
func (e *exam) shared(name string, r rule) string {
	for _, file := range strings.Fields(e.units[name]["DropInPaths"]) {
		if ofUnit(file, name) {
			continue
		}
		if lines, err := e.lines(file); err == nil && slices.ContainsFunc(lines, func(d directive) bool { return d.key == r.key && r.bad(d.value) }) {
			return file
		}
	}
	return ""
}

// ofUnit reports whether a drop-in is of that unit alone.
func ofUnit(file, name string) bool { return filepath.Base(filepath.Dir(file)) == name+".d" }

// What a remedy does to jobs is said of it.
const (
	endsJobs  = "jobs that run are stopped"
	keepsJobs = "jobs go on running"
)

// without is how to do without a line of a drop-in, and what that does to jobs.
func (e *exam) without(d directive) (remedy, note string) {
	commands := []string{fmt.Sprintf("sed -i '/^%s[ \\t]*=/d' %s", d.key, Quote(d.file)), e.systemctl("daemon-reload")}
	switch {
	case !strings.HasSuffix(filepath.Dir(d.file), install.RunnerUnit+".d"):
		commands = append(commands, e.systemctl("restart queuemgr"))
	case d.key == "User" || d.key == "Delegate": // the rest holds from the reload on
		return e.sudo(append(commands, e.systemctl("stop queuemgr"), e.systemctl("start queuemgr"))...), endsJobs
	}
	return e.sudo(commands...), ""
}

// limitsOnDaemon tells of limits that were meant for jobs and do not reach them.
func (e *exam) limitsOnDaemon(dropIns []directive) {
	files := map[string][]string{}
	var order []string
	whole := map[string]bool{}
	for i, d := range dropIns {
		if _, seen := whole[d.file]; !seen {
			whole[d.file] = true
			order = append(order, d.file)
		}
		switch overridden := slices.ContainsFunc(dropIns[i+1:], func(later directive) bool { return later.key == d.key }); {
		case !limit.MatchString(d.key):
			whole[d.file] = false
		case !overridden && d.value != "" && d.value != "infinity":
			files[d.file] = append(files[d.file], d.key+"=")
		}
	}
	for _, file := range order {
		if len(files[file]) == 0 {
			continue
		}
		dir := filepath.Join(e.inst.UnitDir, install.RunnerUnit+".d")
		remedy, note := e.sudo(e.systemctl("edit queuemgr-runner")), "move those lines there"
		target := filepath.Join(dir, filepath.Base(file))
		if whole[file] && !e.isThere(target) {
			remedy, note = e.sudo("mkdir -p "+Quote(dir), "mv "+Quote(file)+" "+Quote(target), e.systemctl("daemon-reload")), ""
		}
		e.warn(file, remedy, "%s on %s bounds the daemon and does not reach jobs, which are processes of %s (Limit…= holds there from the service's next stop and start)",
			strings.Join(files[file], ", "), install.DaemonUnit, install.RunnerUnit).note(note)
	}
}

// directives reads the drop-ins of a unit alone, in the order of their names. Those of several units are meant for
// all of them, and no remedy may touch them.
func (e *exam) directives(name string) []directive {
	files := slices.DeleteFunc(strings.Fields(e.units[name]["DropInPaths"]), func(file string) bool { return !ofUnit(file, name) })
	dir := filepath.Join(e.inst.UnitDir, name+".d")
	found, _ := filepath.Glob(e.path(filepath.Join(dir, "*.conf"))) // the pattern is a good one
	for _, path := range found {
		if file := filepath.Join(dir, filepath.Base(path)); !slices.Contains(files, file) {
			files = append(files, file) // systemd has not read it yet
		}
	}
	// As systemd has them: by name, whatever their folders.
	slices.SortStableFunc(files, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	var all []directive
	for _, file := range files {
		lines, err := e.lines(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // systemd has not noticed yet
		}
		if err != nil {
			e.skip(file, err, "the drop-in can't be read: %v", reason(err))
			continue
		}
		all = append(all, lines...)
	}
	return all
}

// lines reads a drop-in.
func (e *exam) lines(file string) (all []directive, err error) {
	data, err := regular.ReadFile(e.path(file))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		if ok && line[0] != '#' && line[0] != ';' {
			all = append(all, directive{file, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return all, nil
}

// writablePaths looks whether the daemon's sandbox lets it write where the settings say.
func (e *exam) writablePaths(context.Context) {
	u := e.units[install.DaemonUnit]
	if u == nil || u["ProtectSystem"] != "strict" {
		return
	}
	for key, name := range map[string]string{"registry_path": filepath.Dir(e.Config.RegistryPath), "proc_dir": e.Config.ProcDir} {
		if slices.ContainsFunc(strings.Fields(u["ReadWritePaths"]), func(p string) bool { return within(name, strings.TrimLeft(p, "-+")) }) {
			e.ok(name, "the daemon may write where %s is", key)
			continue
		}
		dir := filepath.Join(e.inst.UnitDir, install.DaemonUnit+".d")
		e.problem(name, e.sudo("mkdir -p "+Quote(name)+" "+Quote(dir), "chown queuemgr:queuemgr-daemon "+Quote(name))+" && "+
			fmt.Sprintf("printf '%%s\\n' '[Service]' %s | ", Quote("ReadWritePaths="+unitWord.Replace(name)))+e.sudo("tee "+Quote(dir+"/"+strings.ReplaceAll(key, "_", "-")+".conf"), "systemctl daemon-reload", "systemctl restart queuemgr"),
			"the setting %s lies where the daemon's unit does not let it write", key)
	}
}

// unitWord writes a path so that ReadWritePaths= takes it as one word, as it is.
var unitWord = strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t", `"`, `\"`, "'", `\'`, "%", "%%")

// within reports whether a file is in a folder, or the folder itself.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
