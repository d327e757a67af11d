package install

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// userLayout is that of one user's own service: units in the user's configuration, programs where
// they are, files below the user's home.
func (r *run) userLayout() (layout, error) {
	units, err := r.userUnits()
	if err != nil {
		return layout{}, err
	}
	l := layout{units: units, bin: r.Source, home: r.Home}
	l.installed = installedPrefix(r.path(filepath.Join(l.units, daemonUnit))) != ""
	return l, nil
}

// userUnits is the folder of a user's units.
func (r *run) userUnits() (string, error) {
	config := r.env("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(r.env("HOME"), ".config")
	}
	if !filepath.IsAbs(config) {
		return "", &job.Error{Code: job.Invalid, Field: "home", Message: "no home folder: HOME is not set", Hint: "say whose: export HOME=DIR"}
	}
	return filepath.Join(config, "systemd/user"), nil
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
	if lingers, known := r.manager().Lingers(ctx, r.UID); known && !lingers {
		r.say("%s", LingeringIsOff)
	}
	r.say("look at it: queuemgr --home %s service status", r.home)
	return nil
}

// LingeringIsOff says what a user's own service is without lingering.
const LingeringIsOff = "lingering is off: your service and its jobs end when you log out, and do not start with the machine; to have that: loginctl enable-linger"

// HasUserUnit reports whether `service install --user` has handed the service in the absolute folder home
// to systemd's manager for the user that environ is of.
func HasUserUnit(home string, environ []string) bool {
	r := &run{Options: Options{Kind: User, Environ: environ}}
	dir, err := r.userUnits()
	if err != nil {
		return false
	}
	data, err := regular.ReadFile(filepath.Join(dir, daemonUnit))
	return err == nil && regular.IsOurs(data) && bytes.Contains(data, []byte("/"+program+" --home "+unitPath(home)+" daemon start\n"))
}

// unitPath writes a path so that a unit takes it as one word, as it is.
func unitPath(path string) string {
	if simplePath.MatchString(path) {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, " ", `\x20`, "\t", `\t`, `"`, `\x22`, "'", `\x27`, "%", "%%", "$", "$$").Replace(path)
}
