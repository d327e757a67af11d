//go:build systemd

package systemd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// smallDisk boots a guest with one small disk for programs and registry, and the service on it.
func smallDisk(t *testing.T) *guest.Guest {
	t.Helper()
	v := boot(t, "v1.0.0", "v1.1.0")
	v.Shell(`mkdir -p /small /opt /var/lib/queuemgr
		mount -t tmpfs -o size=400M none /small
		mkdir /small/opt /small/lib
		mount --bind /small/opt /opt
		mount --bind /small/lib /var/lib/queuemgr`)
	v.WriteFile("/etc/queuemgr/config.toml", "0640", "min_free_space = \"1MiB\"\n")
	v.Run("/root/v1.0.0/install.sh")
	return v
}

// leave has something else fill the small disk up, but for so many bytes.
const leave = `leave() {
	rm -f /small/other
	free=$(stat -f -c '%a * %S' /small)
	fallocate -l $(($free - $1)) /small/other
}
`

// TestUpgradeOnAFullDisk: the disk fills up in the middle of an upgrade, before the first program is written and between the two.
func TestUpgradeOnAFullDisk(t *testing.T) {
	v := smallDisk(t)
	// A registry of some size: waiting jobs with long command lines.
	v.Shell(`cd /; queuemgr queue add paused >/dev/null; queuemgr queue pause paused >/dev/null
		word=$(head -c 60000 /dev/zero | tr '\0' x)
		for i in $(seq 200); do printf '{"command":["true","%s"],"queue":"paused"}\n' $word; done | queuemgr job add -q --file - >/dev/null`)
	for range 3 {
		sleeper(v)
	}
	jobs := func() string { return v.Shell(`ps -eo pid=,lstart=,args= | grep '[j]ob98765'`) }
	daemon := func() string {
		return v.Run("systemctl", "show", "--property=MainPID", "queuemgr.service", "queuemgr-runner.service")
	}
	programs := func() string { return v.Shell(`cd /opt/queuemgr && find . | sort && sha256sum bin/*`) }
	jobsBefore, daemonBefore, programsBefore := jobs(), daemon(), programs()
	asBefore := func(what string) {
		t.Helper()
		if diff := cmp.Diff(programsBefore, programs()); diff != "" {
			t.Errorf("%s: the programs differ: %s", what, diff)
		}
		if now := daemon(); now != daemonBefore {
			t.Errorf("%s: daemon and runner were\n%sare\n%s", what, daemonBefore, now)
		}
		if now := jobs(); now != jobsBefore {
			t.Errorf("%s: jobs were\n%sare\n%s", what, jobsBefore, now)
		}
		if out := v.Run("queuemgr", "service", "status"); !strings.Contains(out, "queuemgr v1.0.0 ") || !strings.Contains(out, "3 running") {
			t.Errorf("%s: status:\n%s", what, out)
		}
		v.Shell("! ls /var/lib/queuemgr/registry.db.before-upgrade*")
	}

	// Room for the programs, and not for the copy of the registry beside: seen before anything is done.
	code, out := try(t, v, leave+`leave $(($(cat /root/v1.1.0/bin/* | wc -c) + (5 << 20))); /root/v1.1.0/install.sh --upgrade`)
	if code != 1 || !strings.Contains(out, "KiB are needed; nothing was changed") || !strings.Contains(out, "hint: free some room") {
		t.Errorf("too little room: exit %d\n%s", code, out)
	}
	asBefore("too little room")

	for what, left := range map[string]string{
		"before the first program": "0",
		"between the programs":     `$(($(stat -c %s /root/v1.1.0/bin/queuemgr) + (256 << 10)))`,
	} {
		// The old program copies the registry by way of runuser; when it has, the disk is filled.
		v.Run("rm", "-f", "/small/other")
		v.WriteFile("/usr/local/sbin/runuser", "0755", "#!/bin/sh\n"+leave+fmt.Sprintf(`/usr/sbin/runuser "$@" || exit
case " $* " in *" registry backup /var/lib/queuemgr/registry.db.before-upgrade.new "*) leave %s ;; esac
`, left))
		code, out := try(t, v, "/root/v1.1.0/install.sh --upgrade")
		if code != 1 || !strings.Contains(out, "no space left on device") || !strings.Contains(out, "; the service runs as before") ||
			!strings.Contains(out, "hint: free some room on the disk of /opt/queuemgr/bin ") || !strings.Contains(out, ", then run this again") {
			t.Errorf("%s: exit %d\n%s", what, code, out)
		}
		asBefore(what)
	}

	v.Run("rm", "/small/other", "/usr/local/sbin/runuser")
	v.Run("/root/v1.1.0/install.sh", "--upgrade")
	if out := v.Run("queuemgr", "service", "status"); !strings.Contains(out, "queuemgr v1.1.0 ") || !strings.Contains(out, "3 running") || !strings.Contains(out, "200 queued") {
		t.Errorf("with room again: status:\n%s", out)
	}
	if now := jobs(); now != jobsBefore {
		t.Errorf("with room again: jobs were\n%sare\n%s", jobsBefore, now)
	}
	v.Run("test", "-s", "/var/lib/queuemgr/registry.db.before-upgrade")
}
