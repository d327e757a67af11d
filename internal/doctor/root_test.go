package doctor

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestRootRunsNothingOfUsers: root looks at a service whose programs, or the unit that names them, are a user's.
func TestRootRunsNothingOfUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: files of several accounts are made")
	}
	const evil = "/home/anna/evil"
	const unit = "/home/anna/.config/systemd/user/queuemgr.service"
	for name, prepare := range map[string]func(w *world){
		"a user's runner":    func(w *world) { w.chown("/home/anna/bin/queuemgr-runner", 1000, 1000) },
		"a folder of a user": func(w *world) { w.chown("/home/anna/bin", 1000, 1000) },
		"a link to a user's": func(w *world) {
			w.write(evil+"/queuemgr-runner", "", 0o755)
			w.chown(evil+"/queuemgr-runner", 1000, 1000)
			w.remove("/home/anna/bin/queuemgr-runner")
			if err := os.Symlink(w.path(evil+"/queuemgr-runner"), w.path("/home/anna/bin/queuemgr-runner")); err != nil {
				t.Fatal(err)
			}
		},
		"a user's unit": func(w *world) {
			w.write(unit, "# Installed by queuemgr\nExecStart="+evil+"/queuemgr --home /home/anna/q daemon start\n", 0o644)
			w.chown(unit, 1000, 1000)
			for _, program := range []string{"queuemgr", "queuemgr-runner"} {
				w.write(evil+"/"+program, "", 0o755)
			}
			w.remove("/home/anna/bin/queuemgr-runner")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := userWorld(t)
			prepare(w)
			var ran []string
			w.in.Exec = func(ctx context.Context, name string, args ...string) (string, error) {
				ran = append(ran, name)
				return w.exec(ctx, name, args...)
			}
			_, all := w.look()
			for _, program := range ran {
				if strings.HasPrefix(program, w.in.Root) {
					t.Errorf("root has run %s", program)
				}
			}
			for _, f := range all {
				if strings.Contains(f.Remedy, evil) {
					t.Errorf("root is told to run a user's: %+v", f)
				}
			}
		})
	}
	w := userWorld(t) // what is root's alone is run
	var ran []string
	w.in.Exec = func(ctx context.Context, name string, args ...string) (string, error) {
		ran = append(ran, name)
		return w.exec(ctx, name, args...)
	}
	if w.look(); len(ran) != 1 || ran[0] != w.path("/home/anna/bin/queuemgr-runner") {
		t.Errorf("ran %q", ran)
	}
}

// TestLinksAreFollowed: who may change what a link on the way leads to may change the program.
func TestLinksAreFollowed(t *testing.T) {
	const elsewhere = "/srv/q"
	move := func(w *world, target string) {
		t.Helper()
		if err := os.MkdirAll(w.path("/srv"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(w.path("/opt/queuemgr"), w.path(elsewhere)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, w.path("/opt/queuemgr")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(w *world)
		where   string // of problems; "" = there is none
		remedy  string
	}{
		{"a link of root's to root's", func(w *world) { move(w, "../srv/q") }, "", ""},
		{"to a folder of a user", func(w *world) { move(w, "../srv/q"); w.chown(elsewhere, 1000, 1000) }, elsewhere, "chown root: /srv/q && chmod go-w /srv/q"},
		{"to a folder for everybody", func(w *world) { move(w, "../srv/q"); w.chmod(elsewhere+"/bin", 0o777) }, elsewhere + "/bin", "chmod go-w /srv/q/bin"},
		{"over a folder of a user", func(w *world) { move(w, "../srv/q"); w.chown("/srv", 1000, 1000) }, "/srv", "chown root: /srv && chmod go-w /srv"},
		{"a link of a user", func(w *world) { move(w, "../srv/q"); w.chown("/opt/queuemgr", 1000, 1000) }, "/opt/queuemgr", "chown -h root: /opt/queuemgr"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := systemWorld(t)
			c.prepare(w)
			bad, _ := w.look()
			for _, f := range bad {
				if f.Check != "rights" || f.Where != c.where || f.Remedy != c.remedy {
					t.Errorf("got %+v", f)
				}
			}
			if (len(bad) == 0) != (c.where == "") {
				t.Errorf("%d problems, want some in %q", len(bad), c.where)
			}
		})
	}
	// Links in a circle lead nowhere, and hold nobody.
	w := systemWorld(t)
	w.remove("/opt/queuemgr/bin/queuemgr")
	if err := os.Symlink("queuemgr", w.path("/opt/queuemgr/bin/queuemgr")); err != nil {
		t.Fatal(err)
	}
	if bad, _ := w.look(); len(bad) == 0 {
		t.Error("a program that is a link to itself is in order")
	}
}
