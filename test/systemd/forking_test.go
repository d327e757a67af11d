//go:build systemd

package systemd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// forkingUnit is an administrator's own unit for the daemon, of Type=forking; the runner's is ours.
func forkingUnit(user, stop string) string {
	return `[Unit]
Description=queuemgr, as a daemon that forks
Wants=queuemgr-runner.service
[Service]
Type=forking
PIDFile=/run/queuemgr/forking.pid
` + user + `ExecStart=/opt/queuemgr/bin/queuemgr daemon start --daemon --pidfile /run/queuemgr/forking.pid
ExecStop=` + stop + `
Restart=always
TimeoutStopSec=60
[Install]
WantedBy=multi-user.target
`
}

func TestTypeForking(t *testing.T) {
	const (
		own = "User=queuemgr\nGroup=queuemgr-daemon\nSupplementaryGroups=queuemgr\n"
		// As ours: a stop that was meant ends the runner with all jobs while the daemon is there.
		runnerFirst = `+/bin/sh -c 'systemctl list-jobs --no-legend queuemgr.service | grep -q " stop " && exec systemctl stop queuemgr-runner.service; true'`
	)
	for _, c := range []struct{ name, user, stop string }{
		{"the daemon's account", own, runnerFirst},
		{"root", "", runnerFirst},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := forking(t, c.user, c.stop)
			c := caller{t, v}
			out := c.does("root", 0, "service start", "queuemgr.service started by systemd; pid ")
			// The parent has ended, and clients are served from that very moment on.
			c.does("root", 0, "daemon status", "running, pid "+mainPID(v)+",")
			if !strings.HasSuffix(out, "pid "+mainPID(v)+"\n") || v.ReadFile("/run/queuemgr/forking.pid") != mainPID(v)+"\n" {
				t.Errorf("the main process is %s, the PID file has %s; it said %s", mainPID(v), v.ReadFile("/run/queuemgr/forking.pid"), out)
			}
			c.does("root", 0, "service status", "service  systemd unit queuemgr.service, enabled\n")

			// The runner was found, and not started as a part of the daemon's unit.
			sleeper(v)
			runner := strings.TrimSpace(v.Run("systemctl", "show", "-P", "MainPID", "queuemgr-runner.service"))
			if got := strings.Fields(v.Run("pgrep", "-x", "queuemgr-runner")); len(got) != 1 || got[0] != runner {
				t.Errorf("runners: %s, of the unit: %s", got, runner)
			}
			if cgroup := v.Shell(`cat /proc/$(pgrep -f '[j]ob98765' | head -1)/cgroup`); !strings.Contains(cgroup, "queuemgr-runner.service") {
				t.Errorf("the job is in %s", cgroup)
			}

			job, old := forever(v), mainPID(v)
			goesOn := func(after string) {
				t.Helper()
				if now := forever(v); now == "" || now != job {
					t.Errorf("after %s: the job was %s, is %s", after, job, now)
				}
				if pid := mainPID(v); pid == old || pid == "0" || v.ReadFile("/run/queuemgr/forking.pid") != pid+"\n" {
					t.Errorf("after %s: the daemon was %s, is %s", after, old, pid)
				}
				if out := c.does("root", 0, "job list --state running", "job98765"); strings.Count(out, "job98765") != 1 {
					t.Errorf("after %s:\n%s", after, out)
				}
				old = mainPID(v)
			}
			v.Run("systemctl", "restart", "queuemgr")
			goesOn("systemctl restart")
			c.does("root", 0, "service restart", "jobs go on running")
			goesOn("service restart")
			v.Shell(`old=$(systemctl show -P MainPID queuemgr); kill -KILL $old
				until new=$(systemctl show -P MainPID queuemgr) && [ $new != 0 ] && [ $new != $old ] && systemctl is-active --quiet queuemgr; do sleep 0.2; done`)
			goesOn("SIGKILL of the daemon")

			c.does("root", 0, "service stop", "queuemgr.service stopped by systemd, with its jobs\n")
			if left := processes(v); left != "" || strings.Count(units(v), "ActiveState=inactive") != 2 {
				t.Errorf("after the stop:\n%s%s", left, units(v))
			}
			c.does("root", 0, "service start", "started by systemd")
			c.does("root", 0, "job list --state stopped", "job98765", "shutdown")
			c.does("root", 0, "service logs -n 5", "Type=forking", "/var/log/queuemgr/daemon.log")
		})
	}
}

// TestDaemonStopInAUnit has a unit's own ExecStop= be `daemon stop`, which must not wait for the unit that waits for it.
func TestDaemonStopInAUnit(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("keep jobs ", keep), func(t *testing.T) {
			stop := "/opt/queuemgr/bin/queuemgr daemon stop"
			if keep {
				stop += " --keep-jobs"
			}
			v := forking(t, "", stop)
			v.Run("systemctl", "start", "queuemgr")
			sleeper(v)
			job := forever(v)
			v.Run("timeout", "50", "systemctl", "stop", "queuemgr") // TimeoutStopSec= is longer
			if got := v.Run("systemctl", "show", "-P", "Result", "queuemgr"); got != "success\n" {
				t.Errorf("the unit's stop ended as %s", got)
			}
			now := forever(v)
			if keep && now != job || !keep && now != "" {
				t.Errorf("the job was %s, is %s", job, now)
			}
			v.Run("queuemgr", "service", "stop")
			if left := processes(v); left != "" {
				t.Errorf("left running:\n%s", left)
			}
		})
	}
}

// TestForeignUnit has a daemon be run by a unit that queuemgr knows nothing of.
func TestForeignUnit(t *testing.T) {
	v := boot(t, "v1.0.0")
	v.Shell(`ln -s /root/v1.0.0/bin/queuemgr /usr/local/bin/`)
	v.WriteFile("/etc/systemd/system/night.service", "0644", `[Service]
Type=notify
ExecStart=/usr/local/bin/queuemgr --home /srv/night daemon start
ExecStopPost=/usr/local/bin/queuemgr version
Restart=always
`)
	v.Run("systemctl", "start", "night")
	c := caller{t, v}
	c.does("root", 0, "--home /srv/night service status", "systemd unit night.service, static\n")
	for _, verb := range []string{"stop", "restart"} {
		for _, noun := range []string{"daemon", "service"} {
			c.does("root", 4, "--home /srv/night "+noun+" "+verb, "systemd runs the daemon as night.service", "nothing was changed", "hint: systemctl "+verb+" night.service\n")
		}
	}
	c.does("root", 0, "--home /srv/night daemon status", "running, pid "+strings.TrimSpace(v.Run("systemctl", "show", "-P", "MainPID", "night.service"))+",")
}

// forking boots a guest with the service, whose daemon's unit is an administrator's of Type=forking.
func forking(t *testing.T, user, stop string) *guest.Guest {
	t.Helper()
	v := installed(t, guest.Container, "v1.0.0")
	v.Run("systemctl", "stop", "queuemgr")
	v.WriteFile("/etc/systemd/system/queuemgr.service", "0644", forkingUnit(user, stop))
	v.Run("systemctl", "daemon-reload")
	return v
}
