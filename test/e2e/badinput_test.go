package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

func TestBadAdditions(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	cases := []struct {
		name  string
		code  int
		words []string
		args  []string
	}{
		{"no command", 2, []string{"command"}, []string{"job", "add"}},
		{"empty program", 2, []string{"empty"}, []string{"job", "add", "--", ""}},
		{"unknown queue", 3, []string{"nosuch"}, []string{"job", "add", "--queue", "nosuch", "--", "true"}},
		{"no command after --", 2, []string{"command"}, []string{"job", "add", "--"}},
		{"empty script", 2, []string{"empty"}, []string{"job", "add", "--shell", ""}},
		{"bad selector", 2, []string{"5-3"}, []string{"job", "status", "5-3"}},
		{"no such job", 3, []string{"4711"}, []string{"job", "status", "4711"}},
		{"no job is given, in a pipe", 2, nil, []string{"job", "stop"}},
		{"an argument of 200 KB", 2, []string{"131071"}, []string{"job", "add", "--file", h.write("long.jsonl",
			fmt.Sprintf(`{"command":["echo",%q]}`, strings.Repeat("x", 200_000)))}},
		{"a command line of 2 MiB", 2, []string{"2097152"}, []string{"job", "add", "--file", h.write("huge.jsonl",
			fmt.Sprintf(`{"command":["echo"%s]}`, strings.Repeat(`,"`+strings.Repeat("x", 1000)+`"`, 2200)))}},
		{"NUL in an argument", 2, []string{"NUL"}, []string{"job", "add", "--file", h.write("nul.jsonl", `{"command":["echo","a\u0000b"]}`)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { h.refused(c.code, c.words, c.args...) })
	}
	if jobs := h.jobs(); len(jobs) > 0 {
		t.Errorf("%d jobs were added by refused additions", len(jobs))
	}
}

func TestBadLineInFileAddsNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	for name, bad := range map[string]string{
		"no JSON": `{"command":`, "unknown field": `{"comand":["true"]}`, "bad value": `{"command":["true"],"priority":99999999}`,
		"unknown queue": `{"command":["true"],"queue":"nosuch"}`,
	} {
		t.Run(name, func(t *testing.T) {
			text := `{"command":["true"]}` + "\n" + `{"command":["true"]}` + "\n" + bad + "\n" + `{"command":["true"]}` + "\n"
			code := 2
			if name == "unknown queue" {
				code = 3
			}
			pipe := h.Cmd(h.ctx, "job", "add", "-q", "--file", "-")
			pipe.Stdin = strings.NewReader(text)
			for _, cmd := range []*exec.Cmd{h.Cmd(h.ctx, "job", "add", "-q", "--file", h.write("bad.jsonl", text)), pipe} {
				r, err := harness.Finish(cmd)
				if err != nil {
					t.Fatal(err)
				}
				if r.Code != code || r.Stdout != "" || !strings.Contains(r.Stderr, "line 3") || !strings.Contains(r.Stderr, "nothing was added") {
					t.Errorf("%v: exit code %d, stdout %q; want %d, naming line 3:\n%s", cmd.Args[1:], r.Code, r.Stdout, code, r.Stderr)
				}
			}
		})
	}
	if jobs := h.jobs(); len(jobs) > 0 {
		t.Errorf("%d jobs were added of a file with a bad line", len(jobs))
	}
}

func TestJobsThatCannotStart(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	file := h.write("plain", "no program\n")
	for _, c := range []struct {
		name  string
		code  int
		words []string
		args  []string
	}{
		{"unknown program", 127, []string{"nosuchprogram", "not found in PATH"}, []string{"--", "nosuchprogram"}},
		{"missing program by path", 127, []string{"/nosuch/program", "no such file"}, []string{"--", "/nosuch/program"}},
		{"not executable", 126, []string{"permission denied"}, []string{"--", file}},
		{"missing cwd", 127, []string{"/nosuch/folder", "no such file"}, []string{"--cwd", "/nosuch/folder", "--", "true"}},
		{"cwd is a file", 126, []string{file, "not a directory"}, []string{"--cwd", file, "--", "true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := h.add(c.args...)
			code := h.wait(id)
			j := h.job(id)
			if j.State != job.Failed || j.Reason != job.ReasonSpawn {
				t.Errorf("state %s, reason %s; want failed, spawn", j.State, j.Reason)
			}
			if code != c.code {
				t.Errorf("job wait exits %d, want %d", code, c.code)
			}
			for _, w := range c.words {
				if !strings.Contains(j.Error, w) {
					t.Errorf("error %q says nothing of %q", j.Error, w)
				}
			}
		})
	}
}

// TestUnreadableCwd runs the service as a user whom the folder's mode keeps out.
func TestUnreadableCwd(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	if os.Geteuid() == 0 {
		const nobody = 65534
		h.As = &syscall.Credential{Uid: nobody, Gid: nobody}
		// The way to the home must be open to that user.
		for dir := filepath.Dir(h.Home); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(h.Home, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0); err != nil {
		t.Fatal(err)
	}
	h.start()
	id := h.add("--cwd", closed, "--", "true")
	h.wait(id)
	if j := h.job(id); j.State != job.Failed || j.Reason != job.ReasonSpawn || !strings.Contains(j.Error, "permission denied") || !strings.Contains(j.Error, closed) {
		t.Errorf("state %s, reason %s, error %q; want failed, spawn, permission denied for %s", j.State, j.Reason, j.Error, closed)
	} else if h.As != nil && j.Owner != "nobody" {
		t.Errorf("its owner is %q, want the user who asked over the socket: nobody", j.Owner)
	}
}

func TestUnknownSettingIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write("config.toml", "shutdown_timeout = 5\nmax_concurent_jobs = 3\n")
	h.refused(2, []string{"config.toml", "2", "max_concurent_jobs", "max_concurrent_jobs"}, "daemon", "start", "--daemon")
	h.write("config.toml", "max_concurrent_jobs = \"many\"\n")
	h.refused(2, []string{"config.toml", "max_concurrent_jobs"}, "daemon", "start", "--daemon")
}

func TestLongSocketPathIsRefused(t *testing.T) {
	t.Parallel()
	h := homeIn(t, filepath.Join(t.TempDir(), strings.Repeat("x", 100)))
	h.refused(2, []string{"107", h.Socket(), "--home"}, "daemon", "start", "--daemon")
	h.refused(2, []string{"107", h.Socket(), "--home"}, "job", "add", "--", "true")
	if left, err := h.Processes(); err != nil || len(left) > 0 {
		t.Errorf("processes after the refusal: %v, %v", left, err)
	}
}

func TestNoDaemon(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.refused(5, []string{"start"}, "job", "add", "--", "true")
	h.refused(5, []string{"start"}, "job", "list")
}
