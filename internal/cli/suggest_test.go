package cli

import (
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

func TestSuggest(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"start it: queuemgr service start", "start it: queuemgr --home '/a b' service start"},
		{"queuemgr job list shows what there is; add one: queuemgr job add", "queuemgr --home '/a b' job list shows what there is; add one: queuemgr --home '/a b' job add"},
		{"after a restart (queuemgr service restart)", "after a restart (queuemgr --home '/a b' service restart)"},
		{"see queuemgr service logs. systemd tries again", "see queuemgr --home '/a b' service logs. systemd tries again"},
		{"queuemgr web gives a link", "queuemgr --home '/a b' web gives a link"},
		{"without root: queuemgr service install --user", "without root: queuemgr --home '/a b' service install --user"},
		{"queuemgr is installed; an older queuemgr (schema 3); queuemgr jobs", ""},
		{"have that run: queuemgr --home '/a b' daemon start", ""},
		{"sudo queuemgr service start", ""},
		{"for everybody: queuemgr service install", ""},
		{"sh -c 'cd /x && queuemgr job list'", ""},
		{"it can't; /usr/bin/queuemgr job list", ""},
	} {
		a, _ := testApp()
		if got := a.suggest(test.text); got != test.text {
			t.Errorf("without --home %q became %q", test.text, got)
		}
		if a.home = "/a b"; test.want == "" {
			test.want = test.text
		}
		if got := a.suggest(test.text); got != test.want {
			t.Errorf("suggest(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}

// TestSuggestIn wants the home wherever a command is suggested, and a user's own words left alone.
func TestSuggestIn(t *testing.T) {
	a, out := testApp()
	a.home = "/50%d"
	if err := a.print("held until: queuemgr job start %d, for %s\n", 2, "queuemgr job list"); err != nil {
		t.Fatal(err)
	}
	a.warn("start it: queuemgr service start")
	want := "held until: queuemgr --home /50%d job start 2, for queuemgr job list\nqueuemgr: start it: queuemgr --home /50%d service start\n"
	if out.String() != want {
		t.Errorf("printed is %q", out)
	}
	a.home = "/a b"
	if got, want := a.ending(&job.Job{State: job.Held, WaitReason: "held: queuemgr job start 3"}), "queuemgr --home '/a b' job start 3"; got != want {
		t.Errorf("a held job's reason is %q, want %q", got, want)
	}
	own := "queuemgr job list says so"
	if got := a.outcome(&job.Job{State: job.Running, StatusText: own}); got != own {
		t.Errorf("a job's own text became %q", got)
	}
	r := run(t, t.TempDir(), "", "--home", t.TempDir()+"/x y", "job", "list")
	if r.code != 5 || !strings.Contains(r.stderr, "/x y' service start\n") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	r = run(t, t.TempDir(), "", "--home", t.TempDir(), "job", "list", "--json")
	if r.code != 5 || strings.Contains(r.stderr, "--home") {
		t.Errorf("--json: exit code %d, stderr %q", r.code, r.stderr)
	}
}
