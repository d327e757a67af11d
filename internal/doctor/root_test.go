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
