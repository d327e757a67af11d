package install

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// userLayout is that of one user's own service: units in the user's configuration, programs where
// they are, files below the user's home.
func (r *run) userLayout() (layout, error) {
	config := r.env("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(r.env("HOME"), ".config")
	}
	if !filepath.IsAbs(config) || !filepath.IsAbs(r.Home) || !filepath.IsAbs(r.Source) {
		return layout{}, &job.Error{Code: job.Invalid, Field: "home", Message: "no home folder: HOME is not set", Hint: "say whose: export HOME=DIR"}
	}
	l := layout{units: filepath.Join(config, "systemd/user"), bin: r.Source, home: r.Home}
	l.installed = installedPrefix(r.path(filepath.Join(l.units, daemonUnit))) != ""
	return l, nil
}

// userSteps is the plan of one user's own service.
func (r *run) userSteps() []step {
	values := map[string]string{"@BIN@": unitPath(r.bin), "@HOME@": unitPath(r.home)}
	steps := []step{
		r.folder(r.home, 0o700, owner{}),
		r.folder(r.home+"/lib", 0o700, owner{}),
		r.folder(r.home+"/run", 0o700, owner{}),
		r.folder(r.home+"/log", 0o700, owner{}),
		r.unit(daemonUnit, "user/"+daemonUnit, values),
		r.unit(runnerUnit, "user/"+runnerUnit, values),
		r.verifyUnits(),
		r.reload(),
	}
	if !r.NoStart {
		steps = append(steps, r.enable(), r.start(), r.startRunner())
	}
	return steps
}

func (r *run) userFarewell(ctx context.Context) error {
	if r.NoStart {
		r.say("your own queuemgr is installed and not started; start it: systemctl --user enable --now queuemgr")
	} else {
		r.say("your own queuemgr runs, home %s", r.home)
	}
	// loginctl is of systemd and may yet be missing: then nothing is known of lingering.
	out, err := r.Exec(ctx, "loginctl", "show-user", strconv.Itoa(r.UID), "--property=Linger")
	if err == nil && strings.TrimSpace(out) == "Linger=no" {
		r.say("lingering is off: your service and its jobs end when you log out, and do not start with the machine; to have that: loginctl enable-linger")
	}
	r.say("look at it: systemctl --user status queuemgr")
	return nil
}

// unitPath writes a path so that a unit takes it as one word, as it is.
func unitPath(path string) string {
	if simplePath.MatchString(path) {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, " ", `\x20`, "\t", `\t`, `"`, `\x22`, "'", `\x27`, "%", "%%", "$", "$$").Replace(path)
}
