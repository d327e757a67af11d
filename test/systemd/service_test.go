//go:build systemd

package systemd_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// caller runs the service's program as a user in a guest, and says what was wrong with its answers.
type caller struct {
	t *testing.T
	v *guest.Guest
}

// does runs queuemgr, whose exit code must be code and whose output must have all of words, in any order.
func (c caller) does(user string, code int, args string, words ...string) string {
	c.t.Helper()
	got, out := as(c.t, c.v, user, strings.Fields(args)...)
	if got != code {
		c.t.Errorf("%s: queuemgr %s: exit %d, want %d\n%s", user, args, got, code, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			c.t.Errorf("%s: queuemgr %s did not say %q:\n%s", user, args, w, out)
		}
	}
	return out
}

// ruled is the field service of `service status --json`, which is printed with any exit code.
func (c caller) ruled(user string) (status struct {
	PID     int              `json:"pid"`
	Jobs    map[string]int64 `json:"jobs"`
	Service struct {
		Manager, Scope, Unit, State, Home string
		Enabled, Active, Lingering        *bool
	} `json:"service"`
}) {
	c.t.Helper()
	r, err := c.v.Exec(c.t.Context(), guest.Command{User: user, Argv: []string{"queuemgr", "service", "status", "--json"}})
	if err == nil {
		err = json.Unmarshal([]byte(r.Stdout), &status)
	}
	if err != nil {
		c.t.Fatalf("%v in\n%s%s", err, r.Stdout, r.Stderr)
	}
	return status
}

// units is how both units are, with their processes.
func units(v *guest.Guest) string {
	return v.Run("systemctl", "show", "--property=Id,ActiveState,UnitFileState,MainPID", "queuemgr.service", "queuemgr-runner.service")
}

func mainPID(v *guest.Guest) string {
	return strings.TrimSpace(v.Run("systemctl", "show", "-P", "MainPID", "queuemgr.service"))
}

func TestServiceBySystemd(t *testing.T) {
	v := installed(t, guest.Container, "v1.0.0")
	c := caller{t, v}
	c.does("root", 0, "service status", "\nservice  systemd unit queuemgr.service, enabled\n")
	s := c.ruled("anna")
	if s.Service.Manager != "systemd" || s.Service.Scope != "system" || s.Service.Unit != "queuemgr.service" || s.Service.State != "active" ||
		s.Service.Enabled == nil || !*s.Service.Enabled || s.Service.Active == nil || !*s.Service.Active || fmt.Sprint(s.PID) != mainPID(v) || s.Jobs == nil {
		t.Errorf("the state as JSON: %+v", s)
	}

	// Without rights nothing is changed.
	before := units(v)
	for _, verb := range []string{"start", "stop", "restart", "enable", "disable"} {
		c.does("anna", 6, "service "+verb, "only root may "+verb, "nothing was changed", "hint: sudo queuemgr service "+verb)
	}
	c.does("otto", 6, "service status", "service  systemd unit queuemgr.service, enabled\n", "group queuemgr")
	c.does("anna", 6, "service logs", "hint: sudo queuemgr service logs")
	if now := units(v); now != before {
		t.Errorf("units were\n%sare\n%s", before, now)
	}

	// Restarts leave jobs running; what cannot start ends nothing.
	sleeper(v)
	job, old := forever(v), mainPID(v)
	out := c.does("root", 0, "service restart", "queuemgr.service restarted by systemd; pid ", "; jobs go on running\n")
	if pid := mainPID(v); pid == old || !strings.Contains(out, "pid "+pid+";") {
		t.Errorf("the daemon was %s, is %s; it said %s", old, pid, out)
	}
	old = mainPID(v)
	c.does("root", 0, "daemon restart", "queuemgr.service restarted by systemd")
	if pid := mainPID(v); pid == old || strings.Count(v.Run("pgrep", "-f", "queuemgr daemon start"), "\n") != 1 {
		t.Errorf("the daemon is %s of\n%s", pid, processes(v))
	}
	before = units(v)
	v.Shell(`cp -p /etc/queuemgr/config.toml /root/; sed -i '1i max_concurent_jobs = 1' /etc/queuemgr/config.toml`)
	c.does("root", 2, "service restart", "did you mean", "max_concurrent_jobs")
	v.Shell(`cp -p /root/config.toml /etc/queuemgr/`)
	c.does("root", 2, "service restart --max-concurrent-jobs 3", "cannot be given", "/etc/queuemgr/config.toml")
	c.does("root", 0, "service start", "queuemgr.service runs already, pid "+mainPID(v))
	c.does("root", 4, "daemon stop --keep-jobs", "queuemgr service restart")
	if now := units(v); now != before || forever(v) != job {
		t.Errorf("units were\n%sare\n%sthe job was %s is %s", before, now, job, forever(v))
	}

	// Logs are the journal's.
	v.Run("queuemgr", "job", "add", "--wait", "true")
	v.Run("journalctl", "--sync")
	c.does("root", 0, "service logs", "daemon ready", "runner ready", "job added job=1 ")
	if out := c.does("root", 0, "service logs --job 2 -n 50", "job added job=2 "); strings.Contains(out, "job=1 ") || strings.Contains(out, "daemon ready") {
		t.Errorf("the logs of job 2 are\n%s", out)
	}
	if out := c.does("root", 0, "service logs -n 1"); strings.Count(out, "\n") != 1 {
		t.Errorf("one line is\n%s", out)
	}
	v.Shell(`queuemgr service logs -f -n 1 >/run/said & reader=$!
		timeout 60 sh -c 'tail -n +1 -f /run/said | grep -q -m1 .'
		queuemgr job add -q --wait true; timeout 60 sh -c 'tail -n +1 -f /run/said | grep -q -m1 "job completed job=3 "'; kill $reader; code=0; wait $reader || code=$?; [ $code = 130 ]`)
	v.Run("usermod", "-aG", "systemd-journal", "bert")
	c.does("bert", 0, "service logs -n 3", "job=3 ")

	// A stop is one: systemd does not start it again.
	c.does("root", 0, "service stop", "stopping 1 job", "queuemgr.service stopped by systemd, with its jobs\n")
	if now := units(v); strings.Count(now, "ActiveState=inactive") != 2 || processes(v) != "" || v.Run("systemctl", "list-jobs", "--no-legend") != "" {
		t.Errorf("after the stop:\n%s%s", now, processes(v))
	}
	c.does("root", 0, "service stop", "queuemgr.service does not run\n")
	c.does("root", 5, "service status", "service  systemd unit queuemgr.service, enabled, inactive\n", "hint: start it: queuemgr service start\n")
	c.does("anna", 5, "service status", "hint: start it: sudo queuemgr service start\n")
	if s := c.ruled("anna"); s.Service.Active == nil || *s.Service.Active || s.Service.State != "inactive" || s.PID != 0 {
		t.Errorf("the state as JSON: %+v", s)
	}

	// A daemon that was started by hand is in the way, and told apart.
	c.does("root", 0, "daemon start --daemon")
	c.does("root", 0, "service status", "enabled, inactive, but the daemon that answers, pid ", " is not run by it")
	c.does("root", 4, "service start", "a daemon that systemd did not start runs already", "hint: end it with its jobs, then run this again: queuemgr daemon stop\n")
	c.does("root", 0, "daemon stop", "daemon stopped\n")

	if out := c.does("root", 0, "service start", "queuemgr.service started by systemd; pid "); !strings.HasSuffix(out, "pid "+mainPID(v)+"\n") {
		t.Errorf("the daemon is %s, and it said %s", mainPID(v), out)
	}
	c.does("root", 0, "job list --state stopped", "job98765", "shutdown")
	c.does("root", 0, "daemon stop", "queuemgr.service stopped by systemd")
	if now := units(v); strings.Count(now, "ActiveState=inactive") != 2 {
		t.Errorf("after daemon stop:\n%s", now)
	}
	c.does("root", 0, "service restart", "queuemgr.service did not run; started by systemd, pid ")

	// One that was killed is systemd's while it waits to start it again.
	v.Shell(`mkdir -p /run/systemd/system/queuemgr.service.d; printf '[Service]\nRestartSec=1h\n' >/run/systemd/system/queuemgr.service.d/later.conf; systemctl daemon-reload`)
	kill := func() {
		v.Shell(`systemctl kill --kill-whom=main -s KILL queuemgr; until [ "$(systemctl show -P SubState queuemgr)" = auto-restart ]; do :; done`)
	}
	kill()
	c.does("root", 0, "daemon restart", "queuemgr.service restarted by systemd; pid ")
	if pid := mainPID(v); pid == "0" || strings.Count(v.Run("pgrep", "-f", "queuemgr daemon start"), "\n") != 1 {
		t.Errorf("after daemon restart of one that waited the daemon is %s of\n%s", pid, processes(v))
	}
	kill()
	c.does("root", 0, "daemon stop", "queuemgr.service stopped by systemd")
	if now := units(v); strings.Count(now, "ActiveState=inactive") != 2 || processes(v) != "" {
		t.Errorf("after daemon stop of one that waited:\n%s%s", now, processes(v))
	}
	v.Shell(`rm -r /run/systemd/system/queuemgr.service.d; systemctl daemon-reload`)
	c.does("root", 0, "service start", "started by systemd")

	// With the machine, or not.
	enabled := func() string {
		_, out := try(t, v, "systemctl is-enabled queuemgr.service")
		return strings.TrimSpace(out)
	}
	c.does("root", 0, "service enable", "queuemgr.service is enabled already: systemd starts it with the machine\n")
	c.does("root", 0, "service disable", "queuemgr.service is disabled: systemd does not start it with the machine; it runs on until: queuemgr service stop\n")
	if enabled() != "disabled" {
		t.Errorf("it is %s", enabled())
	}
	c.does("root", 0, "service status", "systemd unit queuemgr.service, disabled\n")
	c.does("root", 0, "service disable", "is disabled already")
	c.does("root", 0, "service enable", "queuemgr.service is enabled: systemd starts it with the machine\n")
	if enabled() != "enabled" {
		t.Errorf("it is %s", enabled())
	}

	// What systemd cannot do is said, with where to look.
	v.Shell(`mount --bind /etc/systemd/system /etc/systemd/system; mount -o remount,bind,ro /etc/systemd/system`)
	c.does("root", 1, "service disable", "systemd does not disable queuemgr.service: ", "Read-only file system", "hint: systemd keeps that as a link below /etc/systemd/system: have it writable")
	v.Shell(`umount /etc/systemd/system`)
	if enabled() != "enabled" {
		t.Errorf("it is %s", enabled())
	}

	// What keeps it from starting is said.
	v.Shell(`systemctl stop queuemgr; sed -i '1i max_concurent_jobs = 1' /etc/queuemgr/config.toml`)
	c.does("root", 1, "service start", "queuemgr.service did not become ready", `unknown setting "max_concurent_jobs"`, "queuemgr service logs")
	c.does("root", 5, "service status", "systemd unit queuemgr.service, enabled, ", "hint: see why: queuemgr service logs -n 20; start it: queuemgr service start")
	c.does("root", 0, "service stop", "stopped by systemd")
	v.Shell(`cp -p /root/config.toml /etc/queuemgr/; mv /etc/systemd/system/queuemgr.service /root/; systemctl mask queuemgr.service; systemctl daemon-reload`)
	c.does("root", 4, "service start", "is masked", "hint: if that is no longer meant: systemctl unmask queuemgr.service")
	c.does("root", 5, "service status", "systemctl unmask queuemgr.service")
	v.Shell(`systemctl unmask queuemgr.service; systemctl daemon-reload`)
	c.does("root", 4, "service start", "queuemgr.service of the system's service is missing", "nothing was changed", "sudo queuemgr service install")
	c.does("root", 5, "service status", "hint: its unit is missing, which this repairs: sudo queuemgr service install\n")
	for _, command := range []string{"service restart", "daemon start", "daemon start --daemon", "daemon restart"} {
		c.does("root", 4, command, "queuemgr.service of the system's service is missing", "nothing was changed", "sudo queuemgr service install", "queuemgr daemon start --foreground")
	}
	if left := processes(v); left != "" {
		t.Errorf("without its unit it was started: %s", left)
	}
	v.Shell(`queuemgr daemon start --foreground >/dev/null 2>&1 & until queuemgr daemon status; do :; done; queuemgr service stop; wait $!`)
	v.Shell(`chown queuemgr: /var/lib/queuemgr/* /var/log/queuemgr/daemon.log /run/queuemgr/*; rm -f /run/queuemgr/queuemgr.sock`)
	v.Shell(`mv /root/queuemgr.service /etc/systemd/system/; systemctl daemon-reload`)
	c.does("root", 0, "service start", "started by systemd")

	// Without its settings it is still the system's.
	v.Run("mv", "/etc/queuemgr/config.toml", "/root/")
	c.does("root", 0, "service status", "service  systemd unit queuemgr.service, ", "home     /var/lib/queuemgr\n")
	c.does("anna", 0, "job add -q --wait -- true")
	c.does("root", 0, "service restart", "queuemgr.service restarted by systemd")
	c.does("anna", 0, "job list", "true")
	c.does("root", 0, "service stop", "queuemgr.service stopped by systemd")
	c.does("anna", 6, "service start", "only root may start the system's service")
	c.does("root", 0, "service start", "started by systemd")
	v.Run("test", "!", "-e", "/var/lib/queuemgr/.local")
	v.Run("mv", "/root/config.toml", "/etc/queuemgr/")
}

// TestServiceWithoutSystemd has the system's service on a machine where systemd does not rule, as in a container.
func TestServiceWithoutSystemd(t *testing.T) {
	v := installed(t, guest.Container, "v1.0.0")
	v.Run("queuemgr", "service", "stop")
	out := v.Shell(`exec unshare --mount sh -euc '
		mount -t tmpfs none /run/systemd
		queuemgr service start
		queuemgr job add --wait -- sh -c "exit 0"
		queuemgr service status
		! runuser -u anna -- queuemgr service stop
		! queuemgr service enable
		queuemgr service logs -n 1
		queuemgr service restart
		queuemgr service stop
	' 2>&1`)
	says("service started, pid ", "service  the system's daemon, not run by systemd\n", "runner   pid ", "hint: sudo queuemgr service stop",
		"systemd does not run here", "hint: have that run: queuemgr daemon start --daemon\n", "time=", "daemon restarted, pid ", "service stopped; home /var/lib/queuemgr\n").after(t, v, out)
	if left := processes(v); left != "" {
		t.Errorf("processes left:\n%s", left)
	}
}
