//go:build systemd

package systemd_test

import (
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// TestServiceOfAUser has a user without rights install a service that the user's own systemd runs.
func TestServiceOfAUser(t *testing.T) {
	v := boot(t, "v1.0.0")
	v.Shell(`useradd -m anna; mv /root/v1.0.0 /srv/q; ln -s /srv/q/bin/queuemgr /usr/local/bin/`)
	c := caller{t, v}
	c.does("root", 2, "service install --user", "you are root")
	c.does("anna", 5, "service install --user", "systemd's manager for you cannot be reached", "nothing was changed")

	// In a session, which the service ends with.
	r, err := v.Exec(t.Context(), guest.Command{User: "anna", Login: true, Argv: []string{"sh", "-euc", `
		queuemgr service install --user --dry-run; ! test -e .config
		queuemgr service install --user
		queuemgr service status
		queuemgr service install --user
		queuemgr service disable
		queuemgr service enable`}})
	if err != nil || r.Code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	says("a dry run: nothing was changed", "your own queuemgr runs, home /home/anna/.local/share/queuemgr\n", "lingering is off", "loginctl enable-linger\n",
		"service  your own systemd unit queuemgr.service, enabled, lingering is off (loginctl enable-linger)\n", "nothing to change",
		"your own queuemgr.service is disabled: systemd does not start it with your login; it runs on",
		"your own queuemgr.service is enabled: systemd starts it with your login\n").after(t, v, r.Stdout+r.Stderr)
	if !strings.Contains(r.Stderr, "lingering is off") {
		t.Errorf("enable does not tell of lingering:\n%s", r.Stderr)
	}

	// With lingering the user's systemd runs without a session, and is found without one.
	v.Shell(`loginctl enable-linger anna; systemctl start user@$(id -u anna); systemctl is-active user@$(id -u anna)`)
	c.does("anna", 0, "service start", "your own queuemgr.service ")
	c.does("anna", 0, "service status", "service  your own systemd unit queuemgr.service, enabled\n")
	if s := c.ruled("anna"); s.Service.Manager != "systemd" || s.Service.Scope != "user" || s.Service.Unit != "queuemgr.service" ||
		s.Service.Lingering == nil || !*s.Service.Lingering || s.Service.Active == nil || !*s.Service.Active || s.Service.Home != "/home/anna/.local/share/queuemgr" {
		t.Errorf("the state as JSON: %+v", s)
	}
	c.does("anna", 0, "service enable", "is enabled already: systemd starts it with the machine\n")
	v.RunAs("anna", "sh", "-euc", `mkfifo up never; queuemgr job add -q -- sh -c 'echo up >up; read -r x <never' job98765; read -r up <up`)
	job := forever(v)
	c.does("anna", 0, "service restart", "your own queuemgr.service restarted by systemd; pid ", "; jobs go on running\n")
	c.does("anna", 0, "daemon restart", "your own queuemgr.service restarted by systemd; pid ")
	c.does("anna", 4, "daemon stop --keep-jobs", "queuemgr service restart")
	if now := forever(v); now == "" || now != job {
		t.Errorf("the job was %s, is %s", job, now)
	}
	if n := strings.Count(v.Run("pgrep", "-f", "^[^ ]*queuemgr .*daemon start"), "\n"); n != 1 {
		t.Errorf("%d daemons:\n%s", n, processes(v))
	}
	v.Run("journalctl", "--sync")
	c.does("anna", 0, "service logs", "daemon ready", "runner ready", "job added job=1 ")
	if out := c.does("anna", 0, "service logs --job 1 -n 20", "job running job=1 "); strings.Contains(out, "daemon ready") {
		t.Errorf("the logs of job 1 are\n%s", out)
	}
	state := func() string {
		return v.RunAs("anna", "sh", "-c", "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user show --property=ActiveState queuemgr.service queuemgr-runner.service")
	}
	c.does("anna", 0, "service stop", "stopping 1 job", "your own queuemgr.service stopped by systemd, with its jobs\n")
	if strings.Count(state(), "=inactive") != 2 || processes(v) != "" {
		t.Errorf("after the stop:\n%s%s", state(), processes(v))
	}
	c.does("anna", 5, "service status", "your own systemd unit queuemgr.service, enabled, inactive\n", "hint: start it: queuemgr service start\n")
	c.does("anna", 0, "service start", "your own queuemgr.service started by systemd; pid ")
	c.does("anna", 0, "daemon stop", "your own queuemgr.service stopped by systemd, with its jobs\n")
	if strings.Count(state(), "=inactive") != 2 || processes(v) != "" {
		t.Errorf("after daemon stop:\n%s%s", state(), processes(v))
	}

	// Root leaves it to that user.
	c.does("anna", 0, "service start", "your own queuemgr.service started by systemd; pid ")
	before := state() + processes(v)
	for _, command := range []string{"service start", "service stop", "service restart", "daemon start", "daemon stop", "daemon restart"} {
		c.does("root", 6, "--home /home/anna/.local/share/queuemgr "+command, "belongs to the user anna", "nothing was changed",
			"sudo -u anna queuemgr --home /home/anna/.local/share/queuemgr "+command+"\n")
	}
	if now := state() + processes(v); now != before {
		t.Errorf("root was refused, and it was\n%sis\n%s", before, now)
	}

	// It waits to start a daemon that was killed, and is no less that user's then.
	v.Shell(`mkdir -p /home/anna/.config/systemd/user/queuemgr.service.d; printf '[Service]\nRestartSec=1h\n' >/home/anna/.config/systemd/user/queuemgr.service.d/later.conf`)
	v.RunAs("anna", "sh", "-euc", `export XDG_RUNTIME_DIR=/run/user/$(id -u); systemctl --user daemon-reload
		systemctl --user kill --kill-whom=main -s KILL queuemgr; until [ "$(systemctl --user show -P SubState queuemgr)" = auto-restart ]; do :; done`)
	c.does("anna", 0, "daemon stop", "your own queuemgr.service stopped by systemd, with its jobs\n")
	if strings.Count(state(), "=inactive") != 2 || processes(v) != "" {
		t.Errorf("after daemon stop of one that waited:\n%s%s", state(), processes(v))
	}
	v.Shell(`rm -r /home/anna/.config/systemd/user/queuemgr.service.d`)
	v.RunAs("anna", "sh", "-c", "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user daemon-reload")

	// It starts with the machine.
	v.Reboot()
	v.Shell(`systemctl start user@$(id -u anna)`) // which the boot has begun to
	v.RunAs("anna", "sh", "-c", "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user is-system-running --wait")
	c.does("anna", 0, "service start", "your own queuemgr.service runs already, pid ")
	c.does("anna", 0, "job list --state stopped", "job98765")

	// Another home is not systemd's.
	c.does("anna", 0, "--home /home/anna/other service start", "service started, pid ", "; home /home/anna/other\n")
	c.does("anna", 0, "--home /home/anna/other service status", "service  your own daemon, not run by systemd\n")
	c.does("anna", 4, "--home /home/anna/other service enable", "nothing was changed", "hint: hand it to systemd: queuemgr --home /home/anna/other service install --user\n")
	c.does("anna", 0, "--home /home/anna/other service stop", "service stopped; home /home/anna/other\n")

	// Without the user's systemd nothing of it can be told, and that is said.
	v.Shell(`id=$(id -u anna); loginctl disable-linger anna; systemctl stop user@$id user-runtime-dir@$id`)
	c.does("anna", 5, "service start", "cannot be reached", "sudo loginctl enable-linger anna")
	c.does("anna", 5, "service status", "your own systemd unit queuemgr.service, systemd cannot be asked\n", "sudo loginctl enable-linger anna")
	if left := processes(v); left != "" {
		t.Errorf("processes left:\n%s", left)
	}

	v.Shell(`loginctl enable-linger anna; systemctl start user@$(id -u anna)`)
	c.does("anna", 0, "service start", "your own queuemgr.service ")
	c.does("anna", 0, "service uninstall --user", "your own queuemgr is removed; its settings, registry and logs stay: /home/anna/.local/share/queuemgr\n")
	if left := processes(v); left != "" {
		t.Errorf("processes left:\n%s", left)
	}
	if left := v.Shell(`find /home/anna/.config -name 'queuemgr*'`); left != "" {
		t.Errorf("units left:\n%s", left)
	}
	v.Run("test", "-s", "/home/anna/.local/share/queuemgr/lib/registry.db")
	c.does("anna", 5, "service status", "service  your own daemon, not run by systemd\n")
	c.does("anna", 0, "service uninstall --user", "nothing to remove")
	c.does("anna", 0, "service uninstall --user --purge", "removed with everything that it kept")
	v.Run("test", "!", "-e", "/home/anna/.local/share/queuemgr")
}
