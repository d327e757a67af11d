package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/queuemgr/queuemgr/job"
)

// inHome writes a settings file into a new home and returns both.
func inHome(t *testing.T, settings string) (home, file string) {
	t.Helper()
	home = t.TempDir()
	file = filepath.Join(home, "config.toml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return home, file
}

func TestLoadDefaults(t *testing.T) {
	home := t.TempDir()
	c, err := Load(Sources{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	if c.File != "" || c.RegistryPath != home+"/lib/registry.jsonl" || c.ProcDir != home+"/run" ||
		c.ShutdownTimeout != 30*time.Second || c.CleanupInterval != 300*time.Second || c.MaxConcurrentJobs != 50 ||
		c.MinFreeSpace != 64<<20 || c.Retention != (Retention{}) || len(c.TypeLimits) != 0 || c.Node == "" {
		t.Errorf("defaults are %+v", c)
	}
}

func TestLoadPrecedence(t *testing.T) {
	home, file := inHome(t, "max_concurrent_jobs = 3\nnode = \"file\"\nshutdown_timeout = 5\ncleanup_interval = \"1m\"\n")
	c, err := Load(Sources{Home: home,
		Environ: []string{"QUEUEMGR_MAX_CONCURRENT_JOBS=4", "QUEUEMGR_NODE=variable", "QUEUEMGR_CLEANUP_INTERVAL=", "QUEUEMGR_JOB_ID=7", "QUEUEMGR_HOME=" + home, "QUEUEMGR_CRASH=x"},
		Flags:   map[string]string{"max_concurrent_jobs": "5"}})
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]string{}
	for _, v := range c.Values() {
		origins[v.Key] = v.Text + " " + v.Origin
	}
	want := map[string]string{
		"max_concurrent_jobs": "5 --max-concurrent-jobs",
		"node":                `"variable" QUEUEMGR_NODE`,
		"shutdown_timeout":    "5 " + file + ":3",
		"cleanup_interval":    "60 " + file + ":4",
		"max_queue_size":      "0 default",
		"min_free_space":      `"64MiB" default`,
	}
	for key, w := range want {
		if origins[key] != w {
			t.Errorf("%s is %s, want %s", key, origins[key], w)
		}
	}
}

func TestLoadTables(t *testing.T) {
	home, _ := inHome(t, "registry_path = \"/srv/r.jsonl\"\nproc_dir = \"elsewhere\"\nshutdown_timeout = 1.5\n"+
		"retention = { completed = \"30d\", failed = 3600, stopped = \"\", deleted = \"2d12h\" }\n[type_limits]\ncommand = 5\n\"my-type\" = 3\n")
	c, err := Load(Sources{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	want := Retention{Completed: 30 * day * time.Second, Failed: time.Hour, Deleted: 60 * time.Hour}
	if c.Retention != want {
		t.Errorf("retention is %v, want %v", c.Retention, want)
	}
	if c.RegistryPath != "/srv/r.jsonl" || c.ProcDir != home+"/elsewhere" || c.ShutdownTimeout != 1500*time.Millisecond {
		t.Errorf("settings are %+v", c)
	}
	if diff := cmp.Diff(map[string]int64{"command": 5, "my-type": 3}, c.TypeLimits); diff != "" {
		t.Error(diff)
	}
	c, err = Load(Sources{Home: home, Environ: []string{"QUEUEMGR_TYPE_LIMITS=shell=2, command=9"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"command": 9, "shell": 2}, c.TypeLimits); diff != "" {
		t.Error("a variable's limits replace the file's:", diff)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, test := range []struct {
		name, settings string
		environ        []string
		flags          map[string]string
		message, hint  string // parts; FILE stands for the file
		line           int
	}{
		{name: "unknown", settings: "# first\n\nmax_concurent_jobs = 5\n",
			message: `FILE:3:1: unknown setting "max_concurent_jobs"`, hint: `did you mean "max_concurrent_jobs"?`, line: 3},
		{name: "unknown in table", settings: "[retention]\n  complete = 5\n",
			message: `FILE:2:3: unknown setting "retention.complete"`, hint: `"retention.completed"`, line: 2},
		{name: "unknown inline", settings: "retention = {completed = 1, fialed = 5}\n",
			message: `FILE:1:29: unknown setting "retention.fialed"`, hint: `"retention.failed"`, line: 1},
		{name: "unknown table", settings: "[retentions]\ncompleted = 5\n",
			message: `FILE:1:2: unknown setting "retentions"`, hint: `"retention"`, line: 1},
		{name: "far from all", settings: "xyzzy = 1\n", message: `unknown setting "xyzzy"`, hint: "the settings are: ", line: 1},
		{name: "no table", settings: "retention = 5\n", message: "retention is a table", hint: "[retention]", line: 1},
		{name: "first mistake", settings: "node = 5\nlog_level = 3\n", message: "FILE:1:1: node: bad value 5", line: 1},
		{name: "syntax", settings: "node = \"a\"\nmax_queue_size 5\n", message: "FILE:2:", hint: "a line like", line: 2},
		{name: "twice", settings: "node = \"a\"\nnode = \"b\"\n", message: "not valid TOML", line: 2},
		{name: "text for number", settings: "max_queue_size = \"5\"\n", message: `max_queue_size: bad value "5"`, hint: "without quotation marks", line: 1},
		{name: "too small", settings: "max_concurrent_jobs = 0\n", message: "bad value 0", hint: "from 1 to 100000", line: 1},
		{name: "duration", settings: "shutdown_timeout = \"soon\"\n", message: `bad value "soon"`, hint: "from 0 to 1d", line: 1},
		{name: "negative duration", settings: "cleanup_interval = -1\n", message: "bad value -1", hint: "from 1 to 7d", line: 1},
		{name: "empty duration", settings: "cleanup_interval = \"\"\n", message: `bad value ""`, line: 1},
		{name: "size", settings: "min_free_space = \"64Mib of\"\n", message: "bad value", hint: "64MiB", line: 1},
		{name: "date", settings: "retention.failed = 2020-01-01\n", message: "bad value 2020-01-01", hint: "for ever", line: 1},
		{name: "type limit", settings: "[type_limits]\ncommand = 0\n", message: "FILE:2:1: type_limits.command: bad value 0", line: 2},
		{name: "type limit table", settings: "[type_limits.command]\nmax = 1\n", message: "type_limits.command: bad value a table", line: 1},
		{name: "variable", environ: []string{"QUEUEMGR_MAX_QUEUE_SIZE=many"},
			message: `QUEUEMGR_MAX_QUEUE_SIZE: max_queue_size: bad value "many"`, hint: "whole number"},
		{name: "variable limits", environ: []string{"QUEUEMGR_TYPE_LIMITS=command"}, message: `QUEUEMGR_TYPE_LIMITS`, hint: "TYPE=N"},
		{name: "variable name", environ: []string{"QUEUEMGR_MAX_CONCURENT_JOBS=5"},
			message: "unknown environment variable QUEUEMGR_MAX_CONCURENT_JOBS", hint: "QUEUEMGR_MAX_CONCURRENT_JOBS?"},
		{name: "flag", flags: map[string]string{"log_level": "loud"}, message: `--log-level: log_level: bad value "loud"`, hint: "debug, info, warn or error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			home, file := inHome(t, test.settings)
			_, err := Load(Sources{Home: home, Environ: test.environ, Flags: test.flags})
			e := (*job.Error)(nil)
			if !errors.As(err, &e) || e.Code != job.Invalid {
				t.Fatalf("error is %v, want one with code invalid", err)
			}
			if want := strings.ReplaceAll(test.message, "FILE", file); !strings.Contains(e.Message, want) {
				t.Errorf("message is %q, want %q in it", e.Message, want)
			}
			if !strings.Contains(e.Hint, test.hint) {
				t.Errorf("hint is %q, want %q in it", e.Hint, test.hint)
			}
			if e.Line != test.line {
				t.Errorf("line is %d, want %d", e.Line, test.line)
			}
		})
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := Load(Sources{Home: t.TempDir(), File: "/nowhere/config.toml"})
	if job.CodeOf(err) != job.NotFound || !strings.Contains(err.Error(), "/nowhere/config.toml") {
		t.Errorf("error is %v", err)
	}
}

func TestExampleIsTheDefaults(t *testing.T) {
	home := t.TempDir()
	example := Example(InHome(home))
	if err := os.WriteFile(home+"/config.toml", []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	commented, err := Load(Sources{Home: home})
	if err != nil {
		t.Fatalf("the example does not load: %v", err)
	}
	// With every setting's comment sign taken away, the values are the same but come from the file.
	var lines []string
	for line := range strings.Lines(example) {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			line = rest
		}
		lines = append(lines, line)
	}
	if err := os.WriteFile(home+"/config.toml", []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := Load(Sources{Home: home})
	if err != nil {
		t.Fatalf("the example with its settings taken in does not load: %v", err)
	}
	if len(set.TypeLimits) > 0 {
		t.Errorf("type limits %v stand in the example as if they were defaults", set.TypeLimits)
	}
	if !strings.Contains(example, "[type_limits]\n# command = 1000\n") {
		t.Errorf("no type limit is shown as an example:\n%s", example)
	}
	for i, v := range set.Values() {
		if v.Origin == "default" {
			t.Errorf("%s is not in the example", v.Key)
		}
		if before := commented.Values()[i]; before.Text != v.Text {
			t.Errorf("%s is %v, its default %v", v.Key, v.Text, before.Text)
		}
	}
}

// TestRegistryPathIsAFileOfItsOwn wants no file of the service overwritten by the journal.
func TestRegistryPathIsAFileOfItsOwn(t *testing.T) {
	home := t.TempDir()
	p := InHome(home)
	if err := os.Mkdir(p.Lib, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Database(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.Lib, filepath.Join(home, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"lib/registry.db", "lib/../lib/registry.db-wal", "lib/registry.db-ballast", "lib/runner.journal", "run/queuemgr.sock",
		"log/daemon.log", "config.toml", "run/daemon.pid", "link/registry.db"} {
		_, err := Load(Sources{Home: home, Environ: []string{"QUEUEMGR_REGISTRY_PATH=" + path}})
		var e *job.Error
		if !errors.As(err, &e) || e.Code != job.Invalid || e.Field != "registry_path" {
			t.Errorf("%s: got %v, want Invalid", path, err)
		}
	}
	if _, err := Load(Sources{Home: home, Environ: []string{"QUEUEMGR_REGISTRY_PATH=lib/other.jsonl"}}); err != nil {
		t.Error(err)
	}
}

// TestPipe: a pipe in the place of the settings holds nobody.
func TestPipe(t *testing.T) {
	home := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(home, "config.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Sources{Home: home}); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("got %v", err)
	}
}
