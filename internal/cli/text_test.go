package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 日本":     "plain é 日本",
		"a\nb\tc":        `a\nb\tc`,
		"\x1b[31mred":    `\x1b[31mred`,
		"a\u202eb":       `a\u202eb`,
		"bad\xffutf":     `bad\xffutf`,
		"\u200bhidden\r": `\u200bhidden\r`,
		"it's":           "it's",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCommandText(t *testing.T) {
	for _, test := range []struct {
		job  job.Job
		want string
	}{
		{job.Job{Command: []string{"tar", "czf", "a b.tgz", "", "it's", "é"}}, `tar czf 'a b.tgz' '' 'it'\''s' é`},
		{job.Job{Type: job.TypeShell, Command: []string{"/bin/sh", "-c", "a | b\nc"}}, `a | b\nc`},
		{job.Job{Command: []string{"x\x1b[2J"}}, `'x\x1b[2J'`},
	} {
		if got := commandText(&test.job); got != test.want {
			t.Errorf("commandText(%q) = %s, want %s", test.job.Command, got, test.want)
		}
	}
}

func TestTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "just now", 3 * time.Minute: "3 min ago", 5 * time.Second: "5 s ago",
		26 * time.Hour: "26 h ago", 72 * time.Hour: "3 days ago", -time.Minute: "in 1 min"} {
		if got := ago(at, at.Add(-d)); got != want {
			t.Errorf("ago %v = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{420 * time.Millisecond: "420 ms", 700 * time.Microsecond: "0.7 ms", 1254 * time.Millisecond: "1.25 s", 12 * time.Second: "12 s", 184 * time.Second: "3m04s",
		125 * time.Minute: "2h05m", 50 * time.Hour: "2d02h", -time.Second: "0.0 ms"} {
		if got := elapsed(d); got != want {
			t.Errorf("elapsed %v = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 700 << 20: "700 MiB", 1010 << 20: "1.0 GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	tab := &table{columns: []column{{title: "ID", right: true}, {title: "STATE"}, {title: "EMPTY", spare: 9}, {title: "N", right: true, spare: 1},
		{title: "COMMAND", cut: true}, {title: "TAGS", spare: 2}}}
	tab.add("7", "failed", "", "12", "short", "t")
	tab.add("1234", "日本", "", "", "a command that is too long for the terminal", "")
	for width, want := range map[int]string{
		0: "  ID  STATE    N  COMMAND                                      TAGS\n" +
			"   7  failed  12  short                                        t\n" +
			"1234  日本        a command that is too long for the terminal\n",
		50: "  ID  STATE    N  COMMAND                     TAGS\n" +
			"   7  failed  12  short                       t\n" +
			"1234  日本        a command that is too lon…\n",
		40: "  ID  STATE    N  COMMAND\n" +
			"   7  failed  12  short\n" +
			"1234  日本        a command that is too…\n",
		30: "  ID  STATE   COMMAND\n" +
			"   7  failed  short\n" +
			"1234  日本    a command that is t…\n",
	} {
		var b strings.Builder
		if err := tab.write(&b, width); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("width %d:\n%swant:\n%s", width, b.String(), want)
		}
	}
}

func TestShortenPainted(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"1  \x1b[31mfailed\x1b[0m  x", 12, "1  \x1b[31mfailed\x1b[0m  x"},
		{"1  \x1b[31mfailed\x1b[0m  xyz", 12, "1  \x1b[31mfailed\x1b[0m  …\x1b[0m"},
		{"1  \x1b[31mfailed\x1b[0m  x", 9, "1  \x1b[31mfaile…\x1b[0m"},
		{"1  \x1b[31mfailed\x1b[0m", 9, "1  \x1b[31mfailed\x1b[0m"},
		{"plain", 3, "pl…\x1b[0m"},
	} {
		if got := shortenPainted(test.text, test.width); got != test.want {
			t.Errorf("shortenPainted(%q, %d) = %q, want %q", test.text, test.width, got, test.want)
		}
	}
}

func TestJobTable(t *testing.T) {
	a, out := testApp()
	seven := 7
	list := []*job.Job{
		{ID: 2, State: job.Failed, Reason: job.ReasonExit, ExitCode: &seven, Queue: "default", Command: []string{"sh", "-c", "exit 7"}, Owner: "u",
			CreatedAt: at.Add(-3 * time.Minute), StartedAt: at.Add(-2 * time.Minute), FinishedAt: at.Add(-time.Minute)},
		{ID: 1, State: job.Queued, Queue: "default", Command: []string{"true"}, Owner: "u", Priority: 5, CreatedAt: at.Add(-time.Hour)},
	}
	if err := a.jobTable(list).write(out, 0); err != nil {
		t.Fatal(err)
	}
	want := "ID  STATE   WHY     PRI   TIME      ADDED  COMMAND\n" +
		" 2  failed  exit 7       1m00s  3 min ago  sh -c 'exit 7'\n" +
		" 1  queued            5           1 h ago  true\n"
	if out.String() != want {
		t.Errorf("table is\n%swant\n%s", out, want)
	}
}

func TestJobExitCode(t *testing.T) {
	code := func(n int) *int { return &n }
	for _, test := range []struct {
		job  job.Job
		want int
	}{
		{job.Job{State: job.Completed, ExitCode: code(0)}, 0},
		{job.Job{State: job.Failed, Reason: job.ReasonExit, ExitCode: code(7)}, 7},
		{job.Job{State: job.Failed, Reason: job.ReasonSignal, Signal: 11}, 139},
		{job.Job{State: job.Failed, Reason: job.ReasonOOM, Signal: 9}, 137},
		{job.Job{State: job.Failed, Reason: job.ReasonTimeout, Signal: 15}, 124},
		{job.Job{State: job.Failed, Reason: job.ReasonSpawn, ExitCode: code(127)}, 127},
		{job.Job{State: job.Failed, Reason: job.ReasonSpawn}, 126},
		{job.Job{State: job.Failed, Reason: job.ReasonLost}, 125},
		{job.Job{State: job.Stopped, Reason: job.ReasonUser, ExitCode: code(0)}, 125},
		{job.Job{State: job.Skipped}, 125},
		{job.Job{State: job.Deleted, ExitCode: code(3)}, 125},
	} {
		if got := jobExitCode(&test.job); got != test.want {
			t.Errorf("%s %s: exit code %d, want %d", test.job.State, test.job.Reason, got, test.want)
		}
	}
}

func TestCaptureEnv(t *testing.T) {
	a, out := testApp()
	a.Environ = []string{"A=1", "B=2=3", "QUEUEMGR_JOB_ID=7", "QUEUEMGR_HOME=/h", "BAD=\xff", "NOTIFY_SOCKET=/s", "=odd"}
	env, err := a.captureEnv([]string{"A=x", "B", "QUEUEMGR_JOB_ID"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(env) != 4 || env["A"] != "x" || env["B"] != "2=3" || env["QUEUEMGR_HOME"] != "/h" || env["QUEUEMGR_JOB_ID"] != "7" {
		t.Errorf("environment is %q", env)
	}
	if want := "queuemgr: left out of the job's environment, not valid UTF-8: BAD\n"; out.String() != want {
		t.Errorf("warning is %q, want %q", out, want)
	}
	env, err = a.captureEnv([]string{"B"}, true)
	if err != nil || len(env) != 1 || env["B"] != "2=3" {
		t.Errorf("clean environment is %q, %v", env, err)
	}
}

func TestExitCodes(t *testing.T) {
	for code, want := range map[job.Code]int{"": 0, job.Invalid: 2, job.NotFound: 3, job.WrongState: 4, job.Conflict: 4,
		job.Unavailable: 5, job.Forbidden: 6, job.Exhausted: 1, job.Internal: 1} {
		if got := exitCode(code); got != want {
			t.Errorf("%s: exit code %d, want %d", code, got, want)
		}
	}
}

func TestEnding(t *testing.T) {
	a, _ := testApp()
	four, zero := 4, 0
	for _, test := range []struct {
		job  job.Job
		want string
	}{
		{job.Job{State: job.Failed, Reason: job.ReasonExit, ExitCode: &four}, "exit 4"},
		{job.Job{State: job.Failed, Reason: job.ReasonSignal, Signal: 11}, "signal 11"},
		{job.Job{State: job.Failed, Reason: job.ReasonTimeout, Signal: 15}, "time limit, signal 15"},
		{job.Job{State: job.Stopped, Reason: job.ReasonUser, ExitCode: &four}, "exit code 4"},
		{job.Job{State: job.Stopped, Reason: job.ReasonShutdown, ExitCode: &zero}, "shutdown, exit code 0"},
		{job.Job{State: job.Stopped, Reason: job.ReasonUser}, ""},
		{job.Job{State: job.Completed, ExitCode: &zero}, ""},
		{job.Job{State: job.Held, WaitReason: "held: queuemgr job start 3"}, "queuemgr job start 3"},
	} {
		if got := a.ending(&test.job); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.job.State, test.job.Reason, got, test.want)
		}
	}
}
