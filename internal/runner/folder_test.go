package runner

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// TestResultFileOfAJob: what is taken as a result, and what is refused with words.
func TestResultFileOfAJob(t *testing.T) {
	for _, tt := range []struct {
		name, script, result, wrong string
	}{
		{"none", "true", "", ""},
		{"a good one", `echo '{"a": [1]}' > r; mv r result.json`, `{"a":[1]}`, ""},
		{"over a message", `echo '"file"' > r; mv r result.json; systemd-notify 'X_QUEUEMGR_RESULT="message"'`, `"file"`, ""},
		{"bad over a message", `echo '"file' > r; mv r result.json; systemd-notify 'X_QUEUEMGR_RESULT="message"'`, `"message"`, "result.json: the result is not valid JSON"},
		{"empty", `: > result.json`, "", "result.json: the result is not valid JSON"},
		{"not UTF-8", `printf '"\377"' > result.json`, "", "result.json: the result is not UTF-8 text"},
		{"as large as may be", `(printf '"'; head -c 1048574 /dev/zero | tr '\0' x; printf '"') > result.json`, `"` + strings.Repeat("x", 1048574) + `"`, ""},
		{"too large", `(printf '"'; head -c 1048575 /dev/zero | tr '\0' x; printf '"') > result.json`, "", "result.json: it has 1048577 bytes; 1048576 are allowed"},
		{"a link", `echo 1 > r; ln -s r result.json`, "", "result.json: it is a symbolic link"},
		{"a link out", `ln -s /etc/shadow result.json`, "", "result.json: it is a symbolic link"},
		{"a pipe", `mkfifo result.json`, "", "result.json: it is not a regular file"},
		{"a folder", `mkdir result.json`, "", "result.json: it is not a regular file"},
		{"a device", `ln -s /dev/zero result.json`, "", "result.json: it is a symbolic link"},
		{"the folder is gone", `cd /; rm -r "$QUEUEMGR_DIR"`, "", ""},
		{"a link for a folder", `cd /; mv "$QUEUEMGR_DIR" "$QUEUEMGR_DIR.x" && ln -s "$QUEUEMGR_DIR.x" "$QUEUEMGR_DIR"; true`, "", "result.json: the job's folder is not a folder any more: not a directory"},
	} {
		for _, user := range []string{"", "anna"} {
			t.Run(strings.TrimSpace(tt.name+" "+user), func(t *testing.T) {
				needSystemdNotify(t)
				h, cfg := homeFor(t, user)
				startRunner(t, cfg)
				c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
				s := h.sh("run", `cd "$QUEUEMGR_DIR" || exit 9; `+tt.script)
				s.Dir, s.Cwd = h.path("proc/1"), "/"
				s.Env = append(s.Env, "QUEUEMGR_DIR="+s.Dir)
				wrong := tt.wrong
				if user != "" {
					s = by(s, user, anna)
					if strings.HasPrefix(tt.name, "a link for") {
						wrong = "" // its user cannot do that: the folder around it is the daemon's
					}
				}
				c.start(s)
				e := c.waitExited("run")
				var rep wire.Report
				if e.Report != nil {
					rep = *e.Report
				}
				var got string
				if rep.Result != nil {
					text, err := json.Marshal(rep.Result)
					if err != nil {
						t.Fatal(err)
					}
					got = string(text)
				}
				if outcome(e) != "exit code=0 signal=0" && user == "" || got != tt.result {
					t.Errorf("%s, result %.100s\n%s", outcome(e), got, h.output(t, "run"))
				}
				want := []string{"refused: " + wrong}
				if wrong == "" {
					want = nil
				}
				if fmt.Sprint(rep.Refused) != fmt.Sprint(want) {
					t.Errorf("refused %q, want %q", rep.Refused, want)
				}
			})
		}
	}
}

// TestFolderLeadsNowhere: root follows nobody's links, enters nobody's mounts, and removes nothing outside.
func TestFolderLeadsNowhere(t *testing.T) {
	h, cfg := homeFor(t, "anna")
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	precious := h.path("precious")
	if err := os.MkdirAll(precious+"/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, precious+"/deep/file", "precious", 0o644)
	if err := os.MkdirAll(h.path("elsewhere"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(h.path("proc"), h.path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, h.path("proc/linked")); err != nil {
		t.Fatal(err)
	}
	run := func(id, dir string) *wire.Event {
		t.Helper()
		s := by(h.sh(id, `ln -s `+precious+` "$QUEUEMGR_DIR/x"; ln -s `+precious+`/deep/file "$QUEUEMGR_DIR/.status.new"; true`), "anna", anna)
		s.Dir, s.Cwd = dir, "/"
		s.Params = json.RawMessage("{}")
		s.Env = append(s.Env, "QUEUEMGR_DIR="+dir)
		c.start(s)
		return c.waitExited(id)
	}
	for i, tt := range []struct{ dir, want string }{
		{h.path("elsewhere/1"), "belongs to user 0, not to the daemon's account"},
		{"/etc/queuemgr-test", "belongs to user 0, not to the daemon's account"},
		{h.path("link/1"), "a symbolic link is in the path"},
		{h.path("none/1"), "no such file or directory"},
		{h.path("proc") + "/..", "is no path of a folder"},
		{h.path("proc") + "/", "is no path of a folder"},
		{"proc/1", "is no path of a folder"},
	} {
		e := run(fmt.Sprint("refused", i), tt.dir)
		if e.Cause != wire.CauseSpawn || !strings.Contains(e.Error, "make its folder "+tt.dir) || !strings.Contains(e.Error, tt.want) {
			t.Errorf("%s: %s %q", tt.dir, e.Cause, e.Error)
		}
	}
	// A link in place of a folder of an earlier run is removed, and not what it leads to.
	if e := run("linked", h.path("proc/linked")); outcome(e) != "exit code=0 signal=0" {
		t.Errorf("%s %s", outcome(e), e.Error)
	}
	if e := run("plain", h.path("proc/plain")); outcome(e) != "exit code=0 signal=0" {
		t.Errorf("%s %s", outcome(e), e.Error)
	}
	if got := string(read(t, precious+"/deep/file")); got != "precious" {
		t.Errorf("it holds %q", got)
	}
	mounted := h.path("proc/mounted")
	if err := os.Mkdir(mounted, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(precious, mounted, "", unix.MS_BIND, ""); err != nil {
		t.Skip("nothing can be mounted here: ", err)
	}
	defer func() {
		if err := unix.Unmount(mounted, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if e := run("mounted", mounted); e.Cause != wire.CauseSpawn && e.Cause != wire.CauseRefused {
		t.Errorf("%s %q", e.Cause, e.Error)
	}
	if got := string(read(t, precious+"/deep/file")); got != "precious" {
		t.Errorf("it holds %q", got)
	}
}

// TestRemoveDeepFolders: neither depth nor modes nor many names keep a folder from going.
func TestRemoveDeepFolders(t *testing.T) {
	parent := t.TempDir()
	outside := filepath.Join(parent, "outside")
	write(t, outside, "stays", 0o600)
	at, err := unix.Open(parent, dirFlags, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { unix.Close(at) }()
	fd := at
	const deep = 3000 // far more than a path may have, and than descriptors are open
	for range deep {
		if err := unix.Mkdirat(fd, "d", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, "d", dirFlags, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Symlinkat(outside, next, "link"); err != nil {
			t.Fatal(err)
		}
		if fd != at {
			unix.Close(fd)
		}
		fd = next
	}
	unix.Close(fd)
	before := openFiles(t, os.Getpid())
	if err := remove(at, "d"); err != nil {
		t.Fatal(err)
	}
	if now := openFiles(t, os.Getpid()); now != before {
		t.Errorf("%d descriptors are open, before %d", now, before)
	}
	if _, err := os.Lstat(filepath.Join(parent, "d")); !os.IsNotExist(err) {
		t.Error(err)
	}
	if got := string(read(t, outside)); got != "stays" {
		t.Errorf("it holds %q", got)
	}
}

// TestLeftoversOfARunnerGo with the first folder that the next one makes beside them.
func TestLeftoversOfARunnerGo(t *testing.T) {
	h := newHome(t)
	if err := os.MkdirAll(h.path("proc/"+goneName+"X/y"), 0o700); err != nil {
		t.Fatal(err)
	}
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	s := h.job("run", "/bin/true")
	s.Dir = h.path("proc/1")
	c.start(s)
	c.waitExited("run")
	if _, err := os.Lstat(h.path("proc/" + goneName + "X")); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

// TestNoFolderOfWhatWasNotStarted.
func TestNoFolderOfWhatWasNotStarted(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	s := h.job("run", h.path("no-such-program"))
	s.Dir = h.path("proc/1")
	c.start(s)
	if e := c.waitExited("run"); e.Cause != wire.CauseSpawn {
		t.Errorf("%s %s", e.Cause, e.Error)
	}
	if _, err := os.Lstat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder stays: %v", err)
	}
}
