package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"terminal": runOnTerminal})
}

// leakChecked is the tests followed by a look for goroutines that they left behind.
type leakChecked struct{ m *testing.M }

func (c leakChecked) Run() int {
	code := c.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goleak:", err)
		return 1
	}
	return 0
}

// result is what a command line did.
type result struct {
	code           int
	stdout, stderr string
}

// run runs a command line in a home without a daemon.
func run(t *testing.T, home, stdin string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	code := Main(context.Background(), args, Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errOut,
		Environ: []string{"QUEUEMGR_HOME=" + home, "HOME=/nonexistent"}, Getwd: os.Getwd, Version: "v0.0.0-test"})
	return result{code, out.String(), errOut.String()}
}

// at is the moment that is now in tests.
var at = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func testApp() (*app, *bytes.Buffer) {
	out := new(bytes.Buffer)
	a := newApp(Env{Stdin: strings.NewReader(""), Stdout: out, Stderr: out, Getwd: os.Getwd})
	a.now = func() time.Time { return at }
	return a, out
}

func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		args   string
		code   int
		stderr string // a part
	}{
		{"jbo", 2, `did you mean "job"?`},
		{"job", 2, "one of: add, delete, hold, list"},
		{"add", 2, "did you mean queuemgr job add or queuemgr queue add or queuemgr token add?"},
		{"logs -f 7", 2, "did you mean queuemgr job logs or queuemgr service logs?"},
		{"list --state running", 2, "did you mean queuemgr hook list or queuemgr job list or queuemgr queue list or queuemgr token list or queuemgr type list?"},
		{"help nosuch", 2, `queuemgr has no command "nosuch"`},
		{"help job lst", 2, `did you mean "list"?`},
		{"job lst", 2, `did you mean "list"?`},
		{"job list --quue x", 2, "did you mean --queue?"},
		{"job list --limit none", 2, `--limit: bad number "none"`},
		{"job list --limit", 2, "flag needs an argument"},
		{"job list --state runing", 2, `did you mean "running"?`},
		{"job list --state lost", 2, "lost is no state but a reason\nhint: queuemgr job list --state failed"},
		{"job list 5-3", 2, `bad selector "5-3"`},
		{"job status", 2, "job status needs a job"},
		{"job status -1", 2, "-1 is neither a flag nor a job's number"},
		{"job logs", 2, "give a number or last: queuemgr job logs 7"},
		{"job logs --tail x 7", 2, "--tail: bad number \"x\"\nhint: give a whole number"},
		{"job stop --dry-run=x 7", 2, `--dry-run: bad value "x"`},
		{"job wait", 2, "queuemgr job wait 7"},
		{"job stop", 2, "job stop needs a job"},
		{"job logs --tail 0 7", 2, "--tail: bad number 0"},
		{"job logs --stream stdin 7", 2, "give stdout or stderr"},
		{"job add", 2, "no command is given"},
		{"job add --shell=", 2, "--shell: the script is empty"},
		{"job add a|wc", 2, "hint: for a shell's command line: queuemgr job add --shell 'a|wc'"},
		{"job add --shell a b", 2, "both command and shell"},
		{"job add --file x --shell y", 2, "--file and --shell"},
		{"job add --timeout soon true", 2, `--timeout: bad duration "soon"`},
		{"job add --env =x true", 2, "has no name"},
		{"job add --env NOT_SET true", 2, "--env NOT_SET=VALUE"},
		{"job add --stop-signal NONE true", 2, "unknown signal"},
		{"job add --on-lost retry true", 2, "fail or requeue"},
		{"job add --queue a/b true", 2, "bad queue name"},
		{"job add --priority 2000000 true", 2, "out of range"},
		{"job add --file /nowhere/jobs.jsonl", 3, "/nowhere/jobs.jsonl: no such file"},
		{"job add -- true", 5, "queuemgr service start"},
		{"job wait 7", 125, "queuemgr service start"},
		{"job add --wait -- true", 125, "queuemgr service start"},
		{"job add --wait", 2, "no command is given"},
		{"job list", 5, "hint:"},
		{"", 5, "queuemgr service start"},
		{"daemon status", 5, "queuemgr service start"},
		{"service logs --tail 0", 2, "--tail: bad number 0"},
		{"service logs --job last", 2, `--job: "last" is not a job's number`},
		{"service logs --job 0", 2, "service logs --job 7"},
		{"service logs", 3, "hint: the service makes it: queuemgr service start"},
		{"service enable", 4, "nothing was changed\nhint: "},
		{"service disable", 4, "nothing was changed\nhint: "},
		{"monitor", 5, "queuemgr service start"},
		{"queue add", 2, "needs one queue name"},
		{"queue add q --start later", 2, "give auto or manual"},
		{"queue add q --concurrency -1", 2, "bad number -1"},
		{"queue set q", 2, "nothing to change"},
		{"registry export a b", 2, "takes one FILE at most"},
		{"version now", 2, `takes no argument, and was given "now"`},
		{"completion tcsh", 2, "give bash, zsh or fish"},
		{"config show --config /nowhere.toml", 3, "/nowhere.toml does not exist"},
	} {
		t.Run(test.args, func(t *testing.T) {
			r := run(t, t.TempDir(), "", strings.Fields(test.args)...)
			if r.code != test.code || !strings.Contains(r.stderr, test.stderr) || !strings.HasPrefix(r.stderr, "queuemgr: ") {
				t.Errorf("exit code %d, want %d; stderr %q, want %q in it", r.code, test.code, r.stderr, test.stderr)
			}
			if r.stdout != "" {
				t.Errorf("stdout is %q", r.stdout)
			}
		})
	}
}

func TestJSONErrors(t *testing.T) {
	home := t.TempDir()
	for _, test := range []struct{ args, want string }{
		{"job list --json", `{"error":{"code":"unavailable",`},
		{"job list --json --quue", `{"error":{"code":"invalid","message":"unknown flag: --quue","hint":"did you mean --queue?"}}`},
		{"job list --json --jsonl", `--json and --jsonl are both given`},
		{"job list --quue --json", `{"error":{"code":"invalid",`},
		{"job add --json --timeout soon true", `"field":"timeout"`},
	} {
		if r := run(t, home, "", strings.Fields(test.args)...); !strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: stderr is %q, want %s in it", test.args, r.stderr, test.want)
		}
	}
	// What stands behind the command's name is the command's.
	if r := run(t, home, "", "job", "add", "true", "--json"); !strings.HasPrefix(r.stderr, "queuemgr: ") {
		t.Errorf("stderr is %q", r.stderr)
	}
}

func TestFileErrors(t *testing.T) {
	for _, test := range []struct{ name, stdin, want string }{
		{"third line", "{\"command\":[\"true\"]}\n\n{\"command\":[\"true\"]\n", "standard input, line 3: the JSON object is not complete; nothing was added"},
		{"field", "{\"comand\":[\"true\"]}\n", "line 1: unknown field \"comand\"; nothing was added\nhint: did you mean \"command\"?"},
		{"type", "{\"command\":\"true\"}\n", "line 1: command must be a list of strings like [\"tar\",\"-czf\",\"home.tgz\",\"/home\"], and is a string; nothing was added"},
		{"element", "{\"command\":[1]}\n", "line 1: command must be a string, and is a number"},
		{"number", "{\"command\":[\"a\"],\"priority\":\"5\"}\n", "line 1: priority must be a whole number, and is a string"},
		{"truth", "{\"command\":[\"a\"],\"hold\":1}\n", "line 1: hold must be true or false, and is a number"},
		{"environment", "{\"command\":[\"a\"],\"env\":[\"A=1\"]}\n", "line 1: env must be an object of strings like {\"LANG\":\"C\"}, and is an array"},
		{"twice", "{\"shell\":\"a\",\"shell\":\"b\"}\n", "line 1: shell is given twice; nothing was added"},
		{"capitals", "{\"Shell\":\"a\"}\n", "line 1: unknown field \"Shell\"; nothing was added\nhint: did you mean \"shell\"?"},
		{"byte-order mark", "\ufeff{\"shell\":\"a\"}\n", "line 1: the file begins with a byte-order mark; nothing was added\nhint: save it as UTF-8 without one"},
		{"UTF-16", "\xff\xfe{\x00", "line 1: the file is UTF-16"},
		{"not an object", "[1]\n", "line 1: not a JSON object but an array"},
		{"no field", "{}\n", "line 1: no command is given; nothing was added\nhint: a job is like {"},
		{"two", "{\"command\":[\"a\"]} {\"command\":[\"b\"]}\n", "there is more behind the JSON object"},
		{"no JSON", "command: true\n", "line 1: not JSON: invalid character 'c'"},
		{"empty command", "{\"command\":[]}\n", "line 1: no command is given"},
		{"NUL", "{\"command\":[\"a\\u0000b\"]}\n", "contains a NUL byte"},
		{"duration", "{\"command\":[\"a\"],\"timeout\":\"soon\"}\n", `bad duration "soon"`},
		{"nothing", "\n \n", "standard input holds no job"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := run(t, t.TempDir(), test.stdin, "job", "add", "--file", "-")
			if r.code != 2 || !strings.Contains(r.stderr, test.want) {
				t.Errorf("exit code %d, stderr %q, want %q in it", r.code, r.stderr, test.want)
			}
		})
	}
}

func TestProgramOfAnOddName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a & b", nil, 0o700); err != nil {
		t.Fatal(err)
	}
	// It gets as far as asking for the daemon.
	for _, args := range [][]string{{dir + "/a & b"}, {"--cwd", dir, "./a & b"}} {
		if r := run(t, t.TempDir(), "", append([]string{"job", "add"}, args...)...); r.code != 5 {
			t.Errorf("%q: exit code %d, stderr %q", args, r.code, r.stderr)
		}
	}
}

func TestSocketPathTooLong(t *testing.T) {
	r := run(t, "/"+strings.Repeat("long/", 30), "", "job", "list")
	if r.code != 2 || !strings.Contains(r.stderr, "Linux takes at most 107") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
}

func TestVersionAndHelp(t *testing.T) {
	home := t.TempDir()
	if r := run(t, home, "", "version"); r.code != 0 || !strings.HasPrefix(r.stdout, "queuemgr v0.0.0-test (go") {
		t.Errorf("version: %+v", r)
	}
	if r := run(t, home, "", "--version"); r.code != 0 || r.stdout != "queuemgr v0.0.0-test\n" {
		t.Errorf("--version: %+v", r)
	}
	if r := run(t, home, "", "help", "job", "add"); r.code != 0 || !strings.HasPrefix(r.stdout, "Adds a job") || !strings.Contains(r.stdout, "--on-lost") {
		t.Errorf("help job add: %+v", r)
	}
	if r := run(t, home, "", "version", "--json"); r.code != 0 || !strings.Contains(r.stdout, `"version": "v0.0.0-test"`) {
		t.Errorf("version --json: %+v", r)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := run(t, home, "", "completion", shell); r.code != 0 || !strings.Contains(r.stdout, "__complete") {
			t.Errorf("completion %s: exit code %d, stderr %q", shell, r.code, r.stderr)
		}
	}
	if r := run(t, home, "", "__complete", "job", "list", "--state", "running,comp"); !strings.Contains(r.stdout, "running,completed\n") {
		t.Errorf("completion of states: %+v", r)
	}
}

// TestEveryHelp holds each command to what a user may expect of its help.
func TestEveryHelp(t *testing.T) {
	root := newRootCommand(newApp(Env{}))
	queue := root.Commands()
	for len(queue) > 0 {
		cmd := queue[0]
		queue = append(queue[1:], cmd.Commands()...)
		if cmd.Short == "" || !strings.Contains(strings.ToLower(cmd.Long), "exit code") || cmd.Example == "" && !cmd.HasSubCommands() {
			t.Errorf("%s: its help lacks a description, an example or the exit codes", cmd.CommandPath())
		}
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		if r := run(t, t.TempDir(), "", args...); r.code != 0 || !strings.Contains(r.stdout, "Usage:") || r.stderr != "" {
			t.Errorf("%s: exit code %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
		}
	}
}

func TestConfigShow(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(home+"/config.toml", []byte("\nmax_queue_size = 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, home, "", "config", "show")
	if r.code != 0 || !strings.Contains(r.stdout, "max_queue_size              9") || !strings.Contains(r.stdout, home+"/config.toml:2\n") {
		t.Errorf("config show: %+v", r)
	}
	r = run(t, home, "", "config", "show", "--json")
	if want := `"value": 9,` + "\n      " + `"origin": "` + home + `/config.toml:2"`; r.code != 0 || !strings.Contains(r.stdout, want) {
		t.Errorf("config show --json: %+v", r)
	}
	if r = run(t, home, "", "config", "example"); r.code != 0 || !strings.Contains(r.stdout, "#max_concurrent_jobs = 50\n") {
		t.Errorf("config example: %+v", r)
	}
	if err := os.WriteFile(home+"/config.toml", []byte("max_queue_sizes = 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = run(t, home, "", "daemon", "start", "--daemon")
	if want := home + "/config.toml:1:1: unknown setting \"max_queue_sizes\"\nhint: did you mean \"max_queue_size\"?\n"; r.code != 2 || !strings.Contains(r.stderr, want) {
		t.Errorf("daemon start with a wrong setting: %+v", r)
	}
}
