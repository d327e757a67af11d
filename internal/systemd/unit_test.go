package systemd

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMember(t *testing.T) {
	for _, c := range []struct {
		cgroups string
		want    Member
	}{
		{"0::/system.slice/queuemgr.service\n", Member{Unit: "queuemgr.service", UID: -1}},
		{"0::/system.slice/queuemgr-runner.service/jobs\n", Member{Unit: "queuemgr-runner.service", UID: -1}},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/queuemgr.service\n", Member{Unit: "queuemgr.service", UID: 1000}},
		{"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", Member{}},
		{"0::/user.slice/user-1000.slice/session-3.scope\n", Member{}},
		{"0::/user.slice/user-x.slice/user@x.service/queuemgr.service\n", Member{}},
		{"12:cpu:/system.slice/other.service\n1:name=systemd:/system.slice/queuemgr.service\n0::/\n", Member{Unit: "queuemgr.service", UID: -1}},
		{"4:memory:/docker/0123.service\n1:name=systemd:/docker/0123\n", Member{}},
		{"0::/\n", Member{}},
		{"nonsense", Member{}},
		{"", Member{}},
	} {
		if diff := cmp.Diff(c.want, member(c.cgroups)); diff != "" {
			t.Errorf("%q: %s", c.cgroups, diff)
		}
	}
}

// said returns a Manager to which each program says the same.
func said(out string, err error, lines *[]string) Manager {
	return Manager{User: true, Exec: func(_ context.Context, name string, args ...string) (string, error) {
		*lines = append(*lines, cmdLine(name, args))
		return out, err
	}}
}

func cmdLine(name string, args []string) string {
	for _, a := range args {
		name += " " + a
	}
	return name
}

func TestUnit(t *testing.T) {
	var lines []string
	u, err := said("LoadState=loaded\nActiveState=activating\nUnitFileState=enabled\nType=forking\nMainPID=71\nNeedDaemonReload=yes\n", nil, &lines).Unit(t.Context(), "a.service")
	if diff := cmp.Diff(Unit{Load: "loaded", Active: "activating", File: "enabled", Type: "forking", MainPID: 71, Stale: true}, u); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if !u.Known() || !u.Runs() || !u.Enabled() || u.Masked() {
		t.Errorf("%+v", u)
	}
	if want := "systemctl --user show --property=LoadState,ActiveState,UnitFileState,Type,MainPID,NeedDaemonReload a.service"; lines[0] != want {
		t.Errorf("asked by %s", lines[0])
	}
	u, err = said("LoadState=not-found\nActiveState=inactive\nUnitFileState=\nMainPID=0\n", nil, &lines).Unit(t.Context(), "a.service")
	if err != nil || u.Known() || u.Runs() || u.Enabled() {
		t.Errorf("%+v, %v", u, err)
	}
	gone := errors.New("exit status 1")
	if _, err := said("Failed to connect to bus", gone, &lines).Unit(t.Context(), "a.service"); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

func TestLingers(t *testing.T) {
	for _, c := range []struct {
		out            string
		err            error
		lingers, known bool
	}{
		{"Linger=yes\n", nil, true, true},
		{"Linger=no\n", nil, false, true},
		{"Failed to get user: User ID 1000 is not logged in or lingering\n", errors.New("exit status 1"), false, false},
		{"", errors.New("not found"), false, false},
	} {
		var lines []string
		lingers, known := said(c.out, c.err, &lines).Lingers(t.Context(), 1000)
		if lingers != c.lingers || known != c.known {
			t.Errorf("%q: %t %t", c.out, lingers, known)
		}
		if lines[0] != "loginctl show-user 1000 --property=Linger" {
			t.Errorf("asked by %s", lines[0])
		}
	}
}

// TestMemberOf asks for processes of this machine, whatever rules it.
func TestMemberOf(t *testing.T) {
	if m := MemberOf(1 << 30); m.Unit != "" {
		t.Errorf("no process: %+v", m)
	}
	if _, _, _, ok := Runs(t.Context(), os.Getpid()); ok {
		t.Error("a test is no unit's main process")
	}
}
