//go:build systemd

package systemd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// finding is one of what `queuemgr doctor --json` prints.
type finding struct{ Check, Level, What, Where, Remedy, Note string }

// findings runs doctor as root and returns the exit code and what is not in order.
func findings(t *testing.T, v *guest.Guest) (int, []finding) {
	t.Helper()
	r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"/opt/queuemgr/bin/queuemgr", "doctor", "--json"}})
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Findings []finding }
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
		t.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
	}
	var bad []finding
	for _, f := range report.Findings {
		if f.Level != "ok" {
			bad = append(bad, f)
		}
	}
	return r.Code, bad
}

// TestDoctor breaks a fresh installation in one way after the other: each is found, and the remedy, executed as it is said, mends it.
func TestDoctor(t *testing.T) {
	v := boot(t, "v1.0.0")
	v.Run("/root/v1.0.0/install.sh")
	if code, bad := findings(t, v); code != 0 || len(bad) > 0 {
		t.Fatalf("a fresh installation: exit %d, %+v", code, bad)
	}
	if out := v.Run("queuemgr", "doctor"); !strings.HasPrefix(out, "the system's service: 0 problems, 0 warnings, ") {
		t.Errorf("it says:\n%s", out)
	}
	const daemonUnit, dropIns = "/etc/systemd/system/queuemgr.service", "/etc/systemd/system/queuemgr.service.d"
	for _, broken := range []struct {
		name, script string
		level        string // of the gravest finding
		what         string // a part of the finding that is meant
		alone        bool   // there is no other finding
	}{
		{"limits on the daemon", "mkdir -p " + dropIns + "; printf '[Service]\\nLimitNOFILE=4096\\nLimitNPROC=5000\\n' >" + dropIns + "/limits.conf; systemctl daemon-reload",
			"warning", "LimitNOFILE=, LimitNPROC= on queuemgr.service bounds the daemon and does not reach jobs", true},
		{"PrivateUsers", "mkdir -p " + dropIns + "; printf '[Service]\\nPrivateUsers=yes\\n' >" + dropIns + "/private.conf; systemctl daemon-reload", "problem", "PrivateUsers=yes", true},
		{"KillMode", "printf '[Service]\\nKillMode=mixed\\n' >/etc/systemd/system/queuemgr-runner.service.d/kill.conf; systemctl daemon-reload", "problem", "KillMode=mixed", true},
		{"readable registry", "chmod 644 /var/lib/queuemgr/registry.db", "problem", "others may read or write it (mode 0644)", true},
		{"readable folder", "chmod 755 /var/lib/queuemgr", "problem", "others may look into it: its mode is 0755 and must be 0750", true},
		{"folder of somebody else", "chown root: /var/log/queuemgr", "problem", "must be queuemgr:queuemgr-daemon", true},
		{"folder in /run", "chmod 700 /run/queuemgr-runner", "problem", "its mode is 0700 and must be 0755", true},
		{"writable policy", "chmod o+w /etc/queuemgr/run-as.toml", "problem", "others than root could change who jobs run as", true},
		{"writable program", "chown nobody /opt/queuemgr/bin/queuemgr-runner", "problem", "others than root could change /opt/queuemgr/bin/queuemgr-runner", true},
		{"closed socket", "chmod 600 /run/queuemgr/queuemgr.sock", "problem", "the socket's mode is 0600 and must be 0660", true},
		{"no link", "rm /usr/local/bin/queuemgr", "problem", "the link that puts queuemgr into everybody's PATH is missing", true},
		{"link astray", "ln -sfn /root/v1.0.0/bin/queuemgr /usr/local/bin/queuemgr", "problem", "it leads to /root/v1.0.0/bin/queuemgr", false},
		{"edited unit", "sed -i s/^RestartSec=10/RestartSec=20/ " + daemonUnit, "warning", "the unit is not that of version v1.0.0", false},
		{"no reload", "mkdir -p " + dropIns + "; printf '[Service]\\nRestartSec=20\\n' >" + dropIns + "/restart.conf", "warning", "systemd has not read it", true},
		{"disabled", "systemctl disable queuemgr", "warning", "it does not start with the machine: it is disabled", true},
		{"stopped", "systemctl stop queuemgr", "problem", "the service is stopped", true},
		{"runner stopped", "systemctl stop queuemgr-runner", "problem", "the runner does not run", false},
		{"no tmpfiles", "rm /etc/tmpfiles.d/queuemgr.conf /etc/logrotate.d/queuemgr", "problem", "missing are /etc/tmpfiles.d/queuemgr.conf, /etc/logrotate.d/queuemgr", true},
		{"no runner", "rm /opt/queuemgr/bin/queuemgr-runner", "problem", "missing are /opt/queuemgr/bin/queuemgr-runner", true},
		{"overridden drop-in", "mkdir -p " + dropIns + "; printf '[Service]\\nPrivateUsers=yes\\n' >" + dropIns + "/10-a.conf; printf '[Service]\\nPrivateUsers=no\\n' >" + dropIns + "/20-b.conf", "warning", "systemd has not read it", true},
		{"no group", "gpasswd -d queuemgr queuemgr", "problem", "user queuemgr is not in the group queuemgr", true},
		{"registry elsewhere", `sed -i '1i registry_path = "/srv/queue/registry.jsonl"' /etc/queuemgr/config.toml`, "problem", "registry_path lies where the daemon's unit does not let it write", true},
		{"daemon of somebody else", "systemctl stop queuemgr; systemctl start queuemgr-runner; runuser -u queuemgr -- queuemgr daemon start --daemon", "warning", "is not systemd's", false},
		{"link to a user's", "cp -r /opt/queuemgr/bin /srv/bin; chown games /srv/bin; mv /opt/queuemgr/bin /opt/queuemgr/bin.before; ln -s /srv/bin /opt/queuemgr/bin", "problem", "others than root could change /opt/queuemgr/bin", false},
	} {
		t.Run(broken.name, func(t *testing.T) {
			try(t, v, broken.script)
			code, bad := findings(t, v)
			var found *finding
			for i := range bad {
				if strings.Contains(bad[i].What, broken.what) {
					found = &bad[i]
				}
			}
			if found == nil || bad[0].Level != broken.level || code != map[string]int{"problem": 1, "warning": 0}[broken.level] || broken.alone && len(bad) > 1 {
				t.Fatalf("exit %d, want a %s with %q alone: %v; got %+v", code, broken.level, broken.what, broken.alone, bad)
			}
			if code, out := try(t, v, "cd /root/v1.0.0 && "+found.Remedy); code != 0 {
				t.Fatalf("the remedy %q: exit %d\n%s", found.Remedy, code, out)
			}
			if code, bad := findings(t, v); code != 0 || len(bad) > 0 {
				t.Fatalf("after %q: exit %d, %+v", found.Remedy, code, bad)
			}
		})
		if t.Failed() {
			return // what follows begins from a sound installation
		}
	}
	v.Shell("cd /; queuemgr job add --wait true")
}

// TestDoctorOfUsers: who may not look at everything is told what root can, and who is not in the group how to get in.
func TestDoctorOfUsers(t *testing.T) {
	v := boot(t, "v1.0.0", "v1.1.0")
	v.Run("/root/v1.0.0/install.sh")
	v.Shell("useradd -m -G queuemgr anna; useradd -m otto")
	ask := func(user string) string {
		t.Helper()
		r, err := v.Exec(t.Context(), guest.Command{User: user, Argv: []string{"queuemgr", "doctor"}})
		if err != nil || r.Code != 0 {
			t.Fatalf("%v %+v", err, r)
		}
		return r.Stdout
	}
	if out := ask("anna"); !strings.HasPrefix(out, "the system's service: 0 problems, 0 warnings, ") || !strings.Contains(out, "root can: sudo queuemgr doctor\n") {
		t.Errorf("a member is told:\n%s", out)
	}
	if out := ask("otto"); !strings.Contains(out, "you are not in the group queuemgr") || !strings.Contains(out, `sudo usermod -aG queuemgr "$(id -un)"`) {
		t.Errorf("somebody else is told:\n%s", out)
	}
	// In the group, but not in this login.
	r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"setpriv", "--reuid=anna", "--regid=anna", "--clear-groups", "env", "USER=anna", "queuemgr", "doctor"}})
	if err != nil || r.Code != 0 || !strings.Contains(r.Stdout, "this login does not know yet") || !strings.Contains(r.Stdout, "newgrp queuemgr") {
		t.Errorf("who has not logged in anew is told: %v\n%+v", err, r)
	}

	v.Run("/root/v1.1.0/install.sh", "--upgrade")
	code, bad := findings(t, v)
	if code != 0 || len(bad) != 1 || !strings.Contains(bad[0].What, "the runner that runs is v1.0.0, installed is v1.1.0") {
		t.Fatalf("after an upgrade: exit %d, %+v", code, bad)
	}
	remedy := bad[0].Remedy
	v.Shell(remedy)
	if code, bad := findings(t, v); code != 0 || len(bad) > 0 {
		t.Fatalf("after %q: exit %d, %+v", remedy, code, bad)
	}

	// One user's own service, beside the system's: its page needs a port of its own.
	v.Shell("cp -r /root/v1.1.0 /home/anna/q; mkdir -m 0700 /home/anna/own; printf '[web]\nlisten = \"127.0.0.1:5001\"\n' >/home/anna/own/config.toml")
	v.Shell("chmod 0600 /home/anna/own/config.toml; chown -R anna: /home/anna/q /home/anna/own; loginctl enable-linger anna")
	own := func(args ...string) (int, string) {
		t.Helper()
		r, err := v.Exec(t.Context(), guest.Command{User: "anna", Login: true, Argv: append([]string{"/home/anna/q/bin/queuemgr", "--home", "/home/anna/own"}, args...)})
		if err != nil {
			t.Fatal(err)
		}
		return r.Code, r.Stdout + r.Stderr
	}
	if code, out := own("service", "install", "--user"); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if code, out := own("doctor"); code != 0 || !strings.HasPrefix(out, "the service in /home/anna/own: 0 problems, 0 warnings, ") {
		t.Errorf("a user's own: exit %d\n%s", code, out)
	}
	// A home that can't be: in a folder of root's, and one that nobody may write.
	for home, want := range map[string]string{"/srv/none/q": "can't be made in /srv: permission denied", "/home/anna/locked": "you may not work in it yourself (mode 0555)"} {
		v.Shell("install -d -m 0555 -o anna -g anna /home/anna/locked")
		r, err := v.Exec(t.Context(), guest.Command{User: "anna", Argv: []string{"queuemgr", "--home", home, "doctor"}})
		if err != nil || r.Code != 1 || !strings.Contains(r.Stdout, want) {
			t.Errorf("%s: %v %+v", home, err, r)
		}
	}
	v.Run("loginctl", "disable-linger", "anna")
	if code, out := own("doctor"); code != 0 || !strings.Contains(out, "loginctl enable-linger") {
		t.Errorf("without lingering: exit %d\n%s", code, out)
	}
}
