package install

import (
	"bufio"
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// Places that do not depend on the prefix.
const (
	etcDir        = "/etc/queuemgr"
	configFile    = etcDir + "/config.toml"
	runAsFile     = etcDir + "/run-as.toml"
	libDir        = "/var/lib/queuemgr"
	runnerLib     = "/var/lib/queuemgr-runner"
	jobHome       = "/var/lib/queuemgr-job"
	logDir        = "/var/log/queuemgr"
	logrotateFile = "/etc/logrotate.d/queuemgr"
	packageUnits  = "/usr/lib/systemd/system"
)

// layout is where an installation's files are, as the machine names them.
type layout struct {
	prefix   string
	bin      string // folder of the programs
	units    string // folder of the units
	tmpfiles string
	link     string // in everybody's PATH
	share    string // of completions and manual pages

	installed bool   // a unit of ours is there
	home      string // of User: everything of that service
}

// simplePath is a path that needs no quoting in units, shells and logrotate's files.
var simplePath = regexp.MustCompile(`^/[A-Za-z0-9/._+-]+$`)

func (r *run) findLayout() (layout, error) {
	if r.Kind == User {
		return r.userLayout()
	}
	l := layout{units: "/etc/systemd/system", tmpfiles: "/etc/tmpfiles.d/queuemgr.conf", link: "/usr/local/bin/queuemgr", share: "/usr/local/share"}
	if r.Kind == Packaged {
		l = packageLayout()
	}
	present := installedPrefix(r.path(filepath.Join(l.units, daemonUnit)))
	l.installed = present != ""
	switch {
	case r.Prefix == "" && present != "":
		l.prefix = present
	case r.Prefix == "":
		l.prefix = DefaultPrefix
	case !filepath.IsAbs(r.Prefix) || !simplePath.MatchString(r.Prefix):
		return l, &job.Error{Code: job.Invalid, Field: "prefix", Message: fmt.Sprintf("--prefix %s is no folder that a service can be in", r.Prefix),
			Hint: "give an absolute path of letters, digits and / . _ + - alone, as " + DefaultPrefix}
	default:
		l.prefix = filepath.Clean(r.Prefix)
		if present != "" && present != l.prefix {
			return l, &job.Error{Code: job.Conflict, Field: "prefix", Message: fmt.Sprintf("queuemgr is installed below %s, and --prefix says %s", present, l.prefix),
				Hint: "leave --prefix out, or remove that installation first (its settings and jobs stay): queuemgr service uninstall"}
		}
	}
	for _, dir := range []string{"/", "/etc", "/run", "/tmp", "/var/tmp", "/home", "/root", "/proc", "/sys", "/dev"} {
		if l.prefix == dir || dir != "/" && strings.HasPrefix(l.prefix, dir+"/") {
			return l, &job.Error{Code: job.Invalid, Field: "prefix", Message: fmt.Sprintf("the programs of a service must not be in %s: they would be lost, out of reach or in the way there", l.prefix),
				Hint: "give a folder as " + DefaultPrefix}
		}
	}
	l.bin = filepath.Join(l.prefix, "bin")
	return l, nil
}

// packageLayout is where a package has its files. The programs are in the same place as without one.
func packageLayout() layout {
	return layout{prefix: DefaultPrefix, bin: DefaultPrefix + "/bin", units: packageUnits, tmpfiles: "/usr/lib/tmpfiles.d/queuemgr.conf",
		link: "/usr/bin/queuemgr", share: "/usr/share"}
}

// installedPrefix returns the prefix of the installation that the unit in file belongs to, "" where
// there is none or it is not ours.
func installedPrefix(file string) string {
	data, err := regular.ReadFile(file)
	if err != nil || !regular.IsOurs(data) {
		return ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		command, ok := strings.CutPrefix(lines.Text(), "ExecStart=")
		if prefix, _, found := strings.Cut(command, "/bin/"+program+" "); ok && found {
			return prefix
		}
	}
	return ""
}

// values are what is filled into packaged files.
func (l layout) values() map[string]string {
	return map[string]string{"@PREFIX@": l.prefix, "@BIN@": l.bin, "@HOME@": l.home}
}
